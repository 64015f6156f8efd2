/* SPDX-License-Identifier: Apache-2.0 */
/* How long one changed backend takes among 1,000 virtual IPs and pools: parse, prepare, adopt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/site/engine.h"
#include "helper.h"

#define POOLS 1000
#define BACKENDS 10

static double clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static char *site_make(unsigned weight)
{
    struct buffer text = {0};

    buffer_text(&text, "site: bench\npools:\n");
    for (unsigned i = 0; i < POOLS; i++) {
        buffer_format(&text, "  p%u:\n    backends:\n", i);
        for (unsigned j = 0; j < BACKENDS; j++)
            buffer_format(&text, "      b%u: { address: 10.%u.%u.%u, weight: %u }\n", j, i / 250,
                          i % 250, j + 1, i == 500 && j == 5 ? weight : 100);
    }
    buffer_text(&text, "vips:\n");
    for (unsigned i = 0; i < POOLS; i++)
        buffer_format(&text, "  v%u: { address: 198.18.%u.%u, ports: [80, 443], pool: p%u }\n", i,
                      i / 250, i % 250 + 1, i);
    return buffer_take(&text);
}

static int compile_only(struct rig *rig, const char *text, double *ms)
{
    struct site_source source = {.name = "x", .text = text, .length = strlen(text)};
    struct compile compile = {.tables = rig->tables,
                              .reader = &rig->blobs,
                              .now = rig->now,
                              .old = rig->engine->state,
                              .new = state_new(),
                              .errors = &rig->errors};
    double start;
    int error = site_parse(&compile.new->site, &source, &rig->errors);

    tables_begin(rig->tables);
    start = clock_ms();
    if (!error)
        error = compile_run(&compile);
    *ms = clock_ms() - start;
    tables_abort(rig->tables);
    compile_end(&compile);
    state_free(compile.new);
    return error;
}

/* Whole, or by the patch. */
static double adopt_one(struct rig *follower, struct rig *maker, bool whole)
{
    struct site_revision revision = maker->latest;
    double start = clock_ms();
    struct site_plan *plan;

    if (!whole)
        revision.site = revision.state = NULL;
    if (site_adopt(follower->engine, &revision, &maker->blobs, follower->now, &plan,
                   &follower->errors))
        abort();
    site_commit(follower->engine, plan, ++follower->generation, &follower->changes);
    return clock_ms() - start;
}

int main(void)
{
    double start, compile[11], apply = 0, parse = 0, adopt[2] = {0};
    char *text = site_make(100), *other = site_make(50);
    struct rig rig, follower;

    rig_open(&rig);
    start = clock_ms();
    rig_good(&rig, text);
    printf("first apply           %8.2f ms, %zu entries\n", clock_ms() - start, rig.changes.count);
    for (unsigned i = 0; i < 11; i++)
        if (compile_only(&rig, other, &compile[i]))
            return 1;
    for (unsigned i = 0; i < 11; i++)
        printf("compile %u             %8.3f ms\n", i, compile[i]);
    for (unsigned i = 0; i < 10; i++) {
        struct site_source source = {.name = "x"};
        struct site_plan *plan;

        source.text = i % 2 ? text : other;
        source.length = strlen(source.text);
        start = clock_ms();
        if (site_prepare(rig.engine, &source, &rig.blobs, ++rig.now, &plan, &rig.errors))
            return 1;
        parse += clock_ms() - start;
        start = clock_ms();
        site_commit(rig.engine, plan, ++rig.generation, &rig.changes);
        apply += clock_ms() - start;
    }
    printf("prepare (with parse)  %8.2f ms\n"
           "commit                %8.3f ms, %zu changes\n",
           parse / 10, apply / 10, rig.changes.count);
    rig_open(&follower);
    rig_adopt(&follower, &rig);
    for (unsigned i = 0; i < 20; i++) {
        rig_good(&rig, i % 2 ? text : other);
        adopt[i / 10] += adopt_one(&follower, &rig, i < 10);
    }
    printf("adopt whole           %8.2f ms\n"
           "adopt the patch       %8.3f ms, %zu changes, %zu bytes\n",
           adopt[0] / 10, adopt[1] / 10, follower.changes.count, strlen(rig.latest.patch));
    rig_close(&follower);
    start = clock_ms();
    rig_restart(&rig);
    printf("restart and load      %8.2f ms\n", clock_ms() - start);
    free(text);
    free(other);
    rig_close(&rig);
    return 0;
}
