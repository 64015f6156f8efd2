/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/fill.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/dns/zone.h"

#define BACKENDS 16
#define BUCKETS_LOG2 16
#define RATE_OF_ONE_A_SECOND 256000000000ull /* in fp_limit.packet_cost */

struct fill {
    struct tables *tables;
    const char *kind;
    unsigned size;
};

void fill_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static struct fp_key key_of(enum fp_kind kind, uint64_t number)
{
    return (struct fp_key){.a = number, .kind = kind};
}

static void address_set(uint8_t address[16], const char *text)
{
    memset(address, 0, 16);
    address[10] = address[11] = 0xff;
    if (inet_pton(AF_INET, text, address + 12) != 1)
        fill_die(text);
}

static struct fp_key address_key(enum fp_kind kind, const char *text, uint32_t c)
{
    struct fp_key key = {.c = c, .kind = kind};
    uint8_t address[16];

    address_set(address, text);
    memcpy(&key.a, address, 8);
    memcpy(&key.b, address + 8, 8);
    return key;
}

static void put(struct fill *fill, struct fp_key key, const void *body, size_t length)
{
    if (tables_put(fill->tables, &key, body, length))
        fill_die("tables_put");
}

static int emit(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    return tables_put(((struct fill *)arg)->tables, key, body, length);
}

/* A zone of `size` names hx000000 ... with one address each. */
static void zone_put(struct fill *fill, const uint64_t dns_key[2])
{
    static const char head[] = "@ 300 IN SOA ns1 host 1 7200 900 1209600 300\n"
                               "@ 300 IN NS ns1\nns1 300 IN A 192.0.2.53\n";
    const char *apexes[] = {"example.com"};
    size_t capacity = sizeof(head) + (size_t)fill->size * 40, length;
    char *text = malloc(capacity);
    struct zone_source source = {.name = "example.com", .file = "bench.zone", .ttl = 300};
    struct zone_stats stats;

    if (!text)
        fill_die("zone text");
    length = (size_t)snprintf(text, capacity, "%s", head);
    for (unsigned n = 0; n < fill->size; n++)
        length +=
            (size_t)snprintf(text + length, capacity - length, "hx%06x 300 IN A 10.%u.%u.%u\n", n,
                             n >> 16 & 255, n >> 8 & 255, n & 255);
    memcpy(source.dns_key, dns_key, sizeof(source.dns_key));
    source.text = text;
    source.length = length;
    source.apexes = apexes;
    source.apexes_count = 1;
    if (zone_compile(&source, emit, NULL, fill, &stats) ||
        zone_hollows_compile(apexes, 1, dns_key, emit, fill))
        fill_die("zone");
    free(text);
}

static void pool_put(struct fill *fill)
{
    size_t bytes = sizeof(struct fp_pool) + (sizeof(uint32_t) << BUCKETS_LOG2);
    struct fp_pool *pool = calloc(1, bytes);

    if (!pool)
        fill_die("pool");
    pool->log2 = BUCKETS_LOG2;
    for (unsigned i = 0; i < 1u << BUCKETS_LOG2; i++)
        pool->bucket[i] = 1 + i % BACKENDS;
    put(fill, key_of(FP_KIND_POOL, 1), pool, bytes);
    free(pool);
    for (unsigned i = 1; i <= BACKENDS; i++) {
        struct fp_backend backend = {0};
        struct fp_nexthop hop = {.ifindex = 1, .mtu = 9000, .flags = FP_NEXTHOP_ONLINK};
        struct fp_key key = key_of(FP_KIND_NEXTHOP, i);
        char text[32];

        snprintf(text, sizeof(text), "10.0.0.%u", 10 + i);
        address_set(backend.address, text);
        address_set(hop.source, "10.0.0.2");
        memset(hop.dmac, (int)i, sizeof(hop.dmac));
        put(fill, key_of(FP_KIND_BACKEND, i), &backend, sizeof(backend));
        if (tables_put_local(fill->tables, &key, &hop, sizeof(hop)))
            fill_die("next hop");
    }
}

/* Prefixes that the varied sources fall into (access: as many as flows, all denied). */
static void access_put(struct fill *fill)
{
    struct fp_access deny = {.action = FP_ACCESS_DENY};

    for (unsigned n = 0; n < fill->size; n++) {
        char text[32];

        snprintf(text, sizeof(text), "10.%u.%u.%u", 128 + (n >> 16 & 127), n >> 8 & 255, n & 255);
        put(fill, address_key(FP_KIND_ACCESS, text, 128), &deny, sizeof(deny));
    }
}

void fill_tables(struct tables *tables, const char *kind, unsigned size)
{
    struct fill rig = {.tables = tables, .kind = kind, .size = size};
    struct fill *fill = &rig;
    struct fp_config config = {.dns_key = {1, 2}, .flow_seed = 3, .dns_udp_max = 1232};
    struct fp_vip vip = {.id = 1, .pool = 1, .mode = FP_MODE_DSR_IPIP};
    struct fp_address service = {.flags = FP_ADDRESS_VIP}, dns = {.flags = FP_ADDRESS_DNS};
    struct fp_limit limit = {.len4 = 32, .len6 = 128};

    config.dns_max_labels = 8;
    limit.packet_cost = RATE_OF_ONE_A_SECOND * 3600;
    limit.packet_burst = 1;
    if (!strcmp(fill->kind, "drop")) {
        vip.nlimits = 1;
        vip.limit[0] = 1;
    }
    if (tables_begin(fill->tables))
        fill_die("begin");
    put(fill, key_of(FP_KIND_CONFIG, 0), &config, sizeof(config));
    put(fill, key_of(FP_KIND_LIMIT, 1), &limit, sizeof(limit));
    put(fill, address_key(FP_KIND_ADDRESS, "192.0.2.10", 0), &service, sizeof(service));
    put(fill, address_key(FP_KIND_ADDRESS, "192.0.2.53", 0), &dns, sizeof(dns));
    put(fill, address_key(FP_KIND_VIP, "192.0.2.10", 6u << 16 | 80), &vip, sizeof(vip));
    pool_put(fill);
    if (!strcmp(fill->kind, "dns") || !strcmp(fill->kind, "nxdomain"))
        zone_put(fill, (const uint64_t *)config.dns_key);
    if (!strcmp(fill->kind, "access"))
        access_put(fill);
    if (tables_commit(fill->tables, 1))
        fill_die("commit");
    tables_reclaim(fill->tables); /* as drivers do, once nothing changes */
}
