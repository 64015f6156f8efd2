/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a history of one register is linearizable: Wing and Gong's search ("Testing and verifying
 * concurrent objects", 1993) with Lowe's memory of the configurations that were seen ("Testing for
 * linearizability", 2017). A configuration is the set of operations that have taken effect and the
 * value. An operation whose outcome is unknown may take effect at any time after its call, or not.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define STEPS_MAX 4000000u

struct entry {
    struct entry *next, *previous;
    struct entry *match;     /* of a call: its return, NULL: unknown; of a return: NULL */
    const struct sim_op *op; /* NULL: a return */
    uint64_t mark[2];        /* of the operation in a set's hash */
};

struct seen {
    uint64_t set[2], value;
    bool used;
};

struct search {
    struct entry head, *entries;
    struct entry **stack;
    uint64_t *values;
    size_t depth, known;
    struct seen *table;
    size_t size, filled;
    uint64_t set[2], value;
};

static struct seen *find(const struct search *search, struct seen *table, size_t size,
                         const struct seen *what)
{
    size_t at = (what->set[0] ^ what->value * 0x9e3779b97f4a7c15u) & (size - 1);

    (void)search;
    while (table[at].used &&
           memcmp(table[at].set, what->set, sizeof(what->set)) | (table[at].value != what->value))
        at = (at + 1) & (size - 1);
    return &table[at];
}

static void grow(struct search *search)
{
    size_t size = search->size ? 4 * search->size : 1024;
    struct seen *table = calloc(size, sizeof(*table));

    if (!table)
        abort();
    for (size_t i = 0; i < search->size; i++)
        if (search->table[i].used)
            *find(search, table, size, &search->table[i]) = search->table[i];
    free(search->table);
    search->table = table;
    search->size = size;
}

/* False: the configuration was there already. */
static bool remember(struct search *search, const uint64_t set[2], uint64_t value)
{
    struct seen what = {.set = {set[0], set[1]}, .value = value, .used = true};
    struct seen *at;

    if (2 * search->filled >= search->size)
        grow(search);
    at = find(search, search->table, search->size, &what);
    if (at->used)
        return false;
    *at = what;
    search->filled++;
    return true;
}

static void unlink_entry(struct entry *entry)
{
    entry->previous->next = entry->next;
    if (entry->next)
        entry->next->previous = entry->previous;
}

static void relink(struct entry *entry)
{
    entry->previous->next = entry;
    if (entry->next)
        entry->next->previous = entry;
}

/* Lets an operation take effect now, if what it returned fits. */
static bool take(struct search *search, struct entry *call)
{
    const struct sim_op *op = call->op;
    uint64_t value = sim_command_apply(&op->command, search->value);
    uint64_t set[2] = {search->set[0] ^ call->mark[0], search->set[1] ^ call->mark[1]};

    if (op->back && op->result != search->value)
        return false;
    if (!remember(search, set, value))
        return false;
    search->stack[search->depth] = call;
    search->values[search->depth++] = search->value;
    search->value = value;
    memcpy(search->set, set, sizeof(set));
    unlink_entry(call);
    if (call->match) {
        unlink_entry(call->match);
        search->known--;
    }
    return true;
}

static struct entry *take_back(struct search *search)
{
    struct entry *call = search->stack[--search->depth];

    search->value = search->values[search->depth];
    search->set[0] ^= call->mark[0];
    search->set[1] ^= call->mark[1];
    if (call->match) {
        relink(call->match);
        search->known++;
    }
    relink(call);
    return call->next;
}

static bool run(struct search *search, bool *undecided)
{
    struct entry *at = search->head.next;

    for (unsigned steps = 0; search->known; steps++) {
        if (steps == STEPS_MAX) {
            *undecided = true;
            return true;
        }
        if (at && at->op) {
            at = take(search, at) ? search->head.next : at->next;
        } else { /* one had to take effect before this return, and did not */
            if (!search->depth)
                return false;
            at = take_back(search);
        }
    }
    return true;
}

/* Calls and returns in one list in the order in which they happened. */
static void build(struct search *search, struct sim_op *const *ops, size_t count)
{
    struct sim_random random = {.state = count};
    struct entry *tail = &search->head, *used = search->entries;
    struct entry **returns = calloc(count + 1, sizeof(struct entry *)); /* sorted by time */
    size_t open = 0;

    if (!returns)
        abort();
    for (size_t i = 0; i <= count; i++) {
        struct entry *call;

        /* Those that returned before this call. */
        while (open) {
            size_t first = 0;

            for (size_t j = 1; j < open; j++)
                if (returns[j]->mark[0] < returns[first]->mark[0])
                    first = j;
            if (i < count && returns[first]->mark[0] > ops[i]->call)
                break;
            returns[first]->previous = tail;
            tail = tail->next = returns[first];
            returns[first] = returns[--open];
        }
        if (i == count)
            break;
        call = used++;
        call->op = ops[i];
        call->mark[0] = sim_random(&random);
        call->mark[1] = sim_random(&random);
        call->previous = tail;
        tail = tail->next = call;
        if (!ops[i]->back)
            continue;
        call->match = used++;
        call->match->mark[0] = ops[i]->back;
        returns[open++] = call->match;
        search->known++;
    }
    free(returns);
}

bool sim_linearizable(struct sim_op *const *ops, size_t count, bool *undecided)
{
    struct search search = {0};
    bool fine;

    *undecided = false;
    search.entries = calloc(2 * count + 1, sizeof(*search.entries));
    search.stack = calloc(count + 1, sizeof(struct entry *));
    search.values = calloc(count + 1, sizeof(*search.values));
    if (!search.entries || !search.stack || !search.values)
        abort();
    build(&search, ops, count);
    fine = run(&search, undecided);
    free(search.entries);
    free(search.stack);
    free(search.values);
    free(search.table);
    return fine;
}
