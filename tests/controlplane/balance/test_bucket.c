/* SPDX-License-Identifier: Apache-2.0 */
/* Bucket tables over random histories: shares are exact, moves are the fewest possible, marks say
 * where old flows are, and the same input gives the same table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/balance/bucket.h"

#define BACKENDS_MOST 24

static uint64_t seed;

static uint32_t random_below(uint32_t end)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 32) % end);
}

static void count_owners(const struct bucket_table *table, uint32_t *count)
{
    memset(count, 0, 65536 * sizeof(*count));
    for (uint32_t i = 0; i < 1u << table->log2; i++)
        count[table->bucket[i] & 0xffff]++;
}

static void check_exact(const struct bucket_table *table, const struct bucket_backend *list,
                        size_t backends)
{
    static uint32_t count[65536];
    uint64_t total = 0, size = 1u << table->log2;

    count_owners(table, count);
    for (size_t i = 0; i < backends; i++)
        total += list[i].weight;
    for (size_t i = 0; i < backends; i++) {
        uint64_t exact = total ? list[i].weight * size / total : 0;
        bool whole = total && list[i].weight * size % total == 0;
        uint32_t got = count[list[i].number];

        assert_true(got == exact || (!whole && got == exact + 1));
        if (!list[i].weight)
            assert_int_equal(got, 0);
    }
    assert_int_equal(count[0], total ? 0 : size);
}

/* Every way to round the shares up or down is tried: none moves less. Small cases only. */
static uint32_t fewest_moves(const uint32_t *have, const struct bucket_backend *list,
                             size_t backends, uint32_t size, uint64_t total)
{
    uint32_t best = UINT32_MAX;

    for (uint32_t up = 0; up < 1u << backends; up++) {
        uint64_t sum = 0, kept = 0;
        bool possible = true;

        for (size_t i = 0; i < backends; i++) {
            uint64_t exact = list[i].weight * (uint64_t)size / total;
            bool rest = list[i].weight * (uint64_t)size % total;
            uint64_t quota = exact + (up >> i & 1);

            possible &= rest || !(up >> i & 1);
            sum += quota;
            kept += have[i] < quota ? have[i] : quota;
        }
        if (possible && sum == size && size - kept < best)
            best = (uint32_t)(size - kept);
    }
    return best;
}

static size_t random_backends(struct bucket_backend *list, size_t most)
{
    size_t count = 0;

    for (uint32_t number = 1; number <= most; number++) {
        if (!random_below(4))
            continue;
        list[count++] =
            (struct bucket_backend){.number = (uint16_t)number,
                                    .weight = (uint16_t)(random_below(5) ? random_below(1001) : 0),
                                    .keeps = true};
    }
    return count;
}

static uint32_t owner_of(const struct bucket_table *table, uint32_t i)
{
    return table->bucket[i] & 0xffff;
}

static void test_random_histories(void **state)
{
    (void)state;
    for (uint64_t run = 1; run <= 300; run++) {
        struct bucket_table table = {0}, next, again;
        bool first = true;

        seed = run * 0x9e3779b97f4a7c15ull;
        for (unsigned step = 0; step < 8; step++) {
            struct bucket_backend list[BACKENDS_MOST];
            size_t backends = random_backends(list, run % 2 ? 8 : BACKENDS_MOST);
            uint32_t log2 = first ? 6 + random_below(3) : table.log2, have[BACKENDS_MOST] = {0};
            uint32_t size = 1u << log2, differ = 0;
            uint64_t total = 0;
            int moved = bucket_assign(&next, first ? NULL : &table, log2, list, backends, 1000, 50);

            assert_true(moved >= 0);
            assert_int_equal(
                bucket_assign(&again, first ? NULL : &table, log2, list, backends, 1000, 50),
                moved);
            assert_memory_equal(next.bucket, again.bucket, size * sizeof(uint32_t));
            bucket_free(&again);
            check_exact(&next, list, backends);
            for (uint32_t i = 0; i < size; i++)
                differ += first || owner_of(&table, i) != owner_of(&next, i);
            for (size_t i = 0; i < backends; i++)
                total += list[i].weight;
            for (uint32_t i = 0; !first && i < size; i++)
                for (size_t j = 0; j < backends; j++)
                    have[j] += owner_of(&table, i) == list[j].number;
            if (total && backends <= 8 && !first)
                assert_int_equal(differ, fewest_moves(have, list, backends, size, total));
            if (!first)
                assert_int_equal(differ, moved);
            if (!first)
                bucket_free(&table);
            table = next;
            first = false;
        }
        bucket_free(&table);
    }
}

static void test_growth_moves_no_flow(void **state)
{
    struct bucket_backend list[3] = {{1, 100, true}, {2, 50, true}, {9, 7, true}};
    struct bucket_table small, large;

    (void)state;
    assert_true(bucket_assign(&small, NULL, 10, list, 3, 0, 60000) >= 0);
    /* Doubled, each share doubles too: only what was rounded may move. */
    assert_in_range(bucket_assign(&large, &small, 11, list, 3, 0, 60000), 0, 3);
    for (uint32_t i = 0; i < 1024; i++)
        assert_int_equal(owner_of(&large, i), owner_of(&small, i));
    check_exact(&large, list, 3);
    bucket_free(&large);
    assert_true(bucket_assign(&large, &small, 9, list, 3, 0, 60000) >= 0);
    check_exact(&large, list, 3);
    bucket_free(&large);
    bucket_free(&small);
}

static uint32_t marks_to(const struct bucket_table *table, uint32_t number)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < 1u << table->log2; i++)
        count += table->bucket[i] >> 16 == number;
    return count;
}

static void test_marks(void **state)
{
    struct bucket_backend both[2] = {{1, 1, true}, {2, 1, true}};
    struct bucket_backend drain[2] = {{1, 0, true}, {2, 1, true}};
    struct bucket_table a, b, c;

    (void)state;
    assert_true(bucket_assign(&a, NULL, 6, both, 2, 0, 100) >= 0);
    assert_int_equal(bucket_deadline(&a), -1);
    /* Drained: its buckets move and keep their flows. */
    assert_int_equal(bucket_assign(&b, &a, 6, drain, 2, 1000, 100), 32);
    assert_int_equal(marks_to(&b, 1), 32);
    assert_int_equal(bucket_deadline(&b), 1100);
    /* Back while marked: the old flows' backend stays named. */
    assert_int_equal(bucket_assign(&c, &b, 6, both, 2, 1050, 100), 32);
    assert_true(marks_to(&c, 1) >= 1);
    assert_int_equal(bucket_expire(&c, 1050), 0);
    bucket_free(&c);
    /* Gone while marked: no mark is left. */
    assert_int_equal(bucket_assign(&c, &b, 6, drain + 1, 1, 1050, 100), 0);
    assert_int_equal(marks_to(&c, 0), 64);
    assert_null(c.until);
    bucket_free(&c);
    assert_int_equal(bucket_expire(&b, 1099), 0);
    assert_int_equal(bucket_expire(&b, 1100), 32);
    assert_int_equal(marks_to(&b, 0), 64);
    bucket_free(&b);
    /* A drain time of nothing marks nothing; nor does a backend that is gone. */
    assert_int_equal(bucket_assign(&b, &a, 6, drain, 2, 1000, 0), 32);
    assert_null(b.until);
    bucket_free(&b);
    assert_int_equal(bucket_assign(&b, &a, 6, both + 1, 1, 1000, 100), 32);
    assert_null(b.until);
    bucket_free(&b);
    /* All drained: nobody is new, the old flows go on. */
    assert_int_equal(bucket_assign(&b, &a, 6, drain, 1, 1000, 100), 64);
    assert_int_equal(marks_to(&b, 1), 32);
    check_exact(&b, drain, 1);
    bucket_free(&b);
    bucket_free(&a);
}

static void test_sizes(void **state)
{
    (void)state;
    assert_int_equal(bucket_size_log2(0), 10);
    assert_int_equal(bucket_size_log2(8), 10);
    assert_int_equal(bucket_size_log2(9), 11);
    assert_int_equal(bucket_size_log2(512), 16);
    assert_int_equal(bucket_size_log2(65535), 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_histories),
        cmocka_unit_test(test_growth_moves_no_flow),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
