/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/engine.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xdp/libxdp.h>

#include <rte_ethdev.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "dataplane/dpdk/device.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/pktgen/dpdk/lane.h"
#include "dataplane/tool/options.h"

#define WHY_BYTES 400
#define TURN_NS 1000000 /* between two looks at the device, before the cores poll it */
#define LINK_TURNS 10000
#define ASK_TURNS 3000
#define ASK_EVERY 100
#define MBUFS_A_CORE (2 * 1024 + 1024u) /* in the device's rings, caches and bursts */

const char engine_program[] = "culvert-pktgen-dpdk";

struct engine {
    const struct options *options;
    struct lanes lanes;
    struct host host;
    bool eal, device;               /* open */
    struct options_address last[2]; /* next hops resolved last, with their */
    uint8_t last_mac[2][6];
};

/* Waits for the next turn. False: the user wants an end, which main() reads later. */
static bool turn_end(void)
{
    const struct timespec nap = {.tv_nsec = TURN_NS};
    sigset_t pending;

    nanosleep(&nap, NULL);
    return sigpending(&pending) ||
           !(sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM));
}

/* ---- the device ---- */

static int wait_link(const struct engine *engine)
{
    for (int turn = 0; !device_is_linked(engine->lanes.port); turn++) {
        if (turn == LINK_TURNS || !turn_end()) {
            tool_say("device %s has no link: is the other end there, and up?",
                     engine->options->device);
            return CULVERT_ETIMEOUT;
        }
    }
    return 0;
}

static int set_mac(struct engine *engine)
{
    const struct options *options = engine->options;
    struct lanes *lanes = &engine->lanes;
    struct rte_ether_addr mac = {0};

    if (rte_eth_macaddr_get(lanes->port, &mac) && !options->source_given) {
        tool_say("device %s tells no MAC address: give --source-mac", options->device);
        return CULVERT_ESYSTEM;
    }
    memcpy(lanes->neighbours.mac, options->source_given ? options->source_mac : mac.addr_bytes, 6);
    if (memcmp(lanes->neighbours.mac, mac.addr_bytes, 6) != 0)
        rte_eth_promiscuous_enable(lanes->port); /* refused where there is no filter */
    return 0;
}

static int open_device(struct engine *engine)
{
    const struct options *options = engine->options;
    struct lanes *lanes = &engine->lanes;
    struct device_request request = {.receive = (uint16_t)lanes->count,
                                     .send = (uint16_t)lanes->count};
    char why[WHY_BYTES];
    uint16_t sends;
    int error;

    if (options->eal.mbufs < lanes->count * MBUFS_A_CORE) {
        tool_say("--mbufs %u: %u cores need at least %u", options->eal.mbufs, lanes->count,
                 lanes->count * MBUFS_A_CORE);
        return CULVERT_EINVAL;
    }
    request.pool = lanes->pool = eal_buffers(options->eal.mbufs);
    if (!request.pool)
        return CULVERT_ENOMEM;
    error = device_open_named(options->device, &request, &lanes->port, &lanes->receive, &sends, why,
                              sizeof(why));
    if (error) {
        tool_say("%s", why);
        return error;
    }
    engine->device = true;
    if (sends < lanes->count) {
        tool_say("device %s has queues for %u sending core%s, not for %u", options->device, sends,
                 sends == 1 ? "" : "s", lanes->count);
        return CULVERT_EUNSUPPORTED;
    }
    error = wait_link(engine);
    return error ? error : set_mac(engine);
}

int engine_open(struct engine **out, const struct options *options)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    struct lanes *lanes;
    int cores, error;

    if (!engine)
        return CULVERT_ENOMEM;
    lanes = &engine->lanes;
    engine->options = lanes->options = options;
    memcpy(lanes->neighbours.own, options->own, sizeof(options->own));
    lanes->neighbours.vlan = (uint16_t)(options->vlan ? GATEWAY_TAGGED | options->vlan : 0);
    log_start(options->eal.program, LOG_LEVEL_ERROR);
    libxdp_set_print(NULL); /* AF_XDP devices: the device's complaint tells */
    cores = eal_open(&options->eal);
    error = cores < 0 ? cores : 0;
    if (!error) {
        engine->eal = true;
        lanes->count = (unsigned)cores;
        error = open_device(engine);
    }
    if (error) {
        engine_close(engine);
        return error;
    }
    *out = engine;
    return 0;
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    lanes_close(&engine->lanes);
    if (engine->device)
        device_close(engine->lanes.port);
    if (engine->eal)
        eal_close();
    host_close(&engine->host);
    free(engine);
}

int engine_load(struct engine *engine, const struct templates *templates,
                const struct queries *queries)
{
    int error = host_open(&engine->host, engine->lanes.count, engine->options, templates, queries);

    if (!error)
        error = lanes_open(&engine->lanes, &engine->host);
    if (error)
        tool_say("the cores can't be started: %s", culvert_strerror(error));
    return error;
}

/* ---- the next hop ---- */

/* Looks at what came; true: a frame tells the MAC address of `address`. */
static bool hear(const struct lanes *lanes, const struct address *address, uint8_t mac[6])
{
    struct rte_mbuf *frame[LANE_BURST];
    bool found = false;

    for (uint16_t queue = 0; queue < lanes->receive; queue++) {
        uint16_t count = rte_eth_rx_burst(lanes->port, queue, frame, LANE_BURST);

        for (uint16_t i = 0; i < count; i++) {
            struct fp_packet packet;

            lane_packet(&packet, frame[i]);
            found |= neighbours_hear(&lanes->neighbours, &packet, address, mac);
            lanes_answer(lanes, 0, &packet);
        }
        rte_pktmbuf_free_bulk(frame, count);
    }
    return found;
}

static int resolve(const struct lanes *lanes, const struct address *address, uint8_t mac[6])
{
    uint8_t question[NEIGHBOURS_FRAME_MAX];
    size_t length = neighbours_ask(&lanes->neighbours, address, question);

    for (int turn = 0; turn < ASK_TURNS; turn++) {
        if (turn % ASK_EVERY == 0)
            lanes_send_bytes(lanes, 0, question, length);
        if (hear(lanes, address, mac))
            return 0;
        if (!turn_end())
            break;
    }
    return CULVERT_ETIMEOUT;
}

int engine_gateway(void *arg, const struct address *target, struct gateway *gateway)
{
    struct engine *engine = arg;
    const struct options *options = engine->options;
    int family = address_is_v4(target) ? 0 : 1;
    const struct address *via = options->via[family].given ? &options->via[family].address : target;
    struct options_address *last = &engine->last[family];
    char text[UNITS_TEXT];

    *gateway = (struct gateway){.vlan = engine->lanes.neighbours.vlan};
    memcpy(gateway->smac, engine->lanes.neighbours.mac, 6);
    if (options->own[family].given)
        memcpy(gateway->source, options->own[family].address.bytes, 16);
    if (options->gateway_given) {
        memcpy(gateway->dmac, options->gateway_mac, 6);
        return 0;
    }
    if (!last->given || !address_equal(&last->address, via)) {
        if (resolve(&engine->lanes, via, engine->last_mac[family])) {
            units_write_address(via, text);
            tool_say("%s doesn't answer on device %s; give --gateway-mac or --via", text,
                     options->device);
            return CULVERT_ETIMEOUT;
        }
        *last = (struct options_address){.address = *via, .given = true};
    }
    memcpy(gateway->dmac, engine->last_mac[family], 6);
    return 0;
}

/* ---- running and reading ---- */

const char *engine_mode(const struct engine *engine)
{
    return "dpdk";
}

bool engine_hears_refused(const struct engine *engine)
{
    return true;
}

bool engine_missed(const struct engine *engine, uint64_t *frames)
{
    *frames = device_lost(engine->lanes.port);
    return true;
}

int engine_start(struct engine *engine)
{
    lanes_start(&engine->lanes);
    return 0;
}

void engine_stop(struct engine *engine)
{
    lanes_stop(&engine->lanes);
}

bool engine_is_running(struct engine *engine)
{
    return atomic_load(&engine->lanes.running) != 0;
}

int engine_failure(struct engine *engine)
{
    return 0;
}

uint64_t engine_start_time(const struct engine *engine)
{
    return engine->lanes.start;
}

uint64_t engine_stop_time(struct engine *engine)
{
    return lanes_end(&engine->lanes);
}

int engine_read(struct engine *engine, struct engine_sums *sums)
{
    host_read(&engine->host, sums);
    return 0;
}

size_t engine_backends(struct engine *engine, struct engine_backend *backends, size_t max)
{
    return host_backends(&engine->host, backends, max);
}
