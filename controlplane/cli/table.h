/* SPDX-License-Identifier: Apache-2.0 */
/* What people read: aligned tables, numbers with units, times, colours. */
#ifndef CULVERT_CLI_TABLE_H
#define CULVERT_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/buffer.h"

#define TABLE_COLUMNS_MAX 10

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table_column {
    const char *title;
    enum table_align align;
};

/* A table being filled. Cells are copied; control characters become `?`. */
struct table {
    const struct table_column *columns;
    size_t column_count;
    char **cells;
    size_t count, capacity;
    int error; /* 0 or CULVERT_ENOMEM; nothing is printed then */
};

/* `columns` must outlive the table. */
void table_init(struct table *table, const struct table_column *columns, size_t count);
void table_free(struct table *table);
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends the table, one line a row, columns two spaces apart; titles bold when `color`. A table
 * without rows prints nothing. */
void table_print(const struct table *table, bool color, struct buffer *out);

/* Columns that a UTF-8 text takes on a terminal, each code point counted as one. */
size_t text_width(const char *text);

/* A number with k, M, G or T (powers of 1000), three digits: "12.3 M" when `unit` is "",
 * "12.3 Mpps" when it is "pps". */
#define TEXT_NUMBER 32
void text_number(double value, const char *unit, char text[TEXT_NUMBER]);
/* Bytes with KiB, MiB, GiB: "9.0 MiB". */
void text_bytes(double value, char text[TEXT_NUMBER]);
/* Milliseconds since the epoch as local time: "2026-11-23 21:17:05". */
void text_time(int64_t ms, char text[TEXT_NUMBER]);

#define COLOR_BOLD "\033[1m"
#define COLOR_RED "\033[31m"
#define COLOR_GREEN "\033[32m"
#define COLOR_YELLOW "\033[33m"
#define COLOR_DIM "\033[2m"
#define COLOR_NONE "\033[0m"

#endif
