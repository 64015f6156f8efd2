/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controlplane/cli/command.h"
#include "controlplane/cli/show.h"
#include "controlplane/cli/table.h"

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

static bool is_true(yyjson_val *object, const char *name)
{
    return yyjson_get_bool(yyjson_obj_get(object, name));
}

static void title(struct buffer *out, const char *text, bool color)
{
    buffer_format(out, "\n%s%s%s\n", color ? COLOR_BOLD : "", text, color ? COLOR_NONE : "");
}

/* Of an appliance: which system runs. */
static void show_system(yyjson_val *running, struct buffer *out)
{
    if (!running)
        return;
    buffer_text(out, "system     ");
    show_clean(cli_text(running, "version"), out);
    buffer_text(out, " from slot ");
    show_clean(cli_text(running, "slot"), out);
    buffer_text(out, ", ");
    show_clean(
        strcmp(cli_text(running, "state"), "trial") ? cli_text(running, "state") : "on trial", out);
    buffer_char(out, '\n');
}

static void show_head(yyjson_val *root, struct buffer *out)
{
    static const char *const kinds[] = {"pools",  "backends", "vips", "limits",
                                        "access", "zones",    "names"};
    yyjson_val *counts = yyjson_obj_get(root, "resources");

    buffer_text(out, "site       ");
    show_clean(or_dash(cli_text(root, "site")), out);
    buffer_text(out, " on ");
    show_clean(cli_text(root, "node"), out);
    buffer_format(out, ", culvertd %s\nrevision   %llu (generation %llu)\nresources ",
                  cli_text(root, "version"), (unsigned long long)cli_number(root, "revision"),
                  (unsigned long long)cli_number(root, "generation"));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        buffer_format(out, "%s %llu %s", i ? "," : "",
                      (unsigned long long)cli_number(counts, kinds[i]), kinds[i]);
    buffer_char(out, '\n');
    show_system(yyjson_obj_get(yyjson_obj_get(root, "system"), "running"), out);
}

/* What is wrong with an interface now, else what it has lost since its data plane started. */
static void problem_cell(struct table *table, yyjson_val *interface)
{
    const char *error = cli_text(interface, "error");
    uint64_t in = cli_number(interface, "lost_in"), out = cli_number(interface, "lost_out");

    if (*error || !(in | out))
        table_cell(table, "%s", error);
    else
        table_cell(table, "frames lost: %llu in, %llu out", (unsigned long long)in,
                   (unsigned long long)out);
}

static void show_interfaces(yyjson_val *state, bool color, struct buffer *out)
{
    static const struct table_column columns[] = {{"  INTERFACE", TABLE_LEFT},
                                                  {"STATE", TABLE_LEFT},
                                                  {"MODE", TABLE_LEFT},
                                                  {"PROBLEM", TABLE_LEFT}};
    yyjson_val *interface;
    struct table table;
    size_t i, count;

    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    yyjson_arr_foreach (yyjson_obj_get(state, "interfaces"), i, count, interface) {
        table_cell(&table, "  %s", cli_text(interface, "name"));
        table_cell(&table, "%s, %s", is_true(interface, "attached") ? "attached" : "not attached",
                   is_true(interface, "up") ? "up" : "down");
        table_cell(&table, "%s", or_dash(cli_text(interface, "mode")));
        problem_cell(&table, interface);
    }
    table_print(&table, color, out);
    table_free(&table);
}

static void show_settings(yyjson_val *state, struct buffer *out)
{
    const char *runs = cli_text(yyjson_obj_get(state, "settings"), "runs");

    if (!*runs)
        return;
    buffer_text(out, "  settings: ");
    show_clean(runs, out);
    buffer_char(out, '\n');
}

static void show_next_hops(yyjson_val *state, struct buffer *out)
{
    yyjson_val *hops = yyjson_obj_get(state, "nexthops");
    yyjson_val *unresolved = yyjson_obj_get(hops, "unresolved"), *address;
    size_t i, count;

    if (!hops)
        return;
    buffer_format(out, "  next hops: %llu resolved",
                  (unsigned long long)cli_number(hops, "resolved"));
    yyjson_arr_foreach (unresolved, i, count, address) {
        buffer_text(out, i ? ", " : "; not resolved: ");
        show_clean(yyjson_is_str(address) ? yyjson_get_str(address) : "?", out);
    }
    buffer_char(out, '\n');
}

static void show_memory(yyjson_val *state, struct buffer *out)
{
    yyjson_val *memory = yyjson_obj_get(state, "memory");
    char used[TEXT_NUMBER], region[TEXT_NUMBER];

    if (!memory)
        return;
    text_bytes((double)cli_number(memory, "used"), used);
    text_bytes((double)cli_number(memory, "region"), region);
    buffer_format(out, "  tables: %llu entries, %s of %s\n",
                  (unsigned long long)cli_number(memory, "entries"), used, region);
}

static void show_planes(yyjson_val *root, bool color, struct buffer *out)
{
    yyjson_val *planes = yyjson_obj_get(root, "planes"), *plane;
    size_t i, count;

    title(out, "data planes", color);
    if (!yyjson_arr_size(planes))
        buffer_text(out, "none connected: start culvert-xdp or culvert-dpdk\n");
    yyjson_arr_foreach (planes, i, count, plane) {
        yyjson_val *state = yyjson_obj_get(plane, "state");
        uint64_t lag = cli_number(root, "generation") - cli_number(plane, "generation");

        show_clean(cli_text(plane, "name"), out);
        buffer_format(out, " (pid %llu): %s, generation %llu%s\n",
                      (unsigned long long)cli_number(plane, "pid"),
                      is_true(plane, "connected") ? "connected" : "NOT CONNECTED",
                      (unsigned long long)cli_number(plane, "generation"), lag ? ", behind" : "");
        show_interfaces(state, color, out);
        show_settings(state, out);
        show_next_hops(state, out);
        show_memory(state, out);
    }
}

static void show_listeners(yyjson_val *root, bool color, struct buffer *out)
{
    static const struct table_column columns[] = {{"ADDRESS", TABLE_LEFT},
                                                  {"PORT", TABLE_RIGHT},
                                                  {"PROTOCOL", TABLE_LEFT},
                                                  {"STATE", TABLE_LEFT}};
    yyjson_val *list = yyjson_obj_get(root, "listeners"), *listener;
    struct table table;
    size_t i, count;

    if (!yyjson_arr_size(list))
        return;
    title(out, "DNS listeners", color);
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    yyjson_arr_foreach (list, i, count, listener) {
        const char *error = cli_text(listener, "error");

        table_cell(&table, "%s", cli_text(listener, "address"));
        table_cell(&table, "%llu", (unsigned long long)cli_number(listener, "port"));
        table_cell(&table, "%s", cli_text(listener, "protocol"));
        table_cell(&table, "%s",
                   is_true(listener, "listening") ? "listening"
                   : *error                       ? error
                                                  : "not listening");
    }
    table_print(&table, color, out);
    table_free(&table);
}

static void show_cluster(yyjson_val *root, bool color, struct buffer *out)
{
    yyjson_val *cluster = yyjson_obj_get(root, "cluster");
    char size[TEXT_NUMBER], quota[TEXT_NUMBER];

    if (!cluster)
        return;
    title(out, "nodes", color);
    cli_show_nodes(cluster, color, out);
    text_bytes((double)cli_number(cluster, "size"), size);
    text_bytes((double)cli_number(cluster, "quota"), quota);
    buffer_format(out, "%s; store: %s of %s%s\n",
                  is_true(cluster, "quorum") ? "a quorum is there" : "NO QUORUM", size, quota,
                  is_true(cluster, "full") ? ", FULL" : "");
}

static void show_alarms(yyjson_val *root, bool color, struct buffer *out)
{
    yyjson_val *list = yyjson_obj_get(root, "alarms"), *alarm;
    size_t i, count;

    if (!yyjson_arr_size(list))
        return;
    title(out, "alarms", color);
    yyjson_arr_foreach (list, i, count, alarm) {
        buffer_text(out, color ? COLOR_RED : "");
        show_clean(yyjson_is_str(alarm) ? yyjson_get_str(alarm) : "?", out);
        buffer_text(out, color ? COLOR_NONE "\n" : "\n");
    }
}

int command_status(struct cli *cli)
{
    struct buffer out = {0};
    yyjson_doc *doc;
    int code = cli_call(cli, "GET", "/v1/status", NULL, 0, &doc);

    if (code)
        return code;
    if (!cli_print_json(cli, doc)) {
        yyjson_val *root = yyjson_doc_get_root(doc);

        show_head(root, &out);
        show_cluster(root, cli->color, &out);
        show_planes(root, cli->color, &out);
        show_listeners(root, cli->color, &out);
        show_alarms(root, cli->color, &out);
    }
    yyjson_doc_free(doc);
    return cli_print(&out);
}
