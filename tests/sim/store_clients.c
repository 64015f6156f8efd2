/* SPDX-License-Identifier: Apache-2.0 */
/* The clients' registers as keys of the store: absent is 0. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "tests/sim/store.h"

uint64_t sim_store_number(struct kv_slice bytes)
{
    uint64_t number = 0;

    if (bytes.length != sizeof(number))
        return UINT64_MAX;
    memcpy(&number, bytes.data, sizeof(number));
    return be64toh(number);
}

struct kv_slice sim_store_key(unsigned key)
{
    static const char names[][3] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9"};

    return kv_text(names[key]);
}

void sim_store_seen(struct sim *sim, int slot, uint64_t floor, uint64_t revision)
{
    struct sim_store *store = sim->store;

    if (revision < floor)
        sim_finding(sim, "slot %d answers with revision %lu after %lu was known", slot,
                    (unsigned long)revision, (unsigned long)floor);
    if (revision > store->newest)
        sim_finding(sim, "slot %d answers with revision %lu, the newest is %lu", slot,
                    (unsigned long)revision, (unsigned long)store->newest);
    if (revision > store->acked)
        store->acked = revision;
}

/* ---- answers ---- */

/* What pairs say is what the keys were at the revision. */
static void check_pairs(const struct sim_op *op, const struct kv_pairs *pairs, uint64_t revision,
                        unsigned first, unsigned count)
{
    size_t at = 0;

    for (unsigned key = first; key < first + count; key++) {
        uint64_t value = sim_store_value(op->sim->store, key, revision), got = 0;

        if (at < pairs->count && kv_same_bytes(pairs->list[at].key, sim_store_key(key)))
            got = sim_store_number(pairs->list[at++].value);
        if (got != value)
            sim_finding(op->sim, "slot %d: key %u is %lu at revision %lu, not %lu", op->slot, key,
                        (unsigned long)got, (unsigned long)revision, (unsigned long)value);
    }
}

static uint64_t first_value(const struct kv_pairs *pairs)
{
    return pairs->count ? sim_store_number(pairs->list[0].value) : 0;
}

static void answered(void *arg, int status, const struct kv_result *result)
{
    struct sim_op *op = arg;
    const struct kv_op_result *of = status ? NULL : &result->op;
    const struct sim_command *command = &op->command;

    if (!status && result->status) {
        sim_finding(op->sim, "slot %d: client %u: %s", op->slot, op->client,
                    culvert_strerror(result->status));
        status = result->status;
    }
    if (status) {
        sim_op_ended(op, status);
        return;
    }
    if (of->kind == KV_TXN && !of->succeeded)
        of = &of->results[0];
    else if (of->kind == KV_TXN)
        of = &of->results[0];
    op->result = first_value(&of->pairs);
    if (command->kind == SIM_PUT && result->revision > op->sim->store->newest)
        sim_finding(op->sim, "acknowledged before it was applied");
    if (of->kind == KV_PUT && op->sim->store->written[command->value] != result->revision)
        sim_finding(op->sim, "slot %d: value %lu is acknowledged at revision %lu, and is at %lu",
                    op->slot, (unsigned long)command->value, (unsigned long)result->revision,
                    (unsigned long)op->sim->store->written[command->value]);
    sim_store_seen(op->sim, op->slot, op->floor, result->revision);
    sim_op_ended(op, 0);
}

static void have_read(struct sim_op *op, int status, const struct kv_result *result)
{
    struct sim *sim = op->sim;

    if (!status && result->status)
        status = result->status;
    if (!status) {
        bool all = op->read == SIM_READ_ALL;

        check_pairs(op, &result->op.pairs, result->revision, all ? 0 : op->command.key,
                    all ? STORE_KEYS : 1);
        op->result = sim_store_value(sim->store, op->command.key, result->revision);
        sim_store_seen(sim, op->slot, op->read == SIM_READ_LOCAL ? 0 : op->floor, result->revision);
    }
    sim_op_ended(op, status);
    if (op->read == SIM_READ_LOCAL)
        op->dropped = true; /* it may be old */
}

static void read_answered(void *arg, int status, const struct kv_result *result)
{
    have_read(arg, status, result);
}

static void encode_read(const struct sim_op *op, struct kv_command *command)
{
    *command = (struct kv_command){.kind = KV_RANGE, .op = {.kind = KV_RANGE}};
    command->op.range.keys.key = sim_store_key(op->command.key);
    if (op->read == SIM_READ_ALL)
        command->op.range.keys = (struct kv_keys){kv_text("k"), kv_text("l")};
}

/* After a barrier, the node's state as it is. */
static void barrier_done(void *arg, int status)
{
    struct sim_op *op = arg;
    struct buffer bytes = {0};
    struct arena arena = {0};
    struct kv_command command;
    struct kv_result result;

    if (status) {
        have_read(op, status, NULL);
        return;
    }
    encode_read(op, &command);
    if (kv_store_read(op->sim->store->life[op->slot]->store, &command, &bytes) ||
        kv_result_decode(&result, &arena, kv_buffer_slice(&bytes)))
        abort();
    have_read(op, 0, &result);
    arena_free(&arena);
    buffer_free(&bytes);
}

/* ---- questions ---- */

static int begin_read(struct kv_service *service, struct sim_op *op)
{
    struct kv_command command;

    op->read = (enum sim_read)sim_random_below(&op->sim->random, SIM_READS_KINDS);
    if (op->client >= op->sim->clients)
        op->read = SIM_READ_ONE;
    if (sim_bug == SIM_BUG_STALE_READ && op->read == SIM_READ_BARRIER)
        op->read = SIM_READ_ONE;
    encode_read(op, &command);
    if (op->read == SIM_READ_BARRIER)
        return kv_service_barrier(service, barrier_done, op);
    return kv_service_read(service, &command,
                           op->read == SIM_READ_LOCAL || sim_bug == SIM_BUG_STALE_READ,
                           read_answered, op);
}

static int begin_write(struct kv_service *service, struct sim_op *op)
{
    const struct sim_command *what = &op->command;
    struct kv_slice key = sim_store_key(what->key);
    uint64_t value = htobe64(what->value), expected = htobe64(what->expected);
    struct kv_slice bytes = {(const uint8_t *)&value, sizeof(value)};
    struct kv_op put = {.kind = KV_PUT, .put = {.key = key, .value = bytes, .prev = true}};
    struct kv_op get = {.kind = KV_RANGE, .range = {.keys.key = key}};
    struct kv_compare compare = {.keys.key = key, .compared = KV_IF_VERSION, .relation = KV_EQUAL};
    struct kv_command command = {.kind = KV_PUT, .op = put};

    if (what->kind == SIM_CAS) {
        if (what->expected) {
            compare.compared = KV_IF_VALUE;
            compare.value = (struct kv_slice){(const uint8_t *)&expected, sizeof(expected)};
        }
        command = (struct kv_command){
            .kind = KV_TXN,
            .op = {.kind = KV_TXN,
                   .txn = {.compares = &compare,
                           .compare_count = 1,
                           .branch = {{.list = &get, .count = 1}, {.list = &put, .count = 1}}}}};
    } else if (!what->value) {
        command = (struct kv_command){
            .kind = KV_DELETE,
            .op = {.kind = KV_DELETE, .delete = {.keys.key = key, .prev = true}}};
    }
    return kv_service_propose(service, &command, answered, op);
}

bool sim_store_operate(struct sim *sim, struct sim_op *op)
{
    struct kv_service *service = sim->store->life[op->slot]->service;
    int error;

    op->env = sim->slot[op->slot].env;
    op->floor = sim->store->acked;
    if (op->command.kind == SIM_APPEND) { /* here: a deletion */
        op->command.kind = SIM_PUT;
        op->command.value = 0;
    } else if (op->command.kind != SIM_GET) {
        op->command.value = ++sim->store->values;
    }
    error = op->command.kind == SIM_GET ? begin_read(service, op) : begin_write(service, op);
    if (error && error != CULVERT_EFULL)
        sim_finding(sim, "slot %d refuses: %s", op->slot, culvert_strerror(error));
    return !error;
}

void sim_store_check(struct sim *sim)
{
    for (unsigned i = 0; i < sim->ops_count; i++) {
        const struct sim_op *op = &sim->ops[i];

        if (op->dropped && op->command.kind != SIM_GET && op->command.value &&
            sim->store->written[op->command.value])
            sim_finding(sim, "slot %d has refused value %lu, which is written at revision %lu",
                        op->slot, (unsigned long)op->command.value,
                        (unsigned long)sim->store->written[op->command.value]);
    }
}
