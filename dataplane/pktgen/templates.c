/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/templates.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "dataplane/fastpath/build.h"
#include "dataplane/tool/options.h"

#define DNS_HEADER_BYTES 12
#define ADDRESS_BITS_MAX 31u
#define FLOWS_DEFAULT 1024u
#define FLOWS_SYN_MAX (1u << 22)
#define TCP_PUSH_ACK 0x18

static const uint8_t zeroes[PKTGEN_FRAME_MAX];

/* ---- one template ---- */

void template_open(struct pktgen_template *template, const struct fp_build_spec *spec)
{
    uint8_t *l3, *l4;
    size_t l4_bytes;
    uint64_t lengths = 0;

    template->family = spec->family;
    template->l3 = (uint8_t)(FP_ETH_BYTES + (spec->vlan[0] ? FP_VLAN_BYTES : 0));
    template->l4 = (uint8_t)(template->l3 + (spec->family == 4 ? FP_IPV4_BYTES : FP_IPV6_BYTES));
    l3 = template->frame + template->l3;
    l4 = template->frame + template->l4;
    l4_bytes = template->length - template->l4;
    if (template->kind == PKTGEN_DNS) {
        fp_store16(l3 + (spec->family == 4 ? 2 : 4), 0);
        fp_store16(l4 + 4, 0);
    } else {
        lengths = fp_htonl((uint32_t)l4_bytes);
    }
    fp_store16(l4 + (spec->protocol == FP_IP_UDP ? 6 : 16), 0);
    if (spec->family == 4) {
        fp_store16(l3 + 10, 0);
        fp_store32(l3 + 12, 0);
        template->ip_sum = fp_build_sum(l3, FP_IPV4_BYTES);
        template->l4_sum = fp_build_sum(l3 + 16, 4);
    } else {
        fp_store32(l3 + 20, 0);
        template->ip_sum = 0;
        template->l4_sum = fp_build_sum(l3 + 8, 32);
    }
    template->l4_sum += lengths + fp_htons(spec->protocol) + fp_build_sum(l4, l4_bytes);
}

/* Bytes behind the L4 header, for the frame size that is asked for. */
static size_t payload_bytes(const struct options *options, enum pktgen_kind kind,
                            const struct fp_build_spec *spec)
{
    size_t least = kind == PKTGEN_UDP ? sizeof(struct pktgen_stamp) : 0;
    size_t header = fp_build_bytes(spec);

    if (kind == PKTGEN_DNS)
        return DNS_HEADER_BYTES;
    if (kind == PKTGEN_SYN || options->size < header + least)
        return least;
    return options->size - header;
}

static void set_l4(struct fp_build_spec *spec, enum pktgen_kind kind)
{
    switch (kind) {
    case PKTGEN_SYN:
        spec->protocol = FP_IP_TCP;
        spec->tcp_flags = FP_TCP_SYN;
        break;
    case PKTGEN_TCP:
        spec->protocol = FP_IP_TCP;
        spec->tcp_flags = TCP_PUSH_ACK;
        break;
    default:
        spec->protocol = FP_IP_UDP;
    }
}

/* The source prefix of a target's family, or our own address on the way there. */
static int set_source(struct templates *templates, const struct options *options,
                      const struct gateway *gateway, struct fp_build_spec *spec,
                      struct pktgen_template *template)
{
    int family = spec->family == 4 ? 0 : 1;
    struct options_prefix prefix = options->source[family];
    struct pktgen_prefix *seen = &templates->source[family];
    struct address mask;
    unsigned bits;

    if (!prefix.given) {
        memcpy(prefix.address.bytes, gateway->source, 16);
        prefix.length = 128;
        if (memcmp(gateway->source, zeroes, 16) == 0) {
            tool_say("no address of ours is known for IPv%d; give --sources", spec->family);
            return CULVERT_ENOTFOUND;
        }
    }
    bits = 128 - prefix.length;
    template->address_bits = bits > ADDRESS_BITS_MAX ? ADDRESS_BITS_MAX : bits;
    memcpy(spec->source, prefix.address.bytes, 16);
    memcpy(&template->source, prefix.address.bytes + 12, 4);
    memset(mask.bytes, 0xff, 16);
    address_mask(&mask, prefix.length);
    memcpy(seen->base, prefix.address.bytes, 16);
    memcpy(seen->mask, mask.bytes, 16);
    return 0;
}

static int make_one(struct templates *templates, const struct options *options,
                    const struct options_target *target, const struct gateway *gateway,
                    enum pktgen_kind kind)
{
    struct pktgen_template *template = &templates->all[templates->count];
    struct fp_build_spec spec = {
        .family = address_is_v4(&target->address) ? 4 : 6,
        .dport = target->port,
        .vlan = {gateway->vlan},
        .fragment = FP_IPV4_DF,
    };
    uint8_t payload[PKTGEN_FRAME_MAX] = {0};
    const struct pktgen_stamp stamp = {.magic = PKTGEN_MAGIC};
    int error;

    template->kind = (uint8_t)kind;
    memcpy(spec.dmac, gateway->dmac, 6);
    memcpy(spec.smac, gateway->smac, 6);
    memcpy(spec.destination, target->address.bytes, 16);
    set_l4(&spec, kind);
    error = set_source(templates, options, gateway, &spec, template);
    if (error)
        return error;
    if (kind == PKTGEN_UDP)
        memcpy(payload, &stamp, sizeof(stamp));
    if (kind == PKTGEN_DNS) {
        payload[5] = 1;                      /* QDCOUNT */
        payload[11] = options->edns ? 1 : 0; /* ARCOUNT */
    }
    spec.payload = payload;
    spec.payload_bytes = payload_bytes(options, kind, &spec);
    template->length = (uint32_t)fp_build_frame(template->frame, sizeof(template->frame), &spec);
    if (!template->length)
        return CULVERT_EINVAL;
    template_open(template, &spec);
    /* What is shorter than Ethernet's least is padded, not all drivers do so. */
    if (kind != PKTGEN_DNS && template->length < 60)
        template->length = 60;
    if (template->length > templates->longest)
        templates->longest = template->length;
    if (template->l4 > templates->l4_farthest)
        templates->l4_farthest = template->l4;
    templates->count++;
    return 0;
}

/* ---- all of them ---- */

static int make_all(struct templates *templates, const struct options *options, gateway_find find,
                    void *arg, uint32_t first[PKTGEN_KIND_COUNT],
                    uint32_t counts[PKTGEN_KIND_COUNT])
{
    for (unsigned kind = 0; kind < PKTGEN_KIND_COUNT; kind++) {
        first[kind] = templates->count;
        for (size_t i = 0; options->weight[kind] && i < options->target_count; i++) {
            const struct options_target *target = &options->target[i];
            struct gateway gateway;
            int error;

            if (!(target->kinds & 1u << kind))
                continue;
            error = find(arg, &target->address, &gateway);
            if (!error)
                error = make_one(templates, options, target, &gateway, (enum pktgen_kind)kind);
            if (error)
                return error;
        }
        counts[kind] = templates->count - first[kind];
    }
    return 0;
}

static uint32_t common_factor(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* Spreads the kinds evenly (each step the kind that is furthest behind its share), and gives each
 * kind's places to its targets in turn; so many rounds that the targets come out even. */
static void schedule(struct templates *templates, const struct options *options,
                     const uint32_t first[PKTGEN_KIND_COUNT],
                     const uint32_t counts[PKTGEN_KIND_COUNT])
{
    uint32_t total = 0, factor = 0, rounds = 1, turn[PKTGEN_KIND_COUNT] = {0};
    int64_t behind[PKTGEN_KIND_COUNT] = {0};

    for (unsigned kind = 0; kind < PKTGEN_KIND_COUNT; kind++)
        factor = common_factor(options->weight[kind], factor);
    for (unsigned kind = 0; kind < PKTGEN_KIND_COUNT; kind++) {
        total += options->weight[kind] / factor;
        if (counts[kind] > rounds)
            rounds = counts[kind];
    }
    while (rounds > 1 && rounds * total > PKTGEN_SCHEDULE_MAX)
        rounds--;
    for (uint32_t i = 0; i < rounds * total && i < PKTGEN_SCHEDULE_MAX; i++) {
        unsigned best = 0;

        for (unsigned kind = 0; kind < PKTGEN_KIND_COUNT; kind++) {
            behind[kind] += options->weight[kind] / factor;
            if (behind[kind] > behind[best])
                best = kind;
        }
        behind[best] -= total;
        templates->schedule[i] = first[best] + turn[best]++ % counts[best];
        templates->schedule_length = i + 1;
    }
}

/* How many different addresses and ports each template has; the least of them bounds the flows. */
static int set_flows(struct templates *templates, const struct options *options)
{
    uint64_t most = UINT32_MAX >> 1;
    uint64_t ports = (uint64_t)options->port_high - options->port_low + 1;

    for (uint32_t i = 0; i < templates->count; i++) {
        uint64_t room = ports << templates->all[i].address_bits;

        if (room < most)
            most = room;
    }
    if (options->flows > most) {
        tool_say("--flows %u: the sources and ports give only %llu", options->flows,
                 (unsigned long long)most);
        return CULVERT_EINVAL;
    }
    templates->flows = options->flows;
    if (!options->flows) {
        uint64_t wanted = options->weight[PKTGEN_SYN] ? FLOWS_SYN_MAX : FLOWS_DEFAULT;

        templates->flows = (uint32_t)(wanted < most ? wanted : most);
    }
    return 0;
}

int templates_make(struct templates *templates, const struct options *options, gateway_find find,
                   void *arg)
{
    uint32_t first[PKTGEN_KIND_COUNT], counts[PKTGEN_KIND_COUNT];
    int error;

    memset(templates, 0, sizeof(*templates));
    /* A base outside of its mask: matches nothing. */
    templates->source[0].base[0] = templates->source[1].base[0] = 1;
    templates->all =
        calloc((size_t)OPTIONS_TARGETS_MAX * PKTGEN_KIND_COUNT, sizeof(*templates->all));
    if (!templates->all)
        return CULVERT_ENOMEM;
    error = make_all(templates, options, find, arg, first, counts);
    if (!error) {
        schedule(templates, options, first, counts);
        error = set_flows(templates, options);
    }
    if (error)
        templates_free(templates);
    return error;
}

void templates_free(struct templates *templates)
{
    free(templates->all);
    memset(templates, 0, sizeof(*templates));
}
