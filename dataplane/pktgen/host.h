/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * store.h in memory. Each core that sends and receives has a store with counters of its own;
 * what is only read is shared, and so are the time stamps of DNS: an answer may come to another
 * core than the query left from.
 */
#ifndef CULVERT_PKTGEN_HOST_H
#define CULVERT_PKTGEN_HOST_H

#include <stddef.h>

#include "dataplane/fastpath/bytes.h"
#include "dataplane/pktgen/clock.h"
#include "dataplane/pktgen/pktgen.h"

typedef const struct pktgen_config pktgen_settings;

/* ---- a table found by three words, open addressing; one thread writes ---- */

struct host_entry {
    fp_u64 key[3];
    union {
        fp_u64 kinds;
        struct pktgen_backend backend;
    };
    fp_u64 used; /* set last: whoever sees it sees the key */
};

struct host_table {
    struct host_entry *entry;
    fp_u32 slots; /* a power of two */
    fp_u32 used, most;
};

/* The entry of a key; NULL: there is none, and it is not to be made or there is no room. */
static inline struct host_entry *host_table_find(struct host_table *table, const fp_u64 key[3],
                                                 int make)
{
    fp_u64 hash = (key[0] ^ key[1] * 0x9e3779b97f4a7c15ull ^ key[2] << 32) * 0xff51afd7ed558ccdull;
    fp_u32 at = (fp_u32)(hash >> 32) & (table->slots - 1);
    struct host_entry *entry;

    for (;; at = (at + 1) & (table->slots - 1)) {
        entry = &table->entry[at];
        if (!entry->used)
            break;
        if (entry->key[0] == key[0] && entry->key[1] == key[1] && entry->key[2] == key[2])
            return entry;
    }
    if (!make || table->used == table->most)
        return NULL;
    for (int i = 0; i < 3; i++)
        entry->key[i] = key[i];
    table->used++;
    __atomic_store_n(&entry->used, 1, __ATOMIC_RELEASE);
    return entry;
}

/* ---- one core's store ---- */

struct pktgen_store {
    struct pktgen_config config;
    const struct pktgen_template *templates;
    const fp_u32 *schedule;
    const fp_u8 *queries;
    size_t query_bytes; /* from one to the next */
    struct pktgen_dns_stamp *stamps;
    struct host_table *targets;
    struct host_table backends;
    struct pktgen_sender sender;
    struct pktgen_counters counters;
} __attribute__((aligned(64)));

static fp_inline pktgen_settings *store_settings(const struct pktgen_store *store)
{
    return &store->config;
}

static fp_inline const struct pktgen_template *store_template(const struct pktgen_store *store,
                                                              fp_u32 at)
{
    return &store->templates[at];
}

static fp_inline const fp_u32 *store_schedule(const struct pktgen_store *store, fp_u32 at)
{
    return &store->schedule[at];
}

static fp_inline const struct pktgen_query *store_query(const struct pktgen_store *store, fp_u32 at)
{
    return (const struct pktgen_query *)(const void *)(store->queries + at * store->query_bytes);
}

static fp_inline struct pktgen_dns_stamp *store_stamp(const struct pktgen_store *store, fp_u32 slot)
{
    return &store->stamps[slot];
}

static fp_inline fp_u32 store_target(const struct pktgen_store *store,
                                     const struct pktgen_target_key *key)
{
    const fp_u64 words[3] = {key->a, key->b, key->port};
    const struct host_entry *entry = host_table_find(store->targets, words, 0);

    return entry ? (fp_u32)entry->kinds : 0;
}

static fp_inline struct pktgen_backend *store_backend(struct pktgen_store *store,
                                                      const struct pktgen_backend_key *key)
{
    const fp_u64 words[3] = {key->a, key->b, key->forwarded};
    struct host_entry *entry = host_table_find(&store->backends, words, 1);

    return entry ? &entry->backend : NULL;
}

static fp_inline fp_u64 store_now(void)
{
    return pktgen_clock();
}

/* The smallest frames by a few moves of fixed size: there is room for them in every frame. */
static fp_inline void store_copy_template(struct fp_packet *packet,
                                          const struct pktgen_template *template)
{
    if (template->length <= 64) {
        __builtin_memcpy(packet->data, template->frame, 64);
        return;
    }
    if (packet->data + template->length <= packet->end)
        __builtin_memcpy(packet->data, template->frame, template->length);
}

/* ---- all of them ---- */

struct options;
struct templates;
struct queries;
struct engine_sums;
struct engine_backend;

struct host {
    struct pktgen_store *store; /* count of them */
    unsigned count;
    struct pktgen_template *templates;
    fp_u32 *schedule;
    fp_u8 *queries;
    struct pktgen_dns_stamp *stamps;
    struct host_table targets;
};

/* Makes the stores of `count` cores. `templates` and `queries` may be NULL for --count-only,
 * `queries` also without DNS; both may be freed after. CULVERT_ENOMEM. Ends with host_close(),
 * also after an error. */
int host_open(struct host *host, unsigned count, const struct options *options,
              const struct templates *templates, const struct queries *queries);
void host_close(struct host *host);

/* The sums of all cores, also while they work (engine_read(), engine_backends()). */
void host_read(const struct host *host, struct engine_sums *sums);
size_t host_backends(const struct host *host, struct engine_backend *backends, size_t max);

#endif
