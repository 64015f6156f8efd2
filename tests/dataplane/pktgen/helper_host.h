/* SPDX-License-Identifier: Apache-2.0 */
/* helper.h by the code compiled for the host: one core's store, no device. */
#ifndef CULVERT_TESTS_PKTGEN_HELPER_HOST_H
#define CULVERT_TESTS_PKTGEN_HELPER_HOST_H

#include "dataplane/pktgen/host.h"
#include "dataplane/pktgen/receive.h"
#include "dataplane/pktgen/send.h"

struct helper {
    struct options options;
    struct host host;
};

static inline void helper_prepare(void)
{
}

static inline void helper_start(struct helper *helper)
{
}

static inline int helper_gateway(void *arg, const struct address *target, struct gateway *gateway)
{
    const struct helper *helper = arg;

    *gateway = (struct gateway){.smac = {2, [5] = 1}};
    memcpy(gateway->dmac, helper->options.gateway_mac, 6);
    if (helper->options.vlan)
        gateway->vlan = (uint16_t)(GATEWAY_TAGGED | helper->options.vlan);
    return 0;
}

static inline void helper_load(struct helper *helper, const struct templates *templates,
                               const struct queries *queries)
{
    assert_int_equal(host_open(&helper->host, 1, &helper->options, templates, queries), 0);
}

static inline void helper_close(struct helper *helper)
{
    host_close(&helper->host);
}

static inline uint32_t helper_send(struct helper *helper, uint8_t frame[PKTGEN_FRAME_MAX])
{
    struct pktgen_store *store = helper->host.store;
    struct fp_packet packet = {.head = frame,
                               .data = frame,
                               .end = frame + store->config.frame_bytes,
                               .limit = frame + PKTGEN_FRAME_MAX};

    return make_frame(store, &packet, &store->sender);
}

static inline enum helper_action helper_receive(struct helper *helper, const uint8_t *frame,
                                                size_t length)
{
    struct pktgen_store *store = helper->host.store;
    uint8_t *copy = malloc(length); /* of its size: what reads behind it is found */
    struct fp_packet packet = {
        .head = copy, .data = copy, .end = copy + length, .limit = copy + length};
    enum receive_verdict verdict;

    assert_non_null(copy);
    memcpy(copy, frame, length);
    verdict = receive_frame(store, &packet, &store->counters);
    assert_memory_equal(copy, frame, length);
    free(copy);
    return verdict == RECEIVE_DROP ? HELPER_DROP : HELPER_PASS;
}

static inline void helper_read(struct helper *helper, struct engine_sums *sums)
{
    host_read(&helper->host, sums);
}

static inline size_t helper_backends(struct helper *helper, struct engine_backend *backends,
                                     size_t max)
{
    return host_backends(&helper->host, backends, max);
}

#endif
