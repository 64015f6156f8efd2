/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/candidate.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/bundle.h"
#include "controlplane/cli/show.h"

void candidate_free(struct candidate *candidate)
{
    free(candidate->text);
    free(candidate->before);
    free(candidate->beside);
    yyjson_doc_free(candidate->doc);
    *candidate = (struct candidate){0};
}

bool candidate_is_changed(const struct candidate *candidate)
{
    return candidate->loaded ||
           (candidate->text && strcmp(candidate->text, candidate->before) != 0);
}

/* ---- where its text comes from ---- */

/* Gives it a text that was just made, which is then the candidate's. */
static int take_text(struct candidate *candidate, struct buffer *text)
{
    size_t length = text->length;
    char *taken = buffer_take(text);

    if (!taken) {
        cli_error("%s", culvert_strerror(text->error ? text->error : CULVERT_ENOMEM));
        buffer_free(text);
        return CLI_FAILED;
    }
    free(candidate->text);
    candidate->text = taken;
    candidate->length = length;
    return CLI_OK;
}

static int take_answer(struct candidate *candidate, yyjson_doc *doc, const char *name)
{
    struct buffer text = {.bound = SITE_TEXT_MAX};
    int code;

    show_yaml(yyjson_obj_get(yyjson_doc_get_root(doc), name), &text);
    code = take_text(candidate, &text);
    if (code) {
        yyjson_doc_free(doc);
        return code;
    }
    yyjson_doc_free(candidate->doc);
    candidate->doc = doc;
    candidate->files = yyjson_obj_get(yyjson_doc_get_root(doc), "files");
    free(candidate->beside);
    candidate->beside = NULL;
    candidate->loaded = false;
    return CLI_OK;
}

/* What it is now is what the revision is. */
static int settle(struct candidate *candidate, uint64_t revision)
{
    char *before = strdup(candidate->text);

    if (!before) {
        cli_error("%s", culvert_strerror(CULVERT_ENOMEM));
        return CLI_FAILED;
    }
    free(candidate->before);
    candidate->before = before;
    candidate->revision = revision;
    candidate->loaded = false;
    return CLI_OK;
}

int candidate_run(struct cli *cli, struct candidate *candidate)
{
    yyjson_doc *doc;
    int code = cli_call(cli, "GET", "/v1/site", NULL, 0, &doc);
    uint64_t revision;

    if (code)
        return code;
    revision = cli_number(yyjson_doc_get_root(doc), "revision");
    code = take_answer(candidate, doc, "value");
    return code ? code : settle(candidate, revision);
}

int candidate_take(struct cli *cli, struct candidate *candidate, uint64_t number)
{
    char target[48];
    yyjson_doc *doc;
    int code;

    snprintf(target, sizeof(target), "/v1/revisions/%llu", (unsigned long long)number);
    code = cli_call(cli, "GET", target, NULL, 0, &doc);
    return code ? code : take_answer(candidate, doc, "site");
}

int candidate_load(struct candidate *candidate, const char *path)
{
    struct bundle bundle = {0};
    char *beside = strdup(path);
    int code = beside ? bundle_read(path, &bundle) : CLI_FAILED;

    if (!code && strlen(bundle.text) != bundle.length) {
        cli_error("%s: a NUL character: is it a text?", path);
        code = CLI_FAILED;
    }
    if (code) {
        free(beside);
        bundle_free(&bundle);
        return code;
    }
    free(candidate->text);
    candidate->text = bundle.text;
    candidate->length = bundle.length;
    bundle.text = NULL;
    bundle_free(&bundle);
    free(candidate->beside);
    candidate->beside = beside;
    candidate->loaded = true;
    candidate->files = NULL; /* those that the file names are read anew */
    return CLI_OK;
}

/* ---- changing it ---- */

/* Prints a line of the site library's. The exit code. */
static int refuse(int error, struct buffer *problem)
{
    if (error)
        cli_error("%s", problem->length ? problem->data : culvert_strerror(error));
    buffer_free(problem);
    return error ? CLI_FAILED : CLI_OK;
}

int candidate_path(const struct candidate *candidate, const struct site_path *above,
                   const char *const *words, size_t count, struct candidate_path *out)
{
    const char *all[2 * SITE_PATH_WORDS + 1];
    struct buffer problem = {0};
    struct site_path first = *above;
    size_t have, skipped = 0;
    int error = 0;

    if (count && !above->count && strchr(words[0], '.')) {
        error = site_path_split(candidate->text, candidate->length, words[0], out->copy, &first);
        skipped = 1;
        if (error)
            buffer_format(&problem, "%s is no path", words[0]);
    }
    have = first.count;
    memcpy(all, first.word, have * sizeof(*all));
    for (size_t i = skipped; i < count && have < 2 * SITE_PATH_WORDS; i++)
        all[have++] = words[i];
    if (!error)
        error = site_path_walk(all, have, &out->path, &out->place, &problem);
    if (!error && out->path.count < first.count) {
        buffer_format(&problem, "%s takes a value and has nothing below it",
                      out->path.word[out->path.count - 1]);
        error = CULVERT_EREJECTED;
    }
    out->used = error ? 0 : out->path.count - first.count + skipped;
    return refuse(error, &problem);
}

/* What is set when nothing was typed behind the path. */
static int imply_value(const struct candidate *candidate, const struct candidate_path *path,
                       const char **value)
{
    struct buffer shown = {0}, problem = {0};
    int error;

    if (path->place == SITE_PLACE_VALUE || !path->path.count) {
        cli_error("a value is missing behind %s",
                  path->path.count ? path->path.word[path->path.count - 1] : "the path");
        return CLI_FAILED;
    }
    error = site_edit_show(candidate->text, candidate->length, &path->path, &shown, &problem);
    buffer_free(&shown);
    buffer_free(&problem);
    *value = error ? "{}" : NULL; /* what is there stays */
    return CLI_OK;
}

int candidate_set(struct candidate *candidate, const struct candidate_path *path, const char *value)
{
    struct buffer text = {.bound = SITE_TEXT_MAX}, problem = {0};
    int error;

    if (!value) {
        int code = imply_value(candidate, path, &value);

        if (code || !value)
            return code;
    }
    error = site_value_check(&path->path, value, &problem);
    if (!error)
        error =
            site_edit_set(candidate->text, candidate->length, &path->path, value, &text, &problem);
    if (!error)
        return take_text(candidate, &text);
    buffer_free(&text);
    return refuse(error, &problem);
}

int candidate_delete(struct candidate *candidate, const struct candidate_path *path)
{
    struct buffer text = {.bound = SITE_TEXT_MAX}, problem = {0};
    int error = site_edit_delete(candidate->text, candidate->length, &path->path, &text, &problem);

    if (!error)
        return take_text(candidate, &text);
    buffer_free(&text);
    return refuse(error, &problem);
}

/* ---- sending it ---- */

/* The request's bundle, with the candidate's own text. */
static struct bundle bundle_of(struct candidate *candidate)
{
    return (struct bundle){.name = "candidate",
                           .beside = candidate->beside,
                           .known = candidate->files,
                           .text = candidate->text,
                           .length = candidate->length};
}

static int post(struct cli *cli, struct candidate *candidate, const struct bundle_request *request,
                yyjson_doc **doc)
{
    struct bundle bundle = bundle_of(candidate);
    int code = bundle_post(cli, &bundle, request, doc);

    bundle.text = NULL; /* stays the candidate's */
    bundle_free(&bundle);
    return code;
}

/* After a refusal: says who was quicker, if that is why. */
static void tell_newer(struct cli *cli, const struct candidate *candidate)
{
    yyjson_doc *doc;
    yyjson_val *newest;
    struct buffer text = {0};

    if (cli_call(cli, "GET", "/v1/history", NULL, 0, &doc))
        return;
    newest = yyjson_arr_get_first(yyjson_obj_get(yyjson_doc_get_root(doc), "revisions"));
    if (cli_number(newest, "revision") > candidate->revision) {
        buffer_format(&text, "revision %llu was made meanwhile, by ",
                      (unsigned long long)cli_number(newest, "revision"));
        show_clean(cli_text(newest, "author"), &text);
        buffer_text(&text, ": `compare` shows what a commit would undo of it, `rollback 0` begins "
                           "again from it, `commit force` goes over it");
        cli_error("%s", text.error ? culvert_strerror(text.error) : text.data);
    }
    buffer_free(&text);
    yyjson_doc_free(doc);
}

/* What was committed is what is running: zone files that were brought are known from now on. */
static int commit_done(struct cli *cli, struct candidate *candidate, uint64_t revision)
{
    yyjson_doc *doc;
    int code = settle(candidate, revision);

    if (code || cli_call(cli, "GET", "/v1/site", NULL, 0, &doc))
        return code;
    if (cli_number(yyjson_doc_get_root(doc), "revision") != revision) {
        yyjson_doc_free(doc);
        return code;
    }
    yyjson_doc_free(candidate->doc);
    candidate->doc = doc;
    candidate->files = yyjson_obj_get(yyjson_doc_get_root(doc), "files");
    return code;
}

int candidate_commit(struct cli *cli, struct candidate *candidate,
                     const struct candidate_commit *commit)
{
    struct bundle_request request = {.target = "/v1/apply",
                                     .author = commit->author,
                                     .comment = commit->comment,
                                     .confirm = commit->confirm,
                                     .dry_run = commit->dry_run};
    char revision[24];
    yyjson_doc *doc;
    int code;

    snprintf(revision, sizeof(revision), "%llu", (unsigned long long)candidate->revision);
    if (!commit->force && !commit->dry_run)
        request.if_revision = revision;
    code = post(cli, candidate, &request, &doc);
    if (code) {
        if (request.if_revision)
            tell_newer(cli, candidate);
        return code;
    }
    code = cli_print_applied(cli, doc, commit->dry_run);
    if (!commit->dry_run &&
        commit_done(cli, candidate, cli_number(yyjson_doc_get_root(doc), "revision")))
        code = CLI_FAILED;
    yyjson_doc_free(doc);
    return code;
}

int candidate_compare(struct cli *cli, struct candidate *candidate)
{
    struct bundle_request request = {.target = "/v1/diff"};
    struct buffer out = {0};
    yyjson_val *root, *diff;
    yyjson_doc *doc;
    int code = post(cli, candidate, &request, &doc);

    if (code)
        return code;
    root = yyjson_doc_get_root(doc);
    diff = yyjson_obj_get(root, "diff");
    if (!yyjson_arr_size(diff))
        buffer_format(&out, "no difference from revision %llu\n",
                      (unsigned long long)cli_number(root, "revision"));
    show_diff(diff, cli->color, cli_width(), &out);
    yyjson_doc_free(doc);
    return cli_print(&out);
}
