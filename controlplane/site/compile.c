/* SPDX-License-Identifier: Apache-2.0 */
/* A compile's frame: the order of its steps, and the entries that they put and delete. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "controlplane/site/engine.h"
#include "controlplane/site/errors.h"

int key_list_add(struct key_list *list, const struct fp_key *key)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 256;
        struct fp_key *keys = realloc(list->key, capacity * sizeof(*keys));

        if (!keys)
            return CULVERT_ENOMEM;
        list->key = keys;
        list->capacity = capacity;
    }
    list->key[list->count++] = *key;
    return 0;
}

int key_compare_any(const void *x, const void *y)
{
    const struct fp_key *p = x, *q = y;

    if (p->kind != q->kind)
        return p->kind < q->kind ? -1 : 1;
    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    if (p->b != q->b)
        return p->b < q->b ? -1 : 1;
    return p->c < q->c ? -1 : p->c > q->c;
}

void key_list_sort(struct key_list *list)
{
    if (list->count > 1)
        qsort(list->key, list->count, sizeof(*list->key), key_compare_any);
}

bool key_list_has(const struct key_list *sorted, const struct fp_key *key)
{
    return sorted->count &&
           bsearch(key, sorted->key, sorted->count, sizeof(*sorted->key), key_compare_any);
}

struct fp_key address_key(enum fp_kind kind, const struct address *address, uint32_t c)
{
    struct fp_key key = {.kind = kind, .c = c};

    memcpy(&key.a, address->bytes, 8);
    memcpy(&key.b, address->bytes + 8, 8);
    return key;
}

void compile_fail(struct compile *compile, int error)
{
    if (!compile->error)
        compile->error = error;
}

void compile_put(struct compile *compile, const struct fp_key *key, const void *body, size_t length)
{
    if (compile->error)
        return;
    compile_fail(compile, tables_put(compile->tables, key, body, length));
    compile_fail(compile, key_list_add(&compile->puts, key));
}

void compile_delete(struct compile *compile, const struct fp_key *key)
{
    if (!compile->error)
        compile_fail(compile, key_list_add(&compile->deletes, key));
}

static void deletes_run(struct compile *compile)
{
    if (compile->error || !compile->deletes.count)
        return;
    key_list_sort(&compile->puts);
    for (size_t i = 0; i < compile->deletes.count && !compile->error; i++)
        if (!key_list_has(&compile->puts, &compile->deletes.key[i]))
            compile_fail(compile, tables_delete(compile->tables, &compile->deletes.key[i]));
}

const struct site_node *old_named(const struct compile *compile, unsigned section,
                                  const struct site_node *node, uint32_t *place)
{
    const struct site_node *old = state_section(compile->old, section);
    uint32_t low = 0, high = old ? old->count : 0;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(old->child[middle]->key, node->key);

        if (!order) {
            *place = middle;
            return old->child[middle];
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void secrets_make(struct compile *compile)
{
    struct site_state *new = compile->new;
    const struct site_state *old = compile->old;
    uint64_t secret[3];

    if (compile->prior && prior_secrets(compile->prior, new))
        return;
    if (old->site) {
        memcpy(new->dns_key, old->dns_key, sizeof(new->dns_key));
        new->flow_seed = old->flow_seed;
        return;
    }
    if (getrandom(secret, sizeof(secret), 0) != sizeof(secret)) {
        compile_fail(compile, CULVERT_ESYSTEM);
        return;
    }
    memcpy(new->dns_key, secret, sizeof(new->dns_key));
    new->flow_seed = secret[2];
}

/* A full table is the site's fault as far as anyone's: say so in its terms. */
static void full_report(struct compile *compile)
{
    struct tables_usage usage;
    char message[128];

    tables_usage(compile->tables, &usage);
    snprintf(message, sizeof(message), "the site doesn't fit into tables of %zu MiB",
             usage.region >> 20);
    site_errors_add(compile->errors, compile->new->site->file, 0, 0, NULL, message,
                    "fewer names, or a larger region");
    compile->error = CULVERT_EREJECTED;
}

struct sweep {
    struct compile *compile;
    struct key_list there;
};

static int sweep_each(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct sweep *sweep = arg;

    (void)body;
    (void)length;
    if (key->kind == FP_KIND_NEXTHOP || key_list_has(&sweep->compile->puts, key))
        return 0;
    return key_list_add(&sweep->there, key);
}

static void zone_keys_list(struct compile *compile, const struct zone_state *zone)
{
    for (size_t i = 0; i < zone->count && !compile->error; i++) {
        struct fp_key key = {
            .a = zone->key[i].a, .b = zone->key[i].b, .c = zone->key[i].c, .kind = FP_KIND_DNS};

        compile_fail(compile, key_list_add(&compile->puts, &key));
    }
}

void compile_sweep(struct compile *compile)
{
    struct sweep sweep = {.compile = compile};
    struct tables_usage usage;

    tables_usage(compile->tables, &usage);
    if (compile->error || !usage.entries)
        return;
    for (uint32_t i = 0; i < section_count(compile->new, ROOT_ZONES); i++)
        zone_keys_list(compile, compile->new->zone[i]);
    zone_keys_list(compile, compile->new->hollows);
    key_list_sort(&compile->puts);
    compile_fail(compile, tables_each(compile->tables, FP_KIND_COUNT, sweep_each, &sweep));
    for (size_t i = 0; i < sweep.there.count && !compile->error; i++)
        compile_fail(compile, tables_delete(compile->tables, &sweep.there.key[i]));
    free(sweep.there.key);
}

int compile_run(struct compile *compile)
{
    secrets_make(compile);
    compile_numbers(compile);
    compile_pools(compile);
    compile_services(compile);
    compile_zones(compile);
    compile_config(compile);
    deletes_run(compile);
    if (!compile->prior)
        compile_blobs(compile);
    else if (!compile->old->site)
        compile_sweep(compile);
    if (compile->error == CULVERT_EFULL)
        full_report(compile);
    return compile->error;
}

void compile_end(struct compile *compile)
{
    free(compile->puts.key);
    free(compile->deletes.key);
    compile->puts = compile->deletes = (struct key_list){0};
    for (size_t i = 0; i < compile->blob_count; i++)
        free((void *)compile->blobs[i].data);
    free(compile->blobs);
    compile->blobs = NULL;
    compile->blob_count = 0;
}
