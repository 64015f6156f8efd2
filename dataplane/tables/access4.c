/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "dataplane/fastpath/access.h"
#include "dataplane/tables/internal.h"

/* Half full: of a thousand lines four have an entry too many. */
#define LINE_ENTRIES 8u
/* Lines with an entry too many, in percent, at which all are made anew. */
#define FULL_PERCENT 5u
#define BATCH 16u

bool tables_is_access4(const struct fp_key *key)
{
    return key->kind == FP_KIND_ACCESS && fp_is_mapped(key->a, key->b) &&
           key->c >= FP_MAPPED_LENGTH;
}

/* As fp_access4_lines() tells them; 0: there are none. */
static uint32_t lines_of(const struct tables *tables)
{
    return tables->access4.size ? tables->access4.offset | tables->access4_log2 : 0;
}

/* Names the generation that the lines hold, and where they are; a generation whose packets are none
 * for now hides them. */
static void lines_name(struct tables *tables, uint32_t generation)
{
    __atomic_store_n(&tables->root->access4, (uint64_t)generation << 32 | lines_of(tables),
                     __ATOMIC_RELEASE);
}

static bool are_shown(const struct tables *tables)
{
    return tables->root->access4 >> 32 == tables->root->generation;
}

void tables_access4_hide(struct tables *tables)
{
    lines_name(tables, tables->root->generation - 1);
}

void tables_access4_keep(struct tables *tables)
{
    if (are_shown(tables))
        lines_name(tables, tables->root->generation + 1);
}

/* ---- entries ---- */

/* The line of an IPv4 entry, and the word of one that allows there. */
static struct fp_access4_line *line_of(struct tables *tables, const struct fp_key *key,
                                       uint32_t *word)
{
    struct fp_env env = {.base = tables->base};

    return fp_access4_line(&env, lines_of(tables), (uint32_t)(key->b >> 32),
                           key->c - FP_MAPPED_LENGTH, word);
}

/* The place of a word in a line, whatever its action; or of the first free one; or
 * FP_ACCESS4_WORDS. */
static unsigned line_find(const struct fp_access4_line *line, uint32_t word)
{
    unsigned at = 0;

    while (at < FP_ACCESS4_WORDS && line->word[at] && (line->word[at] ^ word) & ~FP_ACCESS4_DENY)
        at++;
    return at;
}

static bool line_is_full(const struct fp_access4_line *line)
{
    return line->word[FP_ACCESS4_WORDS - 1] == FP_ACCESS4_FULL;
}

static void entry_put(struct tables *tables, const struct fp_key *key, uint32_t action)
{
    uint32_t word;
    struct fp_access4_line *line = line_of(tables, key, &word);
    unsigned at = line_find(line, word);

    if (at < FP_ACCESS4_WORDS) {
        line->word[at] = word | (action == FP_ACCESS_DENY ? FP_ACCESS4_DENY : 0);
    } else if (!line_is_full(line)) {
        /* This entry, and the one that makes room for the mark, are in the index alone. */
        line->word[FP_ACCESS4_WORDS - 1] = FP_ACCESS4_FULL;
        tables->access4_full++;
    }
}

static void entry_remove(struct tables *tables, const struct fp_key *key)
{
    uint32_t word;
    struct fp_access4_line *line = line_of(tables, key, &word);
    unsigned at = line_find(line, word), last = at;

    if (at == FP_ACCESS4_WORDS || !line->word[at])
        return; /* it found no room */
    while (last + 1 < FP_ACCESS4_WORDS && line->word[last + 1] > FP_ACCESS4_FULL)
        last++;
    line->word[at] = line->word[last];
    line->word[last] = 0;
}

void tables_access4_take(struct tables *tables, const struct fp_rec *rec)
{
    struct fp_key key = tables_rec_key(rec);

    if (!tables->access4.size || !tables_is_access4(&key))
        return;
    if (rec->kind & FP_REC_DEAD)
        entry_remove(tables, &key);
    else
        entry_put(tables, &key, ((const struct fp_access *)(rec + 1))->action);
}

/* ---- all of them ---- */

/* Entries whose lines are on their way from memory. */
struct batch {
    struct tables *tables;
    unsigned count;
    struct fp_key key[BATCH];
    uint32_t action[BATCH];
};

static void batch_put(struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++)
        entry_put(batch->tables, &batch->key[i], batch->action[i]);
    batch->count = 0;
}

static int each_add(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct batch *batch = arg;
    uint32_t word;

    if (!tables_is_access4(key))
        return 0;
    __builtin_prefetch(line_of(batch->tables, key, &word), 1);
    batch->key[batch->count] = *key;
    batch->action[batch->count++] = ((const struct fp_access *)body)->action;
    if (batch->count == BATCH)
        batch_put(batch);
    return 0;
}

static void lines_free(struct tables *tables)
{
    if (tables->access4.size)
        heap_free(&tables->heap, tables->access4.offset, tables->access4.size);
    tables->access4 = (struct tables_block){0};
    tables->access4_full = 0;
}

/* Makes lines for all committed entries, in place of those that there are. */
static void lines_make(struct tables *tables, uint32_t log2)
{
    size_t bytes = sizeof(struct fp_access4_line) << log2;
    struct batch batch = {.tables = tables};
    struct tables_block block;

    lines_free(tables);
    block.offset = heap_alloc_aligned(&tables->heap, bytes, FP_CACHE_LINE, &block.size);
    if (!block.offset)
        return;
    memset(tables->base + block.offset, 0, bytes);
    tables->access4 = block;
    tables->access4_log2 = log2;
    tables_each(tables, FP_KIND_ACCESS, each_add, &batch);
    batch_put(&batch);
}

void tables_access4_show(struct tables *tables)
{
    size_t count = tables->committed.access4;
    uint32_t log2 = FP_ACCESS4_LOG2_MIN, has = tables->access4_log2;

    if (are_shown(tables))
        return;
    while (count > (size_t)LINE_ENTRIES << log2)
        log2++;
    if (!count)
        lines_free(tables);
    else if (!tables->access4.size || log2 > has || log2 + 2 <= has ||
             tables->access4_full * 100 > (size_t)FULL_PERCENT << has)
        lines_make(tables, log2);
    lines_name(tables, tables->root->generation - !tables->access4.size);
}
