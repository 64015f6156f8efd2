/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/engine.h"

const struct space_info space_info[SPACES] = {
    [SPACE_INTERFACES] = {ROOT_INTERFACES, "interfaces", 0, FP_SLOTS_INTERFACE},
    [SPACE_POOLS] = {ROOT_POOLS, "pools", 0, FP_SLOTS_POOL},
    [SPACE_VIPS] = {ROOT_VIPS, "vips", 0, FP_COUNT_VIPS},
    [SPACE_LIMITS] = {ROOT_LIMITS, "limits", 0, FP_SLOTS_LIMIT},
    [SPACE_ZONES] = {ROOT_ZONES, "zones", 0, FP_SLOTS_ZONE},
    [SPACE_BACKENDS] = {ROOT_POOLS, "backends", 1, FP_SLOTS_BACKEND},
};

struct site_state *state_new(void)
{
    return calloc(1, sizeof(struct site_state));
}

void pool_state_free(struct pool_state *pool)
{
    if (!pool || --pool->refs)
        return;
    bucket_free(&pool->table);
    free(pool->backend);
    free(pool);
}

void zone_state_free(struct zone_state *zone)
{
    if (!zone || --zone->refs)
        return;
    free(zone->key);
    free(zone);
}

void state_free(struct site_state *state)
{
    if (!state)
        return;
    for (uint32_t i = 0; state->pool && i < section_count(state, ROOT_POOLS); i++)
        pool_state_free(state->pool[i]);
    for (uint32_t i = 0; state->zone && i < section_count(state, ROOT_ZONES); i++)
        zone_state_free(state->zone[i]);
    zone_state_free(state->hollows);
    for (unsigned i = 0; i < SPACE_SECTIONS; i++)
        free(state->number[i]);
    for (unsigned i = 0; i < SPACES; i++)
        free(state->freed[i].number);
    free(state->pool);
    free(state->zone);
    site_free(state->site);
    free(state);
}

void state_dns_key(const struct site_state *state, uint64_t key[2])
{
    const struct site_node *given = node_field(state_section(state, ROOT_DNS), DNS_KEY);

    assert(state);
    if (given)
        memcpy(key, given->secret, sizeof(given->secret));
    else
        memcpy(key, state->dns_key, sizeof(state->dns_key));
}

static void separate(struct buffer *json)
{
    if (json->length && json->data[json->length - 1] != '{' && json->data[json->length - 1] != '[')
        buffer_char(json, ',');
}

static void write_number(struct buffer *json, uint64_t number)
{
    char text[24];
    size_t at = sizeof(text);

    do
        text[--at] = (char)('0' + number % 10);
    while (number /= 10);
    buffer_add(json, text + at, sizeof(text) - at);
}

static void write_names(const struct site_state *state, enum space space, struct buffer *json)
{
    const struct site_node *section = state_section(state, space_info[space].section);

    separate(json);
    buffer_json_text(json, space_info[space].name);
    buffer_text(json, ":{");
    for (uint32_t i = 0; section && i < section->count; i++) {
        separate(json);
        buffer_json_text(json, section->child[i]->key);
        buffer_char(json, ':');
        write_number(json, state->number[space][i]);
    }
    buffer_char(json, '}');
}

void state_write_pool(const struct site_state *state, uint32_t place, struct buffer *json)
{
    const struct site_node *node = state_section(state, ROOT_POOLS)->child[place];
    const struct site_node *backends = node_field(node, POOL_BACKENDS);
    const struct pool_state *pool = state->pool[place];

    buffer_text(json, "{\"table\":");
    buffer_json_text(json, pool->digest);
    buffer_text(json, ",\"backends\":{");
    for (uint32_t j = 0; j < pool->count; j++) {
        separate(json);
        buffer_json_text(json, backends->child[j]->key);
        buffer_char(json, ':');
        write_number(json, pool->backend[j]);
    }
    buffer_text(json, "}}");
}

static void write_pools(const struct site_state *state, struct buffer *json)
{
    const struct site_node *pools = state_section(state, ROOT_POOLS);

    buffer_text(json, ",\"tables\":{");
    for (uint32_t i = 0; pools && i < pools->count; i++) {
        separate(json);
        buffer_json_text(json, pools->child[i]->key);
        buffer_char(json, ':');
        state_write_pool(state, i, json);
    }
    buffer_char(json, '}');
}

void state_write_freed(const struct site_state *state, struct buffer *json)
{
    buffer_text(json, ",\"freed\":{");
    for (unsigned i = 0; i < SPACES; i++) {
        separate(json);
        buffer_json_text(json, space_info[i].name);
        buffer_text(json, ":[");
        for (size_t j = 0; j < state->freed[i].count; j++) {
            separate(json);
            write_number(json, state->freed[i].number[j]);
        }
        buffer_char(json, ']');
    }
    buffer_char(json, '}');
}

static int text_compare(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

void state_write_files(const struct site_state *state, struct buffer *json)
{
    buffer_text(json, ",\"files\":");
    site_files_json(state->site, json);
}

/* The digests of zone files and tables, each once. */
static void list_blobs(const struct site_state *state, const char **blobs, size_t *count)
{
    const struct site_node *zones = state_section(state, ROOT_ZONES);
    size_t kept = 0;

    NODE_EACH(zone, zones)
    if (node_field(zone, ZONE_FILE))
        blobs[(*count)++] = node_field(zone, ZONE_FILE)->digest;
    for (uint32_t i = 0; i < section_count(state, ROOT_POOLS); i++)
        blobs[(*count)++] = state->pool[i]->digest;
    qsort(blobs, *count, sizeof(*blobs), text_compare);
    for (size_t i = 0; i < *count; i++)
        if (!kept || strcmp(blobs[kept - 1], blobs[i]))
            blobs[kept++] = blobs[i];
    *count = kept;
}

int state_write(const struct site_state *state, struct buffer *json, const char ***blobs,
                size_t *count)
{
    size_t most = section_count(state, ROOT_ZONES) + (size_t)section_count(state, ROOT_POOLS);

    *count = 0;
    *blobs = calloc(most + 1, sizeof(**blobs));
    if (!*blobs)
        return CULVERT_ENOMEM;
    buffer_format(json,
                  "{\"dns-key\":\"%016" PRIx64 "%016" PRIx64 "\",\"flow-seed\":\"%016" PRIx64 "\"",
                  state->dns_key[0], state->dns_key[1], state->flow_seed);
    for (enum space space = 0; space < SPACE_SECTIONS; space++)
        write_names(state, space, json);
    write_pools(state, json);
    state_write_freed(state, json);
    state_write_files(state, json);
    list_blobs(state, *blobs, count);
    buffer_char(json, '}');
    return json->error;
}

/* Numbers as the digest takes them. */
static int add_numbers(struct digest *digest, const uint32_t *numbers, size_t count)
{
    uint64_t length = count;
    int error = digest_add(digest, &length, sizeof(length));

    return error || !count ? error : digest_add(digest, numbers, count * sizeof(*numbers));
}

/* What a pool's part of the digest is: kept with it, since most pools are as they were. */
static int pool_settle(struct pool_state *pool)
{
    uint8_t whole[DIGEST_BYTES];
    struct buffer bytes = {0};
    int error;

    if (pool->settled)
        return 0;
    buffer_add(&bytes, pool->digest, sizeof(pool->digest));
    buffer_add(&bytes, pool->backend, pool->count * sizeof(*pool->backend));
    error = bytes.error ? bytes.error : digest_sha256(bytes.data, bytes.length, whole);
    buffer_free(&bytes);
    memcpy(pool->content, whole, sizeof(pool->content));
    pool->settled = !error;
    return error;
}

static int add_pools(struct digest *digest, const struct site_state *state)
{
    uint32_t count = section_count(state, ROOT_POOLS);
    struct buffer bytes = {0};
    int error = 0;

    for (uint32_t i = 0; i < count && !error; i++) {
        error = pool_settle(state->pool[i]);
        buffer_add(&bytes, state->pool[i]->content, sizeof(state->pool[i]->content));
    }
    if (!error)
        error = bytes.error;
    if (!error && count)
        error = digest_add(digest, bytes.data, bytes.length);
    buffer_free(&bytes);
    return error;
}

int state_digest(const struct site_state *state, char text[DIGEST_TEXT])
{
    struct digest *digest = digest_new();
    int error =
        digest ? digest_add(digest, state->dns_key, sizeof(state->dns_key)) : CULVERT_ENOMEM;

    if (!error)
        error = digest_add(digest, &state->flow_seed, sizeof(state->flow_seed));
    for (enum space space = 0; space < SPACES && !error; space++) {
        if (space < SPACE_SECTIONS)
            error = add_numbers(digest, state->number[space],
                                section_count(state, space_info[space].section));
        if (!error)
            error = add_numbers(digest, state->freed[space].number, state->freed[space].count);
    }
    if (!error)
        error = add_pools(digest, state);
    if (!error)
        return digest_end(digest, text);
    digest_free(digest);
    return error;
}
