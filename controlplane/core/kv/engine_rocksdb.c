/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RocksDB engine. Its folder holds databases "content-N" and a file "current" that names the
 * one in use; a replacement is made beside it and takes its place by a new "current", in one
 * rename. There is one column family and no WAL: memtables reach the disk in their order, so what
 * a crash leaves is the state after some batch.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/log.h"
#include "controlplane/base/units.h"
#include "controlplane/core/kv/engine_rocksdb.h"
#include "controlplane/core/kv/hash.h"

#define CURRENT "current"
#define CURRENT_MAX 32u /* bytes of the file */
#define PREFIX "content-"
#define WRITES_KEPT ((size_t)1 << 20) /* bytes of a batch whose memory is kept for the next */

static struct rocks_engine *rocks_of(struct kv_engine *engine)
{
    return (struct rocks_engine *)engine;
}

int rocks_error(char *text)
{
    static atomic_uint_fast64_t
        said; /* hash of the last text: a disk that stays full says so once */
    int error = CULVERT_EIO;
    uint64_t hash;

    if (!text)
        return 0;
    if (strstr(text, "No space"))
        error = CULVERT_ENOSPC;
    else if (strstr(text, "Corruption"))
        error = CULVERT_ECORRUPT;
    hash = kv_hash(KV_HASH_START, kv_text(text));
    if (atomic_exchange(&said, hash) != hash)
        log_error("store: %s", text);
    rocksdb_free(text);
    return error;
}

/* ---- databases ---- */

static int content_open(struct rocks_content **out, struct rocks_engine *rocks, uint64_t number)
{
    struct rocks_content *content = calloc(1, sizeof(*content));
    char *text = NULL;
    int error;

    if (!content)
        return CULVERT_ENOMEM;
    content->references = 1;
    content->engine = rocks;
    if (asprintf(&content->path, "%s/" PREFIX "%" PRIu64, rocks->folder, number) < 0) {
        free(content);
        return CULVERT_ENOMEM;
    }
    content->db = rocksdb_open(rocks->options, content->path, &text);
    if (!content->db) {
        error = rocks_error(text);
        free(content->path);
        free(content);
        return error;
    }
    *out = content;
    return 0;
}

static struct rocks_content *content_hold(struct rocks_engine *rocks)
{
    struct rocks_content *content;

    pthread_mutex_lock(&rocks->lock);
    content = rocks->content;
    content->references++;
    pthread_mutex_unlock(&rocks->lock);
    return content;
}

static void content_destroy(const struct rocks_engine *rocks, const char *path)
{
    char *text = NULL;

    rocksdb_destroy_db(rocks->options, path, &text);
    rocks_error(text);
    (void)rmdir(path);
}

static void content_release(struct rocks_engine *rocks, struct rocks_content *content)
{
    unsigned left;

    if (!content)
        return;
    pthread_mutex_lock(&rocks->lock);
    left = --content->references;
    pthread_mutex_unlock(&rocks->lock);
    if (left)
        return;
    rocksdb_cancel_all_background_work(content->db, 1);
    rocksdb_close(content->db);
    if (content->doomed)
        content_destroy(rocks, content->path);
    free(content->path);
    free(content);
}

/* ---- reads and writes ---- */

static int rocks_get(struct kv_engine *engine, struct kv_snapshot *snapshot, struct kv_slice key,
                     struct buffer *value)
{
    struct rocks_engine *rocks = rocks_of(engine);
    const struct rocks_content *content = snapshot ? snapshot->content : rocks->content;
    rocksdb_readoptions_t *read = snapshot ? snapshot->read : rocks->read;
    rocksdb_pinnableslice_t *pinned;
    char *text = NULL;
    const char *bytes;
    size_t length;

    pinned = rocksdb_get_pinned(content->db, read, (const char *)key.data, key.length, &text);
    if (text)
        return rocks_error(text);
    if (!pinned)
        return CULVERT_ENOTFOUND;
    bytes = rocksdb_pinnableslice_value(pinned, &length);
    buffer_add(value, bytes, length);
    rocksdb_pinnableslice_destroy(pinned);
    return value->error;
}

static int content_write(struct rocks_engine *rocks, struct rocks_content *content,
                         const struct kv_batch *batch)
{
    struct kv_reader reader = kv_batch_read(batch);
    rocksdb_writebatch_t *writes = rocks->writes;
    struct kv_change change;
    char *text = NULL;

    if (batch->ops.error)
        return batch->ops.error;
    while (kv_batch_next(&reader, &change)) {
        if (change.put)
            rocksdb_writebatch_put(writes, (const char *)change.key.data, change.key.length,
                                   (const char *)change.value.data, change.value.length);
        else
            rocksdb_writebatch_delete(writes, (const char *)change.key.data, change.key.length);
    }
    rocksdb_write(content->db, rocks->write, writes, &text);
    if (batch->ops.length <= WRITES_KEPT) {
        rocksdb_writebatch_clear(writes);
    } else {
        rocksdb_writebatch_destroy(writes);
        rocks->writes = rocksdb_writebatch_create();
    }
    return rocks_error(text);
}

static int rocks_write(struct kv_engine *engine, const struct kv_batch *batch)
{
    return content_write(rocks_of(engine), rocks_of(engine)->content, batch);
}

static int content_flush(const struct rocks_engine *rocks, struct rocks_content *content)
{
    char *text = NULL;

    rocksdb_flush(content->db, rocks->flush, &text);
    return rocks_error(text);
}

static int rocks_flush(struct kv_engine *engine)
{
    struct rocks_content *content = content_hold(rocks_of(engine));
    int error = content_flush(rocks_of(engine), content);

    content_release(rocks_of(engine), content);
    return error;
}

static uint64_t rocks_size(struct kv_engine *engine)
{
    uint64_t files = 0, memory = 0;

    rocksdb_property_int(rocks_of(engine)->content->db, "rocksdb.total-sst-files-size", &files);
    rocksdb_property_int(rocks_of(engine)->content->db, "rocksdb.cur-size-all-mem-tables", &memory);
    return files + memory;
}

static int rocks_snapshot(struct kv_engine *engine, struct kv_snapshot **out)
{
    struct kv_snapshot *snapshot = malloc(sizeof(*snapshot));

    if (!snapshot)
        return CULVERT_ENOMEM;
    snapshot->content = content_hold(rocks_of(engine));
    snapshot->snapshot = rocksdb_create_snapshot(snapshot->content->db);
    snapshot->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(snapshot->read, snapshot->snapshot);
    *out = snapshot;
    return 0;
}

static void rocks_snapshot_free(struct kv_snapshot *snapshot)
{
    if (!snapshot)
        return;
    rocksdb_readoptions_destroy(snapshot->read);
    rocksdb_release_snapshot(snapshot->content->db, snapshot->snapshot);
    content_release(snapshot->content->engine, snapshot->content);
    free(snapshot);
}

/* ---- replacement ---- */

static void rocks_fresh_abort(struct kv_engine *engine)
{
    struct rocks_engine *rocks = rocks_of(engine);

    if (rocks->fresh)
        rocks->fresh->doomed = true;
    content_release(rocks, rocks->fresh);
    rocks->fresh = NULL;
}

static int rocks_fresh_begin(struct kv_engine *engine)
{
    struct rocks_engine *rocks = rocks_of(engine);

    rocks_fresh_abort(engine);
    return content_open(&rocks->fresh, rocks, ++rocks->number);
}

static int rocks_fresh_write(struct kv_engine *engine, const struct kv_batch *batch)
{
    return content_write(rocks_of(engine), rocks_of(engine)->fresh, batch);
}

/* Names the content in use, durably. */
static int current_write(const struct rocks_engine *rocks, uint64_t number)
{
    int folder = open(rocks->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char text[CURRENT_MAX];
    int length = snprintf(text, sizeof(text), "%" PRIu64 "\n", number);
    int error = folder < 0 ? file_error(errno) : file_write(folder, CURRENT, text, (size_t)length);

    if (folder >= 0)
        close(folder);
    return error;
}

static int rocks_fresh_commit(struct kv_engine *engine)
{
    struct rocks_engine *rocks = rocks_of(engine);
    struct rocks_content *old = rocks->content;
    int error = content_flush(rocks, rocks->fresh);

    if (!error)
        error = current_write(rocks, rocks->number);
    if (error)
        return error;
    pthread_mutex_lock(&rocks->lock);
    rocks->content = rocks->fresh;
    rocks->fresh = NULL;
    old->doomed = true;
    pthread_mutex_unlock(&rocks->lock);
    content_release(rocks, old);
    return 0;
}

/* ---- opening and closing ---- */

static int current_read(int folder, uint64_t *number)
{
    size_t length;
    char *text;
    int error = file_read(folder, CURRENT, CURRENT_MAX, &text, &length);

    if (error)
        return error;
    text[strcspn(text, "\n")] = 0;
    if (units_parse_number(text, number) || !*number)
        error = CULVERT_ECORRUPT;
    free(text);
    return error;
}

/* Removes databases that a crash has left beside the one in use. */
static void remove_others(const struct rocks_engine *rocks)
{
    DIR *list = opendir(rocks->folder);
    struct dirent *entry;
    uint64_t number;
    char *path;

    while (list && (entry = readdir(list))) {
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 ||
            units_parse_number(entry->d_name + strlen(PREFIX), &number) || number == rocks->number)
            continue;
        if (asprintf(&path, "%s/%s", rocks->folder, entry->d_name) < 0)
            break;
        content_destroy(rocks, path);
        free(path);
    }
    if (list)
        closedir(list);
}

static void rocks_close(struct kv_engine *engine)
{
    struct rocks_engine *rocks = rocks_of(engine);

    rocks_fresh_abort(engine);
    content_release(rocks, rocks->content);
    rocks_options_free(rocks);
    pthread_mutex_destroy(&rocks->lock);
    free(rocks->folder);
    free(rocks);
}

static const struct kv_engine_ops rocks_ops = {
    .close = rocks_close,
    .get = rocks_get,
    .write = rocks_write,
    .snapshot = rocks_snapshot,
    .snapshot_free = rocks_snapshot_free,
    .iterator = rocks_iterator,
    .flush = rocks_flush,
    .size = rocks_size,
    .fresh_begin = rocks_fresh_begin,
    .fresh_write = rocks_fresh_write,
    .fresh_commit = rocks_fresh_commit,
    .fresh_abort = rocks_fresh_abort,
};

/* Opens the database that "current" names, and names it when it is the first. */
static int rocks_start(struct rocks_engine *rocks)
{
    int error = file_make_folder(rocks->folder);
    int folder = error ? -1 : open(rocks->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool first;

    if (folder < 0)
        return error ? error : file_error(errno);
    error = current_read(folder, &rocks->number);
    close(folder);
    first = error == CULVERT_ENOTFOUND;
    if (error && !first)
        return error;
    if (first)
        rocks->number = 1;
    remove_others(rocks);
    error = content_open(&rocks->content, rocks, rocks->number);
    return error || !first ? error : current_write(rocks, rocks->number);
}

int kv_rocksdb_open(struct kv_engine **out, const char *folder,
                    const struct kv_rocksdb_options *options)
{
    struct rocks_engine *rocks = calloc(1, sizeof(*rocks));
    int error;

    if (!rocks)
        return CULVERT_ENOMEM;
    pthread_mutex_init(&rocks->lock, NULL);
    rocks->engine.ops = &rocks_ops;
    rocks->folder = strdup(folder);
    error = rocks->folder ? rocks_options_make(rocks, options) : CULVERT_ENOMEM;
    if (!error)
        error = rocks_start(rocks);
    if (error) {
        rocks_close(&rocks->engine);
        return error;
    }
    *out = &rocks->engine;
    return 0;
}
