/* SPDX-License-Identifier: Apache-2.0 */
/* set and delete: one change of the running site, one revision. */
#include "controlplane/base/error.h"
#include "controlplane/cli/candidate.h"

/* Commits what was changed, unless the site has a newer revision by then. */
static int commit(struct cli *cli, struct candidate *candidate)
{
    struct candidate_commit commit = {.author = cli_option(cli, "author"),
                                      .comment = cli_option(cli, "comment"),
                                      .confirm = cli_option(cli, "confirm"),
                                      .dry_run = cli_option(cli, "dry-run")};

    return candidate_commit(cli, candidate, &commit);
}

/* The words behind the path, as one value; NULL: there are none. */
static int join_value(struct cli *cli, size_t from, struct buffer *value)
{
    for (size_t i = from; i < cli->argument_count; i++)
        buffer_format(value, "%s%s", i > from ? " " : "", cli->arguments[i]);
    if (value->error)
        cli_error("%s", culvert_strerror(value->error));
    return value->error ? CLI_FAILED : CLI_OK;
}

static int change(struct cli *cli, bool deletes)
{
    struct candidate candidate = {0};
    const struct site_path top = {0};
    struct candidate_path path;
    struct buffer value = {0};
    int code = candidate_run(cli, &candidate);

    if (!code)
        code = candidate_path(&candidate, &top, cli->arguments, cli->argument_count, &path);
    if (!code && deletes && path.used < cli->argument_count) {
        cli_error("delete takes a path and no value, not `%s`", cli->arguments[path.used]);
        code = CLI_USAGE;
    }
    if (!code)
        code = join_value(cli, path.used, &value);
    if (!code)
        code = deletes ? candidate_delete(&candidate, &path)
                       : candidate_set(&candidate, &path, value.data);
    if (!code)
        code = commit(cli, &candidate);
    buffer_free(&value);
    candidate_free(&candidate);
    return code;
}

int command_set(struct cli *cli)
{
    return change(cli, false);
}

int command_delete(struct cli *cli)
{
    return change(cli, true);
}
