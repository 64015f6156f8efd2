/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zones: which ones are compiled again, what goes into their compile, and which of their names are
 * gone after it.
 */
#include "controlplane/site/zones.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int zone_key_compare(const void *x, const void *y)
{
    const struct zone_key *p = x, *q = y;

    if (p->a != q->a)
        return p->a < q->a ? -1 : 1;
    if (p->b != q->b)
        return p->b < q->b ? -1 : 1;
    return p->c < q->c ? -1 : p->c > q->c;
}

/* ---- one compile ---- */

struct zone_run {
    struct compile *compile;
    struct zone_state *zone; /* NULL: only errors are wanted */
};

static int zone_emit(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct zone_run *run = arg;
    struct zone_state *zone = run->zone;

    if (key->kind != FP_KIND_DNS) {
        int error = key_list_add(&run->compile->puts, key);

        if (error)
            return error;
    } else {
        if (zone->count == zone->capacity) {
            size_t capacity = zone->capacity ? 2 * zone->capacity : 16;
            struct zone_key *keys = realloc(zone->key, capacity * sizeof(*keys));

            if (!keys)
                return CULVERT_ENOMEM;
            zone->key = keys;
            zone->capacity = capacity;
        }
        zone->key[zone->count++] = (struct zone_key){key->a, key->b, key->c};
    }
    /* tables_put knows an entry that doesn't change: only what does travels. */
    return tables_put(run->compile->tables, key, body, length);
}

static void zone_report(void *arg, const struct zone_error *error)
{
    struct zone_run *run = arg;

    site_errors_add(run->compile->errors, error->file, error->line, error->column, error->field,
                    error->message, error->hint);
}

static struct zone_state *zone_new(struct compile *compile)
{
    struct zone_state *zone = calloc(1, sizeof(*zone));

    if (zone)
        zone->refs = 1;
    else
        compile_fail(compile, CULVERT_ENOMEM);
    return zone;
}

static void zone_settle(struct zone_state *zone)
{
    struct zone_key *keys = zone->key;

    if (zone->count > 1)
        qsort(keys, zone->count, sizeof(*keys), zone_key_compare);
    if (zone->count < zone->capacity) {
        keys = realloc(zone->key, (zone->count + 1) * sizeof(*keys));
        if (keys) {
            zone->key = keys;
            zone->capacity = zone->count + 1;
        }
    }
}

static void file_missing(struct compile *compile, const struct site_node *file, int error)
{
    struct site_report report = {.file = compile->new->site->file, .errors = compile->errors};

    if (error == CULVERT_ENOMEM) {
        compile_fail(compile, error);
        return;
    }
    compile->rejected = true;
    node_error(&report, file, "upload it again", "the file \"%.200s\" can't be read: %s",
               file->text, culvert_strerror(error));
}

/* Compiles one zone of the new document; `zone` NULL: only for its errors. */
static void zone_run(struct compile *compile, const struct zone_set *set, uint32_t place,
                     struct zone_state *zone)
{
    const struct site_node *node = state_section(compile->new, ROOT_ZONES)->child[place];
    const struct site_node *file = node_field(node, ZONE_FILE);
    struct zone_run run = {.compile = compile, .zone = zone};
    struct zone_stats stats = {0};
    struct zone_input input = {0};
    const void *text = NULL;
    size_t length = 0;
    int error = zone_input_make(&input, compile->new, place);

    input.source.apexes = set->below[place].name;
    input.source.apexes_count = set->below[place].count;
    if (!error && file) {
        error = compile->reader->get(compile->reader, file->digest, &text, &length);
        if (error) {
            file_missing(compile, file, error);
            zone_input_free(&input);
            return;
        }
        input.source.text = text;
        input.source.length = length;
    }
    if (!error)
        error = zone_compile(&input.source, zone ? zone_emit : NULL, zone_report, &run, &stats);
    if (file && text)
        compile->reader->release(compile->reader, text, length);
    zone_input_free(&input);
    if (error == CULVERT_EREJECTED)
        compile->rejected = true;
    else
        compile_fail(compile, error);
    if (zone) {
        zone->names = stats.names;
        zone->max_labels = stats.max_labels;
        zone_settle(zone);
    }
}

/* ---- which ones ---- */

/* The addresses that a pool answers with are the same in both documents. */
static bool answers_equal(const struct site_node *old, const struct site_node *new)
{
    const struct site_node *const *x = node_first(old), *const *x_end = node_end(old);
    const struct site_node *const *y = node_first(new), *const *y_end = node_end(new);

    for (;;) {
        while (x < x_end && !backend_serves(*x))
            x++;
        while (y < y_end && !backend_serves(*y))
            y++;
        if (x == x_end || y == y_end)
            return x == x_end && y == y_end;
        if (!address_equal(&(*x)->child[BACKEND_ADDRESS]->address,
                           &(*y)->child[BACKEND_ADDRESS]->address))
            return false;
        x++;
        y++;
    }
}

static bool pools_equal(const struct compile *compile, const struct site_node *zone)
{
    NODE_EACH(record, node_field(zone, ZONE_RECORDS))
    {
        const struct site_node *reference = node_field(record, RECORD_POOL), *pool, *old;
        uint32_t place;

        if (!reference)
            continue;
        pool = state_target(compile->new, reference);
        old = old_named(compile, ROOT_POOLS, pool, &place);
        if (!answers_equal(node_field(old, POOL_BACKENDS), node_field(pool, POOL_BACKENDS)))
            return false;
    }
    return true;
}

static bool zone_same(const struct compile *compile, const struct zone_set *set, uint32_t place,
                      uint32_t *old_place)
{
    const struct site_node *node = state_section(compile->new, ROOT_ZONES)->child[place];
    const struct site_node *old = old_named(compile, ROOT_ZONES, node, old_place);

    assert(set->below);
    return old && !set->rekeyed && !set->below[place].changed && node_equal(old, node) &&
           pools_equal(compile, node);
}

static int set_open(struct compile *compile, struct zone_set *set)
{
    uint64_t old_key[2], new_key[2];

    state_dns_key(compile->old, old_key);
    state_dns_key(compile->new, new_key);
    set->rekeyed = !compile->old->site || memcmp(old_key, new_key, sizeof(old_key));
    return zone_set_make(set, state_section(compile->old, ROOT_ZONES),
                         state_section(compile->new, ROOT_ZONES));
}

/* ---- names that are gone ---- */

static bool has_key(const struct zone_state *zone, const struct zone_key *key)
{
    return zone && zone->count &&
           bsearch(key, zone->key, zone->count, sizeof(*key), zone_key_compare);
}

/* The keys of every zone that was compiled now, in one sorted list. Just one zone's are not copied:
 * it may be a large one. */
static int fresh_collect(const struct compile *compile, struct zone_state *fresh,
                         const struct zone_state **one)
{
    uint32_t count = section_count(compile->new, ROOT_ZONES);
    size_t keys = 0, zones = 0;

    for (uint32_t i = 0; i <= count; i++) {
        const struct zone_state *zone = i < count ? compile->new->zone[i] : compile->new->hollows;

        if (zone->refs == 1 && zone->count) {
            keys += zone->count;
            zones++;
            *one = zone;
        }
    }
    if (zones < 2)
        return 0;
    *one = fresh;
    fresh->key = calloc(keys, sizeof(*fresh->key));
    if (!fresh->key)
        return CULVERT_ENOMEM;
    for (uint32_t i = 0; i <= count; i++) {
        const struct zone_state *zone = i < count ? compile->new->zone[i] : compile->new->hollows;

        if (zone->refs == 1 && zone->count) {
            memcpy(fresh->key + fresh->count, zone->key, zone->count * sizeof(*zone->key));
            fresh->count += zone->count;
        }
    }
    qsort(fresh->key, fresh->count, sizeof(*fresh->key), zone_key_compare);
    return 0;
}

/* Deletes the keys of an old zone that no zone of this compile has emitted. A key that a zone which
 * stayed the same has cannot be among them: no two zones have one. */
static void gone_delete(struct compile *compile, const struct zone_state *old,
                        const struct zone_state *fresh)
{
    for (size_t i = 0; old && i < old->count && !compile->error; i++) {
        const struct zone_key *key = &old->key[i];
        struct fp_key whole = {.a = key->a, .b = key->b, .c = key->c, .kind = FP_KIND_DNS};

        if (!has_key(fresh, key))
            compile_fail(compile, tables_delete(compile->tables, &whole));
    }
}

static void zones_gone(struct compile *compile)
{
    const struct site_node *old = state_section(compile->old, ROOT_ZONES);
    const struct site_node *new = state_section(compile->new, ROOT_ZONES);
    const struct zone_state *fresh = NULL;
    struct zone_state merged = {0};

    compile_fail(compile, fresh_collect(compile, &merged, &fresh));
    for (uint32_t i = 0; old && i < old->count && !compile->error; i++) {
        const struct site_node *now = node_find_sorted(new, old->child[i]->key);
        struct fp_key key = {.a = compile->old->number[SPACE_ZONES][i], .kind = FP_KIND_ZONE};

        if (!now)
            compile_delete(compile, &key);
        if (!now || compile->new->zone[zone_place(new, now)] != compile->old->zone[i])
            gone_delete(compile, compile->old->zone[i], fresh);
    }
    if (compile->old->hollows != compile->new->hollows)
        gone_delete(compile, compile->old->hollows, fresh);
    free(merged.key);
}

static void hollows_compile(struct compile *compile, const struct zone_set *set)
{
    struct site_state *new = compile->new;
    struct zone_run run = {.compile = compile};
    uint64_t key[2];

    if (compile->old->hollows && !set->rekeyed && !set->changed) {
        new->hollows = compile->old->hollows;
        new->hollows->refs++;
        return;
    }
    new->hollows = run.zone = zone_new(compile);
    if (!run.zone)
        return;
    state_dns_key(new, key);
    compile_fail(compile, zone_hollows_compile(set->all, set->count, key, zone_emit, &run));
    zone_settle(run.zone);
}

void compile_zones(struct compile *compile)
{
    uint32_t count = section_count(compile->new, ROOT_ZONES), old_place;
    struct zone_set set = {0};

    if (compile->error)
        return;
    compile->new->zone = calloc((size_t)count + 1, sizeof(*compile->new->zone));
    compile_fail(compile, compile->new->zone ? set_open(compile, &set) : CULVERT_ENOMEM);
    for (uint32_t i = 0; i < count && !compile->error; i++) {
        if (zone_same(compile, &set, i, &old_place)) {
            compile->new->zone[i] = compile->old->zone[old_place];
            compile->new->zone[i]->refs++;
            continue;
        }
        compile->new->zone[i] = zone_new(compile);
        if (compile->new->zone[i])
            zone_run(compile, &set, i, compile->new->zone[i]);
    }
    if (!compile->error)
        hollows_compile(compile, &set);
    zone_set_free(&set);
    if (compile->rejected)
        compile_fail(compile, CULVERT_EREJECTED);
    if (!compile->error)
        zones_gone(compile);
}

void zones_verify(struct compile *compile)
{
    const struct site_node *zones = state_section(compile->new, ROOT_ZONES);
    struct zone_set set = {0};
    uint32_t old_place;

    compile_fail(compile, set_open(compile, &set));
    for (uint32_t i = 0; zones && i < zones->count && !compile->error; i++)
        if (zone_usable(compile->new->site->root, zones->child[i]) &&
            !zone_same(compile, &set, i, &old_place))
            zone_run(compile, &set, i, NULL);
    zone_set_free(&set);
}

void compile_config(struct compile *compile)
{
    const struct site_node *dns = state_section(compile->new, ROOT_DNS);
    const struct site_node *size = node_field(dns, DNS_UDP_SIZE);
    struct fp_key key = {.kind = FP_KIND_CONFIG};
    struct fp_config body = {.flow_seed = compile->new->flow_seed,
                             .dns_udp_max = size ? (uint16_t)size->number : 1232};
    uint32_t count = section_count(compile->new, ROOT_ZONES);
    uint64_t dns_key[2];

    if (compile->error)
        return;
    state_dns_key(compile->new, dns_key);
    memcpy(body.dns_key, dns_key, sizeof(body.dns_key));
    for (uint32_t i = 0; i < count; i++)
        if (compile->new->zone[i]->max_labels > body.dns_max_labels)
            body.dns_max_labels = (uint16_t)compile->new->zone[i]->max_labels;
    compile_put(compile, &key, &body, sizeof(body));
}
