/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in front of an engine: what it keeps, for how long, and what a failure leaves. That
 * it is an engine like the others is test_engine.c's. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/controlplane/core/kv/rig.h"

/* Memory behind the cache, which counts what reaches it. */
struct behind {
    struct kv_engine_ops counting;
    const struct kv_engine_ops *real;
    struct kv_memory_disk disk;
    struct kv_engine *below, *cache;
    unsigned gets, writes, changes;
};

static struct behind *behind;

static int count_get(struct kv_engine *engine, struct kv_snapshot *snapshot, struct kv_slice key,
                     struct buffer *value)
{
    behind->gets++;
    return behind->real->get(engine, snapshot, key, value);
}

static int count_write(struct kv_engine *engine, const struct kv_batch *batch)
{
    struct kv_reader reader = kv_batch_read(batch);
    struct kv_change change;

    behind->writes++;
    while (kv_batch_next(&reader, &change))
        behind->changes++;
    return behind->real->write(engine, batch);
}

static int make(void **state)
{
    behind = calloc(1, sizeof(*behind));
    assert_int_equal(kv_memory_open(&behind->below, &behind->disk), 0);
    behind->real = behind->below->ops;
    behind->counting = *behind->real;
    behind->counting.get = count_get;
    behind->counting.write = count_write;
    behind->below->ops = &behind->counting;
    assert_int_equal(kv_cache_open(&behind->cache, behind->below), 0);
    return 0;
}

static int unmake(void **state)
{
    behind->cache->ops->close(behind->cache);
    kv_memory_disk_free(&behind->disk);
    free(behind);
    return 0;
}

static int put(const char *key, struct kv_slice value)
{
    struct kv_batch batch = {0};
    int error;

    kv_batch_put(&batch, kv_text(key), value);
    error = behind->cache->ops->write(behind->cache, &batch);
    kv_batch_free(&batch);
    return error;
}

static void wrote(const char *key, const char *value)
{
    assert_int_equal(put(key, kv_text(value)), 0);
}

static void removed(const char *key)
{
    struct kv_batch batch = {0};

    kv_batch_delete(&batch, kv_text(key));
    assert_int_equal(behind->cache->ops->write(behind->cache, &batch), 0);
    kv_batch_free(&batch);
}

/* The value, "-" if there is none. */
static const char *got(struct kv_engine *engine, const char *key)
{
    static char text[64];
    struct buffer value = {0};
    int error = engine->ops->get(engine, NULL, kv_text(key), &value);

    assert_true(!error || error == CULVERT_ENOTFOUND);
    snprintf(text, sizeof(text), "%s", error ? "-" : value.data);
    buffer_free(&value);
    return text;
}

/* The last version of each goes down, all at once. */
static void test_changes_are_gathered(void **state)
{
    for (unsigned i = 0; i < 100; i++)
        wrote("same", i < 99 ? "old" : "new");
    wrote("gone", "1");
    removed("gone");
    assert_int_equal(behind->writes, 0);
    assert_string_equal(got(behind->cache, "same"), "new");
    assert_string_equal(got(behind->cache, "gone"), "-");
    assert_string_equal(got(behind->below, "same"), "-");
    assert_int_equal(kv_cache_settle(behind->cache), 0);
    assert_int_equal(behind->writes, 1);
    assert_int_equal(behind->changes, 2);
    assert_string_equal(got(behind->below, "same"), "new");
    assert_int_equal(kv_cache_settle(behind->cache), 0);
    assert_int_equal(behind->writes, 1);
}

/* They don't wait for ever: neither many nor large ones. */
static void test_changes_are_bounded(void **state)
{
    static uint8_t large[100000];
    char key[16];

    for (unsigned i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "%u", i);
        wrote(key, "x");
    }
    assert_in_range(behind->writes, 5, 50);
    assert_in_range(behind->changes, 4000, 5000);
    behind->writes = 0;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "%u", i);
        assert_int_equal(put(key, (struct kv_slice){large, sizeof(large)}), 0);
    }
    assert_in_range(behind->writes, 30, 60);
}

/* A record that was read is read no more, nor one that isn't there, whatever is written. */
static void test_reads_are_remembered(void **state)
{
    wrote("a", "1");
    assert_int_equal(kv_cache_settle(behind->cache), 0);
    assert_string_equal(got(behind->cache, "a"), "1");
    assert_string_equal(got(behind->cache, "b"), "-");
    behind->gets = 0;
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(got(behind->cache, "a"), i ? "2" : "1");
        assert_string_equal(got(behind->cache, "b"), i ? "3" : "-");
        wrote("a", "2");
        wrote("b", "3");
        assert_int_equal(kv_cache_settle(behind->cache), 0);
    }
    removed("a");
    assert_string_equal(got(behind->cache, "a"), "-");
    assert_int_equal(behind->gets, 0);
}

/* Those that were used least lately go, and with records that are too large nothing is kept. */
static void test_memory_is_bounded(void **state)
{
    static uint8_t value[60000], large[70000];
    struct buffer found = {0};
    char key[16];

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%u", i);
        assert_int_equal(put(key, (struct kv_slice){value, sizeof(value)}), 0);
    }
    assert_int_equal(put("large", (struct kv_slice){large, sizeof(large)}), 0);
    assert_int_equal(kv_cache_settle(behind->cache), 0);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "%u", i);
        got(behind->cache, key);
        got(behind->cache, "0");
    }
    behind->gets = 0;
    got(behind->cache, "999");
    got(behind->cache, "0");
    assert_int_equal(behind->gets, 0);
    for (unsigned i = 1; i < 800; i++) {
        snprintf(key, sizeof(key), "%u", i);
        got(behind->cache, key);
    }
    assert_int_equal(behind->gets, 799);
    for (unsigned i = 0; i < 2; i++) {
        buffer_clear(&found);
        assert_int_equal(behind->cache->ops->get(behind->cache, NULL, kv_text("large"), &found), 0);
        assert_int_equal(found.length, sizeof(large));
    }
    assert_int_equal(behind->gets, 801);
    buffer_free(&found);
}

/* What can't go down stays, is still read, and the next write says so. */
static void test_failure(void **state)
{
    struct kv_engine *cache = behind->cache;
    struct kv_snapshot *snapshot;
    struct kv_iterator *at;

    wrote("a", "1");
    behind->disk.fail = CULVERT_ENOSPC;
    wrote("b", "2");
    assert_int_equal(cache->ops->snapshot(cache, &snapshot), CULVERT_ENOSPC);
    assert_int_equal(cache->ops->iterator(cache, NULL, kv_text(""), kv_text(""), &at),
                     CULVERT_ENOSPC);
    assert_int_equal(put("a", kv_text("3")), CULVERT_ENOSPC);
    assert_string_equal(got(cache, "a"), "1");
    assert_string_equal(got(cache, "b"), "2");
    behind->disk.fail = 0;
    wrote("a", "4");
    assert_int_equal(kv_cache_settle(cache), 0);
    assert_string_equal(got(behind->below, "a"), "4");
    assert_string_equal(got(behind->below, "b"), "2");
}

/* Another content takes nothing of the old one over. */
static void test_replacement_forgets(void **state)
{
    struct kv_engine *cache = behind->cache;

    wrote("a", "1");
    assert_int_equal(kv_cache_settle(cache), 0);
    assert_string_equal(got(cache, "a"), "1");
    assert_string_equal(got(cache, "c"), "-");
    wrote("b", "2");
    assert_int_equal(cache->ops->fresh_begin(cache), 0);
    assert_int_equal(cache->ops->fresh_commit(cache), 0);
    assert_string_equal(got(cache, "a"), "-");
    assert_string_equal(got(cache, "b"), "-");
    assert_int_equal(kv_cache_settle(cache), 0);
    assert_string_equal(got(behind->below, "b"), "-");
}

#define OWN(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OWN(test_changes_are_gathered),
        OWN(test_changes_are_bounded),
        OWN(test_reads_are_remembered),
        OWN(test_memory_is_bounded),
        OWN(test_failure),
        OWN(test_replacement_forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
