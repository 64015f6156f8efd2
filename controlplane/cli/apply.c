/* SPDX-License-Identifier: Apache-2.0 */
/* apply, diff and rollback: what changes the site. */
#include <string.h>

#include "controlplane/base/units.h"
#include "controlplane/cli/bundle.h"
#include "controlplane/cli/show.h"
#include "controlplane/cli/table.h"

/* Reads FILE, brings its zone files, and posts both to `target`. */
static int post_site(struct cli *cli, const char *target, yyjson_doc **doc)
{
    struct bundle_request request = {.target = target,
                                     .author = cli_option(cli, "author"),
                                     .comment = cli_option(cli, "comment"),
                                     .confirm = cli_option(cli, "confirm"),
                                     .if_revision = cli_option(cli, "if-revision"),
                                     .dry_run = cli_option(cli, "dry-run")};
    struct bundle bundle = {0};
    int code = bundle_read(cli->arguments[0], &bundle);

    *doc = NULL;
    if (!code)
        code = bundle_post(cli, &bundle, &request, doc);
    bundle_free(&bundle);
    return code;
}

static int check_revision(const char *text)
{
    uint64_t number;

    if (!text || !units_parse_number(text, &number))
        return CLI_OK;
    cli_error("a revision is a number, not `%s`: see `culvert history`", text);
    return CLI_USAGE;
}

static void print_deadline(yyjson_val *root, struct buffer *out)
{
    char when[TEXT_NUMBER];

    if (!yyjson_obj_get(root, "confirm_until"))
        return;
    text_time((int64_t)cli_number(root, "confirm_until"), when);
    buffer_format(out, "taken back at %s unless you `culvert confirm`\n", when);
}

int cli_print_applied(struct cli *cli, yyjson_doc *doc, bool dry)
{
    yyjson_val *root = yyjson_doc_get_root(doc), *diff = yyjson_obj_get(root, "diff");
    unsigned long long revision = cli_number(root, "revision");
    size_t changes = yyjson_arr_size(diff);
    struct buffer out = {0};

    if (cli_print_json(cli, doc))
        return CLI_OK;
    if (!yyjson_get_bool(yyjson_obj_get(root, "changed")))
        buffer_format(&out, "nothing changed: revision %llu is that already\n", revision);
    else if (dry)
        buffer_format(&out, "would change %zu %s of revision %llu:\n", changes,
                      changes == 1 ? "place" : "places", revision);
    else
        buffer_format(&out, "revision %llu: %zu %s\n", revision, changes,
                      changes == 1 ? "change" : "changes");
    print_deadline(root, &out);
    show_diff(diff, cli->color, 0, &out);
    return cli_print(&out);
}

int command_apply(struct cli *cli)
{
    yyjson_doc *doc;
    int code = check_revision(cli_option(cli, "if-revision"));

    if (!code)
        code = post_site(cli, "/v1/apply", &doc);
    if (code)
        return code;
    code = cli_print_applied(cli, doc, cli_option(cli, "dry-run"));
    yyjson_doc_free(doc);
    return code;
}

int command_diff(struct cli *cli)
{
    yyjson_doc *doc;
    struct buffer out = {0};
    int code = post_site(cli, "/v1/diff", &doc);

    if (code)
        return code;
    if (!cli_print_json(cli, doc)) {
        yyjson_val *root = yyjson_doc_get_root(doc), *diff = yyjson_obj_get(root, "diff");

        if (!yyjson_arr_size(diff))
            buffer_format(&out, "no difference from revision %llu\n",
                          (unsigned long long)cli_number(root, "revision"));
        show_diff(diff, cli->color, cli_width(), &out);
    }
    yyjson_doc_free(doc);
    return cli_print(&out);
}

int command_rollback(struct cli *cli)
{
    struct buffer body = {0};
    yyjson_doc *doc;
    int code = check_revision(cli->arguments[0]);

    if (code)
        return code;
    buffer_format(&body, "{\"revision\":%s", cli->arguments[0]);
    cli_add_member(&body, "author", cli_option(cli, "author"));
    cli_add_member(&body, "comment", cli_option(cli, "comment"));
    buffer_char(&body, '}');
    code = cli_post(cli, "/v1/rollback", &body, &doc);
    if (code)
        return code;
    code = cli_print_applied(cli, doc, false);
    yyjson_doc_free(doc);
    return code;
}

int command_confirm(struct cli *cli)
{
    struct buffer body = {0}, out = {0};
    yyjson_doc *doc;
    int code;

    buffer_char(&body, '{');
    cli_add_member(&body, "author", cli_option(cli, "author"));
    cli_add_member(&body, "comment", cli_option(cli, "comment"));
    buffer_char(&body, '}');
    code = cli_post(cli, "/v1/confirm", &body, &doc);
    if (code)
        return code;
    if (!cli_print_json(cli, doc))
        buffer_format(&out, "revision %llu stays\n",
                      (unsigned long long)cli_number(yyjson_doc_get_root(doc), "revision"));
    yyjson_doc_free(doc);
    return cli_print(&out);
}
