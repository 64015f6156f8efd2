/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/controlplane/core/kv/rig.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void env_work(struct env *env, struct env_work *work)
{
    struct rig_env *rig = (struct rig_env *)env;

    assert_null(rig->waiting);
    rig->waiting = work;
}

static uint64_t env_clock(struct env *env)
{
    return ((struct rig_env *)env)->now_ms * 1000000;
}

static const struct env_ops env_ops = {.now = env_clock, .work = env_work};

static void open_store(struct rig *rig)
{
    struct kv_engine *engine;

    if (rig->kind == RIG_MEMORY)
        assert_int_equal(kv_memory_open(&engine, &rig->disk), 0);
    else
        assert_int_equal(kv_rocksdb_open(&engine, rig->folder, NULL), 0);
    assert_int_equal(kv_store_open(&rig->store, engine, &rig->env.env), 0);
}

void rig_open(struct rig *rig, enum rig_engine kind)
{
    char name[] = "/tmp/culvert-kv-XXXXXX";

    *rig = (struct rig){.kind = kind, .env.env.ops = &env_ops};
    if (kind == RIG_ROCKSDB) {
        assert_non_null(mkdtemp(name));
        rig->folder = strdup(name);
    }
    open_store(rig);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    return remove(path);
}

void rig_close(struct rig *rig)
{
    kv_store_close(rig->store);
    kv_memory_disk_free(&rig->disk);
    arena_free(&rig->arena);
    buffer_free(&rig->bytes);
    for (size_t i = 0; i < rig->log_count; i++)
        free(rig->log[i].bytes);
    free(rig->log);
    if (rig->folder)
        nftw(rig->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(rig->folder);
}

static void flushed(void *arg, int status)
{
    *(int *)arg = status;
}

void rig_flush(struct rig *rig)
{
    struct machine *machine = kv_store_machine(rig->store);
    int status = 1;

    machine->ops->flush(machine, flushed, &status);
    assert_int_equal(status, 1);
    rig->env.waiting->run(rig->env.waiting);
    rig->env.waiting->done(rig->env.waiting);
    rig->env.waiting = NULL;
    assert_int_equal(status, 0);
    assert_int_equal(machine->ops->durable(machine), machine->ops->applied(machine));
}

void rig_reopen(struct rig *rig, bool flush)
{
    struct machine *machine;
    uint64_t durable;

    if (flush)
        rig_flush(rig);
    kv_store_close(rig->store);
    open_store(rig);
    machine = kv_store_machine(rig->store);
    durable = machine->ops->durable(machine);
    assert_int_equal(durable, machine->ops->applied(machine));
    for (uint64_t index = durable + 1; index <= rig->index; index++)
        assert_int_equal(machine->ops->apply(machine, index, rig->log[index - 1].bytes,
                                             rig->log[index - 1].length, NULL),
                         0);
}

static const struct kv_result *decode(struct rig *rig)
{
    arena_free(&rig->arena);
    assert_int_equal(kv_result_decode(&rig->result, &rig->arena, kv_buffer_slice(&rig->bytes)), 0);
    return &rig->result;
}

static void log_grow(struct rig *rig)
{
    size_t count = rig->log_count;
    void *more;

    if (count & (count - 1)) /* the capacity is the next power of two */
        return;
    more = realloc(rig->log, (count ? 2 * count : 1) * sizeof(*rig->log));
    assert_non_null(more);
    rig->log = more;
}

const struct kv_result *rig_apply(struct rig *rig, const struct kv_command *command)
{
    struct machine *machine = kv_store_machine(rig->store);
    struct buffer bytes = {0};

    kv_command_encode(command, &bytes);
    assert_int_equal(bytes.error, 0);
    log_grow(rig);
    rig->log[rig->log_count].length = bytes.length;
    rig->log[rig->log_count].bytes = buffer_take(&bytes);
    buffer_clear(&rig->bytes);
    rig->index++;
    assert_int_equal(machine->ops->apply(machine, rig->index, rig->log[rig->log_count].bytes,
                                         rig->log[rig->log_count].length, &rig->bytes),
                     0);
    rig->log_count++;
    return decode(rig);
}

const struct kv_result *rig_read(struct rig *rig, const struct kv_command *command)
{
    buffer_clear(&rig->bytes);
    assert_int_equal(kv_store_read(rig->store, command, &rig->bytes), 0);
    return decode(rig);
}

void rig_dump(struct rig *rig, size_t bound, struct buffer *to)
{
    struct machine *machine = kv_store_machine(rig->store);
    struct machine_dump *dump;
    uint64_t index;
    size_t before;
    int more;

    assert_int_equal(machine->ops->dump_open(machine, &dump, &index), 0);
    assert_int_equal(index, machine->ops->applied(machine));
    do {
        before = to->length;
        more = machine->ops->dump_next(dump, bound, to);
        assert_true(more == 0 || more == 1);
        assert_true(to->length - before <= bound);
    } while (more);
    machine->ops->dump_close(dump);
}

int rig_load(struct rig *rig, const struct buffer *dump, size_t piece, uint64_t index)
{
    struct machine *machine = kv_store_machine(rig->store);
    int error = machine->ops->load_begin(machine, index);

    for (size_t at = 0; at < dump->length && !error; at += piece)
        error = machine->ops->load_chunk(machine, dump->data + at,
                                         dump->length - at < piece ? dump->length - at : piece);
    if (!error)
        error = machine->ops->load_commit(machine);
    if (error) {
        machine->ops->load_abort(machine);
    } else {
        assert_int_equal(machine->ops->applied(machine), index);
        assert_int_equal(machine->ops->durable(machine), index);
    }
    return error;
}

uint64_t rig_hash(struct rig *rig, uint64_t revision)
{
    struct kv_hasher *hasher;
    uint64_t hash = 0, compacted;

    assert_int_equal(kv_hasher_open(&hasher, rig->store, revision, &compacted), 0);
    while (kv_hasher_step(hasher, 7, &hash) == 1)
        ;
    kv_hasher_close(hasher);
    return hash;
}

/* ---- short forms ---- */

/* "" is no end; "*" is the open one. */
static struct kv_keys keys_of(const char *key, const char *end)
{
    static const uint8_t zero;

    return (struct kv_keys){kv_text(key),
                            strcmp(end, "*") != 0 ? kv_text(end) : (struct kv_slice){&zero, 1}};
}

int rig_put_lease(struct rig *rig, const char *key, const char *value, int64_t lease)
{
    struct kv_command command = {
        .kind = KV_PUT,
        .op = {.kind = KV_PUT,
               .put = {.key = kv_text(key), .value = kv_text(value), .lease = lease}}};

    return rig_apply(rig, &command)->status;
}

int rig_put(struct rig *rig, const char *key, const char *value)
{
    return rig_put_lease(rig, key, value, 0);
}

int rig_delete(struct rig *rig, const char *key, const char *end)
{
    struct kv_command command = {.kind = KV_DELETE,
                                 .op = {.kind = KV_DELETE, .delete = {.keys = keys_of(key, end)}}};

    return rig_apply(rig, &command)->status;
}

int rig_compact(struct rig *rig, uint64_t revision)
{
    return rig_apply(rig, &(struct kv_command){.kind = KV_COMPACT, .revision = revision})->status;
}

int rig_grant(struct rig *rig, int64_t id, uint64_t ttl)
{
    return rig_apply(rig, &(struct kv_command){.kind = KV_LEASE_GRANT, .lease = {id, ttl, 0}})
        ->status;
}

int rig_revoke(struct rig *rig, int64_t id)
{
    return rig_apply(rig, &(struct kv_command){.kind = KV_LEASE_REVOKE, .lease = {.id = id}})
        ->status;
}

const char *rig_range(struct rig *rig, const char *key, const char *end, uint64_t revision)
{
    static struct buffer text;
    struct kv_command command = {
        .kind = KV_RANGE,
        .op = {.kind = KV_RANGE, .range = {.keys = keys_of(key, end), .revision = revision}}};
    const struct kv_result *result;

    result = rig_read(rig, &command);
    buffer_free(&text);
    buffer_text(&text, "");
    if (result->status)
        return culvert_strerror(result->status);
    for (size_t i = 0; i < result->op.pairs.count; i++) {
        const struct kv_pair *pair = &result->op.pairs.list[i];

        buffer_format(&text, "%s%.*s=%.*s@%" PRIu64, i ? " " : "", (int)pair->key.length,
                      (const char *)pair->key.data, (int)pair->value.length,
                      (const char *)pair->value.data, pair->mod);
    }
    return text.data ? text.data : "";
}

/* ---- words ---- */

void rig_print_slice(struct buffer *to, struct kv_slice bytes)
{
    for (size_t i = 0; i < bytes.length; i++)
        buffer_format(to, bytes.data[i] > ' ' && bytes.data[i] < 127 ? "%c" : "\\%02x",
                      bytes.data[i]);
}

void rig_print_pair(struct buffer *to, const struct kv_pair *pair)
{
    buffer_char(to, ' ');
    rig_print_slice(to, pair->key);
    buffer_char(to, '=');
    rig_print_slice(to, pair->value);
    buffer_format(to, "(c%" PRIu64 " m%" PRIu64 " v%" PRIu64 " l%" PRId64 ")", pair->create,
                  pair->mod, pair->version, pair->lease);
}

static void print_op(struct buffer *to, const struct kv_op_result *op)
{
    static const char *const names[] = {"", "range", "put", "delete", "txn"};

    buffer_format(to, " %s", names[op->kind]);
    if (op->kind == KV_TXN)
        buffer_text(to, op->succeeded ? " yes" : " no");
    else if (op->kind != KV_PUT)
        buffer_format(to, " count %" PRIu64 "%s", op->count, op->more ? " more" : "");
    for (size_t i = 0; i < op->pairs.count; i++)
        rig_print_pair(to, &op->pairs.list[i]);
    for (size_t i = 0; i < op->result_count; i++) {
        buffer_text(to, " [");
        print_op(to, &op->results[i]);
        buffer_text(to, " ]");
    }
}

void rig_print(struct buffer *to, const struct kv_result *result)
{
    buffer_format(to, "revision %" PRIu64, result->revision);
    if (result->status)
        buffer_format(to, " %s", culvert_strerror(result->status));
    else if (result->kind <= KV_TXN)
        print_op(to, &result->op);
    else if (result->kind == KV_LEASE_GRANT)
        buffer_format(to, " lease %" PRId64 " ttl %" PRIu64, result->lease.id, result->lease.ttl);
}

int rig_make_memory(void **state)
{
    *state = malloc(sizeof(struct rig));
    rig_open(*state, RIG_MEMORY);
    return 0;
}

int rig_make_rocksdb(void **state)
{
    *state = malloc(sizeof(struct rig));
    rig_open(*state, RIG_ROCKSDB);
    return 0;
}

int rig_unmake(void **state)
{
    rig_close(*state);
    free(*state);
    return 0;
}
