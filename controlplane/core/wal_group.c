/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of each group: marks, and where its entries are. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/wal_internal.h"

/* Index of the first group whose id is not less. */
static size_t group_place(const struct wal *wal, uint64_t group)
{
    size_t low = 0, high = wal->group_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (wal->groups[middle]->id < group)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct wal_state *wal_state_find(const struct wal *wal, uint64_t group)
{
    size_t place = group_place(wal, group);

    return place < wal->group_count && wal->groups[place]->id == group ? wal->groups[place] : NULL;
}

int wal_state_make(struct wal *wal, uint64_t group, struct wal_state **out)
{
    size_t place = group_place(wal, group);
    struct wal_state *state = wal_state_find(wal, group);

    *out = state;
    if (state)
        return 0;
    if (wal->group_count == WAL_GROUPS_MAX)
        return CULVERT_EFULL;
    if (wal->group_count == wal->group_room) {
        size_t room = wal->group_room ? 2 * wal->group_room : 16;
        struct wal_state **groups = realloc(wal->groups, room * sizeof(*groups));

        if (!groups)
            return CULVERT_ENOMEM;
        wal->groups = groups;
        wal->group_room = room;
    }
    state = calloc(1, sizeof(*state));
    if (!state)
        return CULVERT_ENOMEM;
    state->id = group;
    state->first = 1;
    memmove(wal->groups + place + 1, wal->groups + place,
            (wal->group_count - place) * sizeof(*wal->groups));
    wal->groups[place] = state;
    wal->group_count++;
    *out = state;
    return 0;
}

static void state_free(struct wal_state *state)
{
    free(state->at);
    free(state->runs);
    free(state->meta);
    free(state);
}

void wal_state_forget(struct wal *wal, struct wal_state *state)
{
    size_t place = group_place(wal, state->id);

    wal->group_count--;
    memmove(wal->groups + place, wal->groups + place + 1,
            (wal->group_count - place) * sizeof(*wal->groups));
    state_free(state);
}

void wal_states_free(struct wal *wal)
{
    for (size_t i = 0; i < wal->group_count; i++)
        state_free(wal->groups[i]);
    free(wal->groups);
}

/* Moves the places to the front when half of the room is in front of them. */
static void state_settle(struct wal_state *state)
{
    if (!state->head || state->head < state->room / 2)
        return;
    memmove(state->at, state->at + state->head, (size_t)wal_state_held(state) * sizeof(*state->at));
    state->head = 0;
}

int wal_state_reserve(struct wal_state *state, size_t count, size_t runs)
{
    size_t held = (size_t)wal_state_held(state);

    state_settle(state);
    if (state->head + held + count > state->room) {
        size_t room = 2 * state->room > state->head + held + count ? 2 * state->room
                                                                   : state->head + held + count;
        uint64_t *at = realloc(state->at, room * sizeof(*at));

        if (!at)
            return CULVERT_ENOMEM;
        state->at = at;
        state->room = room;
    }
    if (state->run_count + runs > state->run_room) {
        size_t room = 2 * (state->run_count + runs);
        struct wal_run *list = realloc(state->runs, room * sizeof(*list));

        if (!list)
            return CULVERT_ENOMEM;
        state->runs = list;
        state->run_room = room;
    }
    return 0;
}

/* The entries from `index` on are needed no more. */
static void state_cut(struct wal *wal, struct wal_state *state, uint64_t index)
{
    while (state->last >= index && state->last >= state->first) {
        wal_segment(wal, wal_lsn_sequence(wal_state_lsn(state, state->last)))->live--;
        state->last--;
    }
    while (state->run_count && state->runs[state->run_count - 1].index >= index)
        state->run_count--;
}

void wal_state_reset(struct wal *wal, struct wal_state *state, uint64_t last)
{
    state_cut(wal, state, state->first);
    state->first = last + 1;
    state->last = last;
    state->head = 0;
}

void wal_state_append(struct wal *wal, struct wal_state *state, uint64_t index, uint64_t term,
                      uint64_t lsn)
{
    if (index < state->first || index > state->last + 1)
        wal_state_reset(wal, state, index - 1);
    state_cut(wal, state, index);
    state->at[state->head + (size_t)wal_state_held(state)] = lsn;
    state->last = index;
    wal_segment(wal, wal_lsn_sequence(lsn))->live++;
    if (!state->run_count || state->runs[state->run_count - 1].term != term)
        state->runs[state->run_count++] = (struct wal_run){.index = index, .term = term};
}

/* Gives memory back that a shorter log doesn't need. */
static void state_shrink(struct wal_state *state)
{
    size_t held = (size_t)wal_state_held(state);
    uint64_t *at;

    if (state->room < 1024 || held > state->room / 8)
        return;
    memmove(state->at, state->at + state->head, held * sizeof(*state->at));
    state->head = 0;
    at = realloc(state->at, state->room / 4 * sizeof(*at));
    if (at) {
        state->at = at;
        state->room /= 4;
    }
}

void wal_state_drop(struct wal *wal, struct wal_state *state, uint64_t first)
{
    size_t run = 0;

    if (first > state->last) {
        wal_state_reset(wal, state, first - 1);
        state_shrink(state);
        return;
    }
    for (; state->first < first; state->first++, state->head++)
        wal_segment(wal, wal_lsn_sequence(state->at[state->head]))->live--;
    while (run + 1 < state->run_count && state->runs[run + 1].index <= state->first)
        run++;
    state->run_count -= run;
    memmove(state->runs, state->runs + run, state->run_count * sizeof(*state->runs));
    state_shrink(state);
}

void wal_state_term(struct wal *wal, struct wal_state *state, uint64_t lsn)
{
    if (!state->term_lsn)
        wal->marks += wal_record_size(0);
    state->term_lsn = lsn;
}

void wal_state_snapshot(struct wal *wal, struct wal_state *state, uint8_t *meta, size_t length,
                        uint64_t lsn)
{
    if (state->snapshot_lsn)
        wal->marks -= wal_record_size(WAL_SNAPSHOT_BYTES + state->meta_length);
    wal->marks += wal_record_size(WAL_SNAPSHOT_BYTES + length);
    free(state->meta);
    state->meta = meta;
    state->meta_length = length;
    state->snapshot_lsn = lsn;
}

uint64_t wal_state_lsn(const struct wal_state *state, uint64_t index)
{
    return state->at[state->head + (size_t)(index - state->first)];
}

uint64_t wal_state_term_at(const struct wal_state *state, uint64_t index)
{
    size_t low = 0, high = state->run_count;

    if (index == state->snapshot_index)
        return state->snapshot_term;
    if (index < state->first || index > state->last)
        return 0;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;

        if (state->runs[middle].index <= index)
            low = middle;
        else
            high = middle;
    }
    return state->runs[low].term;
}
