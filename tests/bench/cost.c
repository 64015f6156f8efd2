/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XDP cost rig: what one packet costs the program, without the driver. The real program runs in
 * the kernel over a region of the asked size; a shim (shim.bpf.c) restores and varies the frame and
 * is subtracted. Prints one JSON object.
 *
 *     cost lb|dns|nxdomain|drop|access SIZE [--rounds N] [--runs N]
 *
 * Programs alone and with the shim are timed in turn, round by round; medians are compared.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "controlplane/dns/zone.h"
#include "dataplane/fastpath/build.h"
#include "dataplane/tables/tables.h"
#include "tests/bench/shim.h"
#include "tests/bench/template.h"

#include "culvert.skel.h"
#include "shim.skel.h"

#define ROUNDS_MAX 99
#define BACKENDS 16
#define BUCKETS_LOG2 16
#define RATE_OF_ONE_A_SECOND 256000000000ull /* in fp_limit.packet_cost */

struct rig {
    struct culvert *culvert;
    struct shim *shim;
    struct tables *tables;
    const char *kind;
    unsigned size;
};

static void die(const char *what)
{
    fprintf(stderr, "cost: %s: %s\n", what, strerror(errno));
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
        die(text);
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

static void put(struct rig *rig, struct fp_key key, const void *body, size_t length)
{
    if (tables_put(rig->tables, &key, body, length))
        die("tables_put");
}

static int emit(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    return tables_put(((struct rig *)arg)->tables, key, body, length);
}

/* A zone of `size` names hx000000 ... with one address each. */
static void zone_put(struct rig *rig, const uint64_t dns_key[2])
{
    static const char head[] = "@ 300 IN SOA ns1 host 1 7200 900 1209600 300\n"
                               "@ 300 IN NS ns1\nns1 300 IN A 192.0.2.53\n";
    const char *apexes[] = {"example.com"};
    size_t capacity = sizeof(head) + (size_t)rig->size * 40, length;
    char *text = malloc(capacity);
    struct zone_source source = {.name = "example.com", .file = "bench.zone", .ttl = 300};
    struct zone_stats stats;

    if (!text)
        die("zone text");
    length = (size_t)snprintf(text, capacity, "%s", head);
    for (unsigned n = 0; n < rig->size; n++)
        length +=
            (size_t)snprintf(text + length, capacity - length, "hx%06x 300 IN A 10.%u.%u.%u\n", n,
                             n >> 16 & 255, n >> 8 & 255, n & 255);
    memcpy(source.dns_key, dns_key, sizeof(source.dns_key));
    source.text = text;
    source.length = length;
    source.apexes = apexes;
    source.apexes_count = 1;
    if (zone_compile(&source, emit, NULL, rig, &stats) ||
        zone_hollows_compile(apexes, 1, dns_key, emit, rig))
        die("zone");
    free(text);
}

static void pool_put(struct rig *rig)
{
    size_t bytes = sizeof(struct fp_pool) + (sizeof(uint32_t) << BUCKETS_LOG2);
    struct fp_pool *pool = calloc(1, bytes);

    if (!pool)
        die("pool");
    pool->log2 = BUCKETS_LOG2;
    for (unsigned i = 0; i < 1u << BUCKETS_LOG2; i++)
        pool->bucket[i] = 1 + i % BACKENDS;
    put(rig, key_of(FP_KIND_POOL, 1), pool, bytes);
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
        put(rig, key_of(FP_KIND_BACKEND, i), &backend, sizeof(backend));
        if (tables_put_local(rig->tables, &key, &hop, sizeof(hop)))
            die("next hop");
    }
}

/* Prefixes that the varied sources fall into (access: as many as flows, all denied). */
static void access_put(struct rig *rig)
{
    struct fp_access deny = {.action = FP_ACCESS_DENY};

    for (unsigned n = 0; n < rig->size; n++) {
        char text[32];

        snprintf(text, sizeof(text), "10.%u.%u.%u", 128 + (n >> 16 & 127), n >> 8 & 255, n & 255);
        put(rig, address_key(FP_KIND_ACCESS, text, 128), &deny, sizeof(deny));
    }
}

static void tables_fill(struct rig *rig)
{
    struct fp_config config = {.dns_key = {1, 2}, .flow_seed = 3, .dns_udp_max = 1232};
    struct fp_vip vip = {.id = 1, .pool = 1, .mode = FP_MODE_DSR_IPIP};
    struct fp_address service = {.flags = FP_ADDRESS_VIP}, dns = {.flags = FP_ADDRESS_DNS};
    struct fp_limit limit = {.len4 = 32, .len6 = 128};

    config.dns_max_labels = 8;
    limit.packet_cost = RATE_OF_ONE_A_SECOND * 3600;
    limit.packet_burst = 1;
    if (!strcmp(rig->kind, "drop")) {
        vip.nlimits = 1;
        vip.limit[0] = 1;
    }
    if (tables_begin(rig->tables))
        die("begin");
    put(rig, key_of(FP_KIND_CONFIG, 0), &config, sizeof(config));
    put(rig, key_of(FP_KIND_LIMIT, 1), &limit, sizeof(limit));
    put(rig, address_key(FP_KIND_ADDRESS, "192.0.2.10", 0), &service, sizeof(service));
    put(rig, address_key(FP_KIND_ADDRESS, "192.0.2.53", 0), &dns, sizeof(dns));
    put(rig, address_key(FP_KIND_VIP, "192.0.2.10", 6u << 16 | 80), &vip, sizeof(vip));
    pool_put(rig);
    if (!strcmp(rig->kind, "dns") || !strcmp(rig->kind, "nxdomain"))
        zone_put(rig, (const uint64_t *)config.dns_key);
    if (!strcmp(rig->kind, "access"))
        access_put(rig);
    if (tables_commit(rig->tables, 1))
        die("commit");
}

static void rig_open(struct rig *rig)
{
    struct tables_options options = {.size = 1ull << 30, .meters_log2 = 18};

    libbpf_set_print(NULL);
    rig->culvert = culvert__open();
    if (!rig->culvert ||
        bpf_map__set_max_entries(rig->culvert->maps.arena, (uint32_t)(options.size / 4096)) ||
        culvert__load(rig->culvert))
        die("loading the program (root and Linux 6.12 are needed)");
    rig->shim = shim__open_and_load();
    if (!rig->shim)
        die("loading the shim");
    options.base = bpf_map__initial_value(rig->culvert->maps.arena, &(size_t){0});
    options.cpus = (unsigned)libbpf_num_possible_cpus();
    if (tables_open(&rig->tables, &options))
        die("tables");
    tables_fill(rig);
    template_make(&rig->shim->bss->shim_config, rig->kind, 80, rig->size);
}

/* One timing: ns for a run of the shim followed by the given program. */
static double run(struct rig *rig, int program, unsigned runs, int expected)
{
    uint8_t frame[SHIM_FRAME_BYTES];
    struct timespec begin, end;
    uint32_t zero = 0;
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame),
                .repeat = (int)runs);

    memcpy(frame, rig->shim->bss->shim_config.frame, sizeof(frame));
    if (bpf_map_update_elem(bpf_map__fd(rig->shim->maps.under_test), &zero, &program, BPF_ANY))
        die("tail call");
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (bpf_prog_test_run_opts(bpf_program__fd(rig->shim->progs.shim), &options))
        die("test-run");
    clock_gettime(CLOCK_MONOTONIC, &end);
    if ((int)options.retval != expected) {
        fprintf(stderr, "cost: %s: the program returned %u, not %d\n", rig->kind, options.retval,
                expected);
        exit(1);
    }
    /* options.duration is in whole nanoseconds: too coarse for a difference. */
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
           runs;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct rig rig = {.kind = argc > 1 ? argv[1] : "",
                      .size = argc > 2 ? (unsigned)atoi(argv[2]) : 0};
    unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 7, runs = 4u << 20;
    double with[ROUNDS_MAX], alone[ROUNDS_MAX];
    int expected;

    if (argc < 3 || !template_known(rig.kind) || rig.size < 2 || rig.size & (rig.size - 1) ||
        rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: cost lb|dns|nxdomain|drop|access SIZE (a power of two) [ROUNDS]\n");
        return 2;
    }
    expected = !strcmp(rig.kind, "drop") || !strcmp(rig.kind, "access") ? XDP_DROP : XDP_TX;
    rig_open(&rig);
    run(&rig, bpf_program__fd(rig.culvert->progs.culvert_xdp), rig.size * 2,
        expected); /* warm up */
    for (unsigned i = 0; i < rounds; i++) {
        alone[i] = run(&rig, bpf_program__fd(rig.shim->progs.empty), runs, XDP_TX);
        with[i] = run(&rig, bpf_program__fd(rig.culvert->progs.culvert_xdp), runs, expected);
    }
    qsort(alone, rounds, sizeof(*alone), compare);
    qsort(with, rounds, sizeof(*with), compare);
    printf("{\"kind\": \"%s\", \"size\": %u, \"ns\": %.1f, \"shim_ns\": %.1f, \"min\": %.1f, "
           "\"max\": %.1f}\n",
           rig.kind, rig.size, with[rounds / 2] - alone[rounds / 2], alone[rounds / 2],
           with[0] - alone[rounds / 2], with[rounds - 1] - alone[rounds / 2]);
    tables_close(rig.tables);
    return 0;
}
