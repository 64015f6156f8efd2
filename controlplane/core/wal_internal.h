/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's parts, each a file:
 *
 *   wal.c          the interface: open, append, close
 *   wal_group.c    what is known of each group, the index of its entries
 *   wal_write.c    records into batches, batches to the disk, syncs
 *   wal_keep.c     segments made ahead, and removed when nothing in them is needed
 *   wal_recover.c  from files to all of that
 *   wal_load.c     reading entries again
 *   wal_window.c   reading files piece by piece
 */
#ifndef CULVERT_CORE_WAL_INTERNAL_H
#define CULVERT_CORE_WAL_INTERNAL_H

#include "controlplane/core/wal.h"
#include "controlplane/core/wal_format.h"

#define WAL_BATCH_MAX ((size_t)4 << 20)    /* bytes, or one record: then the next batch begins */
#define WAL_PENDING_MAX ((size_t)32 << 20) /* bytes that wait for the disk */
#define WAL_AHEAD ((size_t)1 << 20)        /* bytes: are written before anyone asks for a sync */
#define WAL_CACHE ((size_t)8 << 20)        /* bytes of written batches kept to be read */

/* One segment, oldest to newest without a gap, from the first file to where the next record goes
 * or the spare is. */
struct wal_segment {
    uint64_t id;   /* random */
    uint64_t size; /* bytes */
    uint64_t live; /* entries in it that a group still holds */
};

/* Records that go to the disk in one write, and are read from here while they are kept. */
struct wal_batch {
    uint64_t lsn; /* of the first record */
    uint8_t *bytes;
    size_t length, room;
    uint64_t low; /* of the last WAL_LOW in it; 0: none */
    bool sealed;  /* ends its segment: the next one must be there before it is written */
    struct wal_sync *syncs, *last_sync;
};

/* From `index` on the entries have this term. */
struct wal_run {
    uint64_t index, term;
};

/* A group. Its entries' places are at[head], at[head + 1], ... for first, first + 1, ... */
struct wal_state {
    uint64_t id;
    uint64_t term, vote;
    uint64_t first, last;
    uint64_t *at;
    size_t head, room;
    struct wal_run *runs;
    size_t run_count, run_room;
    uint64_t snapshot_index, snapshot_term;
    uint8_t *meta;
    size_t meta_length;
    uint64_t term_lsn, snapshot_lsn; /* of the newest marks; 0: there is none */
};

/* A file read piece by piece; zeroed: nothing is open. */
struct wal_window {
    struct env *env;
    struct env_file *file;
    uint64_t sequence; /* of the open file */
    uint8_t *bytes;
    size_t room, length;
    uint64_t start; /* the file's offset of bytes[0] */
};

/* The making and removing of segments: one work at a time. Its thread touches nothing but this. */
struct wal_keeper {
    struct env_work work;
    struct env_write write;
    struct iovec part;
    uint8_t bytes[WAL_HEADER_BYTES];
    struct wal_header header;
    uint64_t recycle;      /* the segment whose file is used again; 0: a new file */
    uint64_t remove;       /* the segment that goes */
    struct env_file *file; /* the spare's */
    bool busy, ready;      /* ready: the spare has its name */
    bool needed;           /* a write waits for it */
    int status;            /* of the last attempt; an error is final when a write waits */
};

struct wal {
    struct env *env;
    uint64_t size; /* of new segments */
    int failed;    /* what a write ended with: nothing is written any more */
    bool closing;
    unsigned holds; /* callbacks that are to come or running: the memory stays */

    struct wal_state **groups; /* by id */
    size_t group_count, group_room;
    uint64_t marks; /* bytes of records that hold groups' newest terms and snapshot marks */

    struct wal_segment *segments;
    size_t segment_count, segment_room;
    uint64_t oldest; /* sequence number of segments[0] */
    uint64_t low;    /* by the log on the disk, segments before are not needed */
    uint64_t low_framed, low_wanted;

    uint64_t next; /* LSN of the next record */
    struct wal_batch **batches;
    size_t batch_head, batch_done, batch_end; /* kept, then [batch_done] to be written, ... */
    size_t batch_room;
    size_t pending, kept; /* bytes of batches not written, and written */

    bool writing;
    struct env_write write;
    struct iovec part;
    struct env_file *file; /* of segment file_sequence, to which batches go; NULL: none yet */
    uint64_t file_sequence;
    struct wal_keeper keeper;

    struct env_timer timer;
    struct wal_sync *idle_syncs, *last_idle_sync; /* there was nothing to write */
    struct wal_window reader;                     /* of entries that are not kept */
};

/* wal_group.c */

/* The group's state, NULL: not known. */
struct wal_state *wal_state_find(const struct wal *wal, uint64_t group);
/* Finds or makes it. CULVERT_ENOMEM, CULVERT_EFULL. */
int wal_state_make(struct wal *wal, uint64_t group, struct wal_state **out);
/* Takes a state that was made and got nothing away again. */
void wal_state_forget(struct wal *wal, struct wal_state *state);
void wal_states_free(struct wal *wal);

/* Entries held. */
static inline uint64_t wal_state_held(const struct wal_state *state)
{
    return state->last + 1 - state->first;
}

/* Room for `count` more entries and `runs` more changes of the term. CULVERT_ENOMEM. */
int wal_state_reserve(struct wal_state *state, size_t count, size_t runs);
/* Appends entry `index`, for which there is room; what follows it goes. An index that doesn't
 * continue the entries starts them anew. */
void wal_state_append(struct wal *wal, struct wal_state *state, uint64_t index, uint64_t term,
                      uint64_t lsn);
/* Forgets entries before `first`; the log goes on at first when it doesn't reach it. */
void wal_state_drop(struct wal *wal, struct wal_state *state, uint64_t first);
void wal_state_reset(struct wal *wal, struct wal_state *state, uint64_t last);
/* The marks: `meta` is taken over (NULL: none). */
void wal_state_term(struct wal *wal, struct wal_state *state, uint64_t lsn);
void wal_state_snapshot(struct wal *wal, struct wal_state *state, uint8_t *meta, size_t length,
                        uint64_t lsn);
uint64_t wal_state_lsn(const struct wal_state *state, uint64_t index);
uint64_t wal_state_term_at(const struct wal_state *state, uint64_t index);

/* wal_write.c */

/* The segment of a sequence number, which there is. */
struct wal_segment *wal_segment(const struct wal *wal, uint64_t sequence);
/* Makes the next segment's place in the table, with an id. CULVERT_ENOMEM. */
int wal_segment_add(struct wal *wal, uint64_t id, uint64_t size);
/* Frames a record at the log's end, rolling to the next segment where it doesn't fit. On an error
 * (CULVERT_ENOMEM, CULVERT_EFULL: out of sequence numbers) it is not there. */
int wal_put(struct wal *wal, const struct wal_record *record, uint64_t *lsn);

/* A point to which records can be taken back within one call of the interface. */
struct wal_point {
    uint64_t next;
    size_t batch_end, length, pending;
};
struct wal_point wal_point(const struct wal *wal);
void wal_take_back(struct wal *wal, const struct wal_point *point);

/* Writes soon; now, if nothing is under way and the segment is there. */
void wal_kick(struct wal *wal);
void wal_write_next(struct wal *wal);
/* The log has failed for good. Calls the syncs: from callbacks of the environment only. */
void wal_fail(struct wal *wal, int status);
void wal_timer_fired(void *arg);
/* The kept or waiting batch with this record in it; NULL: it is to be read from the file. */
const struct wal_batch *wal_batch_find(const struct wal *wal, uint64_t lsn);
/* The record of a kept batch. */
static inline const uint8_t *wal_batch_at(const struct wal_batch *batch, uint64_t lsn)
{
    return batch->bytes + (lsn - batch->lsn);
}
void wal_batch_free(struct wal_batch *batch);
/* At the end of every callback: frees a closed log when this was the last. */
void wal_drop(struct wal *wal);

/* wal_keep.c */

/* Starts what is to be made or removed, if nothing of it is under way. */
void wal_keep(struct wal *wal);
/* There is a spare; if not, it is made, and wal_write_next() is called. */
bool wal_keep_ready(struct wal *wal);
void wal_keep_take(struct wal *wal); /* the spare becomes the file of batches */
/* Looks for segments that aren't needed any more and moves the marks that are still in them. */
void wal_tidy(struct wal *wal);
/* Frames a group's mark anew, as it is now. */
int wal_put_term(struct wal *wal, struct wal_state *state, uint64_t term, uint64_t vote);
int wal_put_snapshot(struct wal *wal, const struct wal_state *state, const struct wal_group *mark,
                     bool reset, uint64_t *lsn);

/* wal_recover.c */

/* Opening: reads the files and fills an empty log; *problem (may be NULL) as of wal_open(). */
int wal_recover(struct wal *wal, char **problem);

/* wal_window.c */

/* Opens a segment's file unless it is the open one. */
int wal_window_open(struct wal_window *window, struct env *env, uint64_t sequence);
/* Sets *bytes to those of the file at `offset`; returns how many there are, fewer than `need` only
 * at the file's end. */
int64_t wal_window_get(struct wal_window *window, uint64_t offset, size_t need,
                       const uint8_t **bytes);
/* Reads and checks a record: its size, 0 when it is none, or an error. */
int64_t wal_window_record(struct wal_window *window, uint64_t id, uint64_t offset,
                          struct wal_record *record);
void wal_window_close(struct wal_window *window); /* and frees, and makes it an empty one */

#endif
