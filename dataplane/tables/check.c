/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry may be: the fast path relies on it and checks none of it again. */
#include <string.h>

#include "dataplane/fastpath/dns_layout.h"
#include "dataplane/tables/internal.h"

#define POOL_LOG2_MAX 16u

int tables_check_key(const struct fp_key *key)
{
    if (key->kind >= FP_KIND_COUNT)
        return CULVERT_EINVAL;
    if (tables_slot_capacity[key->kind]) {
        bool known = key->a < tables_slot_capacity[key->kind] && !key->b && !key->c;

        if ((key->kind == FP_KIND_BACKEND || key->kind == FP_KIND_NEXTHOP) && !key->a)
            return CULVERT_EINVAL;
        return known ? 0 : CULVERT_EINVAL;
    }
    switch (key->kind) {
    case FP_KIND_ACCESS:
        return key->c <= 128 ? 0 : CULVERT_EINVAL;
    case FP_KIND_ADDRESS:
        return key->c == 0 ? 0 : CULVERT_EINVAL;
    case FP_KIND_VIP:
    case FP_KIND_NATBACK:
        return key->c >> 24 == 0 ? 0 : CULVERT_EINVAL;
    default:
        return 0;
    }
}

static bool check_pool(const void *body, size_t length)
{
    const struct fp_pool *pool = body;

    return length >= sizeof(*pool) && pool->log2 <= POOL_LOG2_MAX &&
           length == sizeof(*pool) + (sizeof(uint32_t) << pool->log2);
}

static bool check_answer(const uint8_t *body, size_t length, size_t offset)
{
    const struct fp_dns_answer *answer;
    const uint8_t *fixup;

    if (offset + sizeof(*answer) > length)
        return false;
    answer = (const struct fp_dns_answer *)(body + offset);
    fixup = (const uint8_t *)(answer + 1);
    offset += sizeof(*answer) + FP_DNS_FIXUP_BYTES(answer->fixups);
    if (answer->fixups > FP_DNS_FIXUPS_MAX || answer->core > answer->full ||
        offset + answer->full > length)
        return false;
    for (unsigned i = 0; i < answer->fixups; i++, fixup += sizeof(uint16_t)) {
        uint16_t at;

        memcpy(&at, fixup, sizeof(at));
        if (at + sizeof(uint16_t) > answer->full)
            return false;
    }
    return true;
}

static bool check_node(const void *body, size_t length)
{
    const struct fp_dns_node *node = body;

    if (length < sizeof(*node) || node->ntypes > FP_DNS_TYPES_MAX ||
        length < sizeof(*node) + node->ntypes * sizeof(node->type[0]))
        return false;
    if (node->other && !check_answer(body, length, node->other * 8u))
        return false;
    for (unsigned i = 0; i < node->ntypes; i++)
        if (node->type[i].offset && !check_answer(body, length, node->type[i].offset * 8u))
            return false;
    return true;
}

static bool check_zone(const void *body, size_t length)
{
    return length >= sizeof(struct fp_dns_zone) &&
           check_answer(body, length, offsetof(struct fp_dns_zone, negative));
}

static bool check_limit(const void *body)
{
    const struct fp_limit *limit = body;

    return limit->per <= FP_PER_VIP && limit->len4 <= 32 && limit->len6 <= 128;
}

static bool check_vip(const void *body)
{
    const struct fp_vip *vip = body;

    return vip->id < FP_COUNT_VIPS && vip->mode <= FP_MODE_NAT && vip->nlimits <= FP_LIMITS_MAX;
}

static bool check_interface(const void *body)
{
    const struct fp_interface *interface = body;

    return interface->driver <= FP_DRIVER_DPDK &&
           memchr(interface->name, 0, sizeof(interface->name)) != NULL &&
           memchr(interface->device, 0, sizeof(interface->device)) != NULL;
}

int tables_check_body(const struct fp_key *key, const void *body, size_t length)
{
    static const size_t fixed[FP_KIND_COUNT] = {
        [FP_KIND_CONFIG] = sizeof(struct fp_config),
        [FP_KIND_INTERFACE] = sizeof(struct fp_interface),
        [FP_KIND_LIMIT] = sizeof(struct fp_limit),
        [FP_KIND_BACKEND] = sizeof(struct fp_backend),
        [FP_KIND_NEXTHOP] = sizeof(struct fp_nexthop),
        [FP_KIND_ACCESS] = sizeof(struct fp_access),
        [FP_KIND_ADDRESS] = sizeof(struct fp_address),
        [FP_KIND_VIP] = sizeof(struct fp_vip),
        [FP_KIND_NATBACK] = sizeof(struct fp_natback),
    };
    bool good = true;

    if (length > TABLES_BODY_MAX || (fixed[key->kind] && length != fixed[key->kind]))
        return CULVERT_EINVAL;
    switch (key->kind) {
    case FP_KIND_INTERFACE:
        good = check_interface(body);
        break;
    case FP_KIND_LIMIT:
        good = check_limit(body);
        break;
    case FP_KIND_POOL:
        good = check_pool(body, length);
        break;
    case FP_KIND_ZONE:
        good = check_zone(body, length);
        break;
    case FP_KIND_DNS:
        good = check_node(body, length);
        break;
    case FP_KIND_VIP:
        good = check_vip(body);
        break;
    case FP_KIND_ADDRESS:
        good = ((const struct fp_address *)body)->nlimits <= FP_LIMITS_MAX;
        break;
    case FP_KIND_NATBACK:
        good = ((const struct fp_natback *)body)->vip < FP_COUNT_VIPS;
        break;
    }
    return good ? 0 : CULVERT_EINVAL;
}
