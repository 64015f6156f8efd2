/* SPDX-License-Identifier: Apache-2.0 */
#include "wal_model.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/wal_format.h"

#define BATCH 4u
#define META_MOST 64u

static uint64_t mix(uint64_t digest, uint64_t value)
{
    struct sim_random random = {.state = digest ^ value * 0x9e3779b97f4a7c15u};

    return sim_random(&random);
}

static uint64_t mix_bytes(uint64_t digest, const void *data, size_t length)
{
    digest = mix(digest, length);
    for (size_t i = 0; i < length; i++)
        digest = (digest ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return digest;
}

/* The bytes that a seed stands for; 0: none. */
static size_t bytes_make(uint64_t seed, size_t most, uint8_t *to)
{
    struct sim_random random = {.state = seed};
    size_t length = seed ? (size_t)sim_random_below(&random, most + 1) : 0;

    for (size_t i = 0; i < length; i++)
        to[i] = (uint8_t)sim_random(&random);
    return length;
}

void model_init(struct model *model)
{
    memset(model->groups, 0, sizeof(model->groups));
    model->count = model->acknowledged = 0;
    model->longest = 700;
    model->digests[0] = 0;
    for (uint64_t i = 0; i < MODEL_GROUPS; i++)
        model->digests[0] = mix(model->digests[0], i);
}

static uint64_t group_digest(uint64_t digest, const struct wal_group *group)
{
    digest = mix(mix(digest, group->term), group->vote);
    digest = mix(mix(digest, group->snapshot_index), group->snapshot_term);
    return mix_bytes(mix(digest, group->last), group->meta, group->meta_length);
}

static uint64_t entry_digest(uint64_t digest, const struct wal_entry *entry)
{
    return mix_bytes(mix(mix(digest, entry->term), entry->type), entry->data, entry->length);
}

static uint64_t model_digest(const struct model *model)
{
    uint8_t *bytes = malloc(model->longest + META_MOST);
    uint64_t digest = 0;

    for (uint64_t i = 0; i < MODEL_GROUPS; i++) {
        const struct model_group *from = &model->groups[i];
        struct wal_group group = {.term = from->term,
                                  .vote = from->vote,
                                  .last = from->last,
                                  .snapshot_index = from->snapshot_index,
                                  .snapshot_term = from->snapshot_term,
                                  .meta = bytes};

        digest = mix(digest, i);
        if (!from->known)
            continue;
        group.meta_length = bytes_make(from->meta_seed, META_MOST, bytes);
        digest = group_digest(digest, &group);
        for (uint64_t index = from->snapshot_index + 1; index <= from->last; index++) {
            const struct model_entry *one = &from->entries[index];
            struct wal_entry entry = {.term = one->term, .type = 1, .data = bytes};

            entry.length = bytes_make(one->seed, model->longest, bytes);
            digest = entry_digest(digest, &entry);
        }
    }
    free(bytes);
    return digest;
}

static int log_digest(struct wal *wal, uint64_t *out)
{
    uint64_t digest = 0;

    for (uint64_t i = 0; i < MODEL_GROUPS; i++) {
        struct wal_group group;

        digest = mix(digest, i);
        if (wal_group(wal, i, &group))
            continue;
        digest = group_digest(digest, &group);
        for (uint64_t index = group.snapshot_index + 1; index <= group.last;) {
            struct wal_entry entries[8];
            void *memory;
            int count = wal_read(wal, i, index, 8, 4096, entries, &memory);

            if (count <= 0)
                return count ? count : CULVERT_EINVAL;
            for (int j = 0; j < count; j++)
                digest = entry_digest(digest, &entries[j]);
            free(memory);
            index += (uint64_t)count;
        }
    }
    *out = digest;
    return 0;
}

static void step_apply(struct model *model, const struct model_step *step)
{
    struct model_group *group = &model->groups[step->group];

    group->known = true;
    if (step->kind == WAL_TERM) {
        group->term = step->term;
        group->vote = step->vote;
    } else if (step->kind == WAL_ENTRY) {
        group->last = step->index;
        group->entries[step->index] = (struct model_entry){.term = step->term, .seed = step->seed};
    } else {
        group->snapshot_index = step->index;
        group->snapshot_term = step->term;
        group->meta_seed = step->seed;
        if (group->last < step->index)
            group->last = step->index;
    }
}

static void step_add(struct model *model, const struct model_step *step)
{
    if (model->count + 1 == MODEL_CHANGES)
        abort();
    step_apply(model, step);
    model->steps[model->count++] = *step;
    model->digests[model->count] = model_digest(model);
}

static int change_entries(struct model *model, struct wal *wal, struct sim_random *random,
                          uint64_t id)
{
    struct model_group *group = &model->groups[id];
    uint64_t count = 1 + sim_random_below(random, BATCH),
             open = group->last - group->snapshot_index;
    uint64_t index = group->last + 1, term = group->term ? group->term : 1;
    uint8_t *bytes = malloc(BATCH * model->longest + 1);
    struct wal_entry entries[BATCH];
    uint64_t seeds[BATCH];
    size_t at = 0;
    int error;

    if (open && sim_random_percent(random, 15))
        index -= sim_random_below(random, open) + 1;
    if (index + count >= MODEL_ENTRIES)
        abort();
    for (uint64_t i = 0; i < count; i++) {
        seeds[i] = sim_random(random);
        entries[i] = (struct wal_entry){.term = term, .type = 1, .data = bytes + at};
        entries[i].length = bytes_make(seeds[i], model->longest, bytes + at);
        at += entries[i].length;
    }
    error = wal_append(wal, id, index, entries, count);
    for (uint64_t i = 0; i < count && !error; i++) {
        struct model_step step = {
            .kind = WAL_ENTRY, .group = id, .index = index + i, .term = term, .seed = seeds[i]};

        step_add(model, &step);
    }
    free(bytes);
    return error;
}

static int change_snapshot(struct model *model, struct wal *wal, struct sim_random *random,
                           uint64_t id)
{
    struct model_group *group = &model->groups[id];
    uint64_t open = group->last - group->snapshot_index, seed = sim_random(random);
    uint64_t index = group->snapshot_index + sim_random_below(random, open + 1), term;
    uint8_t meta[META_MOST];
    bool installed = !index || sim_random_percent(random, 10);
    int error;

    if (installed)
        index = group->last + 1 + sim_random_below(random, 3);
    if (installed)
        term = group->term ? group->term : 1;
    else
        term = index > group->snapshot_index ? group->entries[index].term : group->snapshot_term;
    error = wal_snapshot(wal, id, index, term, sim_random_below(random, 4), meta,
                         bytes_make(seed, META_MOST, meta));
    if (!error) {
        struct model_step step = {
            .kind = WAL_SNAPSHOT, .group = id, .index = index, .term = term, .seed = seed};

        step_add(model, &step);
    }
    return error;
}

static int change_term(struct model *model, struct wal *wal, struct sim_random *random, uint64_t id)
{
    struct model_step step = {.kind = WAL_TERM,
                              .group = id,
                              .term = model->groups[id].term + sim_random_below(random, 2),
                              .vote = sim_random_below(random, 4)};
    int error = wal_set_term(wal, id, step.term, step.vote);

    if (!error)
        step_add(model, &step);
    return error;
}

int model_change(struct model *model, struct wal *wal, struct sim_random *random)
{
    uint64_t id = sim_random_below(random, MODEL_GROUPS), what = sim_random_below(random, 100);

    if (!id && sim_random_percent(random, 90))
        id = 1; /* the first is a quiet one */
    if (what < 80)
        return change_entries(model, wal, random, id);
    if (what < 90)
        return change_snapshot(model, wal, random, id);
    return change_term(model, wal, random, id);
}

static void model_synced(struct wal_sync *sync, int status)
{
    struct model_sync *mine = sync->arg;

    mine->done = true;
    mine->status = status;
    if (!status && mine->count > mine->model->acknowledged)
        mine->model->acknowledged = mine->count;
}

void model_sync(struct model *model, struct wal *wal, struct model_sync *sync)
{
    *sync = (struct model_sync){.model = model, .count = model->count};
    sync->sync = (struct wal_sync){.done = model_synced, .arg = sync};
    wal_sync(wal, &sync->sync);
}

int64_t model_find(const struct model *model, struct wal *wal, uint64_t from)
{
    uint64_t digest;

    if (log_digest(wal, &digest))
        return -1;
    for (uint64_t i = model->count + 1; i-- > from;)
        if (model->digests[i] == digest)
            return (int64_t)i;
    return -1;
}

void model_rewind(struct model *model, uint64_t count)
{
    memset(model->groups, 0, sizeof(model->groups));
    for (uint64_t i = 0; i < count; i++)
        step_apply(model, &model->steps[i]);
    model->count = model->acknowledged = count;
}
