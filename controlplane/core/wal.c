/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/wal.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/wal_internal.h"

/* Of a segment of that size, what the longest record can have. */
static uint64_t record_most(const struct wal *wal)
{
    return wal->size - WAL_FIRST - wal_record_size(0);
}

static void wal_free(struct wal *wal)
{
    const struct env_ops *ops = wal->env->ops;

    ops->timer_stop(wal->env, &wal->timer);
    if (wal->file)
        ops->file_close(wal->env, wal->file);
    if (wal->keeper.file)
        ops->file_close(wal->env, wal->keeper.file);
    wal_window_close(&wal->reader);
    while (wal->batch_end > wal->batch_head)
        wal_batch_free(wal->batches[--wal->batch_end]);
    free(wal->batches);
    wal_states_free(wal);
    free(wal->segments);
    free(wal);
}

void wal_drop(struct wal *wal)
{
    if (!--wal->holds && wal->closing)
        wal_free(wal);
}

int wal_open(struct wal **out, struct env *env, const struct wal_options *options, char **problem)
{
    uint64_t size = options && options->segment ? options->segment : WAL_SEGMENT_DEFAULT;
    struct wal *wal;
    int error;

    if (problem)
        *problem = NULL;
    if (size < WAL_SEGMENT_MIN || size > WAL_SEGMENT_MAX || size % 8)
        return CULVERT_EINVAL;
    wal = calloc(1, sizeof(*wal));
    if (!wal)
        return CULVERT_ENOMEM;
    wal->env = env;
    wal->size = size;
    wal->timer = (struct env_timer){.fn = wal_timer_fired, .arg = wal};
    error = wal_recover(wal, problem);
    if (error) {
        wal_free(wal);
        return error;
    }
    *out = wal;
    return 0;
}

void wal_close(struct wal *wal)
{
    if (!wal)
        return;
    wal->env->ops->timer_stop(wal->env, &wal->timer);
    wal->closing = true;
    if (!wal->holds)
        wal_free(wal);
}

static void group_describe(const struct wal_state *state, struct wal_group *out)
{
    *out = (struct wal_group){
        .id = state->id,
        .term = state->term,
        .vote = state->vote,
        .first = state->first,
        .last = state->last,
        .snapshot_index = state->snapshot_index,
        .snapshot_term = state->snapshot_term,
        .meta = state->meta,
        .meta_length = state->meta_length,
    };
}

int wal_group(const struct wal *wal, uint64_t group, struct wal_group *out)
{
    const struct wal_state *state = wal_state_find(wal, group);

    if (!state)
        return CULVERT_ENOTFOUND;
    group_describe(state, out);
    return 0;
}

int wal_groups(const struct wal *wal, int (*each)(void *arg, const struct wal_group *group),
               void *arg)
{
    struct wal_group group;
    int stop = 0;

    for (size_t i = 0; i < wal->group_count && !stop; i++) {
        group_describe(wal->groups[i], &group);
        stop = each(arg, &group);
    }
    return stop;
}

uint64_t wal_term_at(const struct wal *wal, uint64_t group, uint64_t index)
{
    const struct wal_state *state = wal_state_find(wal, group);

    return state ? wal_state_term_at(state, index) : 0;
}

/* The group's state, made when it is new: *fresh says so. */
static int append_begin(struct wal *wal, uint64_t group, uint64_t bytes, struct wal_state **state,
                        bool *fresh)
{
    size_t count = wal->group_count;
    int error;

    if (wal->failed)
        return CULVERT_EIO;
    if (wal->pending && wal->pending + bytes > WAL_PENDING_MAX)
        return CULVERT_EFULL;
    error = wal_state_make(wal, group, state);
    *fresh = wal->group_count != count;
    return error;
}

static int append_end(struct wal *wal, struct wal_state *state, bool fresh, int error)
{
    if (error && fresh)
        wal_state_forget(wal, state);
    if (wal->pending >= WAL_AHEAD)
        wal_kick(wal);
    return error;
}

int wal_set_term(struct wal *wal, uint64_t group, uint64_t term, uint64_t vote)
{
    struct wal_state *state;
    bool fresh;
    int error = append_begin(wal, group, wal_record_size(0), &state, &fresh);

    if (error)
        return error;
    return append_end(wal, state, fresh, wal_put_term(wal, state, term, vote));
}

/* What the entries take in the log, and how often the term changes among them. */
static int entries_measure(const struct wal *wal, const struct wal_entry *entries, size_t count,
                           uint64_t *bytes, size_t *runs)
{
    *bytes = 0;
    *runs = 0;
    for (size_t i = 0; i < count; i++) {
        if (!entries[i].type || !entries[i].term || entries[i].length > WAL_ENTRY_MAX ||
            wal_record_size(entries[i].length) > record_most(wal))
            return CULVERT_EINVAL;
        *bytes += wal_record_size(entries[i].length);
        *runs += !i || entries[i].term != entries[i - 1].term;
    }
    return 0;
}

/* Frames all entries, their places behind those of the group; or none. */
static int entries_put(struct wal *wal, struct wal_state *state, uint64_t index,
                       const struct wal_entry *entries, size_t count)
{
    uint64_t *places = state->at + state->head + (size_t)wal_state_held(state);
    struct wal_point point = wal_point(wal);

    for (size_t i = 0; i < count; i++) {
        struct wal_record record = {.kind = WAL_ENTRY,
                                    .type = entries[i].type,
                                    .group = state->id,
                                    .index = index + i,
                                    .term = entries[i].term,
                                    .length = (uint32_t)entries[i].length,
                                    .body = entries[i].data};
        int error = wal_put(wal, &record, &places[i]);

        if (error) {
            wal_take_back(wal, &point);
            return error;
        }
    }
    return 0;
}

int wal_append(struct wal *wal, uint64_t group, uint64_t index, const struct wal_entry *entries,
               size_t count)
{
    struct wal_state *state;
    const uint64_t *places;
    uint64_t bytes;
    size_t runs;
    bool fresh;
    int error = entries_measure(wal, entries, count, &bytes, &runs);

    if (!error && count)
        error = append_begin(wal, group, bytes, &state, &fresh);
    if (error || !count)
        return error;
    if (index < state->first || index > state->last + 1 || index <= state->snapshot_index ||
        count > UINT64_MAX - 1 - index)
        error = CULVERT_EINVAL;
    if (!error)
        error = wal_state_reserve(state, count, runs);
    if (!error)
        error = entries_put(wal, state, index, entries, count);
    if (error)
        return append_end(wal, state, fresh, error);
    places = state->at + state->head + (size_t)wal_state_held(state);
    for (size_t i = 0; i < count; i++)
        wal_state_append(wal, state, index + i, entries[i].term, places[i]);
    return append_end(wal, state, fresh, 0);
}

/* The first entry that a snapshot keeps; `reset`: it keeps none. */
static uint64_t snapshot_first(const struct wal_state *state, uint64_t index, uint64_t term,
                               uint64_t trailing, bool *reset)
{
    uint64_t first = index > trailing ? index - trailing + 1 : 1;

    *reset = index > state->last || wal_state_term_at(state, index) != term;
    if (*reset)
        return index + 1;
    return first > state->first ? first : state->first;
}

int wal_snapshot(struct wal *wal, uint64_t group, uint64_t index, uint64_t term, uint64_t trailing,
                 const void *meta, size_t length)
{
    struct wal_group mark = {
        .snapshot_index = index, .snapshot_term = term, .meta = meta, .meta_length = length};
    struct wal_state *state;
    uint8_t *copy = NULL;
    uint64_t lsn;
    bool fresh, reset = false;
    int error = 0;

    if (!index || index >= UINT64_MAX - 1 || !term || length > WAL_META_MAX ||
        wal_record_size(WAL_SNAPSHOT_BYTES + length) > record_most(wal))
        return CULVERT_EINVAL;
    error = append_begin(wal, group, length, &state, &fresh);
    if (error)
        return error;
    if (index < state->snapshot_index)
        error = CULVERT_EINVAL;
    else if (length && !(copy = malloc(length)))
        error = CULVERT_ENOMEM;
    if (!error) {
        mark.first = snapshot_first(state, index, term, trailing, &reset);
        error = wal_put_snapshot(wal, state, &mark, reset, &lsn);
    }
    if (error) {
        free(copy);
        return append_end(wal, state, fresh, error);
    }
    if (length)
        memcpy(copy, meta, length);
    wal_state_snapshot(wal, state, copy, length, lsn);
    state->snapshot_index = index;
    state->snapshot_term = term;
    if (reset)
        wal_state_reset(wal, state, index);
    else
        wal_state_drop(wal, state, mark.first);
    wal_tidy(wal);
    return append_end(wal, state, fresh, 0);
}
