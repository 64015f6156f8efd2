/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the store: its state, and a command at work on it. */
#ifndef CULVERT_CORE_KV_STORE_INTERNAL_H
#define CULVERT_CORE_KV_STORE_INTERNAL_H

#include "controlplane/core/kv/store.h"

#define KV_REFUSED 1 /* returned where a command is refused: the status is in the work */

struct kv_load;

struct kv_store {
    struct machine machine;
    struct kv_engine *engine;
    struct env *env;
    struct kv_meta meta;
    struct kv_batch batch; /* of the command that is applied */
    struct kv_observer *observers;
    uint64_t durable;
    struct {
        struct env_work work;
        void (*done)(void *arg, int status);
        void *arg;
        uint64_t index; /* what is durable then */
        int status;
        bool stale; /* the state was replaced meanwhile */
    } flush;
    struct kv_load *load; /* NULL: none is under way */
};

/* A moment that is kept. */
struct kv_view {
    struct kv_store *store;
    struct kv_snapshot *snapshot;
    struct kv_meta meta;
};

/* A key changed by the command at work. */
struct kv_overlay {
    struct kv_slice key;
    struct kv_slice record; /* of the live version; data NULL: deleted */
};

/* One command, or one read, at work. Memory is the arena's until the end. */
struct kv_work {
    struct kv_store *store;
    struct kv_snapshot *snapshot; /* a read is of then; NULL: of now */
    struct kv_meta meta;          /* what it will be */
    uint64_t start;               /* the revision before */
    uint32_t changes;             /* so far, the next one's sub revision */
    uint32_t deleted;             /* keys of ranges that are deleted, so far */
    int status;                   /* why it is refused */
    struct arena arena;
    struct kv_overlay *overlay; /* sorted */
    size_t overlay_count, overlay_capacity;
    struct kv_event *events; /* as many as there are changes, up to KV_EVENTS_MAX */
    struct kv_lease *leases; /* those that changed; ttl 0: gone */
    size_t lease_count;
    struct buffer key, record, found; /* scratch; `found` has the last record looked up */
    struct buffer pairs;              /* scratch of ranges */
    struct buffer *result;            /* NULL: nobody wants it */
    size_t answer, answer_max;        /* bytes of the result, the same where nobody wants it */
};

static inline int kv_refuse(struct kv_work *work, int status)
{
    work->status = status;
    return KV_REFUSED;
}

/* So many bytes more of the result. A command whose result were too large is refused, on all nodes
 * alike: it has no effect that its client could not be told of. */
static inline int kv_answer_add(struct kv_work *work, size_t bytes)
{
    work->answer += bytes;
    return work->answer <= work->answer_max ? 0 : kv_refuse(work, CULVERT_EANSWER);
}

/* The revision that changes get, or as reads in the same transaction see it. */
static inline uint64_t kv_work_revision(const struct kv_work *work)
{
    return work->start + (work->changes ? 1 : 0);
}

/* Between both, the work's memory is to be used. */
void kv_work_begin(struct kv_work *work, struct kv_store *store, struct buffer *result);
void kv_work_end(struct kv_work *work);

/* The newest version as the command sees it; its value is valid until the next look-up.
 * CULVERT_ENOTFOUND. */
int kv_work_find(struct kv_work *work, struct kv_slice key, struct kv_live *live);
/* Changes a key whose present version is `old` (NULL: none). The key's bytes must last as long as
 * the work; the value is copied. */
int kv_work_put(struct kv_work *work, struct kv_slice key, struct kv_slice value, int64_t lease,
                const struct kv_live *old);
int kv_work_delete(struct kv_work *work, struct kv_slice key, const struct kv_live *old);
/* Notes a lease that changed, for the observers. */
int kv_work_lease(struct kv_work *work, const struct kv_lease *lease);
/* Writes or removes a record that counts for the size. `old`: length of the record there, if
 * there is one. */
void kv_work_record(struct kv_work *work, struct kv_slice key, struct kv_slice record);
void kv_work_remove(struct kv_work *work, struct kv_slice key, size_t old);

/* ---- ranges (store_cursor.c, store_range.c) ---- */

struct kv_cursor {
    struct kv_work *work;
    const struct kv_keys *keys;
    uint64_t revision; /* of the past; 0: the newest */
    bool overlaid;     /* sees the command's own changes */
    bool values;       /* else pairs may come without them */
    bool single, ended, moved;
    size_t overlay; /* the next one */
    struct kv_iterator *iterator;
    struct buffer key, record, seek;
    struct kv_pair pair; /* where it is */
    struct kv_live live; /* the same, of the newest */
};

/* `revision`: 0, or one within the history. */
int kv_cursor_open(struct kv_cursor *cursor, struct kv_work *work, const struct kv_keys *keys,
                   uint64_t revision);
int kv_cursor_next(struct kv_cursor *cursor); /* 1: there is one, 0: the end, or an error */
void kv_cursor_close(struct kv_cursor *cursor);

/* work->pairs is whole: refuses it if it is too large for an answer. */
int kv_pairs_finish(struct kv_work *work);
/* Refuses revisions that can't be read; appends the answer to the result. */
int kv_range_check(struct kv_work *work, const struct kv_range *range);
int kv_range_run(struct kv_work *work, const struct kv_range *range);

/* ---- commands (store_apply.c, store_txn.c, store_lease.c, store_compact.c) ---- */

int kv_op_run(struct kv_work *work, const struct kv_op *op); /* checks, then works */
int kv_lease_grant(struct kv_work *work, const struct kv_lease *lease);
int kv_lease_revoke(struct kv_work *work, int64_t id);
int kv_lease_checkpoint(struct kv_work *work, const struct kv_lease *list, size_t count);
int kv_compact(struct kv_work *work, uint64_t revision);
int kv_tidy(struct kv_work *work, size_t records);
/* Refuses what makes the store larger when it is full, and raises the alarm then. */
int kv_quota_check(struct kv_work *work, uint64_t bytes);
void kv_quota_relax(struct kv_work *work); /* takes the alarm back when there is room again */

/* A result's head, and filled in: where it says that something went wrong, or has become too
 * large, the head is all of the result. `at`: where it begins. */
void kv_result_room(struct buffer *result); /* NULL is allowed */
int kv_result_finish(struct kv_work *work, size_t at, enum kv_kind kind);

/* The machine's. */
int kv_apply(struct machine *machine, uint64_t index, const void *command, size_t length,
             struct buffer *result);

/* ---- whole states (store_dump.c, store_load.c) ---- */

/* The machine's, too. */
int kv_dump_open(struct machine *machine, struct machine_dump **out, uint64_t *index);
int kv_dump_next(struct machine_dump *dump, size_t bound, struct buffer *chunk);
void kv_dump_close(struct machine_dump *dump);
int kv_load_begin(struct machine *machine, uint64_t index);
int kv_load_chunk(struct machine *machine, const void *chunk, size_t length);
int kv_load_commit(struct machine *machine);
void kv_load_abort(struct machine *machine);

/* Reads the meta record; the empty store's where there is none. */
int kv_meta_read(struct kv_engine *engine, struct kv_meta *meta);

#endif
