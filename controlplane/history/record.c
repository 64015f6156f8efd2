/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values as they lie in the store. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/history/internal.h"

/* ---- keys ---- */

void key_revision(char key[KEY_MAX], uint64_t number)
{
    snprintf(key, KEY_MAX, PREFIX_REVISION "%020" PRIu64, number);
}

void key_patch(char key[KEY_MAX], uint64_t number)
{
    snprintf(key, KEY_MAX, PREFIX_PATCH "%020" PRIu64, number);
}

void key_blob(char key[KEY_MAX], const char *digest)
{
    snprintf(key, KEY_MAX, PREFIX_BLOB "%s", digest);
}

void key_chunk(char key[KEY_MAX], const char *digest, size_t chunk)
{
    snprintf(key, KEY_MAX, PREFIX_DATA "%s/%04zx", digest, chunk);
}

void key_audit(char key[KEY_MAX], struct history *history, int64_t time_ms)
{
    snprintf(key, KEY_MAX, PREFIX_AUDIT "%016" PRIx64 "-%016" PRIx64 "-%08x", (uint64_t)time_ms,
             history->node, history->audits++);
}

void key_behind(char key[KEY_MAX], const char *prefix)
{
    size_t length = strlen(prefix);

    snprintf(key, KEY_MAX, "%s", prefix);
    key[length - 1]++; /* '0' comes after '/' */
}

bool number_read(struct kv_slice value, uint64_t *number)
{
    char text[24];

    if (!value.length || value.length >= sizeof(text))
        return false;
    memcpy(text, value.data, value.length);
    text[value.length] = 0;
    return !units_parse_number(text, number);
}

/* ---- revisions ---- */

void revision_write(struct buffer *json, const struct site_revision *revision, const char *node,
                    const struct document_place *place)
{
    buffer_format(json, "{\"format\":2,\"revision\":%" PRIu64 ",\"time\":%" PRId64 ",\"author\":",
                  revision->number, revision->time_ms);
    buffer_json_text(json, revision->author ? revision->author : "");
    buffer_text(json, ",\"comment\":");
    buffer_json_text(json, revision->comment ? revision->comment : "");
    buffer_format(json, ",\"changes\":%" PRIu64 ",\"node\":", revision->changes);
    buffer_json_text(json, node);
    buffer_format(json, ",\"document\":\"%s\",\"whole\":%" PRIu64 ",\"patched\":%" PRIu64 "}",
                  place->digest, place->whole, place->patched);
}

static const char *text_of(yyjson_val *object, const char *key)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, key));

    return text ? text : "";
}

static yyjson_doc *parse(struct kv_slice json)
{
    return yyjson_read((const char *)json.data, json.length, 0);
}

static bool place_read(struct document_place *place, yyjson_val *root, uint64_t number)
{
    const char *digest = text_of(root, "document");

    if (!digest_valid(digest))
        return false;
    memcpy(place->digest, digest, DIGEST_TEXT);
    place->whole = yyjson_get_uint(yyjson_obj_get(root, "whole"));
    place->patched = yyjson_get_uint(yyjson_obj_get(root, "patched"));
    return place->whole && place->whole <= number && number - place->whole < PATCHES_MAX;
}

int revision_read(struct site_revision **out, struct kv_slice json, struct document_place *place)
{
    yyjson_doc *doc = parse(json);
    yyjson_val *root = yyjson_doc_get_root(doc);
    struct site_revision *revision = calloc(1, sizeof(*revision));
    int error = revision ? 0 : CULVERT_ENOMEM;

    if (!error) {
        revision->number = yyjson_get_uint(yyjson_obj_get(root, "revision"));
        revision->time_ms = yyjson_get_sint(yyjson_obj_get(root, "time"));
        revision->changes = yyjson_get_uint(yyjson_obj_get(root, "changes"));
        revision->author = strdup(text_of(root, "author"));
        revision->comment = strdup(text_of(root, "comment"));
        if (!revision->author || !revision->comment)
            error = CULVERT_ENOMEM;
        else if (yyjson_get_uint(yyjson_obj_get(root, "format")) != 2 ||
                 !place_read(place, root, revision->number))
            error = CULVERT_ECORRUPT;
    }
    yyjson_doc_free(doc);
    if (error)
        history_revision_free(revision);
    else
        *out = revision;
    return error;
}

void history_revision_free(struct site_revision *revision)
{
    if (!revision)
        return;
    for (size_t i = 0; i < revision->blob_count; i++)
        free((char *)revision->blobs[i]);
    free((void *)revision->blobs);
    free((char *)revision->author);
    free((char *)revision->comment);
    free((char *)revision->site);
    free((char *)revision->state);
    free((char *)revision->patch);
    free(revision);
}

/* ---- documents ---- */

#define LINE_STATE "],\n\"state\":"
#define LINE_SITE ",\n\"site\":"

void document_write(struct buffer *text, const struct site_revision *revision)
{
    buffer_text(text, "{\"blobs\":[");
    for (size_t i = 0; i < revision->blob_count; i++) {
        if (i)
            buffer_char(text, ',');
        buffer_json_text(text, revision->blobs[i]);
    }
    buffer_text(text, LINE_STATE);
    buffer_text(text, revision->state);
    buffer_text(text, LINE_SITE);
    buffer_text(text, revision->site);
    buffer_text(text, "}\n");
}

static int blobs_list(yyjson_val *list, char **names, size_t *count)
{
    yyjson_val *name;
    size_t at, end;

    yyjson_arr_foreach (list, at, end, name) {
        if (!yyjson_is_str(name) || !digest_valid(yyjson_get_str(name)))
            return CULVERT_ECORRUPT;
        names[at] = strdup(yyjson_get_str(name));
        if (!names[at])
            return CULVERT_ENOMEM;
        *count = at + 1;
    }
    return 0;
}

int document_blobs(const char *text, size_t length, char ***blobs, size_t *count)
{
    const char *line = memchr(text, '\n', length);
    yyjson_doc *doc = NULL;
    char *head = NULL;
    int error = CULVERT_ECORRUPT;

    *blobs = NULL;
    *count = 0;
    if (line && line > text) {
        head = strndup(text, (size_t)(line - text));
        error = head ? 0 : CULVERT_ENOMEM;
    }
    if (!error) {
        head[line - text - 1] = '}'; /* the line ends in a comma */
        doc = yyjson_read(head, (size_t)(line - text), 0);
        *blobs = calloc(yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(doc), "blobs")) + 1,
                        sizeof(**blobs));
        error = !doc ? CULVERT_ECORRUPT : !*blobs ? CULVERT_ENOMEM : 0;
    }
    if (!error)
        error = blobs_list(yyjson_obj_get(yyjson_doc_get_root(doc), "blobs"), *blobs, count);
    yyjson_doc_free(doc);
    free(head);
    return error; /* what was listed is the caller's also then */
}

int document_split(struct site_revision *revision, const char *text, size_t length)
{
    const char *state = memmem(text, length, LINE_STATE, sizeof(LINE_STATE) - 1), *site;
    size_t left;
    char **blobs;
    int error = document_blobs(text, length, &blobs, &revision->blob_count);

    revision->blobs = (const char *const *)blobs;
    if (error || !state)
        return error ? error : CULVERT_ECORRUPT;
    state += sizeof(LINE_STATE) - 1;
    left = length - (size_t)(state - text);
    site = memmem(state, left, LINE_SITE, sizeof(LINE_SITE) - 1);
    if (!site || length < 2 || memcmp(text + length - 2, "}\n", 2) != 0)
        return CULVERT_ECORRUPT;
    revision->state = strndup(state, (size_t)(site - state));
    site += sizeof(LINE_SITE) - 1;
    revision->site = strndup(site, length - (size_t)(site - text) - 2);
    return revision->state && revision->site ? 0 : CULVERT_ENOMEM;
}

/* ---- the rest ---- */

void pending_write(struct buffer *json, const struct history_pending *pending)
{
    buffer_format(json, "{\"revision\":%" PRIu64 ",\"back\":%" PRIu64 ",\"deadline\":%" PRId64 "}",
                  pending->revision, pending->back, pending->deadline_ms);
}

void pending_read(struct history_pending *pending, struct kv_slice json)
{
    yyjson_doc *doc = json.length ? parse(json) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);

    *pending =
        (struct history_pending){.revision = yyjson_get_uint(yyjson_obj_get(root, "revision")),
                                 .back = yyjson_get_uint(yyjson_obj_get(root, "back")),
                                 .deadline_ms = yyjson_get_sint(yyjson_obj_get(root, "deadline"))};
    yyjson_doc_free(doc);
}

void audit_write(struct buffer *json, const struct history_audit *audit)
{
    buffer_format(json,
                  "{\"time\":%" PRId64 ",\"revision\":%" PRIu64 ",\"author\":", audit->time_ms,
                  audit->revision);
    buffer_json_text(json, audit->author);
    buffer_text(json, ",\"comment\":");
    buffer_json_text(json, audit->comment);
    buffer_text(json, ",\"node\":");
    buffer_json_text(json, audit->node);
    if (audit->caller.user) {
        buffer_text(json, ",\"user\":");
        buffer_json_text(json, audit->caller.user);
        buffer_text(json, ",\"role\":");
        buffer_json_text(json, audit->caller.role);
        buffer_text(json, ",\"from\":");
        buffer_json_text(json, audit->caller.from);
    }
    buffer_text(json, ",\"what\":");
    buffer_json_text(json, audit->what);
    buffer_text(json, ",\"outcome\":");
    buffer_json_text(json, audit->outcome);
    buffer_char(json, '}');
}

bool audit_read(struct history_audit *audit, struct kv_slice json, yyjson_doc **doc)
{
    yyjson_val *root;

    *doc = parse(json);
    root = yyjson_doc_get_root(*doc);
    *audit = (struct history_audit){
        .time_ms = yyjson_get_sint(yyjson_obj_get(root, "time")),
        .revision = yyjson_get_uint(yyjson_obj_get(root, "revision")),
        .author = text_of(root, "author"),
        .comment = text_of(root, "comment"),
        .node = text_of(root, "node"),
        .caller = {.user = text_of(root, "user"),
                   .role = text_of(root, "role"),
                   .from = text_of(root, "from")},
        .what = text_of(root, "what"),
        .outcome = text_of(root, "outcome"),
    };
    return *doc;
}

void blob_head_write(uint8_t bytes[BLOB_HEAD_BYTES], const struct blob_head *head)
{
    uint64_t numbers[2] = {htobe64(head->length), htobe64((uint64_t)head->time_ms)};

    memcpy(bytes, numbers, sizeof(numbers));
    bytes[16] = head->whole;
}

bool blob_head_read(struct blob_head *head, struct kv_slice record, struct kv_slice *data)
{
    uint64_t numbers[2];

    if (record.length < BLOB_HEAD_BYTES)
        return false;
    memcpy(numbers, record.data, sizeof(numbers));
    *head = (struct blob_head){.length = be64toh(numbers[0]),
                               .time_ms = (int64_t)be64toh(numbers[1]),
                               .whole = record.data[16] == 1};
    *data = (struct kv_slice){record.data + BLOB_HEAD_BYTES, record.length - BLOB_HEAD_BYTES};
    return head->length <= HISTORY_BLOB_MAX;
}
