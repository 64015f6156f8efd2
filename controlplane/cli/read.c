/* SPDX-License-Identifier: Apache-2.0 */
/* get, history, version, help: what only reads. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/units.h"
#include "controlplane/cli/command.h"
#include "controlplane/cli/show.h"
#include "controlplane/cli/table.h"

/* Appends a query value, percent-encoded (RFC 3986 section 2.3). */
static void add_encoded(struct buffer *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~";

    for (; *text; text++) {
        if (strchr(plain, *text))
            buffer_char(out, *text);
        else
            buffer_format(out, "%%%02X", (unsigned char)*text);
    }
}

/* With --stale: how old it may be, on standard error. */
static void show_age(struct cli *cli, yyjson_val *root)
{
    yyjson_val *age = yyjson_obj_get(root, "stale_ms");
    char text[TEXT_NUMBER];

    if (!cli_option(cli, "stale") || cli->json)
        return;
    if (!yyjson_is_num(age)) {
        fputs("this is what the node has; it has not known of a leader since it started\n", stderr);
    } else if (yyjson_get_uint(age)) {
        snprintf(text, sizeof(text), "%.1f s", (double)yyjson_get_uint(age) / 1000);
        fprintf(stderr, "this is what the node has; it has known of no leader for %s\n", text);
    } else {
        fputs("this is what the node has; it knows of a leader: at most about a second old\n",
              stderr);
    }
}

/* Adds `stale` to the query of a target, when it was asked for. */
static void add_stale(struct cli *cli, struct buffer *target)
{
    if (cli_option(cli, "stale"))
        buffer_format(target, "%cstale=true",
                      target->data && strchr(target->data, '?') ? '&' : '?');
}

int command_get(struct cli *cli)
{
    struct buffer target = {0}, out = {0};
    yyjson_doc *doc;
    int code;

    buffer_text(&target, "/v1/site");
    if (cli->argument_count) {
        buffer_text(&target, "?path=");
        add_encoded(&target, cli->arguments[0]);
    }
    add_stale(cli, &target);
    code = target.error ? CLI_FAILED : cli_call(cli, "GET", target.data, NULL, 0, &doc);
    buffer_free(&target);
    if (code)
        return code;
    show_age(cli, yyjson_doc_get_root(doc));
    if (!cli_print_json(cli, doc))
        show_yaml(yyjson_obj_get(yyjson_doc_get_root(doc), "value"), &out);
    yyjson_doc_free(doc);
    return cli_print(&out);
}

static void add_revision(struct table *table, yyjson_val *revision)
{
    char when[TEXT_NUMBER];

    text_time((int64_t)cli_number(revision, "time"), when);
    table_cell(table, "%llu", (unsigned long long)cli_number(revision, "revision"));
    table_cell(table, "%s", when);
    table_cell(table, "%s", cli_text(revision, "author"));
    table_cell(table, "%llu", (unsigned long long)cli_number(revision, "changes"));
    table_cell(table, "%s", cli_text(revision, "comment"));
}

int cli_print_list(struct cli *cli, const char *path, const char *name,
                   const struct table_column *columns, size_t count,
                   void (*add)(struct table *table, yyjson_val *item), const char *none)
{
    yyjson_val *list, *item;
    struct buffer target = {0}, out = {0};
    struct table table;
    yyjson_doc *doc;
    size_t i, end;
    int code;

    buffer_text(&target, path);
    add_stale(cli, &target);
    code = target.error ? CLI_FAILED : cli_call(cli, "GET", target.data, NULL, 0, &doc);
    buffer_free(&target);
    if (code)
        return code;
    show_age(cli, yyjson_doc_get_root(doc));
    if (cli_print_json(cli, doc)) {
        yyjson_doc_free(doc);
        return CLI_OK;
    }
    list = yyjson_obj_get(yyjson_doc_get_root(doc), name);
    table_init(&table, columns, count);
    yyjson_arr_foreach (list, i, end, item)
        add(&table, item);
    if (!yyjson_arr_size(list))
        buffer_text(&out, none);
    table_print(&table, cli->color, &out);
    table_free(&table);
    yyjson_doc_free(doc);
    return cli_print(&out);
}

static int history_all(struct cli *cli)
{
    static const struct table_column columns[] = {{"REVISION", TABLE_RIGHT},
                                                  {"TIME", TABLE_LEFT},
                                                  {"AUTHOR", TABLE_LEFT},
                                                  {"CHANGES", TABLE_RIGHT},
                                                  {"COMMENT", TABLE_LEFT}};

    return cli_print_list(cli, "/v1/history", "revisions", columns,
                          sizeof(columns) / sizeof(columns[0]), add_revision,
                          "no revision yet: `culvert apply FILE` makes the first\n");
}

/* Who it was in truth, by what right and from where. */
static void add_caller(struct table *table, yyjson_val *line)
{
    const char *user = cli_text(line, "user"), *role = cli_text(line, "role");

    if (*role)
        table_cell(table, "%s (%s)", user, role);
    else
        table_cell(table, "%s", *user ? user : "-");
    table_cell(table, "%s", *user ? cli_text(line, "from") : "-");
}

static void add_audit(struct table *table, yyjson_val *line)
{
    char when[TEXT_NUMBER];

    text_time((int64_t)cli_number(line, "time"), when);
    table_cell(table, "%s", when);
    table_cell(table, "%s", cli_text(line, "author"));
    add_caller(table, line);
    table_cell(table, "%s", cli_text(line, "node"));
    table_cell(table, "%s", cli_text(line, "what"));
    if (cli_number(line, "revision"))
        table_cell(table, "%llu", (unsigned long long)cli_number(line, "revision"));
    else
        table_cell(table, "-");
    table_cell(table, "%s", cli_text(line, "outcome"));
    table_cell(table, "%s", cli_text(line, "comment"));
}

int command_audit(struct cli *cli)
{
    static const struct table_column columns[] = {
        {"TIME", TABLE_LEFT},      {"AUTHOR", TABLE_LEFT},  {"USER", TABLE_LEFT},
        {"FROM", TABLE_LEFT},      {"NODE", TABLE_LEFT},    {"WHAT", TABLE_LEFT},
        {"REVISION", TABLE_RIGHT}, {"OUTCOME", TABLE_LEFT}, {"COMMENT", TABLE_LEFT}};

    return cli_print_list(cli, "/v1/audit", "audit", columns, sizeof(columns) / sizeof(columns[0]),
                          add_audit, "");
}

int command_history(struct cli *cli)
{
    struct buffer target = {0}, out = {0};
    uint64_t number;
    yyjson_doc *doc;
    int code;

    if (!cli->argument_count)
        return history_all(cli);
    if (units_parse_number(cli->arguments[0], &number)) {
        cli_error("a revision is a number, not `%s`: see `culvert history`", cli->arguments[0]);
        return CLI_USAGE;
    }
    buffer_format(&target, "/v1/revisions/%llu/diff", (unsigned long long)number);
    add_stale(cli, &target);
    code = target.error ? CLI_FAILED : cli_call(cli, "GET", target.data, NULL, 0, &doc);
    buffer_free(&target);
    if (code)
        return code;
    show_age(cli, yyjson_doc_get_root(doc));
    if (!cli_print_json(cli, doc))
        show_diff(yyjson_obj_get(yyjson_doc_get_root(doc), "diff"), cli->color, cli_width(), &out);
    yyjson_doc_free(doc);
    return cli_print(&out);
}

int command_version(struct cli *cli)
{
    yyjson_doc *doc;
    int code;

    if (!cli->json)
        printf("culvert %s\n", CULVERT_VERSION);
    code = cli_call(cli, "GET", "/v1/version", NULL, 0, &doc);
    if (code)
        return code;
    if (!cli_print_json(cli, doc))
        printf("culvertd %s\n", cli_text(yyjson_doc_get_root(doc), "version"));
    yyjson_doc_free(doc);
    return CLI_OK;
}

int command_help(struct cli *cli)
{
    const char *name = cli->argument_count ? cli->arguments[0] : NULL;

    for (size_t i = 0; name && i < cli_command_count; i++) {
        if (!strcmp(cli_commands[i].name, name)) {
            cli_help(&cli_commands[i], stdout);
            return CLI_OK;
        }
    }
    if (name) {
        cli_error("no such command: `%s`: see `culvert help`", name);
        return CLI_USAGE;
    }
    cli_help(NULL, stdout);
    return CLI_OK;
}
