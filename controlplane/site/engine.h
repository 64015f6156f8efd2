/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine from inside. A *state* is a document with everything that was decided for it: numbers,
 * bucket tables, the keys of zones. A compile makes the next state from the one before and the new
 * document, sharing what didn't change, and emits entries into the tables' open transaction.
 */
#ifndef CULVERT_SITE_ENGINE_H
#define CULVERT_SITE_ENGINE_H

#include "controlplane/balance/bucket.h"
#include "controlplane/site/schema.h"

/* ---- state ---- */

/* Bodies that states share. A table changes only by site_tick, when one state has it. */
struct pool_state {
    unsigned refs;
    uint16_t *backend; /* numbers, in the order of the document's backends */
    uint32_t count;
    struct bucket_table table;
    char digest[DIGEST_TEXT]; /* of the table's blob, when `stored` */
    bool stored;              /* the store has it, or will with the plan that is open */
    bool settled;             /* `content` is of what is there now */
    uint8_t content[16];      /* the start of a SHA-256 of `backend` and `digest` */
};

struct zone_key {
    uint64_t a, b;
    uint32_t c;
};
struct zone_state {
    unsigned refs;
    struct zone_key *key; /* of its DNS entries, sorted */
    size_t count, capacity;
    size_t names;
    unsigned max_labels;
};

/* Where numbers are given out: one space for each section of named resources, and the backends. */
enum space {
    SPACE_INTERFACES,
    SPACE_POOLS,
    SPACE_VIPS,
    SPACE_LIMITS,
    SPACE_ZONES,
    SPACE_BACKENDS,
    SPACES
};
#define SPACE_SECTIONS SPACE_BACKENDS
struct space_info {
    unsigned section; /* enum root_field; backends: ROOT_POOLS */
    const char *name; /* in the stored state */
    uint32_t first, end;
};
extern const struct space_info space_info[SPACES];

struct freed {
    uint32_t *number;
    size_t count;
};

struct site_state {
    struct site *site;
    uint64_t dns_key[2], flow_seed;   /* made at first; the document's own key goes before */
    uint32_t *number[SPACE_SECTIONS]; /* in the order of the document's section */
    struct freed freed[SPACES]; /* in the last revision: not given out in the next one either */
    struct pool_state **pool;   /* in the order of the document */
    struct zone_state **zone;
    struct zone_state *hollows; /* names above the zones */
};

static inline const struct site_node *state_section(const struct site_state *state, unsigned field)
{
    return state && state->site ? node_field(state->site->root, field) : NULL;
}
/* What a reference of the document names. */
static inline const struct site_node *state_target(const struct site_state *state,
                                                   const struct site_node *reference)
{
    return reference_target(state->site->root, reference);
}
static inline uint32_t section_count(const struct site_state *state, unsigned field)
{
    const struct site_node *section = state_section(state, field);

    return section ? section->count : 0;
}

/* Whether two sorted sections have one and the same part at these places: it has not changed, and
 * needs no look. */
static inline bool section_shares(const struct site_node *old, uint32_t i,
                                  const struct site_node *new, uint32_t j)
{
    return old && new && i < old->count &&j < new->count && old->child[i] == new->child[j];
}

/* An empty one; NULL: out of memory. */
struct site_state *state_new(void);
void state_free(struct site_state *state); /* the document too; NULL is fine */
void pool_state_free(struct pool_state *pool);
void zone_state_free(struct zone_state *zone);

/* The name hash's key in force: the document's, or else the one that was made. */
void state_dns_key(const struct site_state *state, uint64_t key[2]);

/* The JSON that is stored with the document; lists the blobs that it needs into `blobs` as
 * pointers into the state, `*count` of them, to free(). */
int state_write(const struct site_state *state, struct buffer *json, const char ***blobs,
                size_t *count);

/* Parts of it: a pool's entry, and the members "freed" and "files". */
void state_write_pool(const struct site_state *state, uint32_t place, struct buffer *json);
void state_write_freed(const struct site_state *state, struct buffer *json);
void state_write_files(const struct site_state *state, struct buffer *json);

/* A digest of what was decided for the document, but for the tables' content, of which the digests
 * are in it. Host byte order, which is little-endian. CULVERT_ENOMEM. */
int state_digest(const struct site_state *state, char text[DIGEST_TEXT]);

/* ---- entries ---- */

struct key_list {
    struct fp_key *key;
    size_t count, capacity;
};
/* Adds a key; 0 or CULVERT_ENOMEM. */
int key_list_add(struct key_list *list, const struct fp_key *key);
void key_list_sort(struct key_list *list);
bool key_list_has(const struct key_list *sorted, const struct fp_key *key);
int key_compare_any(const void *x, const void *y);

/* The address in a key. */
struct fp_key address_key(enum fp_kind kind, const struct address *address, uint32_t c);

/* ---- a compile ---- */

struct prior; /* the stored state that a load starts from (load.c) */

struct compile {
    struct tables *tables;
    struct site_blobs *reader; /* where blobs are read from */
    int64_t now;
    const struct site_state *old; /* never NULL; its site may be */
    struct site_state *new;
    struct prior *prior; /* NULL but for a stored revision */
    struct site_errors *errors;
    struct key_list puts, deletes;
    struct site_blob *blobs; /* tables to be stored with the revision */
    size_t blob_count;
    bool rejected; /* a zone has errors */
    int error;     /* the first one; everything after does nothing */
};

/* Sets the error unless there is one. */
void compile_fail(struct compile *compile, int error);
/* Puts an entry. A key that is put is not deleted, whatever the order of the calls. */
void compile_put(struct compile *compile, const struct fp_key *key, const void *body,
                 size_t length);
void compile_delete(struct compile *compile, const struct fp_key *key);

/* The steps, in this order (compile.c runs them). */
void compile_numbers(struct compile *compile);
void compile_pools(struct compile *compile);
void compile_services(struct compile *compile);
void compile_zones(struct compile *compile);
void compile_config(struct compile *compile);
void compile_blobs(struct compile *compile);

/* All of them. 0, CULVERT_EREJECTED, or another error; the caller commits or aborts. */
int compile_run(struct compile *compile);
void compile_end(struct compile *compile); /* frees its lists and blobs, not the state */

/* Deletes what the tables hold and the new state doesn't have: for a load. */
void compile_sweep(struct compile *compile);

/* Reports what is wrong in the zone files of a document that is rejected for other reasons. */
void zones_verify(struct compile *compile);

/* Takes part in balancing and in answers: has a weight and isn't draining. */
bool backend_serves(const struct site_node *backend);
void pool_put(struct compile *compile, uint32_t number, const struct bucket_table *table);

/* The child of the old document's section by the same name as `node`, and its place; NULL: none. */
const struct site_node *old_named(const struct compile *compile, unsigned section,
                                  const struct site_node *node, uint32_t *place);
/* The number of a document's resource, which is there. */
uint32_t number_of(const struct site_state *state, enum space space, const char *name);

/* ---- loading a stored state (load.c) ---- */

/* Reads the state of a revision, for prior_free(). CULVERT_ECORRUPT, CULVERT_ENOMEM. */
int prior_read(struct prior **out, const struct site_revision *revision);
/* The same of a patch: what it doesn't name is as in `old`, the state that it is a patch of. */
int prior_read_patch(struct prior **out, const char *patch, const struct site_state *old);
bool prior_is_patch(const struct prior *prior); /* NULL: no */
yyjson_val *prior_patch_site(const struct prior *prior);
/* Whether the digests that the patch has are these: of the document; of what was decided. */
bool prior_fits(const struct prior *prior, const char *member, const char *digest);
void prior_free(struct prior *prior);
/* A number that was stored, false: none. `pool` only for backends. Cheap in sorted order. */
bool prior_number(struct prior *prior, enum space space, const char *pool, const char *name,
                  uint32_t *number);
/* A pool's stored table, to bucket_free(); false: none or damaged (then *table is empty). */
bool prior_table(struct prior *prior, struct site_blobs *blobs, const char *pool,
                 struct bucket_table *table, char digest[DIGEST_TEXT]);
/* Whether that is the table and these are the numbers of a pool that the engine has. */
bool prior_pool_same(struct prior *prior, const struct site_node *pool,
                     const struct pool_state *state);
bool prior_secrets(struct prior *prior, struct site_state *state);
int prior_freed(struct prior *prior, enum space space, struct freed *freed);
/* The uploads of the stored document. */
const struct site_upload *prior_uploads(struct prior *prior, size_t *count);

/* A table as a blob's bytes. */
int table_write(const struct bucket_table *table, void **data, size_t *length);

/* ---- the engine ---- */

struct site_plan {
    struct compile compile;
    struct buffer diff, patch;
    size_t paths;
    bool changed;
    struct buffer site_json, state_json;
    const char **blob_names;
    struct site_revision revision;
};

struct name_map {
    const char **name, **pool;
    uint32_t end;
};

struct site_engine {
    struct tables *tables;
    struct site_state *state;  /* never NULL */
    struct site_plan *plan;    /* open */
    struct site_state *before; /* the last commit's, to be freed; NULL: it is */
    struct site_change *changes;
    size_t change_count;
    struct name_map names[SPACES];
    bool named, listed; /* `names`, and `listen`, are up to date */
    struct address *listen;
    size_t listen_count;
    int64_t deadline;
};

/* Drops what names.c keeps about the committed state. */
void engine_forget(struct site_engine *engine);

#endif
