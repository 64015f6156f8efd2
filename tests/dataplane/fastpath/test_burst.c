/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The burst entry against the single one: frames in mixed order, one by one over a region, in
 * bursts over a copy of it. Verdicts, reasons, bytes and, at the end, every byte of the regions
 * (counters, meters, flows) must be equal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/dns/zone.h"
#include "dataplane/fastpath/burst.h"
#include "tests/dataplane/fastpath/corpus.h"
#include "tests/dataplane/fastpath/site.h"

#define FRAMES_MAX 512u
#define ROUNDS 40000u                                  /* frames for each size of burst */
#define BETWEEN ((uint64_t)300000000 << FP_TIME_SHIFT) /* from burst to burst, mostly */
#define PAUSE (BETWEEN * 200) /* now and then: meters and flows are forgotten */

static const char zone[] = "$TTL 900\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n"
                           "www CNAME web\nweb A 192.0.2.1\nweb A 192.0.2.2\nweb AAAA 2001:db8::1\n"
                           "*.w TXT wild\na.b.ent A 192.0.2.4\n*.a.b.c.d.e.f A 192.0.2.5\n"
                           "sub NS ns.sub\nns.sub A 192.0.2.9\nchild NS ns1\nchild DS 1 8 2 "
                           "00000000000000000000000000000000000000000000000000000000000000ab\n";
static const char child[] = "$TTL 900\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1.example.com.\n";

static const struct {
    const char *name;
    uint16_t type;
} questions[] = {
    {"example.com", 6},
    {"web.example.com", 1},
    {"WEB.exaMple.com", 28},
    {"web.example.com", 255},
    {"www.example.com", 1},
    {"none.example.com", 1},
    {"none.at.all.example.com", 1},
    {"x.w.example.com", 16},
    {"y.x.w.example.com", 1},
    {"b.ent.example.com", 1},
    {"x.a.b.c.d.e.f.example.com", 1},
    {"y.x.a.b.c.d.e.f.example.com", 1},
    {"1.2.3.4.5.6.7.8.9.web.example.com", 1},
    {"host.sub.example.com", 1},
    {"child.example.com", 43},
    {"child.example.com", 6},
    {"example.org", 1},
    {"com", 1},
    {"web.example.com", 252},
    {"web.example.com", 41},
};

/* The frames to pick from, and two regions with the same bytes. */
struct pair {
    struct tables *tables; /* one by one */
    void *copy;            /* in bursts */
    struct corpus_case *frames;
    unsigned count;
    uint64_t random;
    uint64_t now;
    struct fp_straight straight;
};

/* A frame at work, in memory of its exact size and head room for the sanitizer. */
struct work {
    uint8_t *room;
    size_t length;
};

static unsigned pick(struct pair *pair, unsigned below)
{
    pair->random = pair->random * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(pair->random >> 33) % below;
}

static int put_entry(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    return tables_put(arg, key, body, length);
}

static void put_zones(struct tables *tables)
{
    const char *apexes[] = {"example.com", "child.example.com"};
    const uint64_t dns_key[2] = {1, 2}; /* the site's */

    assert_int_equal(tables_begin(tables), 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct zone_source source = {
            .name = apexes[i],
            .number = i,
            .ttl = 900,
            .dns_key = {1, 2},
            .file = apexes[i],
            .text = i ? child : zone,
            .length = strlen(i ? child : zone),
            .apexes = apexes,
            .apexes_count = 2,
        };
        struct zone_stats stats;

        assert_int_equal(zone_compile(&source, put_entry, NULL, tables, &stats), 0);
    }
    assert_int_equal(zone_hollows_compile(apexes, 2, dns_key, put_entry, tables), 0);
    assert_int_equal(tables_commit(tables, 2), 0);
}

/* A query in wire format, with an OPT record or without. Returns its length. */
static size_t query_make(uint8_t *to, const char *name, uint16_t type, bool edns)
{
    static const uint8_t opt[11] = {0, 0, 41, 4, 208};
    uint8_t head[12] = {0x12, 0x34, 1, 0, 0, 1};
    size_t at = sizeof(head);

    head[11] = edns;
    memcpy(to, head, sizeof(head));
    while (*name) {
        size_t length = strcspn(name, ".");

        to[at++] = (uint8_t)length;
        memcpy(to + at, name, length);
        at += length;
        name += length + (name[length] == '.');
    }
    memcpy(to + at, (const uint8_t[]){0, (uint8_t)(type >> 8), (uint8_t)type, 0, 1}, 5);
    at += 5;
    if (edns)
        memcpy(to + at, opt, sizeof(opt));
    return at + (edns ? sizeof(opt) : 0);
}

/* Bits of `variant`: IPv6, EDNS, to a listener with a limit. */
static void add_question(struct pair *pair, const char *name, uint16_t type, unsigned variant)
{
    struct corpus_case *item = &pair->frames[pair->count++];
    uint8_t query[512];
    struct fp_build_spec spec = {
        .family = variant & 1 ? 6 : 4,
        .protocol = FP_IP_UDP,
        .sport = 40000,
        .dport = 53,
        .payload = query,
        .payload_bytes = query_make(query, name, type, variant & 2),
    };

    assert_true(pair->count < FRAMES_MAX);
    snprintf(item->name, sizeof(item->name), "%s %u", name, type);
    site_address(spec.source, spec.family == 4 ? "198.18.0.1" : "2001:db8:5::1");
    site_address(spec.destination, spec.family == 6 ? "2001:db8::53"
                                   : variant & 4    ? "192.0.2.54"
                                                    : "192.0.2.53");
    item->length = fp_build_frame(item->frame, sizeof(item->frame), &spec);
    assert_true(item->length);
}

/* A neighbour solicitation of a source that the access list denies: it is let through. */
static void add_solicitation(struct pair *pair)
{
    struct corpus_case *item = &pair->frames[pair->count++];
    struct fp_build_spec spec = {
        .family = 6, .protocol = FP_IP_ICMPV6, .type = FP_ICMPV6_ROUTER_SOLICIT + 2, .hops = 255};

    assert_true(pair->count < FRAMES_MAX);
    strcpy(item->name, "solicitation");
    site_address(spec.source, "2001:db8:bad:1::bad");
    site_address(spec.destination, "2001:db8::10");
    item->length = fp_build_frame(item->frame, sizeof(item->frame), &spec);
    assert_true(item->length);
}

static int setup(void **state)
{
    struct pair *pair = aligned_alloc(FP_CACHE_LINE, sizeof(*pair));
    FILE *file = corpus_open();
    struct fp_root *root;

    assert_non_null(pair);
    memset(pair, 0, sizeof(*pair));
    pair->frames = calloc(FRAMES_MAX, sizeof(*pair->frames));
    assert_non_null(pair->frames);
    while (corpus_next(file, &pair->frames[pair->count]))
        assert_true(++pair->count < FRAMES_MAX);
    fclose(file);
    for (unsigned i = 0; i < sizeof(questions) / sizeof(*questions); i++)
        for (unsigned variant = 0; variant < 5; variant++)
            add_question(pair, questions[i].name, questions[i].type, variant);
    add_solicitation(pair);
    pair->tables = site_open();
    put_zones(pair->tables);
    root = tables_base(pair->tables);
    pair->copy = mmap(NULL, SITE_BYTES, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(pair->copy != MAP_FAILED);
    memcpy(pair->copy, root, root->heap_end);
    pair->random = 1;
    pair->now = SITE_NOW;
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;

    site_close(pair->tables);
    munmap(pair->copy, SITE_BYTES);
    free(pair->frames);
    free(pair);
    return 0;
}

static void work_load(struct work *work, const struct corpus_case *item, size_t length)
{
    work->length = length;
    work->room = malloc(FP_HOST_ROOM + length + FP_HOST_ROOM);
    assert_non_null(work->room);
    memcpy(work->room + FP_HOST_ROOM, item->frame, length);
}

/* Loads a frame for both ways, cut short or with a byte changed half of the time. */
static void pair_load(struct pair *pair, const struct corpus_case *item, struct work work[2])
{
    unsigned change = pick(pair, 4), at = pick(pair, 140), value = 1 + pick(pair, 255);
    size_t length = change == 0 && at < item->length ? at : item->length;

    for (int i = 0; i < 2; i++) {
        work_load(&work[i], item, length);
        if (change == 1 && at < length)
            work[i].room[FP_HOST_ROOM + at] ^= (uint8_t)value;
    }
}

static void packet_set(struct fp_packet *packet, const struct work *work)
{
    packet->data = work->room + FP_HOST_ROOM;
    packet->end = packet->data + work->length;
    packet->ifindex = SITE_IFINDEX;
    packet->head = work->room;
    packet->limit = packet->end + FP_HOST_ROOM;
}

static bool equal(const struct fp_packet *a, const struct fp_packet *b)
{
    return a->end - a->data == b->end - b->data &&
           !memcmp(a->data, b->data, (size_t)(a->end - a->data));
}

static fp_u64 burst_time;

/* A burst asks for the time, where it needs it. */
static fp_u64 read_clock(void)
{
    return burst_time;
}

/* Runs `count` frames that are picked at random both ways. */
static void compare(struct pair *pair, unsigned count)
{
    static struct fp_packet bursted[FP_BURST_MAX];
    struct fp_env single = site_env(pair->tables), burst = single;
    struct fp_result results[FP_BURST_MAX];
    const struct corpus_case *items[FP_BURST_MAX];
    struct work work[FP_BURST_MAX][2];

    burst.base = pair->copy;
    site_hide_access4(burst.base, pick(pair, 3) == 0);
    site_hide_access4(single.base, pick(pair, 3) == 0);
    burst_time = single.now = pair->now += pick(pair, 4) ? BETWEEN : PAUSE;
    burst.now = 0;
    burst.clock = read_clock;
    for (unsigned i = 0; i < count; i++) {
        items[i] = &pair->frames[pick(pair, pair->count)];
        pair_load(pair, items[i], work[i]);
        packet_set(&bursted[i], &work[i][1]);
    }
    fp_process_burst(&burst, &pair->straight, bursted, count, results);
    for (unsigned i = 0; i < count; i++) {
        struct fp_packet packet = {0};
        struct fp_result result;

        packet_set(&packet, &work[i][0]);
        result = fp_process(&single, &packet);
        if (memcmp(&result, &results[i], sizeof(result)) || !equal(&packet, &bursted[i]))
            fail_msg("%s, %u of %u: %s, not %s", items[i]->name, i, count,
                     corpus_reason(results[i].reason), corpus_reason(result.reason));
        free(work[i][0].room);
        free(work[i][1].room);
    }
}

static void test_same_as_one_by_one(void **state)
{
    static const unsigned sizes[] = {0, 1, 2, 7, FP_BURST_MAX}, vectors[] = {0, 256, 512};
    struct pair *pair = *state;
    struct fp_root *root = tables_base(pair->tables);
    unsigned reasons = 0;

    for (unsigned v = 0; v < sizeof(vectors) / sizeof(*vectors); v++) {
        if (!fp_straight_vectors(&pair->straight, vectors[v]))
            continue; /* this CPU has none of that length */
        for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
            for (unsigned done = 0; done < ROUNDS; done += sizes[i] ? sizes[i] : ROUNDS)
                compare(pair, sizes[i]);
    }
    site_hide_access4(root, false);
    site_hide_access4(pair->copy, false);
    assert_memory_equal(root, pair->copy, root->heap_end);
    for (unsigned i = 0; i < FP_COUNT_REASONS; i++)
        reasons +=
            tables_counter(pair->tables, offsetof(struct fp_counters, reason), i).packets != 0;
    assert_true(reasons > 35); /* nearly all that there are */
}

/* A commit while a burst is under way: the route hook deletes a virtual IP and its backend. */
static int route_delete(void *arg, const fp_u8 address[16], struct fp_nexthop *out)
{
    struct fp_key vip = site_key(FP_KIND_VIP, "192.0.2.10", SITE_TCP | 80);
    struct fp_key backend = site_number(FP_KIND_BACKEND, SITE_V4);

    (void)address;
    *out = (struct fp_nexthop){.ifindex = SITE_IFINDEX};
    assert_int_equal(tables_begin(arg), 0);
    assert_int_equal(tables_delete(arg, &vip), 0);
    assert_int_equal(tables_delete(arg, &backend), 0);
    assert_int_equal(tables_commit(arg, 3), 0);
    return 1;
}

static void test_one_generation(void **state)
{
    static const char *const names[] = {"nat-back", "ipip", "ipip"};
    static struct fp_packet packets[3];
    struct pair *pair = *state;
    struct fp_env env = site_env(pair->tables);
    struct fp_result results[3];
    struct work work[3];

    env.route = route_delete;
    env.route_arg = pair->tables;
    for (unsigned i = 0; i < 3; i++) {
        const struct corpus_case *item = pair->frames;

        while (strcmp(item->name, names[i]))
            item++;
        work_load(&work[i], item, item->length);
        packet_set(&packets[i], &work[i]);
    }
    fp_process_burst(&env, &pair->straight, packets, 2, results);
    fp_process_burst(&env, &pair->straight, packets + 2, 1, results + 2);
    assert_int_equal(results[0].reason, FP_LB_NAT_BACK);
    assert_int_equal(results[1].reason, FP_LB_IPIP);
    assert_int_equal(results[2].reason, FP_DROP_NO_SERVICE);
    for (unsigned i = 0; i < 3; i++)
        free(work[i].room);
}

/* Runs one frame of the corpus by name; `out` gets it as it left. */
static struct fp_result run_named(struct pair *pair, struct fp_env *env, const char *name,
                                  uint8_t out[CORPUS_FRAME_MAX])
{
    static struct fp_packet packet;
    const struct corpus_case *item = pair->frames;
    struct fp_result result;
    struct work work;

    while (strcmp(item->name, name))
        item++;
    work_load(&work, item, item->length);
    packet_set(&packet, &work);
    fp_process_burst(env, &pair->straight, &packet, 1, &result);
    memcpy(out, packet.data, (size_t)(packet.end - packet.data));
    free(work.room);
    return result;
}

/* What is remembered of the region ends with every change: of a next hop, which no generation
 * tells of, of a backend, of a virtual IP. */
static void test_nothing_stale(void **state)
{
    struct pair *pair = *state;
    struct fp_env env = site_env(pair->tables);
    struct fp_key hop = site_number(FP_KIND_NEXTHOP, SITE_V4);
    struct fp_key backend = site_number(FP_KIND_BACKEND, SITE_V4);
    struct fp_key vip = site_key(FP_KIND_VIP, "192.0.2.10", SITE_TCP | 80);
    uint8_t out[CORPUS_FRAME_MAX];
    struct fp_nexthop nexthop;
    struct fp_backend body;

    assert_int_equal(run_named(pair, &env, "ipip", out).reason, FP_LB_IPIP);
    nexthop = *(const struct fp_nexthop *)tables_get(pair->tables, &hop, NULL);
    body = *(const struct fp_backend *)tables_get(pair->tables, &backend, NULL);
    assert_memory_equal(out, nexthop.dmac, 6);
    nexthop.dmac[5] ^= 0x55;
    assert_int_equal(tables_put_local(pair->tables, &hop, &nexthop, sizeof(nexthop)), 0);
    assert_int_equal(run_named(pair, &env, "ipip", out).reason, FP_LB_IPIP);
    assert_memory_equal(out, nexthop.dmac, 6);
    assert_int_equal(tables_delete_local(pair->tables, &hop), 0);
    assert_int_equal(run_named(pair, &env, "ipip", out).reason, FP_DROP_NO_NEIGHBOUR);
    assert_int_equal(tables_put_local(pair->tables, &hop, &nexthop, sizeof(nexthop)), 0);
    body.address[15] ^= 0x55;
    assert_int_equal(tables_begin(pair->tables), 0);
    assert_int_equal(tables_put(pair->tables, &backend, &body, sizeof(body)), 0);
    assert_int_equal(run_named(pair, &env, "ipip", out).reason, FP_LB_IPIP);
    assert_int_equal(out[33], body.address[15] ^ 0x55); /* not yet */
    assert_int_equal(tables_commit(pair->tables, 3), 0);
    assert_int_equal(run_named(pair, &env, "ipip", out).reason, FP_LB_IPIP);
    assert_int_equal(out[33], body.address[15]);
    assert_int_equal(tables_begin(pair->tables), 0);
    assert_int_equal(tables_delete(pair->tables, &vip), 0);
    assert_int_equal(tables_commit(pair->tables, 4), 0);
    assert_int_equal(run_named(pair, &env, "ipip", out).reason, FP_DROP_NO_SERVICE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_as_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_generation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_stale, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
