/* SPDX-License-Identifier: Apache-2.0 */
/* What is committed, as status and counters show it. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/engine.h"

static void names_free(struct site_engine *engine)
{
    for (unsigned i = 0; i < SPACES; i++) {
        free(engine->names[i].name);
        free(engine->names[i].pool);
    }
    memset(engine->names, 0, sizeof(engine->names));
    engine->named = false;
}

static void listen_free(struct site_engine *engine)
{
    free(engine->listen);
    engine->listen = NULL;
    engine->listen_count = 0;
    engine->listed = false;
}

void engine_forget(struct site_engine *engine)
{
    names_free(engine);
    listen_free(engine);
}

static bool map_make(struct name_map *map, uint32_t end)
{
    map->name = calloc((size_t)end + 1, sizeof(*map->name));
    map->pool = calloc((size_t)end + 1, sizeof(*map->pool));
    map->end = map->name && map->pool ? end : 0;
    return map->end == end;
}

static bool section_name(struct site_engine *engine, enum space space)
{
    const struct site_node *section = state_section(engine->state, space_info[space].section);
    uint32_t end = 0, count = section ? section->count : 0;

    for (uint32_t i = 0; i < count; i++)
        if (engine->state->number[space][i] >= end)
            end = engine->state->number[space][i] + 1;
    if (!map_make(&engine->names[space], end))
        return false;
    for (uint32_t i = 0; i < count; i++)
        engine->names[space].name[engine->state->number[space][i]] = section->child[i]->key;
    return true;
}

static bool backends_name(struct site_engine *engine)
{
    const struct site_node *pools = state_section(engine->state, ROOT_POOLS);
    struct name_map *map = &engine->names[SPACE_BACKENDS];
    uint32_t end = 0;

    for (uint32_t i = 0; pools && i < pools->count; i++)
        for (uint32_t j = 0; j < engine->state->pool[i]->count; j++)
            if (engine->state->pool[i]->backend[j] >= end)
                end = engine->state->pool[i]->backend[j] + 1u;
    if (!map_make(map, end))
        return false;
    for (uint32_t i = 0; pools && i < pools->count; i++) {
        const struct site_node *backends = node_field(pools->child[i], POOL_BACKENDS);

        for (uint32_t j = 0; j < engine->state->pool[i]->count; j++) {
            map->name[engine->state->pool[i]->backend[j]] = backends->child[j]->key;
            map->pool[engine->state->pool[i]->backend[j]] = pools->child[i]->key;
        }
    }
    return true;
}

/* Made when first asked for after a commit, like the names, but far more often. */
static bool listen_make(struct site_engine *engine)
{
    const struct site_node *dns = state_section(engine->state, ROOT_DNS);
    const struct site_node *listen = node_field(dns, DNS_LISTEN);

    if (engine->listed)
        return true;
    listen_free(engine);
    engine->listen = calloc((listen ? listen->count : 0) + (size_t)1, sizeof(*engine->listen));
    if (!engine->listen)
        return false;
    NODE_EACH(address, listen)
    engine->listen[engine->listen_count++] = address->address;
    engine->listed = true;
    return true;
}

/* Made when first asked for after a commit; without memory for it nothing has a name. */
static bool names_make(struct site_engine *engine)
{
    bool made = true;

    if (engine->named)
        return true;
    names_free(engine);
    for (enum space space = 0; space < SPACE_SECTIONS; space++)
        made = made && section_name(engine, space);
    made = made && backends_name(engine);
    if (!made)
        names_free(engine);
    engine->named = made;
    return made;
}

static const struct name_map *map_find(const struct site_engine *engine, enum fp_kind kind)
{
    static const struct {
        enum fp_kind kind;
        enum space space;
    } spaces[] = {{FP_KIND_INTERFACE, SPACE_INTERFACES},
                  {FP_KIND_POOL, SPACE_POOLS},
                  {FP_KIND_VIP, SPACE_VIPS},
                  {FP_KIND_LIMIT, SPACE_LIMITS},
                  {FP_KIND_ZONE, SPACE_ZONES},
                  {FP_KIND_BACKEND, SPACE_BACKENDS}};

    /* The maps are a cache: what is committed doesn't change by it. */
    if (!names_make((struct site_engine *)engine))
        return NULL;
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
        if (spaces[i].kind == kind)
            return &engine->names[spaces[i].space];
    return NULL;
}

const struct site *site_engine_site(const struct site_engine *engine)
{
    return engine->state->site;
}

const char *site_number_name(const struct site_engine *engine, enum fp_kind kind, unsigned number,
                             const char **pool)
{
    const struct name_map *map = map_find(engine, kind);
    bool known = map && number < map->end;

    if (pool)
        *pool = known ? map->pool[number] : NULL;
    return known ? map->name[number] : NULL;
}

unsigned site_number_end(const struct site_engine *engine, enum fp_kind kind)
{
    const struct name_map *map = map_find(engine, kind);

    return map ? map->end : 0;
}

size_t site_listen(const struct site_engine *engine, const struct address **list)
{
    *list = NULL;
    /* The list is a cache, too. */
    if (!listen_make((struct site_engine *)engine))
        return 0;
    *list = engine->listen;
    return engine->listen_count;
}

size_t site_api_listen(const struct site_engine *engine, struct endpoint list[SITE_API_LISTEN_MAX])
{
    const struct site_node *api = state_section(engine->state, ROOT_API);
    size_t count = 0;

    NODE_EACH(endpoint, node_field(api, API_LISTEN))
    count += !units_parse_endpoint(endpoint->text, &list[count]);
    return count;
}

void site_counts(const struct site_engine *engine, struct site_counts *counts)
{
    const struct site_state *state = engine->state;

    *counts = (struct site_counts){.interfaces = section_count(state, ROOT_INTERFACES),
                                   .pools = section_count(state, ROOT_POOLS),
                                   .vips = section_count(state, ROOT_VIPS),
                                   .limits = section_count(state, ROOT_LIMITS),
                                   .access = section_count(state, ROOT_ACCESS),
                                   .zones = section_count(state, ROOT_ZONES)};
    NODE_EACH(interface, state_section(state, ROOT_INTERFACES))
    counts->dpdk_interfaces += interface->child[INTERFACE_DRIVER]->number == DRIVER_DPDK;
    for (size_t i = 0; i < counts->pools; i++)
        counts->backends += state->pool[i]->count;
    for (size_t i = 0; i < counts->zones; i++)
        counts->names += state->zone[i]->names;
}
