/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the tables are written, and how much memory an entry takes. */
#include <time.h>

#include "tests/dataplane/tables/helper.h"

#define ENTRIES 1000000u
#define BODY 80u

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double put_all(struct tables *tables, uint8_t fill)
{
    double start = seconds();

    tables_begin(tables);
    for (unsigned i = 0; i < ENTRIES; i++)
        if (put_dns(tables, i, fill, BODY))
            abort();
    tables_commit(tables, fill);
    return seconds() - start;
}

static double put_one(struct tables *tables, unsigned rounds)
{
    double start = seconds();

    for (unsigned i = 0; i < rounds; i++) {
        tables_begin(tables);
        if (put_dns(tables, i * 7919 % ENTRIES, (uint8_t)(i + 3), BODY))
            abort();
        tables_commit(tables, i);
    }
    return (seconds() - start) / rounds;
}

static double reopen(struct tables *tables)
{
    struct tables_options options = {.base = tables_base(tables), .size = root_of(tables)->size};
    struct tables *again;
    double start = seconds();

    if (tables_open(&again, &options))
        abort();
    start = seconds() - start;
    tables_close(again);
    return start;
}

int main(void)
{
    struct tables *tables = tables_new((size_t)1 << 30, 2);
    struct tables_usage before, after;
    double fresh, again, one;

    tables_usage(tables, &before);
    fresh = put_all(tables, 1);
    reclaim_all(tables);
    tables_usage(tables, &after);
    again = put_all(tables, 2);
    one = put_one(tables, 100000);
    printf("{\"entries\": %u, \"body_bytes\": %u, \"put_all_s\": %.3f, \"replace_all_s\": %.3f, "
           "\"put_one_us\": %.2f, \"bytes_per_entry\": %.1f, \"recover_s\": %.3f}\n",
           ENTRIES, BODY, fresh, again, one * 1e6, (double)(after.used - before.used) / ENTRIES,
           reopen(tables));
    tables_end(tables);
    return 0;
}
