/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The site file: whatever the bytes, no crash; a good document's canonical JSON parses to the same
 * document and compiles into tables.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "controlplane/site/site.h"

#define REGION_BYTES ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct site *parse(const char *text, size_t length, bool must)
{
    struct site_source source = {.name = "fuzz", .text = text, .length = length};
    struct site_errors errors = {0};
    struct buffer out = {0};
    struct site *site;
    int error = site_parse(&site, &source, &errors);

    site_errors_json(&errors, &out);
    site_errors_text(&errors, &out);
    if ((must && error) || (error && !errors.count))
        abort();
    buffer_free(&out);
    site_errors_free(&errors);
    return error ? NULL : site;
}

static void compile(const char *text, size_t length)
{
    static void *region;
    struct tables_options options = {.size = REGION_BYTES};
    struct tables *tables;
    struct site_source source = {.name = "fuzz", .text = text, .length = length};
    struct site_errors errors = {0};
    struct site_changes changes;
    struct site_engine *engine;
    struct site_plan *plan;

    if (!region)
        region =
            mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    else
        madvise(region, REGION_BYTES, MADV_DONTNEED);
    options.base = region;
    if (region == MAP_FAILED || tables_open(&tables, &options) || site_engine_new(&engine, tables))
        abort();
    if (!site_prepare(engine, &source, NULL, 1, &plan, &errors))
        site_commit(engine, plan, 1, &changes);
    site_errors_free(&errors);
    site_engine_free(engine);
    tables_close(tables);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct site *site = parse((const char *)data, size, false), *again;
    struct buffer json = {0}, diff = {0};
    char **names;
    size_t count;

    if (!site_files((const char *)data, size, &names, &count)) {
        while (count--)
            free(names[count]);
        free(names);
    }
    if (!site)
        return 0;
    if (site_get(site, NULL, &json))
        abort();
    again = parse(json.data, json.length, true);
    if (site_diff(site, again, &diff))
        abort();
    compile(json.data, json.length);
    buffer_free(&json);
    buffer_free(&diff);
    site_free(again);
    site_free(site);
    return 0;
}
