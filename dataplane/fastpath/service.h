/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose packet is it: a virtual IP's service, another service address, or not ours.
 */
#ifndef CULVERT_FASTPATH_SERVICE_H
#define CULVERT_FASTPATH_SERVICE_H

#include "dataplane/fastpath/flow.h"
#include "dataplane/fastpath/icmp.h"
#include "dataplane/fastpath/meter.h"

#define FP_PORT_DNS 53u

/* What was found: a virtual IP (vip is set), else a service address (flags are set), else nothing
 * of ours. */
struct fp_service {
    struct fp_vip FP_REGION *vip;
    fp_u32 flags; /* FP_ADDRESS_* */
    fp_u32 nlimits;
    fp_u64 limits; /* FP_LIMITS_MAX limit numbers of 16 bits, the first one lowest */
};

FP_STATIC_ASSERT(FP_LIMITS_MAX == 4, "limits are loaded as one word");
FP_STATIC_ASSERT(__builtin_offsetof(struct fp_vip, limit) % 4 == 0, "layout");
FP_STATIC_ASSERT(__builtin_offsetof(struct fp_address, limit) % 4 == 0, "layout");

/* The four limit numbers at `limit`, in one word. */
static fp_inline fp_u64 fp_service_limits(fp_u16 FP_REGION *limit)
{
    fp_u32 FP_REGION *pair = (fp_u32 FP_REGION *)limit;

    return pair[0] | (fp_u64)pair[1] << 32;
}

/* The virtual IP's service for the packet's destination: that port's, else the one of all ports. */
static fp_inline int fp_service_vip(struct fp_env *env, const struct fp_parsed *parsed,
                                    struct fp_service *service)
{
    fp_u32 protocol = (fp_u32)parsed->protocol << 16;
    struct fp_rec FP_REGION *record = 0;

    for (int any = 0; any < 2 && !record; any++)
        record = fp_find(env, FP_KIND_VIP, parsed->destination[0], parsed->destination[1],
                         any ? protocol : protocol | parsed->dport);
    if (!record)
        return 0;
    service->vip = FP_BODY(struct fp_vip, record);
    service->flags = FP_ADDRESS_VIP;
    service->nlimits = service->vip->nlimits;
    service->limits = fp_service_limits(service->vip->limit);
    fp_trace(env, "vip", "found: vip, port", service->vip->id, parsed->dport);
    return 1;
}

/* The destination as a service address, whatever the port. */
static fp_inline void fp_service_address(struct fp_env *env, const struct fp_parsed *parsed,
                                         struct fp_service *service)
{
    struct fp_rec FP_REGION *record =
        fp_find(env, FP_KIND_ADDRESS, parsed->destination[0], parsed->destination[1], 0);
    struct fp_address FP_REGION *address;

    if (!record)
        return;
    address = FP_BODY(struct fp_address, record);
    service->flags = address->flags;
    service->nlimits = address->nlimits;
    service->limits = fp_service_limits(address->limit);
}

/* What names the service to limits "per vip". */
static fp_inline fp_u64 fp_service_scope(const struct fp_parsed *parsed,
                                         const struct fp_service *service)
{
    return service->vip ? service->vip->id + 1ull
                        : parsed->destination[0] * 31 + parsed->destination[1];
}

/* Whether the service's limits let the packet pass: FP_GO_ON or the reason why not. */
static fp_inline fp_u32 fp_service_meter(struct fp_env *env, const struct fp_parsed *parsed,
                                         const struct fp_service *service)
{
    fp_u64 scope = fp_service_scope(parsed, service);
    fp_u64 limits = service->limits;

    for (fp_u32 i = 0; i < FP_LIMITS_MAX && i < service->nlimits; i++, limits >>= 16) {
        fp_u64 what = (limits & 0xffff) | (fp_u64)parsed->bytes << 32;
        fp_u32 reason = fp_limit_check(env, parsed->source[0], parsed->source[1], scope, what);

        if (reason != FP_GO_ON)
            return reason;
    }
    return FP_GO_ON;
}

#endif
