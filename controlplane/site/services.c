/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces, limits, access rules, virtual IPs and the addresses that are ours. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/engine.h"

typedef void (*each_fn)(struct compile *compile, const struct site_state *state, uint32_t place,
                        bool put);

/* Walks a section of both documents by name: takes away what is gone or changed, puts what is new
 * or changed. */
static void section_walk(struct compile *compile, unsigned field, each_fn each,
                         bool (*changed)(const struct compile *compile, uint32_t old, uint32_t new))
{
    const struct site_node *old = state_section(compile->old, field);
    const struct site_node *new = state_section(compile->new, field);
    uint32_t i = 0, j = 0;

    while (!compile->error && ((old && i < old->count) || (new && j < new->count))) {
        bool has_old, has_new, same;
        int order;

        if (section_shares(old, i, new, j) && !(changed && changed(compile, i, j))) {
            i++;
            j++;
            continue;
        }
        has_old = old && i < old->count;
        has_new = new && j < new->count;
        order = !has_old ? 1 : !has_new ? -1 : strcmp(old->child[i]->key, new->child[j]->key);
        same = !order && node_equal(old->child[i], new->child[j]) &&
               !(changed && changed(compile, i, j));

        if (order <= 0 && !same)
            each(compile, compile->old, i, false);
        if (order >= 0 && !same)
            each(compile, compile->new, j, true);
        i += order <= 0;
        j += order >= 0;
    }
}

static void entry(struct compile *compile, const struct fp_key *key, const void *body,
                  size_t length, bool put)
{
    if (put)
        compile_put(compile, key, body, length);
    else
        compile_delete(compile, key);
}

static void interface_each(struct compile *compile, const struct site_state *state, uint32_t place,
                           bool put)
{
    const struct site_node *node = state_section(state, ROOT_INTERFACES)->child[place];
    struct fp_key key = {.a = state->number[SPACE_INTERFACES][place], .kind = FP_KIND_INTERFACE};
    /* In the order of their words. */
    static const uint8_t drivers[] = {FP_DRIVER_XDP, FP_DRIVER_DPDK}, modes[] = {0, 1, 2};
    const struct site_node *mode = node_field(node, INTERFACE_MODE);
    const struct site_node *device = node_field(node, INTERFACE_DEVICE);
    const struct site_node *queues = node_field(node, INTERFACE_QUEUES);
    struct fp_interface body = {.driver = drivers[node->child[INTERFACE_DRIVER]->number],
                                .mode = mode ? modes[mode->number] : 0,
                                .queues = queues ? (uint8_t)queues->number : 0};

    strncpy(body.name, node->key, sizeof(body.name) - 1);
    if (device)
        strncpy(body.device, device->text, sizeof(body.device) - 1);
    entry(compile, &key, &body, sizeof(body), put);
}

/* GCRA's units: the time that one takes at a rate, and that a burst takes; 1/256 ns. */
#define SECOND ((uint64_t)1000000000 << FP_TIME_SHIFT)
#define BURST_MOST ((uint64_t)1 << 62)

static uint64_t cost_of(uint64_t per_second)
{
    uint64_t cost = (SECOND + per_second / 2) / per_second;

    return cost ? cost : 1;
}

static uint64_t burst_of(const struct site_node *burst, uint64_t per_second)
{
    uint64_t units = burst ? burst->number : per_second / 10, time;

    if (!units)
        units = 1;
    if (__builtin_mul_overflow(units, cost_of(per_second), &time) || time > BURST_MOST)
        return BURST_MOST;
    return time;
}

static void limit_each(struct compile *compile, const struct site_state *state, uint32_t place,
                       bool put)
{
    const struct site_node *node = state_section(state, ROOT_LIMITS)->child[place];
    const struct site_node *per = node_field(node, LIMIT_PER), *per6 = node_field(node, LIMIT_PER6);
    const struct site_node *packets = node_field(node, LIMIT_PACKETS);
    const struct site_node *bytes = node_field(node, LIMIT_BYTES);
    struct fp_key key = {.a = state->number[SPACE_LIMITS][place], .kind = FP_KIND_LIMIT};
    struct fp_limit body = {.per = FP_PER_SOURCE, .len6 = 64};

    if (per->number == SOURCE_VIP)
        body.per = FP_PER_VIP;
    else
        body.len4 = (uint8_t)per->number;
    if (per6)
        body.len6 = (uint8_t)per6->number;
    if (packets) {
        body.packet_cost = cost_of(packets->number);
        body.packet_burst = burst_of(node_field(node, LIMIT_BURST), packets->number);
    }
    if (bytes) {
        body.byte_cost = cost_of(bytes->number);
        body.byte_burst = burst_of(node_field(node, LIMIT_BURST_BYTES), bytes->number);
    }
    entry(compile, &key, &body, sizeof(body), put);
}

static void access_put(struct compile *compile, const struct site_node *rule, bool put)
{
    const struct site_node *prefix = access_prefix(rule);
    unsigned length = prefix->length + (address_is_v4(&prefix->address) ? 96u : 0u);
    struct fp_key key = address_key(FP_KIND_ACCESS, &prefix->address, length);
    struct fp_access body = {.action = rule->child[ACCESS_DENY] ? FP_ACCESS_DENY : FP_ACCESS_ALLOW};

    entry(compile, &key, &body, sizeof(body), put);
}

static void access_compile(struct compile *compile)
{
    const struct site_node *old = state_section(compile->old, ROOT_ACCESS);
    const struct site_node *new = state_section(compile->new, ROOT_ACCESS);

    NODE_EACH(rule, old)
    if (!access_find(new, rule))
        access_put(compile, rule, false);
    NODE_EACH(rule, new)
    {
        const struct site_node *before = access_find(old, rule);

        if (!before || !node_equal(before, rule))
            access_put(compile, rule, true);
    }
}

/* ---- virtual IPs ---- */

static void limits_fill(const struct site_state *state, const struct site_node *limits,
                        uint16_t limit[FP_LIMITS_MAX], uint8_t *count)
{
    NODE_EACH(reference, limits)
    limit[(*count)++] = (uint16_t)number_of(state, SPACE_LIMITS, reference->text);
}

/* The ways back of one port, from every backend of a virtual IP of mode nat. */
static void natback_each(struct compile *compile, const struct site_state *state,
                         const struct site_node *vip, uint32_t number, uint32_t port,
                         uint32_t protocol, bool put)
{
    const struct site_node *to = node_field(vip, VIP_PORT);
    const struct site_node *pool = state_target(state, vip->child[VIP_POOL]);
    struct fp_natback body = {.vip = number, .port = to ? (uint16_t)port : 0};

    memcpy(body.address, vip->child[VIP_ADDRESS]->address.bytes, sizeof(body.address));
    NODE_EACH(backend, node_field(pool, POOL_BACKENDS))
    {
        struct fp_key key = address_key(FP_KIND_NATBACK, &backend->child[BACKEND_ADDRESS]->address,
                                        protocol | (to ? (uint32_t)to->number : port));

        entry(compile, &key, &body, sizeof(body), put);
    }
}

static void vip_each(struct compile *compile, const struct site_state *state, uint32_t place,
                     bool put)
{
    static const uint8_t modes[] = {FP_MODE_DSR_IPIP, FP_MODE_DSR_L2, FP_MODE_NAT};
    const struct site_node *vip = state_section(state, ROOT_VIPS)->child[place];
    const struct site_node *ports = vip->child[VIP_PORTS], *to = node_field(vip, VIP_PORT);
    uint32_t protocol = vip->child[VIP_PROTOCOL]->number == PROTOCOL_UDP ? 17u << 16 : 6u << 16;
    uint32_t number = state->number[SPACE_VIPS][place];
    uint32_t count = ports->kind == NODE_SCALAR ? 1 : ports->count;
    struct fp_vip body = {.id = number,
                          .pool = number_of(state, SPACE_POOLS, vip->child[VIP_POOL]->text),
                          .mode = modes[vip->child[VIP_MODE]->number],
                          .port = to ? (uint16_t)to->number : 0};

    limits_fill(state, node_field(vip, VIP_LIMITS), body.limit, &body.nlimits);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t port = ports->kind == NODE_SCALAR ? 0 : (uint32_t)ports->child[i]->number;
        struct fp_key key =
            address_key(FP_KIND_VIP, &vip->child[VIP_ADDRESS]->address, protocol | port);

        entry(compile, &key, &body, sizeof(body), put);
        if (body.mode == FP_MODE_NAT)
            natback_each(compile, state, vip, number, port, protocol, put);
    }
}

/* The ways back of mode nat are also the pool's. */
static bool vip_changed(const struct compile *compile, uint32_t old, uint32_t new)
{
    const struct site_node *a = state_section(compile->old, ROOT_VIPS)->child[old];
    const struct site_node *b = state_section(compile->new, ROOT_VIPS)->child[new];

    return b->child[VIP_MODE]->number == MODE_NAT &&
           !node_equal(state_target(compile->old, a->child[VIP_POOL]),
                       state_target(compile->new, b->child[VIP_POOL]));
}

/* ---- addresses ---- */

struct ours {
    struct address address;
    uint32_t flags;
};

static int ours_compare(const void *x, const void *y)
{
    const struct ours *a = x, *b = y;

    return memcmp(&a->address, &b->address, sizeof(a->address));
}

/* Every address that is ours, once, sorted. */
static struct ours *ours_list(const struct site_state *state, size_t *count)
{
    const struct site_node *vips = state_section(state, ROOT_VIPS);
    const struct site_node *listen = node_field(state_section(state, ROOT_DNS), DNS_LISTEN);
    struct ours *list =
        calloc((vips ? vips->count : 0) + (size_t)(listen ? listen->count : 0) + 1, sizeof(*list));
    size_t all = 0, kept = 0;

    if (!list)
        return NULL;
    NODE_EACH(vip, vips)
    list[all++] = (struct ours){vip->child[VIP_ADDRESS]->address, FP_ADDRESS_VIP};
    NODE_EACH(address, listen)
    list[all++] = (struct ours){address->address, FP_ADDRESS_DNS};
    if (all > 1)
        qsort(list, all, sizeof(*list), ours_compare);
    for (size_t i = 0; i < all; i++) {
        if (kept && address_equal(&list[kept - 1].address, &list[i].address))
            list[kept - 1].flags |= list[i].flags;
        else
            list[kept++] = list[i];
    }
    *count = kept;
    return list;
}

static void address_put(struct compile *compile, const struct ours *ours)
{
    const struct site_node *limits = node_field(state_section(compile->new, ROOT_DNS), DNS_LIMITS);
    struct fp_key key = address_key(FP_KIND_ADDRESS, &ours->address, 0);
    struct fp_address body = {.flags = ours->flags};

    if (ours->flags & FP_ADDRESS_DNS)
        limits_fill(compile->new, limits, body.limit, &body.nlimits);
    compile_put(compile, &key, &body, sizeof(body));
}

static void addresses_compile(struct compile *compile)
{
    size_t old_count = 0, new_count = 0, i = 0, j = 0;
    struct ours *old, *new;

    if (compile->old->site &&
        node_equal(state_section(compile->old, ROOT_VIPS),
                   state_section(compile->new, ROOT_VIPS)) &&
        node_equal(state_section(compile->old, ROOT_DNS), state_section(compile->new, ROOT_DNS)))
        return;
    old = ours_list(compile->old, &old_count);
    new = ours_list(compile->new, &new_count);
    if (!old || !new)
        compile_fail(compile, CULVERT_ENOMEM);
    while (!compile->error && (i < old_count || j < new_count)) {
        int order = i == old_count ? 1 : j == new_count ? -1 : ours_compare(&old[i], &new[j]);

        if (order < 0) {
            struct fp_key key = address_key(FP_KIND_ADDRESS, &old[i].address, 0);

            compile_delete(compile, &key);
        } else {
            address_put(compile, &new[j]);
        }
        i += order <= 0;
        j += order >= 0;
    }
    free(old);
    free(new);
}

void compile_services(struct compile *compile)
{
    section_walk(compile, ROOT_INTERFACES, interface_each, NULL);
    section_walk(compile, ROOT_LIMITS, limit_each, NULL);
    access_compile(compile);
    section_walk(compile, ROOT_VIPS, vip_each, vip_changed);
    addresses_compile(compile);
}
