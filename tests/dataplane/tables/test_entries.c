/* SPDX-License-Identifier: Apache-2.0 */
/* What an entry may be, and what comes with it: filter bits, counters' pages. */
#include "dataplane/fastpath/access.h"
#include "tests/dataplane/tables/helper.h"

#define REGION (16 * MIB)

static int setup(void **state)
{
    *state = tables_new(REGION, 2);
    return 0;
}

static int teardown(void **state)
{
    tables_end(*state);
    return 0;
}

static void commit(struct tables *tables, uint64_t site_generation)
{
    assert_int_equal(tables_commit(tables, site_generation), 0);
}

static void test_wrong_entries_are_refused(void **state)
{
    const struct {
        struct fp_key key;
        size_t length;
    } wrong[] = {
        {{.kind = FP_KIND_COUNT}, 8},
        {{.kind = 255}, 8},
        {{.kind = FP_KIND_CONFIG, .a = 1}, sizeof(struct fp_config)},
        {{.kind = FP_KIND_CONFIG}, sizeof(struct fp_config) - 1},
        {{.kind = FP_KIND_BACKEND, .a = 0}, sizeof(struct fp_backend)},
        {{.kind = FP_KIND_BACKEND, .a = FP_SLOTS_BACKEND}, sizeof(struct fp_backend)},
        {{.kind = FP_KIND_BACKEND, .a = 1, .b = 1}, sizeof(struct fp_backend)},
        {{.kind = FP_KIND_BACKEND, .a = 1, .c = 1}, sizeof(struct fp_backend)},
        {{.kind = FP_KIND_NEXTHOP, .a = 1}, sizeof(struct fp_nexthop)},
        {{.kind = FP_KIND_POOL, .a = 1}, sizeof(struct fp_pool)},
        {{.kind = FP_KIND_POOL, .a = 1}, 0},
        {{.kind = FP_KIND_ACCESS, .c = 129}, sizeof(struct fp_access)},
        {{.kind = FP_KIND_ADDRESS, .c = 1}, sizeof(struct fp_address)},
        {{.kind = FP_KIND_VIP, .c = 1u << 24}, sizeof(struct fp_vip)},
        {{.kind = FP_KIND_VIP}, sizeof(struct fp_vip) + 1},
        {{.kind = FP_KIND_ZONE, .a = 1}, 23},
        {{.kind = FP_KIND_DNS}, 7},
        {{.kind = FP_KIND_DNS}, 0},
        {{.kind = FP_KIND_DNS}, TABLES_BODY_MAX + 1},
    };
    void *body = calloc(1, TABLES_BODY_MAX + 1);

    tables_begin(*state);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(tables_put(*state, &wrong[i].key, body, wrong[i].length), CULVERT_EINVAL);
    commit(*state, 1);
    assert_int_equal(root_of(*state)->generation, 1);
    free(body);
}

static void test_wrong_bodies_are_refused(void **state)
{
    struct fp_key vip = {.kind = FP_KIND_VIP}, address = {.kind = FP_KIND_ADDRESS};
    struct fp_key limit = slot_key(FP_KIND_LIMIT, 0);
    struct fp_key pool = slot_key(FP_KIND_POOL, 0), natback = {.kind = FP_KIND_NATBACK};
    struct fp_vip vips[3] = {{.id = FP_COUNT_VIPS}, {.mode = 3}, {.nlimits = FP_LIMITS_MAX + 1}};
    struct fp_limit limits[3] = {{.per = 2}, {.len4 = 33}, {.len6 = 129}};
    struct fp_natback backs = {.vip = FP_COUNT_VIPS};
    struct fp_address addresses = {.nlimits = 5};
    uint32_t pools[4] = {17, 0, 1, 2};

    tables_begin(*state);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tables_put(*state, &vip, &vips[i], sizeof(vips[i])), CULVERT_EINVAL);
        assert_int_equal(tables_put(*state, &limit, &limits[i], sizeof(limits[i])), CULVERT_EINVAL);
    }
    assert_int_equal(tables_put(*state, &natback, &backs, sizeof(backs)), CULVERT_EINVAL);
    assert_int_equal(tables_put(*state, &address, &addresses, sizeof(addresses)), CULVERT_EINVAL);
    assert_int_equal(tables_put(*state, &pool, pools, sizeof(pools)), CULVERT_EINVAL);
    pools[0] = 2;
    assert_int_equal(tables_put(*state, &pool, pools, sizeof(pools)), CULVERT_EINVAL);
    pools[0] = 1;
    assert_int_equal(tables_put(*state, &pool, pools, sizeof(pools)), 0);
    tables_abort(*state);
}

static void test_wrong_interfaces_are_refused(void **state)
{
    struct fp_key key = slot_key(FP_KIND_INTERFACE, 0);
    struct fp_interface good = {.name = "eth0", .driver = 1, .queues = 1, .device = "net_null0"};
    struct fp_interface bad = good;

    tables_begin(*state);
    assert_int_equal(tables_put(*state, &key, &good, sizeof(good)), 0);
    bad.driver = 2;
    assert_int_equal(tables_put(*state, &key, &bad, sizeof(bad)), CULVERT_EINVAL);
    bad = good;
    memset(bad.name, 'e', sizeof(bad.name));
    assert_int_equal(tables_put(*state, &key, &bad, sizeof(bad)), CULVERT_EINVAL);
    bad = good;
    memset(bad.device, 'e', sizeof(bad.device));
    assert_int_equal(tables_put(*state, &key, &bad, sizeof(bad)), CULVERT_EINVAL);
    assert_int_equal(tables_put(*state, &key, &good, 24), CULVERT_EINVAL); /* layout 1 */
    tables_abort(*state);
}

static void test_wrong_answers_are_refused(void **state)
{
    struct fp_key key = dns_key(1), zone = slot_key(FP_KIND_ZONE, 3);
    struct {
        uint8_t node[8];       /* zone, flags, ntypes, other, name_length, labels */
        uint16_t type, offset; /* the directory */
        uint32_t pad;
        uint16_t core, full, counts[4];
        uint8_t flags, fixups, reason, pad2;
        uint16_t fixup[4];
        uint8_t bytes[16];
    } good = {.node = {0, 0, 0, 1}, .type = 1, .offset = 2, .core = 16, .full = 16, .fixups = 1},
      bad;

    tables_begin(*state);
    assert_int_equal(tables_put(*state, &key, &good, sizeof(good)), 0);
#define REFUSED(member, value)                                                                     \
    bad = good;                                                                                    \
    bad.member = (value);                                                                          \
    assert_int_equal(tables_put(*state, &key, &bad, sizeof(bad)), CULVERT_EINVAL)
    REFUSED(node[3], 65);    /* more types than the body has */
    REFUSED(node[4], 200);   /* `other` behind the end */
    REFUSED(offset, 0x1fff); /* the answer behind the end */
    REFUSED(full, 17);
    REFUSED(core, 17);
    REFUSED(fixups, 49);
    REFUSED(fixup[0], 15);
#undef REFUSED
    /* A zone's body is its header and one answer. */
    bad = good;
    bad.node[0] = 0;
    assert_int_equal(tables_put(*state, &zone, (uint8_t *)&bad + 8, sizeof(bad) - 8), 0);
    bad.full = 17;
    assert_int_equal(tables_put(*state, &zone, (uint8_t *)&bad + 8, sizeof(bad) - 8),
                     CULVERT_EINVAL);
    tables_abort(*state);
}

static void access_put(struct tables *tables, uint64_t a, uint64_t b, unsigned length)
{
    struct fp_key key = {.a = a, .b = b, .c = length, .kind = FP_KIND_ACCESS};
    struct fp_access access = {.action = FP_ACCESS_DENY};

    fp_prefix_cut(&key.a, &key.b, length);
    assert_int_equal(tables_put(tables, &key, &access, sizeof(access)), 0);
}

/* Prefixes shorter than a line of the filter cover all addresses under them. */
static void test_access_filter_covers_short_prefixes(void **state)
{
    struct fp_env env;

    tables_begin(*state);
    access_put(*state, 0, FP_KEY_IPV4(fp_htonl(0x0a000000)), FP_MAPPED_LENGTH + 9);
    access_put(*state, 0, FP_KEY_IPV4(fp_htonl(0xc6336400)), FP_MAPPED_LENGTH + 24);
    access_put(*state, fp_bswap64(0x2001000000000000), 0, 19);
    access_put(*state, fp_bswap64(0xfd00000000000000), 0, 32);
    commit(*state, 1);
    env = env_of(*state, root_of(*state)->generation);
    for (uint32_t host = 0; host < 1u << 24; host += 65521) {
        fp_u64 a = fp_bswap64(0x2001000000000000 + ((fp_u64)host << 28)), b = host;

        assert_int_equal(fp_access_find(&env, 0, FP_KEY_IPV4(fp_htonl(0x0a000000 + host))),
                         host < 1u << 23 ? FP_ACCESS_DENY : FP_ACCESS_NONE);
        assert_int_equal(fp_access_find(&env, a, b), host >> 17 ? FP_ACCESS_NONE : FP_ACCESS_DENY);
        a = fp_bswap64(0xfd00000000000000 + host);
        assert_int_equal(fp_access_find(&env, a, b), FP_ACCESS_DENY);
    }
    assert_int_equal(fp_access_find(&env, 0, FP_KEY_IPV4(fp_htonl(0xc63364ff))), FP_ACCESS_DENY);
    assert_int_equal(fp_access_find(&env, 0, FP_KEY_IPV4(fp_htonl(0xc63365ff))), FP_ACCESS_NONE);
}

/* eBPF makes no page present: fixed arrays are, and the counters of numbers in use, on each CPU. */
static void test_what_packets_touch_is_present(void **state)
{
    struct fp_root *root = root_of(*state);
    struct fp_key limit = slot_key(FP_KIND_LIMIT, 1000), vip = {.kind = FP_KIND_VIP};
    struct fp_limit limits = {.per = FP_PER_VIP};
    struct fp_vip vips = {.id = 16255};
    const size_t offsets[] = {
        offsetof(struct fp_counters, reason[127]), offsetof(struct fp_counters, vip[16255]),
        offsetof(struct fp_counters, backend[65535]), offsetof(struct fp_counters, limit[1000])};
    unsigned char present, pages[1024];

    assert_in_range(root->counters, 1, sizeof(pages) * 4096);
    assert_int_equal(mincore(root, root->counters, pages), 0);
    for (uint32_t page = 0; page < root->counters / 4096; page++)
        assert_true(pages[page] & 1); /* slots and the access filter */
    tables_begin(*state);
    assert_int_equal(tables_put(*state, &limit, &limits, sizeof(limits)), 0);
    assert_int_equal(tables_put(*state, &vip, &vips, sizeof(vips)), 0);
    put_backend(*state, 65535, 1);
    commit(*state, 1);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        size_t block = root->counters + cpu * sizeof(struct fp_counters);

        for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
            for (unsigned half = 0; half < 16; half += 8) {
                size_t page = (block + offsets[i] + half) & ~(size_t)4095;

                assert_int_equal(mincore((uint8_t *)root + page, 1, &present), 0);
                assert_true(present & 1);
            }
        assert_int_equal(
            mincore((uint8_t *)root +
                        ((block + offsetof(struct fp_counters, backend[30000])) & ~(size_t)4095),
                    1, &present),
            0);
        assert_false(present & 1);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_wrong_entries_are_refused),     TEST(test_wrong_bodies_are_refused),
        TEST(test_wrong_entries_are_refused),     TEST(test_wrong_interfaces_are_refused),
        TEST(test_wrong_answers_are_refused),     TEST(test_access_filter_covers_short_prefixes),
        TEST(test_what_packets_touch_is_present),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
