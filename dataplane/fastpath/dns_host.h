/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fast path's answers for a DNS message in a buffer: culvertd's TCP and UDP, and tests.
 */
#ifndef CULVERT_FASTPATH_DNS_HOST_H
#define CULVERT_FASTPATH_DNS_HOST_H

#include "dataplane/fastpath/dns.h"
#include "dataplane/fastpath/parse.h"
#include "dataplane/fastpath/reply.h"

/* Replies to the message in place. `capacity` is the buffer's, at least `length`; a reply that is
 * longer is truncated. `tcp`: up to 65,535 bytes are wanted, else what the query and the site
 * allow. Returns the reply's length, or 0: no reply is due, or culvertd's own (FP_PASS_DNS_ODD).
 * `reason` (may be NULL) is set. */
static inline fp_u32 fp_dns_answer_message(struct fp_env *env, fp_u8 *message, fp_u32 length,
                                           fp_u32 capacity, int tcp, fp_u32 *reason)
{
    fp_u8 scratch[FP_SCRATCH_BYTES];
    struct fp_packet packet = {
        .data = message,
        .end = message + length,
        .head = message,
        .limit = message + capacity,
        .scratch = scratch,
    };
    struct fp_dns_query query = {.at = 0, .length = length};
    fp_u32 why = fp_dns_reply(env, &packet, &query, tcp);

    if (reason)
        *reason = why;
    return why >= FP_DNS_ANSWER && why <= FP_DNS_TRUNCATED ? query.length : 0;
}

#endif
