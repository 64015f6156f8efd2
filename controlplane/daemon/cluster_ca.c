/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The site's CA, and another one in its place (docs/decisions/0009-certificates.md). One key of the
 * store says which CAs are believed and which one signs. Each node makes its identity so and tells
 * in its record that it has; whoever leads then writes the next step. Where a leader ends, the next
 * one goes on from what is there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/cluster_internal.h"

#define TRIES_MAX 4u
#define KEY "sca" /* in KV_SPACE_SITE */
#define AGAIN_TICKS (5u * 1000 / CLUSTER_TICK_MS)
#define PROTOCOL 2u /* of the transport, that nodes have which follow */

void ca_name(int error, const uint8_t fingerprint[CERTIFICATE_FINGERPRINT], char out[CA_TEXT])
{
    out[0] = 0;
    for (size_t i = 0; !error && i < (CA_TEXT - 1) / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", fingerprint[i]);
}

/* ---- the record ---- */

int ca_read(struct cluster *cluster, struct rollover *out, uint64_t *mod)
{
    struct kv_keys keys = {.key = kv_text(KEY)};
    struct buffer bytes = {.bound = 2 * ROLLOVER_BYTES_MAX};
    struct arena arena = {0};
    struct kv_result result;
    int error = records_range(cluster, keys, &bytes, &arena, &result);

    *out = (struct rollover){0};
    *mod = 0;
    if (!error && !result.op.pairs.count)
        error = CULVERT_ENOTFOUND;
    if (!error) {
        const struct kv_pair *pair = &result.op.pairs.list[0];

        *mod = pair->mod;
        error = rollover_read(pair->value.data, pair->value.length, out);
    }
    arena_free(&arena);
    buffer_free(&bytes);
    return error;
}

/* Writes it, if it is as it was read: the answer's txn says whether. NULL: removes it. */
static int ca_write(struct cluster *cluster, const struct rollover *rollover, uint64_t mod,
                    kv_answer answer, void *arg)
{
    struct kv_command command = {.kind = KV_TXN, .op = {.kind = KV_TXN}};
    struct kv_compare compare = {.keys = {.key = kv_text(KEY)},
                                 .compared = KV_IF_MOD,
                                 .relation = KV_EQUAL,
                                 .number = (int64_t)mod};
    struct kv_op op = {.kind = KV_DELETE, .delete = {.keys = {.key = kv_text(KEY)}}};
    struct buffer bytes = {.bound = ROLLOVER_BYTES_MAX};
    int error = rollover ? rollover_write(rollover, &bytes) : 0;

    if (rollover)
        op = (struct kv_op){.kind = KV_PUT,
                            .put = {.key = kv_text(KEY), .value = kv_buffer_slice(&bytes)}};
    command.op.txn.compares = &compare;
    command.op.txn.compare_count = 1;
    command.op.txn.branch[1] = (struct kv_ops){.list = &op, .count = 1};
    if (!error)
        error = kv_service_propose(cluster->service, &command, answer, arg);
    buffer_free(&bytes);
    return error;
}

/* ---- each node ---- */

static const char *done_text(enum rollover_step step)
{
    return step == ROLLOVER_SPREAD  ? "a new CA is believed beside the old one"
           : step == ROLLOVER_RENEW ? "the new CA has signed this node's certificate"
                                    : "only the new CA is believed";
}

static void follow(struct cluster *cluster, const struct rollover *rollover, uint64_t mod)
{
    uint8_t fingerprint[CERTIFICATE_FINGERPRINT];
    enum rollover_state state;
    int error = rollover_look(rollover, cluster->identity, &state);

    if (!error && (state != ROLLOVER_FOLLOWS || cluster->unsaved)) {
        error = cluster_identity_follow(cluster, rollover);
        if (!error)
            log_info("%s", done_text(rollover->step));
        if (!error && rollover->step == ROLLOVER_DONE)
            transport_renew(cluster->transport);
    }
    if (error && error != cluster->ca.error)
        log_error("the change of the site's CA can't be followed: %s", culvert_strerror(error));
    cluster->ca.error = error;
    if (error)
        return;
    cluster->ca.mod = mod;
    cluster->ca.step = rollover->step;
    cluster->ca.forced = rollover->forced;
    ca_name(rollover_fingerprint(rollover, fingerprint), fingerprint, cluster->ca.name);
}

void cluster_ca_tick(struct cluster *cluster)
{
    uint8_t fingerprint[CERTIFICATE_FINGERPRINT];
    struct rollover rollover;
    uint64_t mod;
    int error;

    if (cluster->ca.error && cluster->ticks % AGAIN_TICKS)
        return;
    error = ca_read(cluster, &rollover, &mod);
    /* A backup brings the record of the site that it was made in. */
    if (error == CULVERT_ENOTFOUND ||
        (!error && strcmp(rollover.site, cluster->identity->name.site) != 0)) {
        cluster->ca.mod = 0;
        cluster->ca.error = 0;
        cluster->ca.step = ROLLOVER_DONE;
        ca_name(identity_fingerprint(cluster->identity, fingerprint), fingerprint,
                cluster->ca.name);
    } else if (!error && mod != cluster->ca.mod) {
        follow(cluster, &rollover, mod);
    } else if (error && error != cluster->ca.error) {
        log_error("the record of the site's CA can't be read: %s", culvert_strerror(error));
        cluster->ca.error = error;
    }
    rollover_free(&rollover);
}

/* ---- who leads ---- */

struct absent {
    const struct cluster *cluster;
    const struct node_record *records;
    int count;
    bool some;
};

static const struct node_record *record_of(const struct absent *absent, uint64_t id)
{
    for (int i = 0; i < absent->count; i++)
        if (absent->records[i].id == id)
            return &absent->records[i];
    return NULL;
}

static int look_at_member(void *arg, const struct group_member *member)
{
    struct absent *absent = arg;
    struct cluster *cluster = (struct cluster *)absent->cluster;
    const struct node_record *record = record_of(absent, member->id);

    if (record && record->followed == cluster->ca.mod)
        return 0;
    absent->some = !cluster->ca.forced || member->id == cluster->node_id ||
                   cluster_net_connected(cluster, member->id);
    return absent->some;
}

static int same_id(void *arg, const struct group_member *member)
{
    return member->id == *(const uint64_t *)arg;
}

/* Whether a node is yet to take the step: a member, or one that was let in and is none yet. */
static bool somebody_is_behind(const struct cluster *cluster, const struct node_record *records,
                               int count)
{
    struct absent absent = {.cluster = cluster, .records = records, .count = count};

    group_members(cluster->group, look_at_member, &absent);
    for (int i = 0; i < count && !cluster->ca.forced; i++) {
        uint64_t id = records[i].id;

        if (records[i].want == WANT_JOIN && !group_members(cluster->group, same_id, &id))
            absent.some = true;
    }
    return absent.some;
}

bool cluster_ca_settled(const struct cluster *cluster, uint64_t before,
                        const struct node_record *records, int count)
{
    return cluster->ca.mod != before && cluster->ca.step == ROLLOVER_DONE &&
           !somebody_is_behind(cluster, records, count);
}

static void on_stored(void *arg, int status, const struct kv_result *result)
{
    struct cluster *cluster = arg;

    (void)status; /* what is still so is seen at the next tick */
    (void)result;
    cluster->storing = false;
}

bool cluster_ca_lead(struct cluster *cluster, const struct node_record *records, int count)
{
    struct rollover rollover;
    uint64_t mod;
    int error = ca_read(cluster, &rollover, &mod);

    if (!error && strcmp(rollover.site, cluster->identity->name.site) != 0) {
        cluster->storing = !ca_write(cluster, NULL, mod, on_stored, cluster);
    } else if (!error && rollover.step != ROLLOVER_DONE && mod == cluster->ca.mod &&
               !somebody_is_behind(cluster, records, count)) {
        rollover_advance(&rollover);
        cluster->storing = !ca_write(cluster, &rollover, mod, on_stored, cluster);
    }
    rollover_free(&rollover);
    return cluster->storing;
}

/* ---- it is asked for ---- */

struct rotation {
    struct cluster *cluster;
    struct waiter *waiter;
    bool force;
    unsigned tries;
};

static void rotation_end(struct rotation *rotation, int status, const char *why)
{
    waiter_end(rotation->waiter, status, why);
    free(rotation);
}

static void on_current(void *arg, int status);

static void on_begun(void *arg, int status, const struct kv_result *result)
{
    struct rotation *rotation = arg;
    int error = status ? status : result->status;

    if (!error && !result->op.succeeded && ++rotation->tries < TRIES_MAX) {
        on_current(rotation, 0);
        return;
    }
    if (!error && !result->op.succeeded)
        error = CULVERT_ECONFLICT;
    if (error) {
        rotation_end(rotation, error, NULL);
        return;
    }
    rotation->waiter->stored = true;
    free(rotation);
}

/* Why another CA may not come now; "": it may. */
static void forbid(struct cluster *cluster, bool force, char why[CLUSTER_TEXT])
{
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    int count = cluster_nodes(cluster, nodes);

    why[0] = 0;
    for (int i = 0; i < count && !why[0]; i++) {
        const char *name = cluster_node_name(&nodes[i]);

        if (nodes[i].protocol < PROTOCOL)
            snprintf(why, CLUSTER_TEXT,
                     "node %s runs culvertd %s, which can't follow: upgrade it first", name,
                     nodes[i].version[0] ? nodes[i].version : "of an unknown version");
        else if (!nodes[i].connected && !force)
            snprintf(why, CLUSTER_TEXT,
                     "node %s is not connected: the old CA could not leave before it is back. "
                     "Remove it, or go on without it by --force: it must then join anew",
                     name);
    }
}

/* What is to be written, and over which revision of the record. */
static int prepare(struct rotation *rotation, struct rollover *out, uint64_t *mod,
                   char why[CLUSTER_TEXT])
{
    struct cluster *cluster = rotation->cluster;
    int error = ca_read(cluster, out, mod);

    if (error && error != CULVERT_ENOTFOUND)
        return error;
    if (!error && strcmp(out->site, cluster->identity->name.site) != 0)
        error = CULVERT_ENOTFOUND; /* of the site that a backup is from: to be written over */
    else if (*mod != cluster->ca.mod) {
        snprintf(why, CLUSTER_TEXT, "the site's CA has just been changed; try again");
        return CULVERT_ECONFLICT;
    }
    if (!error && out->step != ROLLOVER_DONE) {
        out->forced = true;
        if (!rotation->force)
            snprintf(why, CLUSTER_TEXT,
                     "the CA is being changed already: `culvert node list` shows which nodes are "
                     "waited for; --force goes on without those that are not connected");
        return rotation->force ? 0 : CULVERT_ECONFLICT;
    }
    rollover_free(out);
    forbid(cluster, rotation->force, why);
    if (why[0])
        return CULVERT_ECONFLICT;
    error = rollover_begin(cluster->identity, time(NULL), out);
    out->forced = rotation->force;
    return error;
}

static void on_current(void *arg, int status)
{
    struct rotation *rotation = arg;
    struct rollover rollover = {0};
    char why[CLUSTER_TEXT] = "";

    if (status == CULVERT_ENOTLEADER)
        snprintf(why, sizeof(why), "no node leads the site: are most of its voters up?");
    if (!status)
        status = prepare(rotation, &rollover, &rotation->waiter->mod, why);
    if (!status)
        status = ca_write(rotation->cluster, &rollover, rotation->waiter->mod, on_begun, rotation);
    rollover_free(&rollover);
    if (status)
        rotation_end(rotation, status, why[0] ? why : NULL);
}

int cluster_rotate_ca(struct cluster *cluster, bool force, cluster_done done, void *arg)
{
    struct rotation *rotation = calloc(1, sizeof(*rotation));
    int error = rotation ? cluster_wait(cluster, 0, CLUSTER_ROTATE, done, arg, &rotation->waiter)
                         : CULVERT_ENOMEM;

    if (!error) {
        rotation->cluster = cluster;
        rotation->force = force;
        error = kv_service_barrier(cluster->service, on_current, rotation);
        if (error)
            *rotation->waiter = (struct waiter){0};
    }
    if (error)
        free(rotation);
    return error;
}
