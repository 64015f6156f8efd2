/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as the store's commands. The first byte's low bits say how they are read: as one command,
 * as a log of commands (each with two bytes of length before it), as a result, as a dump. What is
 * decoded is encoded to the same bytes; a log leaves two stores, one of which has forgotten and
 * applied half of it again, in the same state, and the store's books in order.
 */
#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store.h"

#define META_BYTES 92u /* of the store's own record, which doesn't count for its size */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void one_command(struct kv_slice bytes)
{
    struct kv_limits limits = KV_LIMITS_DEFAULT;
    struct kv_command command;
    struct arena arena = {0};
    struct buffer again = {0};
    int error = kv_command_decode(&command, &arena, bytes);

    must(error != CULVERT_ENOMEM);
    if (!error) {
        kv_command_encode(&command, &again);
        must(kv_same_bytes(kv_buffer_slice(&again), bytes));
        must(kv_command_check(&command, bytes.length, &limits) <= 0);
    }
    buffer_free(&again);
    arena_free(&arena);
}

static void one_result(struct kv_slice bytes)
{
    struct kv_result result;
    struct arena arena = {0};

    must(kv_result_decode(&result, &arena, bytes) != CULVERT_ENOMEM);
    arena_free(&arena);
}

/* ---- stores ---- */

struct rig {
    struct kv_memory_disk disk;
    struct kv_store *store;
};

static void rig_open(struct rig *rig)
{
    struct kv_engine *engine;

    must(!kv_memory_open(&engine, &rig->disk));
    must(!kv_store_open(&rig->store, engine, NULL));
}

static void rig_close(struct rig *rig)
{
    kv_store_close(rig->store);
    kv_memory_disk_free(&rig->disk);
}

static void dump(struct kv_store *store, struct buffer *to)
{
    struct machine *machine = kv_store_machine(store);
    struct machine_dump *reader;
    uint64_t index;
    int more;

    must(!machine->ops->dump_open(machine, &reader, &index));
    while ((more = machine->ops->dump_next(reader, 4096, to)) == 1)
        ;
    must(!more);
    machine->ops->dump_close(reader);
}

/* Applies the log's commands after `from`; the answer is decodable. Returns the last index. */
static uint64_t apply_log(struct kv_store *store, struct kv_slice log, uint64_t from)
{
    struct kv_reader reader = kv_reader_of(log);
    struct machine *machine = kv_store_machine(store);
    struct buffer answer = {0};
    struct kv_slice bytes;
    uint64_t index = 0;

    while (kv_reader_left(&reader) > 2) {
        size_t length = kv_read_byte(&reader);

        length = length << 8 | kv_read_byte(&reader);
        if (length > kv_reader_left(&reader))
            length = kv_reader_left(&reader);
        bytes = kv_read_bytes(&reader, length);
        if (++index <= from)
            continue;
        buffer_clear(&answer);
        must(!machine->ops->apply(machine, index, bytes.data, bytes.length, &answer));
        one_result(kv_buffer_slice(&answer));
    }
    buffer_free(&answer);
    return index;
}

/* The store's counts are those of its records. */
struct count {
    uint64_t leases;
};

static int count_lease(void *arg, const struct kv_lease *lease)
{
    ((struct count *)arg)->leases++;
    return 0;
}

static void check_books(struct kv_store *store)
{
    static const uint8_t zero;
    struct kv_command command = {.kind = KV_RANGE, .op.kind = KV_RANGE};
    struct buffer answer = {0};
    struct arena arena = {0};
    struct kv_result result;
    struct count count = {0};
    struct kv_info info;
    uint64_t twice = 0; /* the second copy of present values, which doesn't count for the size */

    kv_store_info(store, &info);
    command.op.range.keys = (struct kv_keys){{&zero, 1}, {&zero, 1}};
    must(!kv_store_read(store, &command, &answer));
    must(!kv_result_decode(&result, &arena, kv_buffer_slice(&answer)));
    must(!result.status && result.op.count == info.keys);
    for (size_t i = 0; i < result.op.pairs.count; i++)
        twice += result.op.pairs.list[i].value.length;
    must(!kv_store_leases(store, count_lease, &count) && count.leases == info.leases);
    must(info.disk == info.size + twice + (info.applied ? META_BYTES : 0));
    buffer_free(&answer);
    arena_free(&arena);
}

static void log_of_commands(struct kv_slice log)
{
    struct rig rig[2] = {{{0}, NULL}, {{0}, NULL}};
    struct buffer dumps[2] = {{0}, {0}};
    uint64_t last;

    rig_open(&rig[0]);
    rig_open(&rig[1]);
    last = apply_log(rig[0].store, log, 0);
    apply_log(rig[1].store, (struct kv_slice){log.data, log.length / 2}, 0);
    kv_store_close(rig[1].store); /* nothing was flushed */
    rig_open(&rig[1]);
    must(apply_log(rig[1].store, log, 0) == last);
    dump(rig[0].store, &dumps[0]);
    dump(rig[1].store, &dumps[1]);
    must(kv_same_bytes(kv_buffer_slice(&dumps[0]), kv_buffer_slice(&dumps[1])));
    check_books(rig[0].store);
    buffer_free(&dumps[0]);
    buffer_free(&dumps[1]);
    rig_close(&rig[0]);
    rig_close(&rig[1]);
}

static void one_dump(struct kv_slice bytes)
{
    struct rig rig = {{0}, NULL};
    struct machine *machine;

    rig_open(&rig);
    machine = kv_store_machine(rig.store);
    must(!machine->ops->load_begin(machine, 3));
    for (size_t at = 0; at < bytes.length; at += 61)
        if (machine->ops->load_chunk(machine, bytes.data + at,
                                     bytes.length - at < 61 ? bytes.length - at : 61))
            break;
    (void)machine->ops->load_commit(machine);
    rig_close(&rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_slice bytes = {data + 1, size - 1};

    if (!size)
        return 0;
    switch (data[0] & 3) {
    case 0:
        one_command(bytes);
        break;
    case 1:
        log_of_commands(bytes);
        break;
    case 2:
        one_result(bytes);
        break;
    default:
        one_dump(bytes);
        break;
    }
    return 0;
}
