/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers: a resource keeps its own as long as it is in the site; a new one gets the smallest that
 * is free and was not freed by this revision or the last one, so that counters and packets on their
 * way don't meet another resource under an old number.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/engine.h"

#define NUMBER_NONE UINT32_MAX

/* Which numbers of a space are in use. */
struct picker {
    uint8_t *taken; /* by the new document */
    uint8_t *avoid; /* these, those of the old one, and what was freed before */
    uint32_t next_free, next_untaken;
    uint32_t end;
};

static int picker_open(struct picker *picker, const struct space_info *info)
{
    *picker =
        (struct picker){.next_free = info->first, .next_untaken = info->first, .end = info->end};
    picker->taken = calloc(info->end, 1);
    picker->avoid = calloc(info->end, 1);
    return picker->taken && picker->avoid ? 0 : CULVERT_ENOMEM;
}

static void picker_close(struct picker *picker)
{
    free(picker->taken);
    free(picker->avoid);
}

/* False: it is taken already, or out of range. */
static bool picker_take(struct picker *picker, uint32_t number)
{
    if (number >= picker->end || picker->taken[number])
        return false;
    picker->taken[number] = picker->avoid[number] = 1;
    return true;
}

/* The capacities were checked: there is one. */
static uint32_t picker_pick(struct picker *picker)
{
    while (picker->next_free < picker->end && picker->avoid[picker->next_free])
        picker->next_free++;
    if (picker->next_free < picker->end) {
        picker_take(picker, picker->next_free);
        return picker->next_free;
    }
    while (picker->next_untaken < picker->end && picker->taken[picker->next_untaken])
        picker->next_untaken++;
    if (picker->next_untaken >= picker->end)
        return NUMBER_NONE;
    picker_take(picker, picker->next_untaken);
    return picker->next_untaken;
}

static void freed_avoid(struct picker *picker, const struct freed *freed)
{
    for (size_t i = 0; i < freed->count; i++)
        if (freed->number[i] < picker->end)
            picker->avoid[freed->number[i]] = 1;
}

/* Numbers of the old document that the new one doesn't have, `count` of `old`. */
static int freed_collect(struct picker *picker, struct freed *freed, const uint32_t *old,
                         size_t count)
{
    freed->number = calloc(count + 1, sizeof(*freed->number));
    if (!freed->number)
        return CULVERT_ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (!picker->taken[old[i]])
            freed->number[freed->count++] = old[i];
    return 0;
}

/* Gives numbers to all of a list: those in `number` that are set are kept. */
static int space_assign(struct compile *compile, enum space space, uint32_t *number, size_t count,
                        const uint32_t *old, size_t old_count)
{
    struct picker picker;
    int error = picker_open(&picker, &space_info[space]);

    for (size_t i = 0; i < count && !error; i++)
        if (number[i] != NUMBER_NONE && !picker_take(&picker, number[i]))
            error = CULVERT_ECORRUPT; /* only a stored state can be so wrong */
    if (!error) {
        for (size_t i = 0; i < old_count; i++)
            picker.avoid[old[i]] = 1;
        freed_avoid(&picker, &compile->old->freed[space]);
        for (size_t i = 0; i < count; i++)
            if (number[i] == NUMBER_NONE && (number[i] = picker_pick(&picker)) == NUMBER_NONE)
                error = CULVERT_EFULL;
    }
    if (!error && compile->prior)
        error = prior_freed(compile->prior, space, &compile->new->freed[space]);
    else if (!error)
        error = freed_collect(&picker, &compile->new->freed[space], old, old_count);
    picker_close(&picker);
    return error;
}

/* The numbers that are known: of the old document, or stored. Both lists are sorted by name. */
static bool numbers_keep(struct compile *compile, enum space space, uint32_t *number)
{
    unsigned field = space_info[space].section;
    const struct site_node *old = state_section(compile->old, field);
    const struct site_node *new = state_section(compile->new, field);
    uint32_t j = 0, kept = 0;

    for (uint32_t i = 0; new && i < new->count; i++) {
        const char *name = new->child[i]->key;
        bool known;

        if (section_shares(old, j, new, i) && (!compile->prior || prior_is_patch(compile->prior))) {
            number[i] = compile->old->number[space][j++];
            kept++;
            continue;
        }
        while (old && j < old->count && strcmp(old->child[j]->key, name) < 0)
            j++;
        known = old && j < old->count && !strcmp(old->child[j]->key, name);
        number[i] = known ? compile->old->number[space][j] : NUMBER_NONE;
        kept += known;
        if (!compile->prior)
            continue;
        if (!prior_is_patch(compile->prior))
            number[i] = NUMBER_NONE;
        prior_number(compile->prior, space, NULL, name, &number[i]);
        /* What refers to it, and didn't change, would not be made again. */
        if (known && number[i] != compile->old->number[space][j])
            compile_fail(compile, CULVERT_ECONFLICT);
    }
    /* Nothing new and nothing gone: no numbers to look for. */
    return (!compile->prior || prior_is_patch(compile->prior)) && kept == (new ? new->count : 0) &&
           kept == (old ? old->count : 0);
}

static void section_number(struct compile *compile, enum space space)
{
    unsigned field = space_info[space].section;
    uint32_t count = section_count(compile->new, field);
    uint32_t *number = calloc((size_t)count + 1, sizeof(*number));

    if (!number) {
        compile_fail(compile, CULVERT_ENOMEM);
        return;
    }
    compile->new->number[space] = number;
    if (!numbers_keep(compile, space, number))
        compile_fail(compile,
                     space_assign(compile, space, number, count, compile->old->number[space],
                                  section_count(compile->old, field)));
}

uint32_t number_of(const struct site_state *state, enum space space, const char *name)
{
    const struct site_node *section = state_section(state, space_info[space].section);
    uint32_t low = 0, high = section ? section->count : 0;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (strcmp(section->child[middle]->key, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return state->number[space][low];
}

/* ---- backends: numbered over all pools ---- */

static void backends_keep(struct compile *compile, uint32_t place, uint32_t *number)
{
    const struct site_node *pool = state_section(compile->new, ROOT_POOLS)->child[place];
    const struct site_node *backends = node_field(pool, POOL_BACKENDS), *old, *before;
    uint32_t j = 0, old_place;

    old = old_named(compile, ROOT_POOLS, pool, &old_place);
    before = node_field(old, POOL_BACKENDS);
    for (uint32_t i = 0; backends && i < backends->count; i++) {
        const char *name = backends->child[i]->key;

        number[i] = NUMBER_NONE;
        if (compile->prior) {
            prior_number(compile->prior, SPACE_BACKENDS, pool->key, name, &number[i]);
            continue;
        }
        while (before && j < before->count && strcmp(before->child[j]->key, name) < 0)
            j++;
        if (before && j < before->count && !strcmp(before->child[j]->key, name))
            number[i] = compile->old->pool[old_place]->backend[j];
    }
}

static size_t backends_all(const struct site_state *state)
{
    size_t all = 0;

    for (uint32_t i = 0; state->pool && i < section_count(state, ROOT_POOLS); i++)
        all += state->pool[i] ? state->pool[i]->count : 0;
    return all;
}

/* Every backend of a state, pool by pool, in one list. */
static uint32_t *backends_list(const struct site_state *state, size_t *count)
{
    uint32_t *list = calloc(backends_all(state) + 1, sizeof(*list));

    *count = 0;
    for (uint32_t i = 0; list && state->pool && i < section_count(state, ROOT_POOLS); i++)
        for (uint32_t j = 0; state->pool[i] && j < state->pool[i]->count; j++)
            list[(*count)++] = state->pool[i]->backend[j];
    return list;
}

static void backends_number(struct compile *compile)
{
    struct site_state *new = compile->new;
    size_t count = 0, old_count, at = 0;
    uint32_t *old = backends_list(compile->old, &old_count);
    uint32_t *number = backends_list(new, &count);
    int error = old && number ? 0 : CULVERT_ENOMEM;

    for (uint32_t i = 0; !error && i < section_count(new, ROOT_POOLS); i++) {
        if (new->pool[i]->refs == 1)
            backends_keep(compile, i, number + at);
        at += new->pool[i]->count;
    }
    if (!error)
        error = space_assign(compile, SPACE_BACKENDS, number, count, old, old_count);
    at = 0;
    for (uint32_t i = 0; !error && i < section_count(new, ROOT_POOLS); i++)
        for (uint32_t j = 0; j < new->pool[i]->count; j++, at++)
            if (new->pool[i]->refs == 1)
                new->pool[i]->backend[j] = (uint16_t)number[at];
    free(old);
    free(number);
    compile_fail(compile, error);
}

/* The part of a section by that name, looked for from *place on, where it then is; NULL: none. */
static const struct site_node *name_after(const struct site_node *section, const char *name,
                                          uint32_t *place)
{
    while (section && *place < section->count && strcmp(section->child[*place]->key, name) < 0)
        ++*place;
    return section && *place < section->count && !strcmp(section->child[*place]->key, name)
               ? section->child[*place]
               : NULL;
}

/* The new document's pools: shared when nothing about them changed, else to be filled in. */
static bool pools_start(struct compile *compile)
{
    const struct site_node *pools = state_section(compile->new, ROOT_POOLS);
    const struct site_node *before = state_section(compile->old, ROOT_POOLS);
    uint32_t count = pools ? pools->count : 0, old_place = 0;
    bool same = count == section_count(compile->old, ROOT_POOLS);

    compile->new->pool = calloc((size_t)count + 1, sizeof(*compile->new->pool));
    for (uint32_t i = 0; compile->new->pool &&i < count; i++) {
        const struct site_node *old = name_after(before, pools->child[i]->key, &old_place);
        const struct site_node *backends = node_field(pools->child[i], POOL_BACKENDS);
        struct pool_state *pool;

        if (old && node_equal(old, pools->child[i]) &&
            (!compile->prior ||
             prior_pool_same(compile->prior, pools->child[i], compile->old->pool[old_place]))) {
            pool = compile->old->pool[old_place];
            pool->refs++;
            compile->new->pool[i] = pool;
            continue;
        }
        same &= old && node_names_equal(node_field(old, POOL_BACKENDS), backends);
        pool = calloc(1, sizeof(*pool));
        if (!pool)
            break;
        compile->new->pool[i] = pool;
        pool->refs = 1;
        pool->backend = calloc((backends ? backends->count : 0) + 1u, sizeof(*pool->backend));
        if (!pool->backend)
            break;
        pool->count = backends ? backends->count : 0;
        if (old && node_names_equal(node_field(old, POOL_BACKENDS), backends))
            memcpy(pool->backend, compile->old->pool[old_place]->backend,
                   pool->count * sizeof(*pool->backend));
    }
    for (uint32_t i = 0; i < count; i++)
        if (!compile->new->pool || !compile->new->pool[i] || !compile->new->pool[i]->backend)
            compile_fail(compile, CULVERT_ENOMEM);
    return same;
}

void compile_numbers(struct compile *compile)
{
    bool same;

    for (enum space space = 0; space < SPACE_SECTIONS && !compile->error; space++)
        section_number(compile, space);
    same = !compile->error && pools_start(compile);
    if (!compile->error && (!same || (compile->prior && !prior_is_patch(compile->prior))))
        backends_number(compile);
}
