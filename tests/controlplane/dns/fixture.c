/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/controlplane/dns/fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ZONES_MAX 64

static int put_entry(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct fixture *fixture = arg;
    size_t there;

    /* No key comes twice, whatever the zones are. */
    if (tables_get(fixture->tables, key, &there))
        abort();
    fixture->entries++;
    return tables_put(fixture->tables, key, body, length);
}

static void take_error(void *arg, const struct zone_error *error)
{
    struct fixture *fixture = arg;

    if (fixture->error)
        fixture->error(fixture->arg, error);
}

static int put_zones(struct fixture *fixture, const struct fixture_zone *zones, size_t count)
{
    const char *apexes[ZONES_MAX];
    int error = 0;

    for (size_t i = 0; i < count; i++)
        apexes[i] = zones[i].name;
    for (size_t i = 0; i < count; i++) {
        struct zone_source source = {
            .name = zones[i].name,
            .number = (uint32_t)i,
            .ttl = 3600,
            .dns_key = {FIXTURE_KEY_A, FIXTURE_KEY_B},
            .file = zones[i].name,
            .text = zones[i].text,
            .length = zones[i].length ? zones[i].length : strlen(zones[i].text),
            .apexes = apexes,
            .apexes_count = count,
        };
        struct zone_stats stats;
        int result = zone_compile(&source, put_entry, take_error, fixture, &stats);

        if (fixture->max_labels < stats.max_labels)
            fixture->max_labels = stats.max_labels;
        if (!error)
            error = result;
    }
    if (!error)
        error = zone_hollows_compile(
            apexes, count, (const uint64_t[]){FIXTURE_KEY_A, FIXTURE_KEY_B}, put_entry, fixture);
    return error;
}

int fixture_open(struct fixture *fixture, const struct fixture_zone *zones, size_t count)
{
    struct fp_key key = {.kind = FP_KIND_CONFIG};
    struct fp_config config = {.dns_key = {FIXTURE_KEY_A, FIXTURE_KEY_B}};
    struct tables_options options = {0};
    int error;

    if (!fixture->size)
        fixture->size = (size_t)64 << 20;
    fixture->base = mmap(NULL, fixture->size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fixture->base == MAP_FAILED || count > ZONES_MAX)
        abort();
    options.base = fixture->base;
    options.size = fixture->size;
    if (tables_open(&fixture->tables, &options) || tables_begin(fixture->tables))
        abort();
    error = put_zones(fixture, zones, count);
    config.dns_udp_max = (fp_u16)(fixture->udp_max ? fixture->udp_max : 1232);
    config.dns_max_labels = (fp_u16)fixture->max_labels;
    if (tables_put(fixture->tables, &key, &config, sizeof(config)) ||
        tables_commit(fixture->tables, 1))
        abort();
    return error;
}

void fixture_close(struct fixture *fixture)
{
    tables_close(fixture->tables);
    munmap(fixture->base, fixture->size);
}
