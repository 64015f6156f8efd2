/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/base/error.h"

void table_init(struct table *table, const struct table_column *columns, size_t count)
{
    memset(table, 0, sizeof(*table));
    table->columns = columns;
    table->column_count = count;
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    table->cells = NULL;
    table->count = table->capacity = 0;
}

static bool table_grow(struct table *table)
{
    size_t capacity = table->capacity ? 2 * table->capacity : 64;
    char **cells;

    if (table->count < table->capacity)
        return true;
    cells = reallocarray(table->cells, capacity, sizeof(*cells));
    if (!cells)
        return false;
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void table_cell(struct table *table, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    if (table->error)
        return;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (!text || !table_grow(table)) {
        free(text);
        table->error = CULVERT_ENOMEM;
        return;
    }
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    table->cells[table->count++] = text;
}

size_t text_width(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void print_spaces(struct buffer *out, size_t count)
{
    buffer_format(out, "%*s", (int)count, "");
}

static void print_cell(const struct table *table, size_t column, const char *text, size_t width,
                       struct buffer *out)
{
    size_t gap = width - text_width(text);

    if (column)
        buffer_text(out, "  ");
    if (table->columns[column].align == TABLE_RIGHT)
        print_spaces(out, gap);
    buffer_text(out, text);
    if (table->columns[column].align == TABLE_LEFT && column + 1 < table->column_count)
        print_spaces(out, gap);
}

void table_print(const struct table *table, bool color, struct buffer *out)
{
    size_t width[TABLE_COLUMNS_MAX];

    if (table->error || !table->count || !table->column_count)
        return;
    for (size_t column = 0; column < table->column_count; column++) {
        width[column] = text_width(table->columns[column].title);
        for (size_t i = column; i < table->count; i += table->column_count) {
            size_t cell = text_width(table->cells[i]);

            width[column] = cell > width[column] ? cell : width[column];
        }
    }
    buffer_text(out, color ? COLOR_BOLD : "");
    for (size_t column = 0; column < table->column_count; column++)
        print_cell(table, column, table->columns[column].title, width[column], out);
    buffer_text(out, color ? COLOR_NONE "\n" : "\n");
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->column_count;

        print_cell(table, column, table->cells[i], width[column], out);
        if (column + 1 == table->column_count)
            buffer_text(out, "\n");
    }
}

void text_number(double value, const char *unit, char text[TEXT_NUMBER])
{
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P"};
    unsigned step = 0;
    bool space = *unit;

    while (value >= 999.5 && step + 1 < sizeof(prefix) / sizeof(prefix[0])) {
        value /= 1000;
        step++;
    }
    snprintf(text, TEXT_NUMBER, "%.*f%s%s%s",
             value >= 99.95 || !step ? 0
             : value >= 9.995        ? 1
                                     : 2,
             value, space || step ? " " : "", prefix[step], unit);
}

void text_bytes(double value, char text[TEXT_NUMBER])
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned step = 0;

    while (value >= 1023.5 && step + 1 < sizeof(unit) / sizeof(unit[0])) {
        value /= 1024;
        step++;
    }
    snprintf(text, TEXT_NUMBER, "%.*f %s", step && value < 99.95 ? 1 : 0, value, unit[step]);
}

void text_time(int64_t ms, char text[TEXT_NUMBER])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;

    if (!localtime_r(&seconds, &local) || !strftime(text, TEXT_NUMBER, "%F %T", &local))
        strcpy(text, "?");
}
