/* SPDX-License-Identifier: Apache-2.0 */
/* What a stored revision remembers besides its document: numbers, secrets, bucket tables. */
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "controlplane/site/engine.h"

struct prior {
    yyjson_doc *doc;
    yyjson_val *root;  /* the state */
    yyjson_doc *patch; /* of a patch: all of it, numbers raw; NULL: the state is whole */
    yyjson_obj_iter names[SPACE_SECTIONS]; /* found fast as long as names come in order */
    yyjson_obj_iter tables;
    yyjson_obj_iter backends;
    const char *pool; /* whose backends */
    struct site_upload *uploads;
    size_t upload_count;
};

/* Files that the patch doesn't bring are those of the state before. */
static int uploads_keep(struct prior *prior, const struct site_state *old)
{
    const struct site_node *zones = state_section(old, ROOT_ZONES);

    prior->uploads = calloc(section_count(old, ROOT_ZONES) + (size_t)1, sizeof(*prior->uploads));
    if (!prior->uploads)
        return CULVERT_ENOMEM;
    NODE_EACH(zone, zones)
    {
        const struct site_node *file = node_field(zone, ZONE_FILE);

        if (file)
            prior->uploads[prior->upload_count++] = (struct site_upload){file->text, file->digest};
    }
    return 0;
}

static int uploads_read(struct prior *prior, const struct site_state *old)
{
    yyjson_val *files = yyjson_obj_get(prior->root, "files"), *name, *digest;
    size_t at, end;

    if (old && !files)
        return uploads_keep(prior, old);
    prior->uploads = calloc(yyjson_obj_size(files) + 1, sizeof(*prior->uploads));
    if (!prior->uploads)
        return CULVERT_ENOMEM;
    yyjson_obj_foreach (files, at, end, name, digest) {
        if (!yyjson_is_str(digest))
            return CULVERT_ECORRUPT;
        prior->uploads[prior->upload_count++] =
            (struct site_upload){yyjson_get_str(name), yyjson_get_str(digest)};
    }
    return 0;
}

/* `old`: of a patch; else NULL. */
static int prior_open(struct prior *prior, const struct site_state *old)
{
    int error = yyjson_is_obj(prior->root) ? uploads_read(prior, old) : CULVERT_ECORRUPT;

    if (error)
        return error;
    for (unsigned i = 0; i < SPACE_SECTIONS; i++)
        yyjson_obj_iter_init(yyjson_obj_get(prior->root, space_info[i].name), &prior->names[i]);
    yyjson_obj_iter_init(yyjson_obj_get(prior->root, "tables"), &prior->tables);
    return 0;
}

int prior_read(struct prior **out, const struct site_revision *revision)
{
    struct prior *prior = calloc(1, sizeof(*prior));
    int error;

    if (!prior)
        return CULVERT_ENOMEM;
    prior->doc = yyjson_read(revision->state, strlen(revision->state), 0);
    prior->root = yyjson_doc_get_root(prior->doc);
    error = prior_open(prior, NULL);
    if (error)
        prior_free(prior);
    else
        *out = prior;
    return error;
}

int prior_read_patch(struct prior **out, const char *patch, const struct site_state *old)
{
    struct prior *prior = calloc(1, sizeof(*prior));
    size_t length = strlen(patch);
    int error = CULVERT_ECORRUPT;

    if (!prior)
        return CULVERT_ENOMEM;
    /* Without YYJSON_READ_INSITU the text is not written to. */
    prior->patch =
        yyjson_read_opts((char *)(uintptr_t)patch, length, YYJSON_READ_NUMBER_AS_RAW, NULL, NULL);
    prior->doc = yyjson_read(patch, length, 0);
    prior->root = yyjson_obj_get(yyjson_doc_get_root(prior->doc), "state");
    if (yyjson_is_obj(prior_patch_site(prior)))
        error = prior_open(prior, old);
    if (error)
        prior_free(prior);
    else
        *out = prior;
    return error;
}

bool prior_is_patch(const struct prior *prior)
{
    return prior && prior->patch;
}

yyjson_val *prior_patch_site(const struct prior *prior)
{
    return yyjson_obj_get(yyjson_doc_get_root(prior->patch), "site");
}

bool prior_fits(const struct prior *prior, const char *member, const char *digest)
{
    return yyjson_equals_str(yyjson_obj_get(yyjson_doc_get_root(prior->patch), member), digest);
}

void prior_free(struct prior *prior)
{
    if (!prior)
        return;
    yyjson_doc_free(prior->doc);
    yyjson_doc_free(prior->patch);
    free(prior->uploads);
    free(prior);
}

const struct site_upload *prior_uploads(struct prior *prior, size_t *count)
{
    *count = prior->upload_count;
    return prior->uploads;
}

/* The value of a key; fast when keys are asked for in their order. */
static yyjson_val *iter_get(yyjson_obj_iter *iter, const char *key)
{
    return iter->obj ? yyjson_obj_iter_get(iter, key) : NULL;
}

bool prior_number(struct prior *prior, enum space space, const char *pool, const char *name,
                  uint32_t *number)
{
    yyjson_val *value;

    if (space != SPACE_BACKENDS) {
        value = iter_get(&prior->names[space], name);
    } else {
        if (!prior->pool || strcmp(prior->pool, pool)) {
            value = iter_get(&prior->tables, pool);
            yyjson_obj_iter_init(yyjson_obj_get(value, "backends"), &prior->backends);
            prior->pool = pool;
        }
        value = iter_get(&prior->backends, name);
    }
    if (!yyjson_is_uint(value) || yyjson_get_uint(value) >= space_info[space].end)
        return false;
    *number = (uint32_t)yyjson_get_uint(value);
    return true;
}

static bool parse_hex(const char *text, size_t digits, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < digits; i++) {
        char c = text[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;

        if (digit > 15)
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

bool prior_secrets(struct prior *prior, struct site_state *state)
{
    yyjson_val *key = yyjson_obj_get(prior->root, "dns-key");
    yyjson_val *seed = yyjson_obj_get(prior->root, "flow-seed");

    return yyjson_get_len(key) == 32 && yyjson_get_len(seed) == 16 &&
           parse_hex(yyjson_get_str(key), 16, &state->dns_key[0]) &&
           parse_hex(yyjson_get_str(key) + 16, 16, &state->dns_key[1]) &&
           parse_hex(yyjson_get_str(seed), 16, &state->flow_seed);
}

int prior_freed(struct prior *prior, enum space space, struct freed *freed)
{
    yyjson_val *list = yyjson_obj_get(yyjson_obj_get(prior->root, "freed"), space_info[space].name);
    yyjson_val *number;
    size_t at, end;

    freed->number = calloc(yyjson_arr_size(list) + 1, sizeof(*freed->number));
    if (!freed->number)
        return CULVERT_ENOMEM;
    yyjson_arr_foreach (list, at, end, number)
        if (yyjson_get_uint(number) < space_info[space].end)
            freed->number[freed->count++] = (uint32_t)yyjson_get_uint(number);
    return 0;
}

/* ---- tables as blobs: host byte order, which is little-endian ---- */

#define TABLE_MAGIC 0x54425643u /* "CVBT" */
struct table_head {
    uint32_t magic, log2, marked, zero;
};

int table_write(const struct bucket_table *table, void **data, size_t *length)
{
    size_t buckets = (size_t)1 << table->log2;
    struct table_head *head;
    char *bytes;

    *length = sizeof(*head) + buckets * (sizeof(uint32_t) + (table->until ? sizeof(int64_t) : 0));
    bytes = calloc(1, *length);
    if (!bytes)
        return CULVERT_ENOMEM;
    head = (struct table_head *)bytes;
    *head = (struct table_head){TABLE_MAGIC, table->log2, table->until != NULL, 0};
    memcpy(bytes + sizeof(*head), table->bucket, buckets * sizeof(uint32_t));
    if (table->until)
        memcpy(bytes + sizeof(*head) + buckets * sizeof(uint32_t), table->until,
               buckets * sizeof(int64_t));
    *data = bytes;
    return 0;
}

static bool table_read(const char *data, size_t length, struct bucket_table *table)
{
    struct table_head head;
    size_t buckets;

    if (length < sizeof(head))
        return false;
    memcpy(&head, data, sizeof(head));
    if (head.magic != TABLE_MAGIC || head.log2 < BUCKET_LOG2_MIN || head.log2 > BUCKET_LOG2_MAX ||
        head.marked > 1)
        return false;
    buckets = (size_t)1 << head.log2;
    if (length != sizeof(head) + buckets * (sizeof(uint32_t) + head.marked * sizeof(int64_t)))
        return false;
    table->log2 = head.log2;
    table->bucket = malloc(buckets * sizeof(uint32_t));
    if (head.marked)
        table->until = malloc(buckets * sizeof(int64_t));
    if (!table->bucket || (head.marked && !table->until)) {
        bucket_free(table);
        return false;
    }
    memcpy(table->bucket, data + sizeof(head), buckets * sizeof(uint32_t));
    if (head.marked)
        memcpy(table->until, data + sizeof(head) + buckets * sizeof(uint32_t),
               buckets * sizeof(int64_t));
    return true;
}

bool prior_table(struct prior *prior, struct site_blobs *blobs, const char *pool,
                 struct bucket_table *table, char digest[DIGEST_TEXT])
{
    yyjson_val *entry = iter_get(&prior->tables, pool);
    const char *name = yyjson_get_str(yyjson_obj_get(entry, "table"));
    const void *data;
    size_t length;
    bool good;

    *table = (struct bucket_table){0};
    if (!name || !digest_valid(name) || blobs->get(blobs, name, &data, &length))
        return false;
    good = table_read(data, length, table);
    blobs->release(blobs, data, length);
    memcpy(digest, name, DIGEST_TEXT);
    return good;
}

bool prior_pool_same(struct prior *prior, const struct site_node *pool,
                     const struct pool_state *state)
{
    yyjson_val *entry = iter_get(&prior->tables, pool->key);
    const char *digest = yyjson_get_str(yyjson_obj_get(entry, "table"));
    const struct site_node *backends = node_field(pool, POOL_BACKENDS);

    if (prior->patch && !entry)
        return true;
    if (!digest || !state->stored || strcmp(digest, state->digest) != 0)
        return false;
    for (uint32_t i = 0; i < state->count; i++) {
        uint32_t number;

        if (!prior_number(prior, SPACE_BACKENDS, pool->key, backends->child[i]->key, &number) ||
            number != state->backend[i])
            return false;
    }
    return true;
}
