/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/rates.h"

#include <string.h>

#include "controlplane/cli/command.h"
#include "controlplane/cli/show.h"
#include "controlplane/cli/table.h"

static const struct group {
    const char *member, *title;
    bool pool;    /* rows are named by pool and name */
    bool verdict; /* rows have a verdict */
} groups[] = {
    {"reasons", "REASON", false, true},          {"vips", "VIRTUAL IP", false, false},
    {"backends", "BACKEND", true, false},        {"zones", "ZONE", false, false},
    {"limits", "LIMIT (REFUSED)", false, false},
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static bool same_row(yyjson_val *x, yyjson_val *y)
{
    return !strcmp(cli_text(x, "name"), cli_text(y, "name")) &&
           !strcmp(cli_text(x, "pool"), cli_text(y, "pool"));
}

/* The row of an earlier reading; it mostly has the same place. */
static yyjson_val *find_row(yyjson_val *list, yyjson_val *row, size_t place)
{
    yyjson_val *other = yyjson_arr_get(list, place);
    size_t i, count;

    if (other && same_row(other, row))
        return other;
    yyjson_arr_foreach (list, i, count, other)
        if (same_row(other, row))
            return other;
    return NULL;
}

/* Growth of a counter, 0 when it went back (a data plane started anew). */
static double grown(yyjson_val *old, yyjson_val *row, const char *name)
{
    uint64_t before = cli_number(old, name), now = cli_number(row, name);

    return now > before ? (double)(now - before) : 0;
}

static double seconds_between(yyjson_val *before, yyjson_val *now)
{
    double seconds = grown(before, now, "time_ns") / 1e9;

    return seconds > 0 ? seconds : 1;
}

struct row {
    const char *name, *pool, *verdict;
    double packets, bits;
    bool ever; /* not zero since the start */
};

/* Reads one row: rates with `before`, totals (bytes, not bits) without. */
static struct row read_row(yyjson_val *old_list, yyjson_val *row, size_t place, double seconds)
{
    yyjson_val *old = find_row(old_list, row, place);
    double scale = old_list ? 1 / seconds : 1;
    struct row out = {
        cli_text(row, "name"),          cli_text(row, "pool"), cli_text(row, "verdict"), 0, 0,
        cli_number(row, "packets") != 0};

    if (old_list && !old)
        return out; /* new since: its rate shows next time */
    out.packets = grown(old, row, "packets") * scale;
    out.bits = grown(old, row, "bytes") * scale * (old_list ? 8 : 1);
    return out;
}

static void add_row(struct table *table, const struct group *group, const struct row *row,
                    bool rates)
{
    char packets[TEXT_NUMBER], bits[TEXT_NUMBER];

    text_number(row->packets, rates ? "pps" : "", packets);
    if (rates)
        text_number(row->bits, "b/s", bits);
    else
        text_bytes(row->bits, bits);
    if (group->pool)
        table_cell(table, "%s.%s", row->pool, row->name);
    else
        table_cell(table, "%s", row->name);
    table_cell(table, "%s", row->verdict);
    table_cell(table, "%s", packets);
    table_cell(table, "%s", bits);
}

static void print_group(const struct group *group, yyjson_val *before, yyjson_val *now, bool color,
                        struct buffer *out)
{
    const struct table_column columns[] = {{group->title, TABLE_LEFT},
                                           {group->verdict ? "VERDICT" : "       ", TABLE_LEFT},
                                           {"PACKETS", TABLE_RIGHT},
                                           {before ? "BITS" : "BYTES", TABLE_RIGHT}};
    yyjson_val *list = yyjson_obj_get(now, group->member), *value;
    yyjson_val *old_list = yyjson_obj_get(before, group->member);
    double seconds = seconds_between(before, now);
    struct table table;
    size_t i, count;

    table_init(&table, columns, 4);
    yyjson_arr_foreach (list, i, count, value) {
        struct row row = read_row(old_list, value, i, seconds);

        if (row.ever)
            add_row(&table, group, &row, before);
    }
    if (table.count && out->length)
        buffer_char(out, '\n');
    table_print(&table, color, out);
    table_free(&table);
}

void rates_print(yyjson_val *before, yyjson_val *now, bool color, struct buffer *out)
{
    size_t start = out->length;

    for (size_t i = 0; i < GROUPS; i++)
        print_group(&groups[i], before, now, color, out);
    if (out->length == start)
        buffer_text(out, "no packet was counted yet\n");
}

static void json_group(const struct group *group, yyjson_val *before, yyjson_val *now,
                       struct buffer *out)
{
    yyjson_val *list = yyjson_obj_get(now, group->member), *value;
    yyjson_val *old_list = yyjson_obj_get(before, group->member);
    double seconds = seconds_between(before, now);
    bool some = false;
    size_t i, count;

    buffer_text(out, ",\"");
    buffer_text(out, group->member);
    buffer_text(out, "\":[");
    yyjson_arr_foreach (list, i, count, value) {
        struct row row = read_row(old_list, value, i, seconds);

        if (row.packets <= 0)
            continue;
        buffer_text(out, some ? ",{" : "{");
        some = true;
        if (group->pool) {
            buffer_text(out, "\"pool\":");
            buffer_json_text(out, row.pool);
            buffer_char(out, ',');
        }
        buffer_text(out, "\"name\":");
        buffer_json_text(out, row.name);
        if (group->verdict) {
            buffer_text(out, ",\"verdict\":");
            buffer_json_text(out, row.verdict);
        }
        buffer_format(out, ",\"packets\":%.1f,\"bits\":%.1f}", row.packets, row.bits);
    }
    buffer_char(out, ']');
}

void rates_json(yyjson_val *before, yyjson_val *now, struct buffer *out)
{
    buffer_format(out, "{\"seconds\":%.3f", seconds_between(before, now));
    for (size_t i = 0; i < GROUPS; i++)
        json_group(&groups[i], before, now, out);
    buffer_text(out, "}\n");
}
