/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/host.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "dataplane/pktgen/config.h"
#include "dataplane/pktgen/engine.h"

#define TARGET_SLOTS (2 * PKTGEN_TARGETS_MAX)
#define BACKEND_SLOTS (2 * PKTGEN_BACKENDS_MAX)

static int table_open(struct host_table *table, fp_u32 slots)
{
    *table = (struct host_table){.slots = slots, .most = slots / 2};
    table->entry = calloc(slots, sizeof(*table->entry));
    return table->entry ? 0 : CULVERT_ENOMEM;
}

static int fill_targets(struct host *host, const struct options *options)
{
    for (size_t i = 0; i < options->target_count; i++) {
        const struct options_target *target = &options->target[i];
        fp_u64 key[3] = {[2] = target->port};
        struct host_entry *entry;

        memcpy(key, target->address.bytes, 16);
        entry = host_table_find(&host->targets, key, 1);
        if (!entry)
            return CULVERT_EFULL;
        entry->kinds |= target->kinds;
    }
    return 0;
}

/* Copies of what is sent. */
static int copy_sent(struct host *host, const struct templates *templates,
                     const struct queries *queries, size_t query_bytes)
{
    size_t schedule_bytes = templates->schedule_length * sizeof(*host->schedule);

    host->templates = malloc(templates->count * sizeof(*host->templates));
    host->schedule = malloc(schedule_bytes);
    if (!host->templates || !host->schedule)
        return CULVERT_ENOMEM;
    memcpy(host->templates, templates->all, templates->count * sizeof(*host->templates));
    memcpy(host->schedule, templates->schedule, schedule_bytes);
    if (!queries)
        return 0;
    host->queries = malloc(queries->count * query_bytes);
    if (!host->queries)
        return CULVERT_ENOMEM;
    queries_store(queries, host->queries);
    return 0;
}

static int open_stores(struct host *host, unsigned count, const struct pktgen_config *config,
                       size_t query_bytes)
{
    host->store = aligned_alloc(64, count * sizeof(*host->store));
    if (!host->store)
        return CULVERT_ENOMEM;
    memset(host->store, 0, count * sizeof(*host->store));
    for (; host->count < count; host->count++) {
        struct pktgen_store *store = &host->store[host->count];

        store->config = *config;
        store->templates = host->templates;
        store->schedule = host->schedule;
        store->queries = host->queries;
        store->query_bytes = query_bytes;
        store->stamps = host->stamps;
        store->targets = &host->targets;
        sender_start(&store->sender, config, host->count, count);
        if (table_open(&store->backends, BACKEND_SLOTS))
            return CULVERT_ENOMEM;
    }
    return 0;
}

int host_open(struct host *host, unsigned count, const struct options *options,
              const struct templates *templates, const struct queries *queries)
{
    size_t query_bytes = queries ? queries_stride(queries) : 0;
    struct pktgen_config config = {0};
    int error;

    memset(host, 0, sizeof(*host));
    config_set(&config, options, templates, queries);
    host->stamps = calloc(PKTGEN_STAMPS, sizeof(*host->stamps));
    error = host->stamps ? table_open(&host->targets, TARGET_SLOTS) : CULVERT_ENOMEM;
    if (!error)
        error = fill_targets(host, options);
    if (!error && templates)
        error = copy_sent(host, templates, queries, query_bytes);
    return error ? error : open_stores(host, count, &config, query_bytes);
}

void host_close(struct host *host)
{
    for (unsigned i = 0; i < host->count; i++)
        free(host->store[i].backends.entry);
    free(host->store);
    free(host->targets.entry);
    free(host->stamps);
    free(host->queries);
    free(host->schedule);
    free(host->templates);
    memset(host, 0, sizeof(*host));
}

void host_read(const struct host *host, struct engine_sums *sums)
{
    memset(sums, 0, sizeof(*sums));
    /* Replies first: so that there are never more of them than packets sent. */
    for (unsigned i = 0; i < host->count; i++)
        sums_add_counters(sums, &host->store[i].counters);
    for (unsigned i = 0; i < host->count; i++)
        sums_add_sender(sums, &host->store[i].sender);
    sums_finish(sums);
}

/* The place of an address among those that other cores have seen, or a new one. NULL: no room. */
static struct engine_backend *place_of(struct engine_backend *backends, size_t *count, size_t max,
                                       const struct pktgen_backend_key *key)
{
    for (size_t i = 0; i < *count; i++) {
        if (memcmp(&backends[i].key, key, sizeof(*key)) == 0)
            return &backends[i];
    }
    if (*count == max)
        return NULL;
    backends[*count] = (struct engine_backend){.key = *key};
    return &backends[(*count)++];
}

size_t host_backends(const struct host *host, struct engine_backend *backends, size_t max)
{
    size_t count = 0;

    for (unsigned i = 0; i < host->count; i++) {
        const struct host_table *table = &host->store[i].backends;

        for (fp_u32 slot = 0; slot < table->slots; slot++) {
            const struct host_entry *entry = &table->entry[slot];
            struct engine_backend *backend;

            if (!__atomic_load_n(&entry->used, __ATOMIC_ACQUIRE))
                continue;
            backend =
                place_of(backends, &count, max,
                         &(struct pktgen_backend_key){entry->key[0], entry->key[1], entry->key[2]});
            if (!backend)
                continue;
            backend->sums.packets += entry->backend.packets;
            backend->sums.bytes += entry->backend.bytes;
        }
    }
    return count;
}
