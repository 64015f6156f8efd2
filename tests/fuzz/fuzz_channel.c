/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a hostile peer into both sides of the channel. The first byte chooses: bit 0 the side,
 * the rest how the bytes are cut into pieces. What they answer is thrown away. What an input put
 * is deleted after it; now and then the tables are opened afresh as after a crash.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/tables/channel_apply.h"
#include "dataplane/tables/channel_sync.h"

#define REGION ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEYS_MAX 65536u
#define REOPEN_EVERY 1024u

static void *base;
static struct tables *tables;
static struct fp_key changed[KEYS_MAX];
static size_t changed_count;

static void region_open(void)
{
    struct tables_options options = {
        .base = base, .size = REGION, .cpus = 1, .meters_log2 = 1, .flows_log2 = 1};

    if (tables_open(&tables, &options))
        abort();
}

/* The same content before each input. */
static void region_reset(void)
{
    struct fp_backend backend = {.address = {10}};

    tables_begin(tables);
    while (changed_count)
        if (tables_delete(tables, &changed[--changed_count]))
            abort();
    for (unsigned i = 1; i < 20; i++) {
        struct fp_key dns = {.a = i, .b = i, .kind = FP_KIND_DNS};
        struct fp_key key = {.a = i, .kind = FP_KIND_BACKEND};
        uint64_t body[4] = {0, i, i, i};

        if (tables_put(tables, &dns, body, sizeof(body)) ||
            tables_put(tables, &key, &backend, sizeof(backend)))
            abort();
    }
    tables_commit(tables, 1);
}

static int remember(void *arg, const struct fp_key *key)
{
    if (changed_count == KEYS_MAX)
        abort();
    changed[changed_count++] = *key;
    return 0;
}

static void on_committed(void *arg, uint64_t generation, int error)
{
    if (!error)
        tables_changes(tables, remember, NULL);
}

static void on_explain(void *arg, uint32_t cookie, uint32_t ifindex, const void *frame,
                       size_t length)
{
    uint32_t head[2] = {cookie, (uint32_t)(length ? ((const uint8_t *)frame)[length - 1] : 0)};
    struct channel_apply **apply = arg;

    channel_apply_send(*apply, CHANNEL_EXPLAIN_REPLY, head, sizeof(head), NULL, 0);
}

static void fuzz_apply(const uint8_t *data, size_t size, size_t piece)
{
    struct channel_apply *apply;
    const struct channel_apply_hooks hooks = {
        .arg = &apply, .committed = on_committed, .explain = on_explain};
    const void *out;
    size_t length;

    if (channel_apply_new(&apply, tables, "fuzz", &hooks) || channel_apply_start(apply))
        abort();
    while (size) {
        size_t room;
        void *to;

        channel_apply_room(apply, &to, &room);
        room = room < piece ? room : piece;
        room = room < size ? room : size;
        memcpy(to, data, room);
        data += room;
        size -= room;
        if (channel_apply_add(apply, room) || channel_apply_output(apply, &out, &length))
            break;
        channel_apply_sent(apply, length);
    }
    channel_apply_free(apply);
}

static void fuzz_sync(const uint8_t *data, size_t size, size_t piece)
{
    struct channel_sync *sync;
    const void *out;
    size_t length;

    if (channel_sync_new(&sync, tables, NULL))
        abort();
    while (size) {
        size_t room;
        void *to;

        channel_sync_room(sync, &to, &room);
        room = room < piece ? room : piece;
        room = room < size ? room : size;
        memcpy(to, data, room);
        data += room;
        size -= room;
        if (channel_sync_add(sync, room) || channel_sync_output(sync, &out, &length))
            break;
        channel_sync_sent(sync, length);
    }
    channel_sync_free(sync);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned runs;
    size_t piece;

    if (!size)
        return 0;
    if (!base) {
        base = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base == MAP_FAILED)
            abort();
        region_open();
    } else if (++runs % REOPEN_EVERY == 0) {
        tables_close(tables);
        region_open();
    }
    region_reset();
    piece = data[0] >> 1 ? (size_t)(data[0] >> 1) * 8 - 7 : SIZE_MAX;
    if (data[0] & 1)
        fuzz_sync(data + 1, size - 1, piece);
    else
        fuzz_apply(data + 1, size - 1, piece);
    return 0;
}
