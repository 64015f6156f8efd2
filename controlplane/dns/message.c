/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/dns/message.h"

#include <string.h>

#include "dataplane/fastpath/dns_host.h"

#define RCODE_NOTAUTH 9u /* RFC 8945 section 3 */
#define TYPE_TSIG 250u
#define RR_FIXED 10u /* type, class, TTL, length */

/* The offset behind the name at `at`, which may end in a compression pointer; 0: malformed. */
static size_t skip_name(const uint8_t *message, size_t length, size_t at)
{
    while (at < length) {
        if (message[at] >= 0xc0)
            return at + 2 <= length ? at + 2 : 0;
        if (message[at] > 63)
            return 0;
        if (!message[at])
            return at + 1;
        at += message[at] + 1u;
    }
    return 0;
}

static unsigned load16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void store16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* A reply that is only a header. */
static size_t say_code(uint8_t *message, unsigned rcode)
{
    message[2] = (uint8_t)(FP_DNS_QR | (message[2] & (FP_DNS_OPCODE | FP_DNS_RD)));
    message[3] = (uint8_t)((message[3] & FP_DNS_CD) | rcode);
    memset(message + 4, 0, FP_DNS_HEADER - 4);
    return FP_DNS_HEADER;
}

/* Walks the records behind the question and reduces the message to question and OPT. Returns 0
 * and the new length, or the RCODE to say. */
static unsigned reduce(uint8_t *message, size_t *length)
{
    size_t question = skip_name(message, *length, FP_DNS_HEADER);
    unsigned before = load16(message + 6) + load16(message + 8);
    unsigned count = before + load16(message + 10);
    uint8_t opt[FP_DNS_OPT_BYTES];
    bool have_opt = false;
    size_t at;

    if (!question || question + 4 > *length)
        return FP_RCODE_FORMERR;
    question += 4;
    at = question;
    for (unsigned i = 0; i < count; i++) {
        size_t fixed = skip_name(message, *length, at);
        unsigned type;

        if (!fixed || fixed + RR_FIXED > *length)
            return FP_RCODE_FORMERR;
        type = load16(message + fixed);
        if (i >= before && type == TYPE_TSIG)
            return i + 1 == count ? RCODE_NOTAUTH : FP_RCODE_FORMERR;
        if (i >= before && type == FP_DNS_TYPE_OPT) {
            if (have_opt || message[at])
                return FP_RCODE_FORMERR;
            have_opt = true;
            memcpy(opt, message + at, FP_DNS_OPT_BYTES);
            store16(opt + 9, 0);
        }
        at = fixed + RR_FIXED + load16(message + fixed + 8);
        if (at > *length)
            return FP_RCODE_FORMERR;
    }
    memset(message + 6, 0, 6);
    *length = question;
    if (have_opt) {
        message[11] = 1;
        memcpy(message + question, opt, FP_DNS_OPT_BYTES);
        *length += FP_DNS_OPT_BYTES;
    }
    return 0;
}

size_t message_answer(const void *region, uint8_t *message, size_t length, size_t capacity,
                      bool tcp, unsigned *reason)
{
    struct fp_env env = {.base = (void *)region, .dry = true};
    fp_u32 why = 0;
    size_t reply;
    unsigned rcode;

    env.generation = __atomic_load_n(&FP_ROOT(&env)->generation, __ATOMIC_ACQUIRE);
    reply = fp_dns_answer_message(&env, message, (fp_u32)length, (fp_u32)capacity, tcp, &why);
    if (why == FP_PASS_DNS_ODD) {
        rcode = reduce(message, &length);
        if (rcode) {
            why = FP_DNS_FORMERR;
            reply = say_code(message, rcode);
        } else {
            reply =
                fp_dns_answer_message(&env, message, (fp_u32)length, (fp_u32)capacity, tcp, &why);
        }
    }
    if (reason)
        *reason = why;
    return reply;
}
