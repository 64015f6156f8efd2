/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What arrives at a DPDK device of culvert-pktgen. Input: a byte of switches (1: --count-only, 2:
 * in a VLAN), then a frame. Whatever comes: no memory error, every frame is counted once, and an
 * answer about our address is from us.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/fastpath/build.h"
#include "dataplane/pktgen/dpdk/neighbours.h"
#include "dataplane/pktgen/gateway.h"
#include "dataplane/pktgen/receive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_options(struct options *options, bool count_only)
{
    options->count_only = count_only;
    options->port_low = 1024;
    options->port_high = 32767;
    options->target_count = 1;
    options->target[0].port = 53;
    options->target[0].kinds = 1u << PKTGEN_DNS;
    fp_build_ipv4(options->target[0].address.bytes, 198, 18, 0, 1);
}

/* A store for each switch, with all of 198.18.0.0/16 as sources. */
static struct pktgen_store *store_of(bool count_only)
{
    static struct host hosts[2];
    struct host *host = &hosts[count_only];
    static struct options options;

    if (host->count)
        return host->store;
    set_options(&options, count_only);
    if (host_open(host, 1, &options, NULL, NULL))
        abort();
    host->store->config.source[0].base[1] = FP_KEY_IPV4(fp_htonl(0xc6120000));
    host->store->config.source[0].mask[1] = ~0ull >> 32 | (fp_u64)fp_htonl(0xffff0000) << 32;
    host->store->config.source[0].mask[0] = ~0ull;
    host->store->config.source[1].base[0] = 1; /* outside of its mask: matches nothing */
    return host->store;
}

static void check_answer(bool vlan, struct fp_packet *packet)
{
    struct neighbours ours = {.mac = {2, [5] = 9}, .vlan = vlan ? GATEWAY_TAGGED | 7 : 0};
    uint8_t answer[NEIGHBOURS_FRAME_MAX], mac[6];
    size_t length;

    ours.own[0].given = ours.own[1].given = true;
    fp_build_ipv4(ours.own[0].address.bytes, 198, 18, 0, 10);
    ours.own[1].address.bytes[15] = 10;
    for (int family = 0; family < 2; family++)
        neighbours_hear(&ours, packet, &ours.own[family].address, mac);
    length = neighbours_answer(&ours, packet, answer);
    if (length > sizeof(answer) || (length && memcmp(answer + 6, ours.mac, 6) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fp_packet packet = {0};
    struct pktgen_store *store;
    uint64_t before;
    uint8_t *frame;

    if (!size)
        return 0;
    frame = malloc(size); /* one byte less is used: what is read behind that is found */
    if (!frame)
        abort();
    memcpy(frame + 1, data + 1, size - 1);
    packet.head = packet.data = frame + 1;
    packet.end = packet.limit = frame + size;
    store = store_of(data[0] & 1);
    before = store->counters.received + store->counters.passed;
    receive_frame(store, &packet, &store->counters);
    if (store->counters.received + store->counters.passed != before + 1)
        abort();
    check_answer(data[0] & 2, &packet);
    free(frame);
    return 0;
}
