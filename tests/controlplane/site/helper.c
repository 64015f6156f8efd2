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

static void rig_start(struct rig *rig)
{
    struct store_options options = {.folder = rig->folder};
    struct tables_options tables = {.size = REGION_BYTES};
    struct site_engine_options engine = {0};

    assert_int_equal(store_open(&rig->store, &options, NULL), 0);
    rig->size = REGION_BYTES;
    rig->region = mmap(NULL, rig->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(rig->region != MAP_FAILED);
    tables.base = rig->region;
    assert_int_equal(tables_open(&rig->tables, &tables), 0);
    engine.tables = rig->tables;
    engine.store = rig->store;
    assert_int_equal(site_engine_new(&rig->engine, &engine), 0);
}

static void rig_stop(struct rig *rig)
{
    site_engine_free(rig->engine);
    tables_close(rig->tables);
    munmap(rig->region, rig->size);
    store_close(rig->store);
}

void rig_open(struct rig *rig)
{
    *rig = (struct rig){.now = 1000000000000};
    strcpy(rig->folder, "/tmp/culvert-site-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    rig_start(rig);
}

void rig_close(struct rig *rig)
{
    char *command = text_of("rm -rf %s", rig->folder);

    rig_stop(rig);
    site_errors_free(&rig->errors);
    for (size_t i = 0; i < rig->uploads; i++)
        free((void *)rig->upload[i].digest);
    assert_int_equal(system(command), 0);
    free(command);
}

void rig_restart(struct rig *rig)
{
    struct store_revision *revision;

    rig_stop(rig);
    rig_start(rig);
    assert_int_equal(store_get(rig->store, 0, &revision), 0);
    assert_int_equal(site_load(rig->engine, revision, ++rig->generation, rig->now, &rig->errors),
                     0);
    store_revision_free(revision);
}

void rig_file(struct rig *rig, const char *name, const char *text)
{
    char *digest = calloc(1, DIGEST_TEXT);
    size_t at = 0;

    assert_non_null(digest);
    assert_int_equal(digest_text(text, strlen(text), digest), 0);
    assert_int_equal(store_blob_put(rig->store, digest, text, strlen(text)), 0);
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
    const struct store_blob *blobs;
    struct site_plan *plan;
    size_t count;
    int error;

    site_errors_free(&rig->errors);
    rig->changes = (struct site_changes){0};
    error = site_prepare(rig->engine, &source, rig->now, &plan, &rig->errors);
    if (error)
        return error;
    if (!site_plan_changed(plan)) {
        site_abort(rig->engine, plan);
        return 0;
    }
    blobs = site_plan_blobs(plan, &count);
    site_plan_revision(plan)->time_ms = rig->now;
    error = store_append(rig->store, site_plan_revision(plan), blobs, count);
    if (error) {
        site_abort(rig->engine, plan);
        return error;
    }
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
