/* SPDX-License-Identifier: Apache-2.0 */
/* Zones compiled into tables in plain memory, for tests and fuzz targets. */
#ifndef CULVERT_TESTS_DNS_FIXTURE_H
#define CULVERT_TESTS_DNS_FIXTURE_H

#include "controlplane/dns/zone.h"
#include "dataplane/tables/tables.h"

#define FIXTURE_KEY_A 0x0706050403020100ull
#define FIXTURE_KEY_B 0x0f0e0d0c0b0a0908ull

struct fixture_zone {
    const char *name;
    const char *text;
    size_t length; /* 0: strlen(text) */
};

struct fixture {
    struct tables *tables;
    void *base;
    size_t size;
    zone_error_fn error; /* where errors of zones go; may be NULL */
    void *arg;
    unsigned udp_max; /* 0: 1232 */
    size_t entries;
    unsigned max_labels;
};

/* Compiles all zones into new tables. Returns 0, or the first error; the tables are open in any
 * case, with the zones that compiled, and are closed by fixture_close(). */
int fixture_open(struct fixture *fixture, const struct fixture_zone *zones, size_t count);
void fixture_close(struct fixture *fixture);

#endif
