/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share.
 *
 * When memory may be used again. A packet loads the generation once, then index, bucket and record;
 * it holds what it found until its end. root's generation is G.
 *
 * - A record that G replaced is reachable only through the `prev` of its successor, and only for
 *   packets of a generation before G. One grace period after the commit none is left: the record
 *   is freed, and `prev` cleared (recovery must not find it again).
 * - A tombstone of G stands in the index, so packets of G find it. After the first grace period no
 *   packet needs it (one of G reads "absent" with it and without): it is unlinked. A packet that
 *   found it just before holds it still, so its memory waits for a second grace period: it is
 *   *retired*.
 * - What was reachable and is not any more, for whatever reason (aborted records, local entries
 *   replaced, old bucket arrays), is retired too, at once.
 * - A record that a later put of the same transaction replaced was found by packets that only went
 *   through its `gen` and `prev`. It is marked and waits with its transaction.
 *
 * begin waits for the grace period of the transaction before, so at a time there are at most two
 * versions of an entry.
 *
 * The lines of IPv4 access entries (fastpath/access4.h) hold G until that wait is over, and no
 * packet looks at them while they are changed: those of G are gone, those of G + 1 see that they
 * hold G.
 */
#ifndef CULVERT_TABLES_INTERNAL_H
#define CULVERT_TABLES_INTERNAL_H

#include "controlplane/base/error.h"
#include "dataplane/fastpath/lookup.h"
#include "dataplane/tables/heap.h"
#include "dataplane/tables/tables.h"

/* fp_rec.pad[0] of a staged record that its own transaction replaced; packets don't look there. */
#define REC_SUPERSEDED 1u

#define INDEX_LOG2_MIN 6u
#define INDEX_LOG2_MAX 25u /* 2 GiB of buckets */
#define INDEX_RETIRED_MAX 32u

/* Local entries are older than any packet's generation can be. */
#define GEN_LOCAL_AGE (1u << 30)
/* Every so many generations all records are made young: `gen` is compared modulo 2^32. */
#define GEN_REFRESH (1u << 28)

#define LOCAL_RETIRED_MAX 1024u

#define TOUCH_BYTES 4096u
#define TOUCH_CHUNKS ((sizeof(struct fp_counters) + TOUCH_BYTES - 1) / TOUCH_BYTES)

struct tables_block {
    uint32_t offset, size;
};

/* Sums over entries, of which there are two sets: committed, and with the open transaction. */
struct tables_sums {
    uint64_t digest[TABLES_PARTS];
    size_t kind[FP_KIND_COUNT];
    size_t access4; /* those of kind ACCESS that are IPv4 */
};

struct tables {
    uint8_t *base;
    struct fp_root *root;
    size_t size;
    void (*grace)(void *arg);
    void *grace_arg;
    struct heap heap;

    bool open;        /* a transaction is */
    uint32_t *staged; /* records of the open, or the last committed, transaction */
    size_t staged_count, staged_room;
    uint32_t *retired; /* records that wait for a grace period */
    size_t retired_count, retired_room;
    struct tables_sums committed, working;

    size_t indexed;            /* places taken in the index */
    struct tables_block index; /* of the bucket array */
    struct tables_block index_retired[INDEX_RETIRED_MAX];
    unsigned index_retired_count;
    struct tables_block access4; /* size 0: there are no lines */
    uint32_t access4_log2;
    size_t access4_full; /* lines that are marked so */
    bool access_staged;  /* the transaction changes an access entry */
    bool filter_stale; /* an access entry went: the filter may be narrowed after the grace period */

    uint8_t touched[TOUCH_CHUNKS];
};

static inline struct fp_rec *tables_rec(const struct tables *tables, uint32_t ref)
{
    return (struct fp_rec *)(tables->base + ref);
}

/* The committed version of the record at `ref` (may be 0), or NULL. */
static inline struct fp_rec *tables_rec_committed(const struct tables *tables, uint32_t ref)
{
    struct fp_env env = {.base = tables->base, .generation = tables->root->generation};

    return fp_visible(&env, ref);
}

static inline struct fp_key tables_rec_key(const struct fp_rec *rec)
{
    return (struct fp_key){.a = rec->a, .b = rec->b, .c = rec->c, .kind = rec->kind & ~FP_REC_DEAD};
}

static inline uint32_t *tables_slots(const struct tables *tables, uint32_t kind)
{
    return (uint32_t *)(tables->base + tables->root->slots[kind]);
}

extern const uint32_t tables_slot_capacity[FP_KIND_COUNT];

/* ---- check.c ---- */

/* CULVERT_EINVAL: the kind, the key or the body's length or content can't be. */
int tables_check_key(const struct fp_key *key);
int tables_check_body(const struct fp_key *key, const void *body, size_t length);

/* ---- index.c: where refs stand ---- */

/* The place of a key's ref: a slot, or a way of a bucket. `ref` NULL: the key has none yet. */
struct tables_place {
    uint32_t *ref;
    struct fp_bucket *bucket; /* NULL: a slot */
    uint32_t home, at, way;
};

/* Finds a key's place, whatever version stands there. */
void tables_place_find(struct tables *tables, const struct fp_key *key, struct tables_place *place);
/* Makes `ref` the one that readers of a found place get. */
void tables_place_set(struct tables *tables, struct tables_place *place, uint32_t ref);
/* Gives a key that has no place one, with `ref` in it. CULVERT_EFULL, nothing changed. */
int tables_place_add(struct tables *tables, const struct fp_key *key, uint32_t ref);
/* Empties a found place. */
void tables_place_clear(struct tables *tables, struct tables_place *place);

/* A new, empty bucket array, not yet seen by readers; 0: the region is full. */
int tables_index_format(struct tables *tables);
/* Makes the bucket array fit the entries when it is far too large. Never waits. */
void tables_index_shrink(struct tables *tables);
/* Recounts `spilled` and the places taken, exactly. */
int tables_index_recount(struct tables *tables);

/* ---- layout.c: an empty region, and one that a dead process left ---- */

/* tables->base and size are set. Errors: see tables_open(). */
int tables_format(struct tables *tables, const struct tables_options *options);
int tables_recover(struct tables *tables);

/* ---- reclaim.c ---- */

/* Room in `staged` and `retired` for one more record, so that nothing later can fail. */
int tables_reserve(struct tables *tables);
/* A block of the heap, after waiting for a grace period if that may give one. 0: full. */
uint32_t tables_alloc(struct tables *tables, size_t size, uint32_t *got);
void tables_retire(struct tables *tables, uint32_t ref); /* room was reserved */
void tables_retire_index(struct tables *tables, struct tables_block block);
void tables_retired_free(struct tables *tables); /* waits for a grace period */

/* ---- access_filter.c ---- */

/* Sets the bits of an entry that is about to be seen. */
void tables_access_filter(struct tables *tables, const struct fp_key *key);
/* Clears the bits that no committed entry needs, if there is memory to find out. */
void tables_access_narrow(struct tables *tables);

/* ---- access4.c: the lines of IPv4 access entries (fastpath/access4.h) ---- */

/* Whether a key is that of an IPv4 access entry. */
bool tables_is_access4(const struct fp_key *key);
/* From now on, and after a grace period for packets under way, no packet looks at the lines. */
void tables_access4_hide(struct tables *tables);
/* The generation that is about to be committed has the same IPv4 entries. */
void tables_access4_keep(struct tables *tables);
/* Takes in an entry of the committed transaction, or a tombstone. Hidden lines only. */
void tables_access4_take(struct tables *tables, const struct fp_rec *rec);
/* Shows the lines for the committed generation, once they fit. Without memory they stay hidden. */
void tables_access4_show(struct tables *tables);

/* ---- counters.c ---- */

/* The pages of an entry's counter are made present on every CPU's block: eBPF can't. */
void tables_touch(struct tables *tables, const struct fp_key *key, const void *body);
/* The slots, the access filter, the reasons' counters, all meters and flows. */
void tables_touch_fixed(struct tables *tables);

/* ---- sums.c ---- */

/* Adds an entry to the sums (sign 1) or takes it away (-1). */
void tables_sum(struct tables_sums *sums, const struct fp_rec *rec, int sign);

#endif
