/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup's file as somebody hands it in: what passes the check is loaded into a store whole or
 * not at all, and what was taken can be dumped and taken again. The low bit of the first byte says
 * whether the digest is put right first, so that what is behind it is reached; the other seven are
 * the bytes of a piece, less one.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/dump_file.h"
#include "controlplane/core/kv/store.h"
#include "controlplane/core/kv/store_dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static uint64_t no_time(struct env *env)
{
    (void)env;
    return 0;
}

static const struct env_ops env_ops = {.now = no_time};

/* Puts the digest right of bytes that are long enough for one. */
static void set_digest(uint8_t *bytes, size_t length)
{
    char text[DIGEST_TEXT];
    struct digest *digest = digest_new();

    must(digest && !digest_add(digest, bytes, length - DUMP_DIGEST));
    must(!digest_end(digest, text));
    memcpy(bytes + length - DUMP_DIGEST, text, DUMP_DIGEST);
}

static int load(struct machine *machine, const uint8_t *bytes, size_t length, size_t piece,
                uint64_t index)
{
    int error = machine->ops->load_begin(machine, index);

    for (size_t at = 0; at < length && !error; at += piece)
        error = machine->ops->load_chunk(machine, bytes + at,
                                         length - at < piece ? length - at : piece);
    if (!error)
        error = machine->ops->load_commit(machine);
    if (error)
        machine->ops->load_abort(machine);
    return error;
}

static void dump(struct machine *machine, struct buffer *out, uint64_t *index)
{
    struct machine_dump *dump;
    int more = 1;

    must(!machine->ops->dump_open(machine, &dump, index));
    while (more == 1)
        more = machine->ops->dump_next(dump, 100, out);
    must(!more);
    machine->ops->dump_close(dump);
}

/* What it had before is there after a failure, what was loaded after a success. */
static void take(const uint8_t *bytes, size_t length, size_t piece, uint64_t index)
{
    struct kv_memory_disk disk = {0};
    struct env env = {.ops = &env_ops};
    struct buffer once = {0}, twice = {0};
    struct kv_engine *engine;
    struct kv_store *store = NULL;
    struct machine *machine;
    uint64_t loaded = 0;

    must(!kv_memory_open(&engine, &disk));
    must(!kv_store_open(&store, engine, &env));
    machine = kv_store_machine(store);
    if (!load(machine, bytes, length, piece, index)) {
        must(machine->ops->applied(machine) == index);
        dump(machine, &once, &loaded);
        must(loaded == index);
        must(!load(machine, (const uint8_t *)once.data, once.length, 100, index));
        dump(machine, &twice, &loaded);
        must(once.length == twice.length && !memcmp(once.data, twice.data, once.length));
    } else {
        must(machine->ops->applied(machine) == 0);
    }
    kv_store_close(store);
    kv_memory_disk_free(&disk);
    buffer_free(&once);
    buffer_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t index = 0;
    uint8_t *bytes;
    size_t piece;
    int fd, checked;

    if (!size)
        return 0;
    piece = 1 + data[0] / 2;
    bytes = malloc(size);
    fd = memfd_create("dump", MFD_CLOEXEC);
    must(bytes && fd >= 0);
    size--;
    memcpy(bytes, data + 1, size);
    if (data[0] & 1 && size >= DUMP_DIGEST)
        set_digest(bytes, size);
    must(write(fd, bytes, size) == (ssize_t)size);
    checked = kv_dump_check(fd);
    must(checked == 0 || checked == CULVERT_EPROTO || checked == CULVERT_ECORRUPT);
    if (!checked && !kv_dump_index(fd, &index))
        take(bytes, size, piece, index);
    close(fd);
    free(bytes);
    return 0;
}
