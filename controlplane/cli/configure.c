/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of configuration mode. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/units.h"
#include "controlplane/cli/shell.h"

/* ---- paths ---- */

static int read_path(struct shell *shell, const struct shell_line *line,
                     struct candidate_path *path)
{
    return candidate_path(&shell->candidate, &shell->above, line->word + 1, line->count - 1, path);
}

/* The same where nothing may be behind the path. */
static int read_only_path(struct shell *shell, const struct shell_line *line,
                          struct candidate_path *path)
{
    int code = read_path(shell, line, path);

    if (!code && path->used < line->count - 1) {
        cli_error("%s takes a path and no value, not `%s`", line->word[0],
                  line->word[1 + path->used]);
        code = CLI_USAGE;
    }
    return code;
}

static int run_set(struct shell *shell, const struct shell_line *line)
{
    struct candidate_path path;
    int code = read_path(shell, line, &path);

    if (code)
        return code;
    /* As it was typed: quotes and brackets are the value's. */
    return candidate_set(&shell->candidate, &path,
                         path.used + 1 < line->count ? line->raw + line->start[path.used + 1]
                                                     : NULL);
}

static int run_delete(struct shell *shell, const struct shell_line *line)
{
    struct candidate_path path;
    int code = read_only_path(shell, line, &path);

    return code ? code : candidate_delete(&shell->candidate, &path);
}

static int show(struct shell *shell, void *arg)
{
    const struct candidate_path *path = arg;
    struct buffer out = {.bound = SITE_TEXT_MAX}, problem = {0};
    const struct candidate *candidate = &shell->candidate;

    if (!path->path.count)
        buffer_add(&out, candidate->text, candidate->length);
    else if (site_edit_show(candidate->text, candidate->length, &path->path, &out, &problem)) {
        cli_error("%s", problem.length ? problem.data : culvert_strerror(CULVERT_ENOMEM));
        buffer_free(&problem);
        buffer_free(&out);
        return CLI_FAILED;
    }
    return cli_print(&out);
}

static int run_show(struct shell *shell, const struct shell_line *line)
{
    struct candidate_path path;
    int code = read_only_path(shell, line, &path);

    return code ? code : shell_run_function(shell, show, &path);
}

/* Makes a path the one that others are below; its words are copied. */
static int go_to(struct shell *shell, const struct site_path *path)
{
    struct buffer text = {.bound = SITE_PATH_TEXT};
    size_t start[SITE_PATH_WORDS];

    for (size_t i = 0; i < path->count; i++) {
        start[i] = text.length;
        buffer_add(&text, path->word[i], strlen(path->word[i]) + 1);
    }
    if (text.error) {
        cli_error("the path is too long");
        buffer_free(&text);
        return CLI_FAILED;
    }
    if (text.length)
        memcpy(shell->above_text, text.data, text.length);
    buffer_free(&text);
    shell->above.count = path->count;
    for (size_t i = 0; i < path->count; i++)
        shell->above.word[i] = shell->above_text + start[i];
    return CLI_OK;
}

static int run_edit(struct shell *shell, const struct shell_line *line)
{
    struct candidate_path path;
    int code = read_only_path(shell, line, &path);

    if (!code && path.place == SITE_PLACE_VALUE) {
        cli_error("%s has nothing below it: `set` changes it", line->word[line->count - 1]);
        code = CLI_USAGE;
    }
    return code ? code : go_to(shell, &path.path);
}

static int run_up(struct shell *shell, const struct shell_line *line)
{
    (void)line;
    shell->above.count -= shell->above.count > 0;
    return CLI_OK;
}

static int run_top(struct shell *shell, const struct shell_line *line)
{
    (void)line;
    shell->above.count = 0;
    return CLI_OK;
}

/* ---- the whole ---- */

static int compare(struct shell *shell, void *arg)
{
    (void)arg;
    shell->cli->client.fd = -1; /* a connection of its own */
    return candidate_compare(shell->cli, &shell->candidate);
}

static int run_compare(struct shell *shell, const struct shell_line *line)
{
    (void)line;
    client_close(&shell->cli->client);
    return shell_run_function(shell, compare, NULL);
}

static int run_check(struct shell *shell, const struct shell_line *line)
{
    struct candidate_commit commit = {.dry_run = true};

    (void)line;
    return candidate_commit(shell->cli, &shell->candidate, &commit);
}

/* "5" or "5m" as a time. */
static const char *read_minutes(const char *text, char time[24])
{
    uint64_t number;

    if (units_parse_number(text, &number))
        return text;
    snprintf(time, 24, "%llum", (unsigned long long)number);
    return time;
}

static int run_commit(struct shell *shell, const struct shell_line *line)
{
    struct candidate_commit commit = {0};
    char time[24];

    if (line->count == 2 && !strcmp(line->word[1], "check"))
        return run_check(shell, line);
    for (size_t i = 1; i < line->count; i++) {
        bool more = i + 1 < line->count;

        if (!strcmp(line->word[i], "force")) {
            commit.force = true;
        } else if (more && !strcmp(line->word[i], "confirm")) {
            commit.confirm = read_minutes(line->word[++i], time);
        } else if (more && !strcmp(line->word[i], "comment")) {
            commit.comment = line->word[++i];
        } else {
            cli_error(
                "usage: commit [check] [force] [confirm MINUTES] [comment \"TEXT\"], not `%s`",
                line->word[i]);
            return CLI_USAGE;
        }
    }
    if (!candidate_is_changed(&shell->candidate) && !commit.force) {
        printf("nothing was changed\n");
        return CLI_OK;
    }
    return candidate_commit(shell->cli, &shell->candidate, &commit);
}

static int run_confirm(struct shell *shell, const struct shell_line *line)
{
    return shell_run(shell, line, 0);
}

static int run_rollback(struct shell *shell, const struct shell_line *line)
{
    uint64_t number;

    if (units_parse_number(line->word[1], &number)) {
        cli_error("a revision is a number, not `%s`: see `run history`", line->word[1]);
        return CLI_USAGE;
    }
    return number ? candidate_take(shell->cli, &shell->candidate, number)
                  : candidate_run(shell->cli, &shell->candidate);
}

static int run_discard(struct shell *shell, const struct shell_line *line)
{
    (void)line;
    return candidate_run(shell->cli, &shell->candidate);
}

static int run_load(struct shell *shell, const struct shell_line *line)
{
    return candidate_load(&shell->candidate, line->word[1]);
}

static int run_save(struct shell *shell, const struct shell_line *line)
{
    int error = file_write(AT_FDCWD, line->word[1], shell->candidate.text, shell->candidate.length);

    if (error)
        cli_error("%s: %s", line->word[1], culvert_strerror(error));
    return error ? CLI_FAILED : CLI_OK;
}

static int run_outside(struct shell *shell, const struct shell_line *line)
{
    return shell_run(shell, line, 1);
}

static int run_exit(struct shell *shell, const struct shell_line *line)
{
    if (line->count > 1 && strcmp(line->word[1], "discard") != 0) {
        cli_error("usage: exit [discard]");
        return CLI_USAGE;
    }
    return shell_leave(shell, line->count > 1);
}

static int run_help(struct shell *shell, const struct shell_line *line)
{
    (void)line;
    return shell_help(shell);
}

#define MANY SHELL_WORDS_MAX
const struct shell_command configure_commands[] = {
    {"set", "PATH... VALUE", "set a value: set pools web drain 30s", 1, MANY, WORDS_PATH, run_set},
    {"delete", "PATH...", "take out what is at the path", 1, MANY, WORDS_PATH, run_delete},
    {"show", "[PATH...]", "the candidate, or what is at the path", 0, MANY, WORDS_PATH, run_show},
    {"edit", "PATH...", "paths are below this one from now on", 1, MANY, WORDS_PATH, run_edit},
    {"up", "", "one word up", 0, 0, WORDS_NONE, run_up},
    {"top", "", "all the way up", 0, 0, WORDS_NONE, run_top},
    {"compare", "", "what differs from the running site", 0, 0, WORDS_NONE, run_compare},
    {"check", "", "what a commit would say", 0, 0, WORDS_NONE, run_check},
    {"commit", "[OPTION...]", "make it the site: confirm MINUTES, comment \"WHY\", force", 0, MANY,
     WORDS_COMMIT, run_commit},
    {"confirm", "", "keep what `commit confirm` made", 0, 0, WORDS_NONE, run_confirm},
    {"rollback", "N", "the candidate becomes revision N; 0: the running one", 1, 1, WORDS_REVISION,
     run_rollback},
    {"discard", "", "begin again from the running site", 0, 0, WORDS_NONE, run_discard},
    {"load", "FILE", "the candidate becomes the site file", 1, 1, WORDS_FILE, run_load},
    {"save", "FILE", "write it as a site file", 1, 1, WORDS_FILE, run_save},
    {"run", "COMMAND...", "a command from outside of `configure`", 1, MANY, WORDS_COMMAND,
     run_outside},
    {"exit", "[discard]", "leave; discard: without asking", 0, 1, WORDS_DISCARD, run_exit},
    {"help", "", "this list", 0, 0, WORDS_NONE, run_help},
    {0}};
