/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A revision's file: one JSON object, written in lines so that its head can be read alone.
 *
 *   {"format":1,"revision":3,"time":...,"author":"...","comment":"...","changes":1,
 *   "blobs":["SHA256",...],
 *   "state":{...},
 *   "site":{...},
 *   "digest":"SHA256 of every byte before this line"}
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/core/store_files.h"

#define DOCUMENT_FORMAT 1u
#define DIGEST_HEAD "\"digest\":\""
#define DIGEST_LINE (sizeof(DIGEST_HEAD) - 1 + DIGEST_TEXT - 1 + 3) /* and "}\n */
#define HEAD_MAX ((size_t)16 << 20)

void store_document_write(const struct store_revision *revision, struct buffer *text)
{
    char digest[DIGEST_TEXT];

    buffer_format(text, "{\"format\":%u,\"revision\":%" PRIu64 ",\"time\":%" PRId64 ",\"author\":",
                  DOCUMENT_FORMAT, revision->number, revision->time_ms);
    buffer_json_text(text, revision->author ? revision->author : "");
    buffer_text(text, ",\"comment\":");
    buffer_json_text(text, revision->comment ? revision->comment : "");
    buffer_format(text, ",\"changes\":%" PRIu64 ",\n\"blobs\":[", revision->changes);
    for (size_t i = 0; i < revision->blob_count; i++) {
        if (i)
            buffer_char(text, ',');
        buffer_json_text(text, revision->blobs[i]);
    }
    buffer_text(text, "],\n\"state\":");
    buffer_text(text, revision->state);
    buffer_text(text, ",\n\"site\":");
    buffer_text(text, revision->site);
    buffer_text(text, ",\n");
    if (text->error)
        return;
    if (digest_text(text->data, text->length, digest))
        text->error = CULVERT_ENOMEM;
    buffer_format(text, DIGEST_HEAD "%s\"}\n", digest);
}

static const char *string_of(yyjson_val *object, const char *key)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, key));

    return text ? text : "";
}

/* One allocation for the struct and its strings would save little; each is its own. */
static int revision_fill(struct store_revision *revision, yyjson_val *root)
{
    yyjson_val *blobs = yyjson_obj_get(root, "blobs"), *site = yyjson_obj_get(root, "site");
    size_t count = yyjson_arr_size(blobs), at, end;
    char **names;
    yyjson_val *name;

    revision->number = yyjson_get_uint(yyjson_obj_get(root, "revision"));
    revision->time_ms = yyjson_get_sint(yyjson_obj_get(root, "time"));
    revision->changes = yyjson_get_uint(yyjson_obj_get(root, "changes"));
    revision->author = strdup(string_of(root, "author"));
    revision->comment = strdup(string_of(root, "comment"));
    names = calloc(count + 1, sizeof(*names));
    revision->blobs = (const char *const *)names;
    if (!revision->author || !revision->comment || !names)
        return CULVERT_ENOMEM;
    yyjson_arr_foreach (blobs, at, end, name) {
        if (!yyjson_is_str(name) || !digest_valid(yyjson_get_str(name)))
            return CULVERT_ECORRUPT;
        names[at] = strdup(yyjson_get_str(name));
        if (!names[at])
            return CULVERT_ENOMEM;
        revision->blob_count = at + 1;
    }
    if (!site)
        return 0;
    revision->site = yyjson_val_write(site, 0, NULL);
    revision->state = yyjson_val_write(yyjson_obj_get(root, "state"), 0, NULL);
    return revision->site && revision->state ? 0 : CULVERT_ENOMEM;
}

static int revision_new(yyjson_val *root, struct store_revision **out)
{
    struct store_revision *revision = calloc(1, sizeof(*revision));
    int error = revision ? revision_fill(revision, root) : CULVERT_ENOMEM;

    if (error)
        store_revision_free(revision);
    else
        *out = revision;
    return error;
}

void store_revision_free(struct store_revision *revision)
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
    free(revision);
}

/* The digest line at the end matches what is before it. */
static const char *document_check(const char *text, size_t length)
{
    char digest[DIGEST_TEXT];
    const char *line;

    if (length < DIGEST_LINE + 2)
        return "it is cut short";
    line = text + length - DIGEST_LINE;
    if (memcmp(line, DIGEST_HEAD, sizeof(DIGEST_HEAD) - 1))
        return "it doesn't end with its digest";
    if (digest_text(text, length - DIGEST_LINE, digest))
        return "its digest can't be computed";
    if (memcmp(line + sizeof(DIGEST_HEAD) - 1, digest, DIGEST_TEXT - 1))
        return "its digest differs";
    return NULL;
}

int store_document_read(char *text, size_t length, struct store_revision **out, const char **why)
{
    yyjson_read_err problem;
    yyjson_doc *doc;
    yyjson_val *root;
    int error = CULVERT_ECORRUPT;

    *why = document_check(text, length);
    if (*why)
        return CULVERT_ECORRUPT;
    doc = yyjson_read_opts(text, length, 0, NULL, &problem);
    if (!doc) {
        *why = problem.msg;
        return problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? CULVERT_ENOMEM
                                                                   : CULVERT_ECORRUPT;
    }
    root = yyjson_doc_get_root(doc);
    if (yyjson_get_uint(yyjson_obj_get(root, "format")) != DOCUMENT_FORMAT)
        *why = "it is of another version";
    else if (!yyjson_is_obj(yyjson_obj_get(root, "site")) ||
             !yyjson_is_obj(yyjson_obj_get(root, "state")))
        *why = "site or state is missing";
    else if ((error = revision_new(root, out)))
        *why = culvert_strerror(error);
    yyjson_doc_free(doc);
    return error;
}

/* Reads until `lines` lines are there. */
static int head_read(int file, struct buffer *text, unsigned lines)
{
    for (;;) {
        size_t before = text->length;
        char *room = buffer_room(text, 4096), *newline;
        ssize_t got;

        if (!room)
            return text->error;
        got = read(file, room, 4096);
        if (got < 0)
            return file_error(errno);
        text->length = before + (size_t)got;
        for (char *at = room; (newline = memchr(at, '\n', (size_t)(room + got - at)));) {
            at = newline + 1;
            if (!--lines) {
                text->length = (size_t)(newline - text->data);
                return 0;
            }
        }
        if (!got)
            return CULVERT_ECORRUPT;
    }
}

int store_document_head(int folder, const char *name, bool blobs, struct store_revision **out)
{
    struct buffer text = {.bound = HEAD_MAX};
    int file = openat(folder, name, O_RDONLY | O_CLOEXEC), error;
    yyjson_doc *doc = NULL;

    if (file < 0)
        return file_error(errno);
    error = head_read(file, &text, blobs ? 2 : 1);
    close(file);
    if (!error && (!text.length || text.data[text.length - 1] != ','))
        error = CULVERT_ECORRUPT;
    if (!error) {
        text.data[text.length - 1] = '}';
        doc = yyjson_read(text.data, text.length, 0);
        error = doc ? revision_new(yyjson_doc_get_root(doc), out) : CULVERT_ECORRUPT;
        yyjson_doc_free(doc);
    }
    buffer_free(&text);
    return error;
}
