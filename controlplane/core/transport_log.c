/* SPDX-License-Identifier: Apache-2.0 */
/* Reasons and their lines in the log, a bounded number of each in a time. */
#include <inttypes.h>
#include <stdio.h>

#include "controlplane/base/log.h"
#include "controlplane/core/transport_internal.h"

#define NOTE_WINDOW_MS 10000u
#define NOTE_COUNT 5u /* lines of one reason in a window */

static const struct {
    const char *label, *text;
} reasons[TRANSPORT_REASON_COUNT] = {
#define X(name, label, text) {label, text},
    TRANSPORT_REASONS(X)
#undef X
};

const char *transport_reason_label(enum transport_reason reason)
{
    return reasons[reason].label;
}

const char *transport_reason_text(enum transport_reason reason)
{
    return reasons[reason].text;
}

/* True when there is room for one more line; *left_out is how many were not written before it. */
static bool within_quota(struct transport *transport, enum transport_reason reason,
                         unsigned *left_out)
{
    struct transport_quota *quota = &transport->quota[reason];
    uint64_t now = uv_now(transport->loop);

    if (!quota->since || now - quota->since >= NOTE_WINDOW_MS) {
        quota->since = now;
        quota->count = 0;
    }
    if (quota->count >= NOTE_COUNT) {
        quota->left_out++;
        return false;
    }
    quota->count++;
    *left_out = quota->left_out;
    quota->left_out = 0;
    return true;
}

/* These are how things go. */
static bool is_quiet(enum transport_reason reason)
{
    return reason == TRANSPORT_DUPLICATE || reason == TRANSPORT_CLOSED ||
           reason == TRANSPORT_REMOVED || reason == TRANSPORT_JOINED;
}

void transport_note(struct transport *transport, const struct connection *connection,
                    enum transport_reason reason, const char *detail)
{
    const struct peer *peer = connection->peer;
    char who[64], more[48] = "";
    unsigned left_out;

    /* One that ends before it said who it is may be anything. */
    if (is_quiet(reason) || (reason == TRANSPORT_ENDED && !peer) ||
        !within_quota(transport, reason, &left_out))
        return;
    if (peer)
        snprintf(who, sizeof(who), "node %" PRIu64, peer->node);
    else if (connection->name.node)
        snprintf(who, sizeof(who), "node %" PRIu64 " of site %.8s", connection->name.node,
                 connection->name.site);
    else
        snprintf(who, sizeof(who), "a connection");
    if (left_out)
        snprintf(more, sizeof(more), " (and %u more like it)", left_out);
    log_warn("transport: %s %s %s %s: %s%s%s%s", who, connection->inbound ? "from" : "at",
             connection->where, connection->stage == STAGE_UP ? "is lost" : "failed",
             transport_reason_text(reason), detail ? ": " : "", detail ? detail : "", more);
}
