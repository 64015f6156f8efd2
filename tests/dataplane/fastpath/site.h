/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The region that the packets of tests/corpus are made for: a service of each kind. The addresses
 * are those of tests/corpus/generate.py.
 */
#ifndef CULVERT_TESTS_FASTPATH_SITE_H
#define CULVERT_TESTS_FASTPATH_SITE_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/fastpath/build.h"
#include "dataplane/fastpath/host.h"
#include "dataplane/tables/tables.h"

#define SITE_BYTES ((size_t)64 << 20)
#define SITE_IFINDEX 1u /* where packets come in, and of most next hops */
#define SITE_OTHER 7u   /* the port of the backend behind a VLAN */
#define SITE_NOW (1000ull * 1000000000 << FP_TIME_SHIFT)
#define SITE_TCP (6u << 16)
#define SITE_UDP (17u << 16)

enum site_backend { SITE_V4 = 1, SITE_V6, SITE_UNRESOLVED, SITE_TAGGED, SITE_SMALL, SITE_ROUTED };
enum site_pool {
    SITE_POOL_V4 = 1,
    SITE_POOL_V6,
    SITE_POOL_EMPTY,
    SITE_POOL_UNRESOLVED,
    SITE_POOL_TAGGED,
    SITE_POOL_MOVING, /* from SITE_TAGGED to SITE_V4 */
    SITE_POOL_SMALL,
    SITE_POOL_ROUTED,
};
enum site_limit { SITE_LIMIT_SOURCE = 1, SITE_LIMIT_BYTES, SITE_LIMIT_VIP };

/* An address in either notation to 16 bytes, IPv4 mapped. */
static inline void site_address(uint8_t to[16], const char *text)
{
    memset(to, 0, 16);
    if (inet_pton(AF_INET6, text, to) == 1)
        return;
    to[10] = to[11] = 0xff;
    if (inet_pton(AF_INET, text, to + 12) != 1)
        abort();
}

static inline struct fp_key site_key(enum fp_kind kind, const char *text, uint32_t c)
{
    struct fp_key key = {.c = c, .kind = kind};
    uint8_t address[16];

    site_address(address, text);
    memcpy(&key.a, address, 8);
    memcpy(&key.b, address + 8, 8);
    return key;
}

static inline void site_put(struct tables *tables, struct fp_key key, const void *body,
                            size_t length)
{
    if (tables_put(tables, &key, body, length))
        abort();
}

static inline struct fp_key site_number(enum fp_kind kind, unsigned number)
{
    return (struct fp_key){.a = number, .kind = kind};
}

static inline void site_access(struct tables *tables, const char *text, unsigned length,
                               uint32_t action)
{
    struct fp_access access = {.action = action};

    site_put(tables, site_key(FP_KIND_ACCESS, text, length), &access, sizeof(access));
}

/* Eight buckets with the same content. */
static inline void site_pool(struct tables *tables, unsigned number, unsigned backend,
                             unsigned previous)
{
    uint32_t body[2 + 8] = {3}; /* struct fp_pool: log2, flags, buckets */

    for (int i = 0; i < 8; i++)
        body[2 + i] = backend | previous << 16;
    site_put(tables, site_number(FP_KIND_POOL, number), body, sizeof(body));
}

/* A backend and its next hop: what is local to the data plane is put outside of transactions. */
static inline void site_backend(struct tables *tables, int local, unsigned number,
                                const char *address, const struct fp_nexthop *nexthop,
                                const char *source)
{
    struct fp_key key = site_number(FP_KIND_NEXTHOP, number);
    struct fp_nexthop way = *nexthop;
    struct fp_backend body = {0};

    if (local) {
        site_address(way.source, source);
        if (tables_put_local(tables, &key, &way, sizeof(way)))
            abort();
        return;
    }
    site_address(body.address, address);
    site_put(tables, site_number(FP_KIND_BACKEND, number), &body, sizeof(body));
}

static inline void site_backends(struct tables *tables, int local)
{
    struct fp_nexthop hop = {
        .ifindex = SITE_IFINDEX,
        .dmac = {2, 0, 0, 0, 1, 11},
        .smac = {2, 0, 0, 0, 0, 2},
        .mtu = 1500,
        .flags = FP_NEXTHOP_ONLINK,
    };

    site_backend(tables, local, SITE_V4, "10.0.0.11", &hop, "10.0.0.2");
    hop.dmac[5] = 12;
    site_backend(tables, local, SITE_V6, "2001:db8:1::12", &hop, "2001:db8:1::2");
    if (!local)
        site_backend(tables, local, SITE_UNRESOLVED, "10.0.0.13", &hop, "10.0.0.2");
    hop.dmac[5] = 14;
    hop.vlan = 0x1000 | 100;
    hop.ifindex = SITE_OTHER;
    site_backend(tables, local, SITE_TAGGED, "10.0.4.14", &hop, "10.0.4.2");
    hop = (struct fp_nexthop){.ifindex = SITE_IFINDEX,
                              .dmac = {2, 0, 0, 0, 1, 15},
                              .smac = {2, 0, 0, 0, 0, 2},
                              .mtu = 600};
    site_backend(tables, local, SITE_SMALL, "10.0.0.15", &hop, "10.0.0.2");
    hop.mtu = 1500;
    hop.dmac[5] = 16;
    site_backend(tables, local, SITE_ROUTED, "10.0.9.16", &hop, "10.0.0.2");
}

struct site_vip {
    const char *address;
    uint32_t service;
    uint32_t pool;
    enum fp_mode mode;
    uint16_t port;
    uint16_t limit;
};

static inline void site_vips(struct tables *tables)
{
    static const struct site_vip vips[] = {
        {"192.0.2.10", SITE_TCP | 80, SITE_POOL_V4, FP_MODE_DSR_IPIP, 0, 0},
        {"192.0.2.10", SITE_UDP, SITE_POOL_V4, FP_MODE_DSR_IPIP, 0, 0},
        {"2001:db8::10", SITE_TCP | 80, SITE_POOL_V4, FP_MODE_DSR_IPIP, 0, 0},
        {"2001:db8::10", SITE_UDP | 443, SITE_POOL_V4, FP_MODE_DSR_IPIP, 0, 0},
        {"192.0.2.11", SITE_TCP | 80, SITE_POOL_V6, FP_MODE_DSR_IPIP, 0, 0},
        {"2001:db8::11", SITE_TCP | 80, SITE_POOL_V6, FP_MODE_DSR_IPIP, 0, 0},
        {"192.0.2.12", SITE_TCP | 80, SITE_POOL_V4, FP_MODE_DSR_L2, 0, 0},
        {"192.0.2.12", SITE_TCP | 81, SITE_POOL_ROUTED, FP_MODE_DSR_L2, 0, 0},
        {"2001:db8::12", SITE_TCP | 80, SITE_POOL_V4, FP_MODE_DSR_L2, 0, 0},
        {"192.0.2.13", SITE_TCP | 80, SITE_POOL_V4, FP_MODE_NAT, 8080, 0},
        {"192.0.2.13", SITE_UDP | 443, SITE_POOL_V4, FP_MODE_NAT, 0, 0},
        {"2001:db8::13", SITE_TCP | 80, SITE_POOL_V6, FP_MODE_NAT, 8080, 0},
        {"2001:db8::13", SITE_TCP | 81, SITE_POOL_V4, FP_MODE_NAT, 0, 0},
        {"192.0.2.14", SITE_TCP | 80, SITE_POOL_EMPTY, FP_MODE_DSR_IPIP, 0, 0},
        {"192.0.2.15", SITE_TCP | 80, SITE_POOL_UNRESOLVED, FP_MODE_DSR_IPIP, 0, 0},
        {"192.0.2.16", SITE_TCP | 80, SITE_POOL_TAGGED, FP_MODE_DSR_IPIP, 0, 0},
        {"192.0.2.17", SITE_TCP | 80, SITE_POOL_MOVING, FP_MODE_DSR_IPIP, 0, 0},
        {"192.0.2.17", SITE_UDP | 80, SITE_POOL_MOVING, FP_MODE_DSR_IPIP, 0, 0},
        {"192.0.2.18", SITE_TCP | 80, SITE_POOL_V4, FP_MODE_DSR_IPIP, 0, SITE_LIMIT_SOURCE},
        {"192.0.2.18", SITE_TCP | 81, SITE_POOL_V4, FP_MODE_DSR_IPIP, 0, SITE_LIMIT_BYTES},
        {"192.0.2.18", SITE_TCP | 82, SITE_POOL_V4, FP_MODE_DSR_IPIP, 0, SITE_LIMIT_VIP},
        {"192.0.2.19", SITE_TCP | 80, SITE_POOL_SMALL, FP_MODE_DSR_IPIP, 0, 0},
        {"192.0.2.19", SITE_UDP | 80, SITE_POOL_SMALL, FP_MODE_NAT, 0, 0},
        {"2001:db8::19", SITE_TCP | 80, SITE_POOL_SMALL, FP_MODE_DSR_IPIP, 0, 0},
    };
    struct fp_address service = {.flags = FP_ADDRESS_VIP};

    for (unsigned i = 0; i < sizeof(vips) / sizeof(*vips); i++) {
        const struct site_vip *vip = &vips[i];
        struct fp_vip body = {.id = i + 1, .pool = vip->pool, .mode = (uint8_t)vip->mode};

        body.port = vip->port;
        body.nlimits = vip->limit != 0;
        body.limit[0] = vip->limit;
        site_put(tables, site_key(FP_KIND_VIP, vip->address, vip->service), &body, sizeof(body));
        site_put(tables, site_key(FP_KIND_ADDRESS, vip->address, 0), &service, sizeof(service));
    }
}

static inline void site_natbacks(struct tables *tables)
{
    struct fp_natback back = {.vip = 10, .port = 80};

    site_address(back.address, "192.0.2.13");
    site_put(tables, site_key(FP_KIND_NATBACK, "10.0.0.11", SITE_TCP | 8080), &back, sizeof(back));
    back.port = 0;
    site_put(tables, site_key(FP_KIND_NATBACK, "10.0.0.11", SITE_UDP), &back, sizeof(back));
    back.port = 80;
    site_address(back.address, "2001:db8::13");
    site_put(tables, site_key(FP_KIND_NATBACK, "2001:db8:1::12", SITE_TCP | 8080), &back,
             sizeof(back));
}

/* One packet a second, bursts of two; 1000 bytes a second, bursts of 1000. */
static inline void site_limits(struct tables *tables)
{
    uint64_t second = 1000000000ull << FP_TIME_SHIFT;
    struct fp_limit packets = {
        .packet_cost = second, .packet_burst = 2 * second, .len4 = 24, .len6 = 64};
    struct fp_limit bytes = {
        .byte_cost = second / 1000, .byte_burst = second, .len4 = 32, .len6 = 64};

    site_put(tables, site_number(FP_KIND_LIMIT, SITE_LIMIT_SOURCE), &packets, sizeof(packets));
    site_put(tables, site_number(FP_KIND_LIMIT, SITE_LIMIT_BYTES), &bytes, sizeof(bytes));
    packets.per = FP_PER_VIP;
    site_put(tables, site_number(FP_KIND_LIMIT, SITE_LIMIT_VIP), &packets, sizeof(packets));
}

/* Fills a new region. */
static inline void site_fill(struct tables *tables)
{
    struct fp_config config = {
        .dns_key = {1, 2}, .flow_seed = 3, .dns_udp_max = 1232, .dns_max_labels = 8};
    struct fp_address dns = {.flags = FP_ADDRESS_DNS};

    if (tables_begin(tables))
        abort();
    site_put(tables, site_number(FP_KIND_CONFIG, 0), &config, sizeof(config));
    site_access(tables, "203.0.113.0", 96 + 24, FP_ACCESS_DENY);
    site_access(tables, "203.0.113.7", 96 + 32, FP_ACCESS_ALLOW);
    site_access(tables, "203.0.112.0", 96 + 21, FP_ACCESS_DENY);
    site_access(tables, "2001:db8:bad::", 48, FP_ACCESS_DENY);
    site_access(tables, "2001:db8:bad:1::", 64, FP_ACCESS_ALLOW);
    site_access(tables, "2001:db8:bad:1::bad", 128, FP_ACCESS_DENY);
    site_limits(tables);
    site_pool(tables, SITE_POOL_V4, SITE_V4, 0);
    site_pool(tables, SITE_POOL_V6, SITE_V6, 0);
    site_pool(tables, SITE_POOL_EMPTY, 0, 0);
    site_pool(tables, SITE_POOL_UNRESOLVED, SITE_UNRESOLVED, 0);
    site_pool(tables, SITE_POOL_TAGGED, SITE_TAGGED, 0);
    site_pool(tables, SITE_POOL_MOVING, SITE_V4, SITE_TAGGED);
    site_pool(tables, SITE_POOL_SMALL, SITE_SMALL, 0);
    site_pool(tables, SITE_POOL_ROUTED, SITE_ROUTED, 0);
    site_vips(tables);
    site_natbacks(tables);
    site_put(tables, site_key(FP_KIND_ADDRESS, "192.0.2.53", 0), &dns, sizeof(dns));
    site_put(tables, site_key(FP_KIND_ADDRESS, "2001:db8::53", 0), &dns, sizeof(dns));
    dns.nlimits = 1;
    dns.limit[0] = SITE_LIMIT_SOURCE;
    site_put(tables, site_key(FP_KIND_ADDRESS, "192.0.2.54", 0), &dns, sizeof(dns));
    site_backends(tables, 0);
    if (tables_commit(tables, 1))
        abort();
    site_backends(tables, 1);
    tables_reclaim(tables); /* as drivers do, once nothing changes */
}

/* Hides the lines of IPv4 access entries (access4.h), as a transaction under way does, or shows
 * them again. */
static inline void site_hide_access4(void *region, bool hidden)
{
    struct fp_root *root = region;

    root->access4 = (uint64_t)(root->generation - hidden) << 32 | (uint32_t)root->access4;
}

/* A region in plain memory, filled. Ends with site_close(). */
static inline struct tables *site_open(void)
{
    struct tables_options options = {
        .size = SITE_BYTES, .cpus = 1, .meters_log2 = 8, .flows_log2 = 8};
    struct tables *tables;

    options.base = mmap(NULL, SITE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (options.base == MAP_FAILED || tables_open(&tables, &options))
        abort();
    site_fill(tables);
    return tables;
}

static inline void site_close(struct tables *tables)
{
    void *base = tables_base(tables);

    tables_close(tables);
    munmap(base, SITE_BYTES);
}

/* The kernel's way to clients, as fp_env.route: all over the first port, but 198.18.9.0/24 has no
 * neighbour, and 10.0.0.2 is the machine's own address. */
static inline int site_route(void *arg, const fp_u8 address[16], struct fp_nexthop *out)
{
    (void)arg;
    if (address[12] == 10)
        return 0;
    *out = (struct fp_nexthop){.ifindex = SITE_IFINDEX,
                               .dmac = {2, 0, 0, 0, 0, 1},
                               .smac = {2, 0, 0, 0, 0, 2},
                               .mtu = 1500};
    if (address[12] == 198 && address[14] == 9)
        out->ifindex = 0;
    return 1;
}

static inline struct fp_env site_env(struct tables *tables)
{
    return (struct fp_env){.base = tables_base(tables), .now = SITE_NOW, .route = site_route};
}

#endif
