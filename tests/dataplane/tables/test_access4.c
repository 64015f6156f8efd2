/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of IPv4 access entries against a plain array: what packets of the committed generation
 * and of the one before are told, before the lines follow and after.
 */
#include "dataplane/fastpath/access.h"
#include "tests/dataplane/tables/helper.h"

#define HOSTS 6000u
#define ABSENT FP_ACCESS_NONE
#define LINES_LEAST (1u << FP_ACCESS4_LOG2_MIN)

struct list {
    struct tables *tables;
    uint8_t was[HOSTS], now[HOSTS]; /* an action, or ABSENT */
    uint32_t address[HOSTS];        /* as they lie */
};

static struct fp_key prefix_key(uint32_t address, unsigned length)
{
    struct fp_key key = {
        .b = FP_KEY_IPV4(address), .c = FP_MAPPED_LENGTH + length, .kind = FP_KIND_ACCESS};

    fp_prefix_cut(&key.a, &key.b, key.c);
    return key;
}

static void prefix_set(struct tables *tables, uint32_t address, unsigned length, uint32_t action)
{
    struct fp_key key = prefix_key(address, length);
    struct fp_access access = {.action = action};

    if (action == ABSENT)
        assert_int_equal(tables_delete(tables, &key), 0);
    else
        assert_int_equal(tables_put(tables, &key, &access, sizeof(access)), 0);
}

static uint32_t told(struct tables *tables, uint32_t generation, uint32_t address)
{
    struct fp_env env = env_of(tables, generation);

    return fp_access_find(&env, 0, FP_KEY_IPV4(address));
}

/* What the lines by themselves say of a /32. */
static uint32_t told_by_lines(struct tables *tables, uint32_t address)
{
    struct fp_env env = env_of(tables, root_of(tables)->generation);

    return fp_access4_find(&env, address, 1ull << 32);
}

static bool are_shown(struct tables *tables)
{
    struct fp_env env = env_of(tables, root_of(tables)->generation);

    return fp_access4_lines(&env) != 0;
}

static struct list *list_new(size_t region)
{
    struct list *list = calloc(1, sizeof(*list));

    assert_non_null(list);
    list->tables = tables_new(region, 0);
    memset(list->was, ABSENT, sizeof(list->was));
    memset(list->now, ABSENT, sizeof(list->now));
    for (unsigned i = 0; i < HOSTS; i++)
        list->address[i] = fp_htonl(0x0a000000u + i * 2654435761u % 0x30000);
    return list;
}

static void list_end(struct list *list)
{
    tables_end(list->tables);
    free(list);
}

static void list_set(struct list *list, unsigned host, uint32_t action)
{
    list->now[host] = (uint8_t)action;
    prefix_set(list->tables, list->address[host], 32, action);
}

static void list_begin(struct list *list)
{
    assert_int_equal(tables_begin(list->tables), 0);
    memcpy(list->was, list->now, sizeof(list->was));
}

static void list_check(struct list *list, uint32_t generation, const uint8_t action[HOSTS])
{
    for (unsigned i = 0; i < HOSTS; i++)
        assert_int_equal(told(list->tables, generation, list->address[i]), action[i]);
}

static size_t list_count(const struct list *list)
{
    size_t count = 0;

    for (unsigned i = 0; i < HOSTS; i++)
        count += list->now[i] != ABSENT;
    return count;
}

/* Commits; then packets of before see the list as it was. */
static void list_commit(struct list *list)
{
    uint32_t before = root_of(list->tables)->generation;

    assert_int_equal(tables_commit(list->tables, before), 0);
    list_check(list, before, list->was);
    list_check(list, root_of(list->tables)->generation, list->now);
    reclaim_all(list->tables);
    list_check(list, root_of(list->tables)->generation, list->now);
    assert_int_equal(are_shown(list->tables), list_count(list) != 0);
}

/* Nearly all entries stand in the lines, which are neither far too many nor too few. */
static void lines_check(struct list *list)
{
    uint64_t lines = 1ull << (root_of(list->tables)->access4 & (FP_CACHE_LINE - 1));
    size_t count = list_count(list), untold = 0;

    for (unsigned i = 0; i < HOSTS; i++) {
        uint32_t action = told_by_lines(list->tables, list->address[i]);

        if (action == FP_ACCESS_UNTOLD)
            untold++;
        else
            assert_int_equal(action, list->now[i]);
    }
    assert_true(untold < HOSTS / 10);
    assert_true(count <= lines * 8);
    assert_true(count >= lines || lines == LINES_LEAST);
}

static void test_random_changes(void **state)
{
    struct list *list = list_new(16 * MIB);
    uint64_t random = 0x9e3779b97f4a7c15ull;

    for (unsigned step = 0; step < 150; step++) {
        /* Twice from none to nearly all and back. */
        unsigned share = step % 75 < 45 ? 7 : 0, changes = random_next(&random) % 2000;

        list_begin(list);
        for (unsigned i = 0; i < changes; i++)
            list_set(list, random_next(&random) % HOSTS,
                     random_next(&random) % 8 < share ? random_next(&random) % 2 : ABSENT);
        if (step % 10 == 9) {
            tables_abort(list->tables);
            memcpy(list->now, list->was, sizeof(list->now));
            list_check(list, root_of(list->tables)->generation, list->now);
            continue;
        }
        list_commit(list);
        if (list_count(list))
            lines_check(list);
    }
    list_begin(list);
    for (unsigned i = 0; i < HOSTS; i++)
        list_set(list, i, ABSENT);
    list_commit(list);
    assert_int_equal((uint32_t)root_of(list->tables)->access4, 0);
    list_end(list);
}

/* A transaction of other kinds doesn't hide the lines, one of theirs does until they follow. */
static void test_shown_and_hidden(void **state)
{
    struct list *list = list_new(16 * MIB);

    list_begin(list);
    list_set(list, 1, FP_ACCESS_DENY);
    list_commit(list);
    list_begin(list);
    put_dns(list->tables, 1, 'a', 60);
    assert_true(are_shown(list->tables));
    assert_int_equal(tables_commit(list->tables, 2), 0);
    assert_true(are_shown(list->tables));
    list_begin(list);
    assert_true(are_shown(list->tables));
    list_set(list, 2, FP_ACCESS_DENY);
    assert_int_equal(told_by_lines(list->tables, list->address[2]), ABSENT);
    assert_int_equal(tables_commit(list->tables, 3), 0);
    assert_int_equal(told_by_lines(list->tables, list->address[2]), FP_ACCESS_UNTOLD);
    assert_int_equal(tables_begin(list->tables), 0); /* settles */
    assert_int_equal(told_by_lines(list->tables, list->address[2]), FP_ACCESS_DENY);
    tables_abort(list->tables);
    list_end(list);
}

/* Gives the first `lines` * `each` hosts addresses, so many of each line; the others have one of
 * the first line that is no host's. */
static void list_crowd(struct list *list, unsigned lines, unsigned each)
{
    uint64_t seed = root_of(list->tables)->index_seed;
    unsigned count[LINES_LEAST] = {0};
    uint32_t next = 1;

    for (unsigned found = 0; found < lines * each; next++) {
        unsigned line = fp_access4_mix(next, 32, seed) % LINES_LEAST;

        if (line >= lines || count[line] == each)
            continue;
        list->address[line * each + count[line]++] = next;
        found++;
    }
    while (fp_access4_mix(next, 32, seed) % LINES_LEAST)
        next++;
    for (unsigned i = lines * each; i < HOSTS; i++)
        list->address[i] = next;
}

/* More entries than a line has room for: the line says that it doesn't know. */
static void test_full_line(void **state)
{
    struct list *list = list_new(16 * MIB);
    unsigned crowd = FP_ACCESS4_WORDS + 4, untold = 0;

    list_crowd(list, 1, crowd);
    list_begin(list);
    for (unsigned i = 0; i < FP_ACCESS4_WORDS; i++)
        list_set(list, i, i % 2);
    list_commit(list);
    assert_int_equal(told_by_lines(list->tables, list->address[0]), 0);
    assert_int_equal(told_by_lines(list->tables, list->address[FP_ACCESS4_WORDS - 1]), 1);
    assert_int_equal(told_by_lines(list->tables, list->address[crowd]), ABSENT);
    for (unsigned i = FP_ACCESS4_WORDS; i < crowd; i++) {
        list_begin(list);
        list_set(list, i, i % 2);
        list_commit(list);
        assert_int_equal(told_by_lines(list->tables, list->address[i]), FP_ACCESS_UNTOLD);
    }
    assert_int_equal(told_by_lines(list->tables, list->address[crowd]), FP_ACCESS_UNTOLD);
    for (unsigned i = 0; i < FP_ACCESS4_WORDS; i++)
        untold += told_by_lines(list->tables, list->address[i]) == FP_ACCESS_UNTOLD;
    assert_int_equal(untold, 1); /* it made room for the mark */
    /* Changed, taken out and put in again, in the line and out of it. */
    for (unsigned i = 0; i < crowd; i++) {
        list_begin(list);
        list_set(list, i, (i + 1) % 2);
        list_commit(list);
        list_begin(list);
        list_set(list, (i + 7) % crowd, ABSENT);
        list_commit(list);
        list_begin(list);
        list_set(list, (i + 7) % crowd, i % 2);
        list_commit(list);
    }
    list_end(list);
}

/* Lines that were too full once are made anew when they are many. */
static void test_full_lines_are_made_anew(void **state)
{
    struct list *list = list_new(16 * MIB);
    unsigned each = FP_ACCESS4_WORDS + 1, crowd = LINES_LEAST / 8 * each, untold = 0;

    list_crowd(list, LINES_LEAST / 8, each);
    list_begin(list);
    for (unsigned i = 0; i < crowd; i++)
        list_set(list, i, FP_ACCESS_DENY);
    list_commit(list);
    for (unsigned i = 0; i < crowd; i++)
        untold += told_by_lines(list->tables, list->address[i]) == FP_ACCESS_UNTOLD;
    /* Of each line the one too many, and the one that made room for the mark. */
    assert_int_equal(untold, LINES_LEAST / 8 * 2);
    list_begin(list);
    for (unsigned i = 0; i < crowd; i += each)
        list_set(list, i, ABSENT);
    list_commit(list);
    for (unsigned i = 0; i < crowd; i++)
        assert_int_equal(told_by_lines(list->tables, list->address[i]), list->now[i]);
    list_end(list);
}

/* Puts records of a size until there is no room for more. Returns their number. */
static unsigned records_put(struct tables *tables, unsigned first, size_t length)
{
    unsigned count = 0;

    while (put_dns(tables, first + count, 'a', length) == 0)
        count++;
    return count;
}

/* Where the region has no room for the lines the index serves; they come when there is. */
static void test_no_room(void **state)
{
    struct list *list = list_new(4 * MIB);
    unsigned small, large;

    list_begin(list);
    small = records_put(list->tables, 0, 1000) - 200; /* but for tombstones */
    tables_abort(list->tables);
    list_begin(list);
    for (unsigned i = 0; i < small; i++)
        assert_int_equal(put_dns(list->tables, i, 'a', 1000), 0);
    assert_int_equal(tables_commit(list->tables, 1), 0);
    list_begin(list);
    for (unsigned i = 0; i < small; i += 4)
        assert_int_equal(delete_dns(list->tables, i), 0);
    assert_int_equal(tables_commit(list->tables, 2), 0);
    reclaim_all(list->tables);
    list_begin(list);
    large = records_put(list->tables, small, 3000);
    for (unsigned i = 0; i < 300; i++)
        list_set(list, i, i % 2);
    assert_int_equal(tables_commit(list->tables, 3), 0);
    reclaim_all(list->tables);
    assert_false(are_shown(list->tables));
    list_check(list, root_of(list->tables)->generation, list->now);
    list_begin(list);
    for (unsigned i = 0; i < small + large; i++)
        assert_int_equal(delete_dns(list->tables, i), 0);
    list_set(list, 0, ABSENT);
    assert_int_equal(tables_commit(list->tables, 4), 0);
    reclaim_all(list->tables);
    list_begin(list);
    list_set(list, 1, ABSENT);
    list_commit(list);
    lines_check(list);
    list_end(list);
}

/* Prefixes of all lengths, the default route among them. */
static void test_prefixes(void **state)
{
    struct tables *tables = tables_new(16 * MIB, 0);
    uint32_t address = fp_htonl(0xc6336455);

    assert_int_equal(tables_begin(tables), 0);
    for (unsigned length = 0; length <= 32; length++)
        prefix_set(tables, address, length, length % 2);
    assert_int_equal(tables_commit(tables, 1), 0);
    reclaim_all(tables);
    assert_true(are_shown(tables));
    for (unsigned same = 0; same <= 32; same++) {
        uint32_t other = same < 32 ? address ^ fp_htonl(0x80000000u >> same) : address;

        assert_int_equal(told(tables, root_of(tables)->generation, other), same % 2);
    }
    tables_end(tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes), cmocka_unit_test(test_shown_and_hidden),
        cmocka_unit_test(test_full_line),      cmocka_unit_test(test_full_lines_are_made_anew),
        cmocka_unit_test(test_no_room),        cmocka_unit_test(test_prefixes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
