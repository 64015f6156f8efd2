/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: a committed state, and one plan at a time for the next one. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/errors.h"
#include "controlplane/site/parts.h"
#include "controlplane/site/patch.h"

int site_engine_new(struct site_engine **out, struct tables *tables)
{
    struct site_engine *engine = calloc(1, sizeof(*engine));

    if (!engine)
        return CULVERT_ENOMEM;
    engine->tables = tables;
    engine->deadline = -1;
    engine->state = state_new();
    if (!engine->state) {
        free(engine);
        return CULVERT_ENOMEM;
    }
    *out = engine;
    return 0;
}

void site_engine_free(struct site_engine *engine)
{
    if (!engine)
        return;
    site_abort(engine, engine->plan);
    engine_forget(engine);
    site_clean(engine);
    state_free(engine->state);
    free(engine->changes);
    free(engine);
}

/* ---- changes ---- */

static int change_note(void *arg, const struct fp_key *key)
{
    struct site_engine *engine = arg;

    engine->changes[engine->change_count++].key = *key;
    return 0;
}

static int change_count(void *arg, const struct fp_key *key)
{
    (void)key;
    ++*(size_t *)arg;
    return 0;
}

static int change_compare(const void *x, const void *y)
{
    return key_compare_any(&((const struct site_change *)x)->key,
                           &((const struct site_change *)y)->key);
}

static void changes_collect(struct site_engine *engine, struct site_changes *changes)
{
    size_t count = 0, length;

    free(engine->changes);
    engine->change_count = 0;
    tables_changes(engine->tables, change_count, &count);
    engine->changes =
        count > SITE_CHANGES_LISTED ? NULL : calloc(count + 1, sizeof(*engine->changes));
    if (engine->changes) {
        tables_changes(engine->tables, change_note, engine);
        qsort(engine->changes, engine->change_count, sizeof(*engine->changes), change_compare);
        for (size_t i = 0; i < engine->change_count; i++)
            engine->changes[i].deleted =
                !tables_get(engine->tables, &engine->changes[i].key, &length);
    }
    *changes = (struct site_changes){engine->changes, count};
}

/* ---- plans ---- */

static void plan_free(struct site_plan *plan)
{
    if (!plan)
        return;
    compile_end(&plan->compile);
    state_free(plan->compile.new);
    buffer_free(&plan->diff);
    buffer_free(&plan->patch);
    buffer_free(&plan->site_json);
    buffer_free(&plan->state_json);
    free(plan->blob_names);
    free(plan);
}

static struct site_plan *plan_new(struct site_engine *engine, const struct site_state *old,
                                  struct site_blobs *blobs, int64_t now, struct site_errors *errors)
{
    struct site_plan *plan = calloc(1, sizeof(*plan));

    if (!plan)
        return NULL;
    plan->compile = (struct compile){.tables = engine->tables,
                                     .reader = blobs,
                                     .now = now,
                                     .old = old,
                                     .new = state_new(),
                                     .errors = errors};
    if (!plan->compile.new) {
        free(plan);
        return NULL;
    }
    return plan;
}

/* Compiles in a transaction that is left open. */
static int plan_compile(struct site_plan *plan)
{
    struct compile *compile = &plan->compile;
    int error = tables_begin(compile->tables);

    if (error)
        return error;
    error = compile_run(compile);
    if (error)
        tables_abort(compile->tables);
    return error;
}

/* The patch, unless there is nothing before it or it is too large to be of use. */
static int plan_patch(struct site_plan *plan)
{
    int error;

    buffer_init(&plan->patch, SITE_PATCH_MAX);
    if (!plan->compile.old->site)
        return 0;
    error = patch_write(&plan->compile, &plan->patch);
    if (!error)
        plan->revision.patch = plan->patch.data;
    return error == CULVERT_EFULL ? 0 : error;
}

/* What is shown, and stored unless all of it has to be. */
static int plan_describe(struct site_plan *plan)
{
    struct compile *compile = &plan->compile;
    int paths = site_diff(compile->old->site, compile->new->site, &plan->diff);

    if (paths < 0 || !plan->changed)
        return paths < 0 ? paths : 0;
    plan->paths = (size_t)paths;
    plan->revision = (struct site_revision){.changes = plan->paths, .author = "", .comment = ""};
    return plan_patch(plan);
}

int site_plan_whole(struct site_plan *plan)
{
    struct site_state *new = plan->compile.new;
    size_t blobs;
    int error = site_get(new->site, NULL, &plan->site_json);

    if (!error)
        error = state_write(new, &plan->state_json, &plan->blob_names, &blobs);
    if (error)
        return error;
    plan->revision.site = plan->site_json.data;
    plan->revision.state = plan->state_json.data;
    plan->revision.blobs = plan->blob_names;
    plan->revision.blob_count = blobs;
    return 0;
}

static int plan_fill(struct site_plan *plan, const struct site_source *source)
{
    struct compile *compile = &plan->compile;
    int error = document_read(&compile->new->site, source, compile->errors);

    if (error == CULVERT_EREJECTED && compile->new->site)
        zones_verify(compile);
    if (error)
        return compile->error == CULVERT_ENOMEM ? compile->error : error;
    plan->changed =
        !compile->old->site || !node_equal(compile->old->site->root, compile->new->site->root);
    if (!plan->changed)
        return plan_describe(plan);
    error = plan_compile(plan);
    if (error)
        return error;
    error = plan_describe(plan);
    if (error)
        tables_abort(compile->tables);
    return error;
}

int site_prepare(struct site_engine *engine, const struct site_source *source,
                 struct site_blobs *blobs, int64_t now, struct site_plan **out,
                 struct site_errors *errors)
{
    struct site_plan *plan;
    int error;

    *out = NULL;
    if (engine->plan)
        return CULVERT_EBUSY;
    plan = plan_new(engine, engine->state, blobs, now, errors);
    if (!plan)
        return CULVERT_ENOMEM;
    error = plan_fill(plan, source);
    errors_sort(errors);
    if (error) {
        plan_free(plan);
        return error;
    }
    *out = engine->plan = plan;
    return 0;
}

bool site_plan_changed(const struct site_plan *plan)
{
    return plan->changed;
}

const char *site_plan_diff(const struct site_plan *plan, size_t *paths)
{
    *paths = plan->paths;
    return plan->diff.data;
}

struct site_revision *site_plan_revision(struct site_plan *plan)
{
    return &plan->revision;
}

const struct site_blob *site_plan_blobs(const struct site_plan *plan, size_t *count)
{
    *count = plan->compile.blob_count;
    return plan->compile.blobs;
}

const struct site *site_plan_site(const struct site_plan *plan)
{
    return plan->compile.new->site;
}

static void deadline_find(struct site_engine *engine)
{
    engine->deadline = -1;
    for (uint32_t i = 0; i < section_count(engine->state, ROOT_POOLS); i++) {
        int64_t first = bucket_deadline(&engine->state->pool[i]->table);

        if (first >= 0 && (engine->deadline < 0 || first < engine->deadline))
            engine->deadline = first;
    }
}

void site_clean(struct site_engine *engine)
{
    state_free(engine->before);
    engine->before = NULL;
}

static void state_replace(struct site_engine *engine, struct site_plan *plan)
{
    site_clean(engine);
    engine->before = engine->state;
    engine->state = plan->compile.new;
    plan->compile.new = NULL;
    engine->named = engine->listed = false;
    engine->plan = NULL;
    plan_free(plan);
    deadline_find(engine);
}

void site_commit(struct site_engine *engine, struct site_plan *plan, uint64_t generation,
                 struct site_changes *changes)
{
    int error;

    assert(plan && plan == engine->plan && plan->changed);
    error = tables_commit(engine->tables, generation);
    assert(!error); /* a commit has nothing that can fail */
    for (uint32_t i = 0; i < section_count(plan->compile.new, ROOT_POOLS); i++)
        plan->compile.new->pool[i]->stored = *plan->compile.new->pool[i]->digest;
    state_replace(engine, plan);
    changes_collect(engine, changes);
}

void site_abort(struct site_engine *engine, struct site_plan *plan)
{
    if (!plan)
        return;
    assert(plan == engine->plan);
    if (plan->changed)
        tables_abort(engine->tables);
    engine->plan = NULL;
    plan_free(plan);
}

/* ---- stored revisions ---- */

static int fill_whole(struct site_plan *plan, const struct site_revision *revision)
{
    struct compile *compile = &plan->compile;
    struct site_source source = {.name = "stored revision",
                                 .text = revision->site,
                                 .length = strlen(revision->site),
                                 .canonical = true};
    int error = prior_read(&compile->prior, revision);

    if (error)
        return error;
    source.uploads = prior_uploads(compile->prior, &source.upload_count);
    error = document_read(&compile->new->site, &source, compile->errors);
    return error ? error : plan_compile(plan);
}

/* Whoever made it has checked the document; that it is the same one is checked here. */
static int fill_patch(struct site_plan *plan, const struct site_revision *revision)
{
    struct compile *compile = &plan->compile;
    const struct site_upload *uploads;
    char content[CONTENT_TEXT], digest[DIGEST_TEXT];
    size_t count;
    int error = prior_read_patch(&compile->prior, revision->patch, compile->old);

    if (error)
        return error == CULVERT_ECORRUPT ? CULVERT_ECONFLICT : error;
    uploads = prior_uploads(compile->prior, &count);
    error = site_patched(&compile->new->site, compile->old->site, prior_patch_site(compile->prior),
                         uploads, count);
    if (error)
        return error;
    site_digest(compile->new->site, content);
    error =
        prior_fits(compile->prior, "document", content) ? plan_compile(plan) : CULVERT_ECONFLICT;
    if (error)
        return error;
    error = state_digest(compile->new, digest);
    if (!error && !prior_fits(compile->prior, "decided", digest))
        error = CULVERT_ECONFLICT;
    if (error)
        tables_abort(compile->tables);
    return error;
}

/* A plan for a stored revision over the state `old`. */
static int adopt_plan(struct site_engine *engine, const struct site_state *old,
                      const struct site_revision *revision, struct site_blobs *blobs, int64_t now,
                      struct site_errors *errors)
{
    struct site_plan *plan = plan_new(engine, old, blobs, now, errors);
    int error = CULVERT_ENOMEM;

    if (plan) {
        error = revision->site ? fill_whole(plan, revision) : fill_patch(plan, revision);
        prior_free(plan->compile.prior);
        plan->compile.prior = NULL;
    }
    errors_sort(errors);
    if (error) {
        plan_free(plan);
        return error;
    }
    plan->changed = true;
    plan->compile.old = engine->state;
    engine->plan = plan;
    return 0;
}

/* As from nothing, whatever was there: only what is stored counts. */
static int adopt_whole(struct site_engine *engine, const struct site_revision *revision,
                       struct site_blobs *blobs, int64_t now, struct site_errors *errors)
{
    struct site_state *empty = state_new();
    int error = empty ? adopt_plan(engine, empty, revision, blobs, now, errors) : CULVERT_ENOMEM;

    state_free(empty);
    return error;
}

int site_adopt(struct site_engine *engine, const struct site_revision *revision,
               struct site_blobs *blobs, int64_t now, struct site_plan **out,
               struct site_errors *errors)
{
    int error;

    *out = NULL;
    if (engine->plan)
        return CULVERT_EBUSY;
    if (!revision->site && !engine->state->site)
        return CULVERT_ECONFLICT;
    error = adopt_plan(engine, engine->state, revision, blobs, now, errors);
    if (error == CULVERT_ECONFLICT && revision->site)
        error = adopt_whole(engine, revision, blobs, now, errors);
    *out = engine->plan;
    return error;
}

int site_load(struct site_engine *engine, const struct site_revision *revision,
              struct site_blobs *blobs, uint64_t generation, int64_t now,
              struct site_errors *errors)
{
    struct site_changes changes;
    int error = engine->plan ? CULVERT_EBUSY : adopt_whole(engine, revision, blobs, now, errors);

    if (!error)
        site_commit(engine, engine->plan, generation, &changes);
    return error;
}

/* ---- marks ---- */

int64_t site_deadline(const struct site_engine *engine)
{
    return engine->deadline;
}

/* Puts the pools whose marks end as they will be. */
static int tick_put(struct site_engine *engine, int64_t now)
{
    struct compile compile = {.tables = engine->tables};

    for (uint32_t i = 0; i < section_count(engine->state, ROOT_POOLS) && !compile.error; i++) {
        const struct bucket_table *table = &engine->state->pool[i]->table;
        int64_t first = bucket_deadline(table);
        struct bucket_table later;

        if (first < 0 || first > now)
            continue;
        compile_fail(&compile, bucket_copy(&later, table));
        if (compile.error)
            break;
        bucket_expire(&later, now);
        pool_put(&compile, engine->state->number[SPACE_POOLS][i], &later);
        bucket_free(&later);
    }
    compile_end(&compile);
    return compile.error;
}

int site_tick(struct site_engine *engine, uint64_t generation, int64_t now,
              struct site_changes *changes)
{
    int error;

    *changes = (struct site_changes){0};
    if (engine->deadline < 0 || now < engine->deadline)
        return 0;
    if (engine->plan || tables_is_open(engine->tables))
        return CULVERT_EBUSY;
    error = tables_begin(engine->tables);
    if (error)
        return error;
    error = tick_put(engine, now);
    if (error) {
        tables_abort(engine->tables);
        return error;
    }
    error = tables_commit(engine->tables, generation);
    assert(!error);
    for (uint32_t i = 0; i < section_count(engine->state, ROOT_POOLS); i++)
        bucket_expire(&engine->state->pool[i]->table, now);
    deadline_find(engine);
    changes_collect(engine, changes);
    return (int)changes->count;
}
