/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/rates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
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
    unsigned rank, magnitude;
    size_t place;
};

static const char *const verdicts[] = {"pass", "tx", "forward", "drop"};
#define VERDICTS (sizeof(verdicts) / sizeof(verdicts[0]))

static unsigned verdict_rank(const char *verdict)
{
    unsigned rank = 0;

    while (rank < VERDICTS && strcmp(verdicts[rank], verdict) != 0)
        rank++;
    return rank;
}

/* Reads one row: rates with `before`, totals (bytes, not bits) without. */
static struct row read_row(yyjson_val *old_list, yyjson_val *row, size_t place, double seconds)
{
    yyjson_val *old = find_row(old_list, row, place);
    double scale = old_list ? 1 / seconds : 1;
    struct row out = {.name = cli_text(row, "name"),
                      .pool = cli_text(row, "pool"),
                      .verdict = cli_text(row, "verdict"),
                      .ever = cli_number(row, "packets") != 0,
                      .place = place};

    out.rank = verdict_rank(out.verdict);
    if (old_list && !old)
        return out; /* new since: its rate shows next time */
    out.packets = grown(old, row, "packets") * scale;
    out.bits = grown(old, row, "bytes") * scale * (old_list ? 8 : 1);
    for (uint64_t left = (uint64_t)out.packets; old_list && left; left /= 2)
        out.magnitude++;
    return out;
}

/* By verdict; then the busy ones first, but those of about the same rate in their order: rows that
 * change places at each reading can't be read. */
static int compare_rows(const void *x, const void *y)
{
    const struct row *a = x, *b = y;

    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->magnitude != b->magnitude)
        return a->magnitude > b->magnitude ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

/* The rows of a group that are worth a line. */
struct rows {
    struct row *row;
    size_t count;
    size_t idle; /* left out: no traffic between the readings, but some since the start */
};

static int rows_read(struct rows *rows, const struct group *group, yyjson_val *before,
                     yyjson_val *now)
{
    yyjson_val *list = yyjson_obj_get(now, group->member), *value;
    yyjson_val *old_list = yyjson_obj_get(before, group->member);
    double seconds = seconds_between(before, now);
    size_t i, count;

    *rows = (struct rows){.row = calloc(yyjson_arr_size(list) + 1, sizeof(*rows->row))};
    if (!rows->row)
        return CULVERT_ENOMEM;
    yyjson_arr_foreach (list, i, count, value) {
        struct row row = read_row(old_list, value, i, seconds);

        if (row.ever && (row.packets > 0 || !before))
            rows->row[rows->count++] = row;
        else if (row.ever)
            rows->idle++;
    }
    qsort(rows->row, rows->count, sizeof(*rows->row), compare_rows);
    return 0;
}

static void row_name(const struct group *group, const struct row *row, char *text, size_t size)
{
    snprintf(text, size, "%s%s%s", group->pool ? row->pool : "", group->pool ? "." : "", row->name);
}

static void number_texts(double packets, double bits, bool rates, char packets_text[TEXT_NUMBER],
                         char bits_text[TEXT_NUMBER])
{
    text_number(packets, rates ? "pps" : "", packets_text);
    if (rates)
        text_number(bits, "b/s", bits_text);
    else
        text_bytes(bits, bits_text);
}

#define NAME_MAX_BYTES 600 /* a domain name, or a pool's and a backend's */
#define NAME_COLUMNS 24    /* at least: tables that fit stay where they are */

static size_t name_columns(const struct rows rows[GROUPS])
{
    char name[NAME_MAX_BYTES];
    size_t most = NAME_COLUMNS;

    for (size_t i = 0; i < GROUPS; i++)
        for (size_t j = 0; j < rows[i].count; j++) {
            row_name(&groups[i], &rows[i].row[j], name, sizeof(name));
            most = text_width(name) > most ? text_width(name) : most;
        }
    return most;
}

static void print_group(const struct group *group, const struct rows *rows, bool rates,
                        size_t columns_wide, bool color, struct buffer *out)
{
    char title[NAME_MAX_BYTES + 32], name[NAME_MAX_BYTES];
    const struct table_column columns[] = {{title, TABLE_LEFT},
                                           {group->verdict ? "VERDICT" : "       ", TABLE_LEFT},
                                           {"   PACKETS", TABLE_RIGHT},
                                           {rates ? "      BITS" : "     BYTES", TABLE_RIGHT}};
    struct table table;

    snprintf(title, sizeof(title), "%-*s", (int)columns_wide, group->title);
    table_init(&table, columns, 4);
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->row[i];
        char packets[TEXT_NUMBER], bits[TEXT_NUMBER];

        row_name(group, row, name, sizeof(name));
        number_texts(row->packets, row->bits, rates, packets, bits);
        table_cell(&table, "%s", name);
        table_cell(&table, "%s", row->verdict);
        table_cell(&table, "%s", packets);
        table_cell(&table, "%s", bits);
    }
    if (rows->count)
        buffer_char(out, '\n');
    table_print(&table, color, out);
    if (rows->count && rows->idle)
        buffer_format(out, "%s%zu more without traffic%s\n", color ? COLOR_DIM : "", rows->idle,
                      color ? COLOR_NONE : "");
    table_free(&table);
}

/* All packets, and how many by verdict. */
static void print_total(const struct rows *reasons, bool rates, struct buffer *out)
{
    double packets[VERDICTS + 1] = {0}, all = 0, bits = 0;
    char packets_text[TEXT_NUMBER], bits_text[TEXT_NUMBER];

    for (size_t i = 0; i < reasons->count; i++) {
        packets[reasons->row[i].rank] += reasons->row[i].packets;
        all += reasons->row[i].packets;
        bits += reasons->row[i].bits;
    }
    number_texts(all, bits, rates, packets_text, bits_text);
    buffer_format(out, "total %s%s, %s", packets_text, rates ? "" : " packets", bits_text);
    for (size_t i = 0; all > 0 && i < VERDICTS; i++) {
        text_number(packets[i], "", packets_text);
        buffer_format(out, "%s%s %s", i ? ", " : ": ", verdicts[i], packets_text);
    }
    buffer_char(out, '\n');
}

void rates_print(yyjson_val *before, yyjson_val *now, bool color, struct buffer *out)
{
    struct rows rows[GROUPS] = {0};
    size_t columns;

    for (size_t i = 0; i < GROUPS && !out->error; i++)
        out->error = rows_read(&rows[i], &groups[i], before, now);
    columns = name_columns(rows);
    if (!rows[0].count && !rows[0].idle) {
        buffer_text(out, "no packet was counted yet\n");
    } else {
        print_total(&rows[0], before, out);
        for (size_t i = 0; i < GROUPS; i++)
            print_group(&groups[i], &rows[i], before, columns, color, out);
    }
    for (size_t i = 0; i < GROUPS; i++)
        free(rows[i].row);
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
