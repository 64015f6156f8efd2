/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert token VERB`: who may use the API. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controlplane/base/units.h"
#include "controlplane/cli/command.h"
#include "controlplane/cli/table.h"

#define DAY_MS ((uint64_t)86400 * 1000)

/* A time, or days (90d), or never. */
static bool parse_life(const char *text, uint64_t *ms, bool *forever)
{
    size_t length = strlen(text);
    char days[24];

    *forever = !strcmp(text, "never");
    if (*forever || !units_parse_time(text, ms))
        return true;
    if (length < 2 || length > sizeof(days) || text[length - 1] != 'd')
        return false;
    memcpy(days, text, length - 1);
    days[length - 1] = 0;
    if (units_parse_number(days, ms) || *ms > UINT32_MAX)
        return false;
    *ms *= DAY_MS;
    return true;
}

static int run_create(struct cli *cli)
{
    const char *role = cli_option(cli, "role"), *life = cli_option(cli, "expires");
    struct buffer body = {0};
    uint64_t ms = 90 * DAY_MS;
    bool forever = false;
    yyjson_doc *doc;
    int code;

    if (!role) {
        cli_error("--role is needed: admin, operator or reader");
        return CLI_USAGE;
    }
    if (life && !parse_life(life, &ms, &forever)) {
        cli_error("--expires takes a time such as 12h or 90d, or never, not `%s`", life);
        return CLI_USAGE;
    }
    buffer_text(&body, "{\"name\":");
    buffer_json_text(&body, cli->arguments[1]);
    buffer_text(&body, ",\"role\":");
    buffer_json_text(&body, role);
    if (forever)
        buffer_text(&body, ",\"life\":null}");
    else
        buffer_format(&body, ",\"life\":%llu}", (unsigned long long)(ms / 1000));
    code = cli_post(cli, "/v1/tokens", &body, &doc);
    return code ? code : cli_print_member(cli, doc, "", "token", "");
}

/* Seconds since 1970 as a cell. */
static void time_cell(struct table *table, yyjson_val *token, const char *name)
{
    char when[TEXT_NUMBER];

    text_time((int64_t)cli_number(token, name) * 1000, when);
    table_cell(table, "%s", when);
}

static void add_token(struct table *table, yyjson_val *token)
{
    table_cell(table, "%s", cli_text(token, "id"));
    table_cell(table, "%s", cli_text(token, "name"));
    table_cell(table, "%s", cli_text(token, "role"));
    time_cell(table, token, "created");
    if (yyjson_get_bool(yyjson_obj_get(token, "expired")))
        table_cell(table, "expired");
    else if (yyjson_is_null(yyjson_obj_get(token, "expires")))
        table_cell(table, "never");
    else
        time_cell(table, token, "expires");
    table_cell(table, "%s", cli_text(token, "author"));
}

static int run_list(struct cli *cli)
{
    static const struct table_column columns[] = {{"ID", TABLE_LEFT},      {"NAME", TABLE_LEFT},
                                                  {"ROLE", TABLE_LEFT},    {"CREATED", TABLE_LEFT},
                                                  {"EXPIRES", TABLE_LEFT}, {"AUTHOR", TABLE_LEFT}};

    return cli_print_list(cli, "/v1/tokens", "tokens", columns,
                          sizeof(columns) / sizeof(columns[0]), add_token,
                          "no token yet: `culvert token create NAME --role ROLE` makes one\n");
}

static int run_revoke(struct cli *cli)
{
    struct buffer body = {0};
    yyjson_doc *doc;
    int code;

    buffer_text(&body, "{\"token\":");
    buffer_json_text(&body, cli->arguments[1]);
    buffer_char(&body, '}');
    code = cli_post(cli, "/v1/tokens/revoke", &body, &doc);
    return code ? code : cli_print_member(cli, doc, "token ", "name", " is revoked");
}

const struct cli_verb cli_token_verbs[] = {
    {"create", "NAME --role ROLE", 1, run_create},
    {"list", "", 0, run_list},
    {"revoke", "NAME|ID", 1, run_revoke},
    {NULL, NULL, 0, NULL},
};

int command_token(struct cli *cli)
{
    return cli_run_verb(cli, cli_token_verbs);
}
