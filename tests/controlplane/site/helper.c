/* SPDX-License-Identifier: Apache-2.0 */
#include "helper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define REGION_BYTES ((size_t)64 << 20)

char *text_of(const char *format, ...)
{
    char *text;
    va_list args;

    va_start(args, format);
    assert_true(vasprintf(&text, format, args) >= 0);
    va_end(args);
    return text;
}

/* ---- what is stored ---- */

static const struct site_blob *blob_find(const struct rig *rig, const char *digest)
{
    for (size_t i = 0; i < rig->blob_count; i++)
        if (!strcmp(rig->blob[i].digest, digest))
            return &rig->blob[i];
    return NULL;
}

static int blob_get(struct site_blobs *blobs, const char *digest, const void **data, size_t *length)
{
    const struct site_blob *blob = blob_find((struct rig *)blobs, digest);

    if (!blob)
        return CULVERT_ENOTFOUND;
    *data = blob->data;
    *length = blob->length;
    return 0;
}

static void blob_release(struct site_blobs *blobs, const void *data, size_t length)
{
    (void)blobs;
    (void)data;
    (void)length;
}

static void blob_put(struct rig *rig, const void *data, size_t length)
{
    struct site_blob *blob = &rig->blob[rig->blob_count];
    void *copy = malloc(length + 1);

    assert_true(copy && rig->blob_count < RIG_BLOBS);
    memcpy(copy, data, length);
    assert_int_equal(digest_text(data, length, blob->digest), 0);
    if (blob_find(rig, blob->digest)) {
        free(copy);
        return;
    }
    blob->data = copy;
    blob->length = length;
    rig->blob_count++;
}

static void latest_free(struct rig *rig)
{
    free((char *)rig->latest.site);
    free((char *)rig->latest.state);
    free((char *)rig->latest.patch);
}

static void latest_set(struct rig *rig, const struct site_revision *revision)
{
    uint64_t number = rig->latest.number + 1;

    for (size_t i = 0; i < revision->blob_count; i++)
        assert_non_null(blob_find(rig, revision->blobs[i]));
    latest_free(rig);
    rig->latest = (struct site_revision){.number = number,
                                         .site = strdup(revision->site),
                                         .state = strdup(revision->state),
                                         .patch = revision->patch ? strdup(revision->patch) : NULL};
    assert_true(rig->latest.site && rig->latest.state);
}

static void rig_start(struct rig *rig)
{
    struct tables_options tables = {.size = REGION_BYTES};

    rig->size = REGION_BYTES;
    rig->region = mmap(NULL, rig->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(rig->region != MAP_FAILED);
    tables.base = rig->region;
    assert_int_equal(tables_open(&rig->tables, &tables), 0);
    assert_int_equal(site_engine_new(&rig->engine, rig->tables), 0);
}

static void rig_stop(struct rig *rig)
{
    site_engine_free(rig->engine);
    tables_close(rig->tables);
    munmap(rig->region, rig->size);
}

void rig_open(struct rig *rig)
{
    *rig = (struct rig){.blobs = {.get = blob_get, .release = blob_release}, .now = 1000000000000};
    rig_start(rig);
}

void rig_close(struct rig *rig)
{
    rig_stop(rig);
    latest_free(rig);
    for (size_t i = 0; i < rig->blob_count; i++)
        free((void *)rig->blob[i].data);
    site_errors_free(&rig->errors);
    for (size_t i = 0; i < rig->uploads; i++)
        free((void *)rig->upload[i].digest);
}

void rig_restart(struct rig *rig)
{
    rig_stop(rig);
    rig_start(rig);
    assert_int_equal(site_load(rig->engine, &rig->latest, &rig->blobs, ++rig->generation, rig->now,
                               &rig->errors),
                     0);
}

static void latest_take(struct rig *rig, const struct rig *from)
{
    for (size_t i = 0; i < from->blob_count; i++)
        blob_put(rig, from->blob[i].data, from->blob[i].length);
    latest_free(rig);
    rig->latest = (struct site_revision){.number = from->latest.number,
                                         .site = strdup(from->latest.site),
                                         .state = strdup(from->latest.state)};
    site_errors_free(&rig->errors);
}

size_t rig_adopt(struct rig *rig, struct rig *from)
{
    struct site_plan *plan;

    latest_take(rig, from);
    assert_int_equal(
        site_adopt(rig->engine, &rig->latest, &rig->blobs, rig->now, &plan, &rig->errors), 0);
    site_commit(rig->engine, plan, ++rig->generation, &rig->changes);
    return rig->changes.count;
}

int rig_patch(struct rig *rig, struct rig *from)
{
    struct site_revision patch = {.patch = from->latest.patch};
    struct site_plan *plan;
    int error;

    latest_take(rig, from);
    error = site_adopt(rig->engine, &patch, &rig->blobs, rig->now, &plan, &rig->errors);
    if (!error)
        site_commit(rig->engine, plan, ++rig->generation, &rig->changes);
    return error;
}

void rig_file(struct rig *rig, const char *name, const char *text)
{
    char *digest = calloc(1, DIGEST_TEXT);
    size_t at = 0;

    assert_non_null(digest);
    assert_int_equal(digest_text(text, strlen(text), digest), 0);
    blob_put(rig, text, strlen(text));
    while (at < rig->uploads && strcmp(rig->upload[at].name, name))
        at++;
    if (at < rig->uploads)
        free((void *)rig->upload[at].digest);
    else
        rig->uploads++;
    assert_true(rig->uploads <= 8);
    rig->upload[at] = (struct site_upload){name, digest};
}

int rig_apply(struct rig *rig, const char *text)
{
    struct site_source source = {.name = "site.yaml",
                                 .text = text,
                                 .length = strlen(text),
                                 .uploads = rig->upload,
                                 .upload_count = rig->uploads};
    const struct site_blob *blobs;
    struct site_plan *plan;
    size_t count;
    int error;

    site_errors_free(&rig->errors);
    rig->changes = (struct site_changes){0};
    error = site_prepare(rig->engine, &source, &rig->blobs, rig->now, &plan, &rig->errors);
    if (error)
        return error;
    if (!site_plan_changed(plan)) {
        site_abort(rig->engine, plan);
        return 0;
    }
    blobs = site_plan_blobs(plan, &count);
    for (size_t i = 0; i < count; i++)
        blob_put(rig, blobs[i].data, blobs[i].length);
    error = site_plan_whole(plan);
    if (error) {
        site_abort(rig->engine, plan);
        return error;
    }
    latest_set(rig, site_plan_revision(plan));
    site_commit(rig->engine, plan, ++rig->generation, &rig->changes);
    return 0;
}

size_t rig_good(struct rig *rig, const char *text)
{
    struct buffer errors = {0};
    int error = rig_apply(rig, text);

    if (error) {
        site_errors_text(&rig->errors, &errors);
        print_error("%s\n%s", culvert_strerror(error), errors.data ? errors.data : "");
        buffer_free(&errors);
    }
    assert_int_equal(error, 0);
    return rig->changes.count;
}

uint64_t rig_digest(const struct rig *rig)
{
    const uint64_t *parts = tables_digests(rig->tables);
    uint64_t sum = 0;

    for (unsigned i = 0; i < TABLES_PARTS; i++)
        sum = sum * 31 + parts[i];
    return sum;
}

const void *rig_entry(struct rig *rig, enum fp_kind kind, uint64_t a, uint64_t b, uint32_t c)
{
    struct fp_key key = {.a = a, .b = b, .c = c, .kind = kind};
    size_t length;

    return tables_get(rig->tables, &key, &length);
}

const void *rig_address(struct rig *rig, enum fp_kind kind, const char *address, uint32_t c)
{
    struct address parsed;
    uint64_t part[2];

    assert_int_equal(units_parse_address(address, &parsed), 0);
    memcpy(part, parsed.bytes, sizeof(part));
    return rig_entry(rig, kind, part[0], part[1], c);
}

const struct fp_vip *rig_vip(struct rig *rig, const char *address, unsigned protocol, unsigned port)
{
    return rig_address(rig, FP_KIND_VIP, address, protocol << 16 | port);
}

struct other {
    struct rig *rig;
    size_t differ;
};

static int equal_each(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct other *other = arg;
    size_t other_length;
    const void *same = tables_get(other->rig->tables, key, &other_length);

    other->differ += !same || other_length != length || memcmp(same, body, length);
    return 0;
}

void rig_check_equal(struct rig *rig, struct rig *follower)
{
    struct other other = {.rig = follower};
    struct tables_usage a, b;

    assert_int_equal(tables_each(rig->tables, FP_KIND_COUNT, equal_each, &other), 0);
    assert_int_equal(other.differ, 0);
    tables_usage(rig->tables, &a);
    tables_usage(follower->tables, &b);
    assert_int_equal(a.entries, b.entries);
    assert_int_equal(rig_digest(rig), rig_digest(follower));
}
