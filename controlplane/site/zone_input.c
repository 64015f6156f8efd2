/* SPDX-License-Identifier: Apache-2.0 */
/* A zone's part of the document as the source of its compile. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/zones.h"

uint32_t zone_place(const struct site_node *zones, const struct site_node *zone)
{
    uint32_t low = 0, high = zones ? zones->count : 0;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (strcmp(zones->child[middle]->key, zone->key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Adds an apex to every zone above it; `name` NULL: only says that one came or went. */
static int apex_note(struct zone_set *set, const struct site_node *zones, const char *apex,
                     const char *name)
{
    for (const char *above = strchr(apex, '.'); above; above = strchr(above, '.')) {
        const struct site_node *zone = node_find_sorted(zones, ++above);
        struct zone_below *below;

        if (!zone)
            continue;
        below = &set->below[zone_place(zones, zone)];
        below->changed |= !name;
        if (!name)
            continue;
        if (below->count == below->capacity) {
            uint32_t capacity = below->capacity ? 2 * below->capacity : 4;
            const char **names = realloc(below->name, capacity * sizeof(*names));

            if (!names)
                return CULVERT_ENOMEM;
            below->name = names;
            below->capacity = capacity;
        }
        below->name[below->count++] = name;
    }
    return 0;
}

int zone_set_make(struct zone_set *set, const struct site_node *old, const struct site_node *new)
{
    int error = 0;

    set->count = new ? new->count : 0;
    set->below = calloc((size_t)set->count + 1, sizeof(*set->below));
    set->all = calloc((size_t)set->count + 1, sizeof(*set->all));
    if (!set->below || !set->all)
        return CULVERT_ENOMEM;
    for (uint32_t i = 0; i < set->count && !error; i++) {
        set->all[i] = new->child[i]->key;
        error = apex_note(set, new, set->all[i], set->all[i]);
    }
    set->changed = !node_names_equal(old, new);
    if (!set->changed)
        return error;
    NODE_EACH(zone, old)
    if (!node_find_sorted(new, zone->key))
        apex_note(set, new, zone->key, NULL);
    NODE_EACH(zone, new)
    if (!node_find_sorted(old, zone->key))
        apex_note(set, new, zone->key, NULL);
    return error;
}

void zone_set_free(struct zone_set *set)
{
    for (uint32_t i = 0; set->below && i < set->count; i++)
        free(set->below[i].name);
    free(set->below);
    free(set->all);
}

static struct zone_record *record_add(struct zone_input *input, const struct site_node *owner,
                                      const struct site_node *place)
{
    const struct site_node *ttl = node_field(owner, RECORD_TTL);
    struct zone_record *record;
    struct buffer path = {0};

    if (input->count == input->capacity) {
        size_t capacity = input->capacity ? 2 * input->capacity : 16;
        struct zone_record *records = realloc(input->records, capacity * sizeof(*records));

        if (!records)
            return NULL;
        input->records = records;
        input->capacity = capacity;
    }
    record = &input->records[input->count];
    *record = (struct zone_record){.owner = owner->key,
                                   .has_ttl = ttl,
                                   .ttl = ttl ? (uint32_t)ttl->number : 0,
                                   .line = place->line,
                                   .column = place->column};
    node_path(place, &path);
    record->field = path.data ? arena_copy(&input->arena, path.data, path.length) : NULL;
    buffer_free(&path);
    if (!record->field)
        return NULL;
    input->count++;
    return record;
}

/* The first of the pool's serving backends that has its address. */
static bool first_with(const struct site_node *backends, const struct site_node *backend)
{
    NODE_EACH(other, backends)
    {
        if (other == backend)
            return true;
        if (backend_serves(other) && address_equal(&other->child[BACKEND_ADDRESS]->address,
                                                   &backend->child[BACKEND_ADDRESS]->address))
            return false;
    }
    return true;
}

static int pool_records(struct zone_input *input, const struct site_state *state,
                        const struct site_node *owner)
{
    const struct site_node *pool = node_field(owner, RECORD_POOL);
    const struct site_node *backends = node_field(state_target(state, pool), POOL_BACKENDS);

    NODE_EACH(backend, backends)
    {
        struct zone_record *record;

        if (!backend_serves(backend) || !first_with(backends, backend))
            continue;
        record = record_add(input, owner, pool);
        if (!record)
            return CULVERT_ENOMEM;
        record->rdata = backend->child[BACKEND_ADDRESS]->text;
        record->type = address_is_v4(&backend->child[BACKEND_ADDRESS]->address) ? "A" : "AAAA";
    }
    return 0;
}

static int soa_record(struct zone_input *input, const struct site_node *soa)
{
    static const struct site_node apex = {.key = "@", .text = ""};
    struct zone_record *record = record_add(input, &apex, soa);
    struct buffer text = {0};

    if (!record)
        return CULVERT_ENOMEM;
    for (unsigned i = 0; i < SOA_FIELDS; i++)
        buffer_format(&text, "%s%s", i ? " " : "", soa->child[i]->text);
    record->type = "SOA";
    record->rdata = text.data ? arena_copy(&input->arena, text.data, text.length) : NULL;
    buffer_free(&text);
    return record->rdata ? 0 : CULVERT_ENOMEM;
}

static int owner_records(struct zone_input *input, const struct site_state *state,
                         const struct site_node *owner)
{
    for (uint32_t i = RECORD_FIELDS; i < owner->count; i++) {
        NODE_EACH(text, owner->child[i])
        {
            struct zone_record *record = record_add(input, owner, text);

            if (!record)
                return CULVERT_ENOMEM;
            record->type = owner->child[i]->key;
            record->rdata = text->text;
        }
    }
    return pool_records(input, state, owner);
}

int zone_input_make(struct zone_input *input, const struct site_state *state, uint32_t place)
{
    const struct site_node *zone = state_section(state, ROOT_ZONES)->child[place];
    const struct site_node *file = node_field(zone, ZONE_FILE), *soa = node_field(zone, ZONE_SOA);
    const struct site_node *ttl = node_field(zone, ZONE_TTL);
    struct zone_source *source = &input->source;
    struct buffer path = {0};
    int error = soa ? soa_record(input, soa) : 0;

    NODE_EACH(owner, node_field(zone, ZONE_RECORDS))
    if (!error)
        error = owner_records(input, state, owner);
    node_path(zone, &path);
    source->field = path.data ? arena_copy(&input->arena, path.data, path.length) : NULL;
    buffer_free(&path);
    source->name = zone->key;
    source->line = zone->key_line;
    source->column = zone->key_column;
    source->number = state->number[SPACE_ZONES] ? state->number[SPACE_ZONES][place] : 0;
    source->ttl = ttl ? (uint32_t)ttl->number : 0;
    state_dns_key(state, source->dns_key);
    source->file = file ? file->text : NULL;
    source->site_file = state->site->file;
    source->records = input->records;
    source->records_count = input->count;
    return error;
}

void zone_input_free(struct zone_input *input)
{
    free(input->records);
    arena_free(&input->arena);
    *input = (struct zone_input){0};
}

static bool good(const struct site_node *root, const struct site_node *node)
{
    if (node->bad)
        return false;
    if (node->kind == NODE_SCALAR)
        return node->schema->type != SCHEMA_REFERENCE || reference_target(root, node);
    for (uint32_t i = 0; i < node->count; i++)
        if (node->child[i] && !good(root, node->child[i]))
            return false;
    return true;
}

/* Every pool that it answers with has to be good, too. */
bool zone_usable(const struct site_node *root, const struct site_node *zone)
{
    if (!good(root, zone) || (node_field(zone, ZONE_FILE) && node_field(zone, ZONE_SOA)))
        return false;
    NODE_EACH(owner, node_field(zone, ZONE_RECORDS))
    {
        const struct site_node *pool = node_field(owner, RECORD_POOL);

        if (pool && !good(root, reference_target(root, pool)))
            return false;
    }
    return true;
}
