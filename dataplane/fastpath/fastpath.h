/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way of a packet, from its headers to a verdict:
 *
 *     parse -> access lists -> whose is it -> meters -> DNS answer | virtual IP | the kernel
 *
 * fp_process() is all that a driver calls, or fp_process_burst() (burst.h) of the same parts.
 */
#ifndef CULVERT_FASTPATH_FASTPATH_H
#define CULVERT_FASTPATH_FASTPATH_H

#include "dataplane/fastpath/dns.h"
#include "dataplane/fastpath/forward.h"
#include "dataplane/fastpath/fragment.h"
#include "dataplane/fastpath/natback.h"
#include "dataplane/fastpath/service.h"

/* The verdict that belongs to a reason: the ranges of reasons.h. */
static fp_inline enum fp_verdict fp_verdict_of(fp_u32 reason)
{
    if (reason >= FP_DROP_SHORT)
        return FP_VERDICT_DROP;
    if (reason < FP_DNS_ANSWER)
        return FP_VERDICT_PASS;
    return reason >= FP_LB_IPIP && reason <= FP_LB_ICMP ? FP_VERDICT_FORWARD : FP_VERDICT_TX;
}

/* Denied by the access list. */
static fp_inline int fp_is_denied(struct fp_env *env, const struct fp_parsed *parsed)
{
    fp_u32 action;

    if (fp_likely(!fp_published(&FP_ROOT(env)->access_count)) || fp_is_discovery(parsed))
        return 0;
    action = fp_access_find(env, parsed->source[0], parsed->source[1]);
    fp_trace(env, "access",
             action == FP_ACCESS_NONE   ? "no entry for the source"
             : action == FP_ACCESS_DENY ? "the source is denied"
                                        : "the source is allowed",
             0, 0);
    return action == FP_ACCESS_DENY;
}

/* The backend for a packet of a virtual IP: a later fragment's is that of the first one. */
static fp_inline fp_u32 fp_choose(struct fp_env *env, const struct fp_parsed *parsed,
                                  struct fp_pool FP_REGION *pool, fp_u64 hash)
{
    fp_u32 backend;

    if (fp_likely(!(parsed->flags & FP_PARSED_FRAGMENT)))
        return fp_balance(env, parsed, pool, hash);
    if (parsed->flags & FP_PARSED_LATER)
        return fp_fragment_find(env, parsed, FP_FRAGMENT_BACKEND);
    backend = fp_balance(env, parsed, pool, hash);
    fp_fragment_note(env, parsed, FP_FRAGMENT_PORT, parsed->dport);
    fp_fragment_note(env, parsed, FP_FRAGMENT_BACKEND, backend);
    return backend;
}

/* The hash of the packet's flow, the same on every appliance of the site. */
static fp_inline fp_u64 fp_site_hash(struct fp_env *env, const struct fp_parsed *parsed)
{
    struct fp_rec FP_REGION *config = fp_slot(env, FP_KIND_CONFIG, 0, FP_SLOTS_CONFIG);
    fp_u64 seed = config ? FP_BODY(struct fp_config, config)->flow_seed : 0;

    return fp_flow_hash(parsed, fp_flow_word(parsed), seed);
}

/* A packet of a virtual IP's service, whose flow has that hash and which has that pool (or NULL).
 * Returns the reason of its end. */
static fp_inline fp_u32 fp_serve_vip(struct fp_env *env, struct fp_packet *packet,
                                     const struct fp_parsed *parsed, struct fp_vip FP_REGION *vip,
                                     struct fp_pool FP_REGION *pool, fp_u64 hash, fp_u32 *ifindex)
{
    fp_u32 bytes = fp_frame_bytes(packet);
    fp_u32 backend, reason;

    fp_count(env, vip, vip->id & (FP_COUNT_VIPS - 1), bytes);
    backend = fp_choose(env, parsed, pool, hash);
    fp_trace(env, "backend",
             !backend                  ? "none in the pool"
             : backend == FP_FLOW_NONE ? "first fragment not seen"
                                       : "found: backend",
             backend, 0);
    if (!backend)
        return FP_DROP_NO_BACKEND;
    if (backend == FP_FLOW_NONE)
        return FP_DROP_FRAGMENT;
    reason = fp_forward(env, packet, parsed, vip, backend, hash, ifindex);
    if (fp_verdict_of(reason) == FP_VERDICT_FORWARD)
        fp_count(env, backend, backend & (FP_COUNT_BACKENDS - 1), bytes);
    return reason;
}

/* Neither a fragment nor with anything between the IP header and L4. */
static fp_inline int fp_is_plain(const struct fp_parsed *parsed)
{
    return !(parsed->flags & (FP_PARSED_FRAGMENT | FP_PARSED_OPTIONS));
}

/* A packet to a service address that no virtual IP's service takes. */
static fp_inline struct fp_result fp_serve_address(struct fp_env *env, struct fp_packet *packet,
                                                   const struct fp_parsed *parsed, fp_u32 flags)
{
    struct fp_result result = {.reason = FP_PASS_LOCAL};
    int plain = fp_is_plain(parsed);
    FP_SCRATCH(scratch);

    if (flags & FP_ADDRESS_DNS && parsed->dport == FP_PORT_DNS) {
        if (parsed->protocol == FP_IP_UDP && plain) {
            if (fp_scratch_ready(packet, scratch))
                return fp_dns_process(env, packet, parsed);
            result.reason = FP_DROP_INTERNAL;
            return result;
        }
        result.reason = parsed->protocol == FP_IP_UDP ? FP_PASS_DNS_ODD : FP_PASS_DNS_TCP;
    } else if (fp_is_icmp(parsed) && fp_is_echo(parsed) && plain) {
        result.reason = (fp_u8)fp_icmp_echo(packet, parsed);
    } else if (flags & FP_ADDRESS_VIP && !(flags & FP_ADDRESS_DNS) && !fp_is_discovery(parsed)) {
        /* The kernel would route it on, back to where it came from, until its hops are used up. */
        result.reason = parsed->flags & FP_PARSED_LATER ? FP_DROP_FRAGMENT : FP_DROP_NO_SERVICE;
    }
    return result;
}

/* Finds the service of a packet whose headers say more than its own addresses and ports: what is
 * inside an ICMP error, what the first fragment said. Returns FP_GO_ON or a reason to end. */
static fp_inline fp_u32 fp_resolve(struct fp_env *env, struct fp_packet *packet,
                                   struct fp_parsed *parsed)
{
    fp_u32 port, reason;

    if (fp_unlikely(parsed->flags & FP_PARSED_LATER)) {
        port = fp_fragment_find(env, parsed, FP_FRAGMENT_PORT);
        if (port != FP_FLOW_NONE)
            parsed->dport = parsed->sport = (fp_u16)port;
    } else if (fp_unlikely(fp_is_icmp(parsed) && fp_is_icmp_error(parsed))) {
        struct fp_service service = {0};

        fp_service_address(env, parsed, &service);
        if (service.flags && !(service.flags & FP_ADDRESS_VIP))
            return FP_GO_ON;
        reason = fp_icmp_inner(packet, parsed);
        return reason == FP_GO_ON || service.flags ? reason : FP_PASS_NOT_OURS;
    }
    return FP_GO_ON;
}

/* Whether a packet whose source was looked up is looked at further: FP_GO_ON or a reason to end. */
static fp_inline fp_u32 fp_admit(const struct fp_parsed *parsed, int denied)
{
    if (fp_unlikely(denied))
        return FP_DROP_ACCESS;
    return fp_unlikely(parsed->flags & FP_PARSED_GROUP) ? FP_PASS_NOT_OURS : FP_GO_ON;
}

/* Whose packet it is: sets `service`, which is zeroed. Returns FP_GO_ON or a reason to end. */
static fp_inline fp_u32 fp_whose(struct fp_env *env, struct fp_packet *packet,
                                 struct fp_parsed *parsed, struct fp_service *service)
{
    fp_u32 reason = fp_resolve(env, packet, parsed);

    if (reason == FP_GO_ON && !fp_service_vip(env, parsed, service))
        fp_service_address(env, parsed, service);
    return reason;
}

/* Whether a packet of a service is taken: FP_GO_ON or a reason to end. */
static fp_inline fp_u32 fp_serve_check(struct fp_env *env, const struct fp_parsed *parsed,
                                       const struct fp_service *service)
{
    if (parsed->problem || fp_source_is_bad(parsed))
        return parsed->problem ? parsed->problem : FP_DROP_SOURCE;
    if (!service->vip)
        fp_trace(env, "address",
                 service->flags & FP_ADDRESS_DNS ? "a DNS listener's address: port"
                                                 : "a virtual IP, no such service: port",
                 parsed->dport, 0);
    return fp_service_meter(env, parsed, service);
}

/* Decides for a packet when it is known whose it is. */
static fp_inline struct fp_result fp_serve(struct fp_env *env, struct fp_packet *packet,
                                           struct fp_parsed *parsed,
                                           const struct fp_service *service)
{
    struct fp_result result = {.reason = FP_PASS_NOT_OURS};
    struct fp_vip FP_REGION *vip = service->vip;
    fp_u32 reason;

    if (!service->flags) {
        result.reason = (fp_u8)fp_natback(env, packet, parsed, &result.ifindex);
        return result;
    }
    reason = fp_serve_check(env, parsed, service);
    if (reason == FP_GO_ON && !vip)
        return fp_serve_address(env, packet, parsed, service->flags);
    if (reason == FP_GO_ON)
        reason = fp_serve_vip(env, packet, parsed, vip, fp_balance_pool(env, vip->pool),
                              fp_site_hash(env, parsed), &result.ifindex);
    result.reason = (fp_u8)reason;
    return result;
}

/* Completes and counts the result for a frame that came with `bytes`. */
static fp_inline void fp_finish(struct fp_env *env, struct fp_result *result, fp_u32 bytes)
{
    result->verdict = (fp_u8)fp_verdict_of(result->reason);
    fp_count(env, reason, result->reason & (FP_COUNT_REASONS - 1), bytes);
    fp_trace(env, "verdict", "found: reason", result->reason, 0);
}

/* Decides for a frame, changes it accordingly, and counts. Pointers into it are void then. */
static fp_inline struct fp_result fp_process(struct fp_env *env, struct fp_packet *packet)
{
    struct fp_result result = {.ifindex = 0};
    fp_u32 bytes = fp_frame_bytes(packet);
    struct fp_service service = {0};
    struct fp_parsed parsed;
    fp_u32 reason;

    fp_env_begin(env);
    reason = fp_parse(packet, &parsed);
    fp_trace(env, "parse", reason == FP_GO_ON ? "found: bytes" : "ends here: bytes", bytes, 0);
    if (fp_likely(reason == FP_GO_ON))
        reason = fp_admit(&parsed, fp_is_denied(env, &parsed));
    if (fp_likely(reason == FP_GO_ON))
        reason = fp_whose(env, packet, &parsed, &service);
    if (fp_likely(reason == FP_GO_ON))
        result = fp_serve(env, packet, &parsed, &service);
    else
        result.reason = (fp_u8)reason;
    fp_finish(env, &result, bytes);
    return result;
}

#endif
