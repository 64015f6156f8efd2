/* SPDX-License-Identifier: Apache-2.0 */
/* All engines have to behave the same: each story runs on both, and on memory behind the cache; a
 * random one compares them. */
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/controlplane/core/kv/rig.h"

struct place {
    enum rig_engine kind;
    bool cached;
    struct kv_memory_disk disk;
    char folder[32];
    struct kv_engine *engine;
};

static void place_open(struct place *place)
{
    if (place->kind == RIG_MEMORY)
        assert_int_equal(kv_memory_open(&place->engine, &place->disk), 0);
    else
        assert_int_equal(kv_rocksdb_open(&place->engine, place->folder, NULL), 0);
    if (place->cached)
        assert_int_equal(kv_cache_open(&place->engine, place->engine), 0);
}

static int place_flush(struct place *place)
{
    int error = place->cached ? kv_cache_settle(place->engine) : 0;

    return error ? error : place->engine->ops->flush(place->engine);
}

static void place_make(struct place *place, enum rig_engine kind, bool cached)
{
    *place = (struct place){.kind = kind, .cached = cached, .folder = "/tmp/culvert-kv-XXXXXX"};
    if (kind == RIG_ROCKSDB)
        assert_non_null(mkdtemp(place->folder));
    place_open(place);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    return remove(path);
}

static void place_remove(struct place *place)
{
    place->engine->ops->close(place->engine);
    kv_memory_disk_free(&place->disk);
    if (place->kind == RIG_ROCKSDB)
        nftw(place->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Puts "key=value", deletes "key-", words of a text. */
static int write_words(struct kv_engine *engine,
                       int (*write)(struct kv_engine *, const struct kv_batch *), const char *words)
{
    struct kv_batch batch = {0};
    char *copy = strdup(words), *save, *at;
    int error;

    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        at = strpbrk(word, "=-");
        if (*at == '=')
            kv_batch_put(&batch, (struct kv_slice){(uint8_t *)word, (size_t)(at - word)},
                         kv_text(at + 1));
        else
            kv_batch_delete(&batch, (struct kv_slice){(uint8_t *)word, (size_t)(at - word)});
    }
    error = write(engine, &batch);
    kv_batch_free(&batch);
    free(copy);
    return error;
}

static void wrote(struct kv_engine *engine, const char *words)
{
    assert_int_equal(write_words(engine, engine->ops->write, words), 0);
}

/* All of a range as words, forward and, to the same end, backward. */
static const char *listed(struct kv_engine *engine, struct kv_snapshot *snapshot, const char *lower,
                          const char *upper)
{
    static struct buffer text;
    struct buffer back = {0};
    struct kv_iterator *at;
    size_t count = 0;

    assert_int_equal(engine->ops->iterator(engine, snapshot, kv_text(lower), kv_text(upper), &at),
                     0);
    buffer_free(&text);
    buffer_text(&text, "");
    for (at->ops->seek(at, kv_text(lower)); at->ops->valid(at); at->ops->next(at), count++) {
        buffer_add(&text, at->ops->key(at).data, at->ops->key(at).length);
        buffer_char(&text, '=');
        buffer_add(&text, at->ops->value(at).data, at->ops->value(at).length);
        buffer_char(&text, ' ');
    }
    assert_int_equal(at->ops->error(at), 0);
    at->ops->seek_last(at, kv_text("\xff\xff"));
    for (; at->ops->valid(at); at->ops->prev(at))
        count--;
    assert_int_equal(count, 0);
    at->ops->close(at);
    buffer_free(&back);
    return text.data;
}

static void test_reads_what_was_written(void **state)
{
    struct place *place = *state;
    struct kv_engine *engine = place->engine;
    struct buffer value = {0};

    wrote(engine, "b=2 a=1 c=3 b=4 c-");
    assert_string_equal(listed(engine, NULL, "", ""), "a=1 b=4 ");
    assert_int_equal(engine->ops->get(engine, NULL, kv_text("b"), &value), 0);
    assert_string_equal(value.data, "4");
    assert_int_equal(engine->ops->get(engine, NULL, kv_text("c"), &value), CULVERT_ENOTFOUND);
    buffer_free(&value);
}

static void test_ranges_have_bounds(void **state)
{
    struct place *place = *state;
    struct kv_engine *engine = place->engine;

    wrote(engine, "a=1 b=2 c=3 d=4");
    assert_string_equal(listed(engine, NULL, "b", "d"), "b=2 c=3 ");
    assert_string_equal(listed(engine, NULL, "bb", ""), "c=3 d=4 ");
    assert_string_equal(listed(engine, NULL, "e", "f"), "");
}

static void test_seeks_both_ways(void **state)
{
    struct place *place = *state;
    struct kv_engine *engine = place->engine;
    struct kv_iterator *at;

    wrote(engine, "a=1 c=3 e=5 g=7");
    assert_int_equal(engine->ops->iterator(engine, NULL, kv_text("b"), kv_text("f"), &at), 0);
    at->ops->seek_last(at, kv_text("d"));
    assert_memory_equal(at->ops->key(at).data, "c", 1);
    at->ops->next(at);
    assert_memory_equal(at->ops->key(at).data, "e", 1);
    at->ops->next(at);
    assert_false(at->ops->valid(at));
    at->ops->seek_last(at, kv_text("z"));
    assert_memory_equal(at->ops->key(at).data, "e", 1);
    at->ops->seek_last(at, kv_text("f"));
    assert_memory_equal(at->ops->key(at).data, "e", 1);
    at->ops->seek(at, kv_text("a"));
    assert_memory_equal(at->ops->key(at).data, "c", 1);
    at->ops->prev(at);
    assert_false(at->ops->valid(at));
    at->ops->seek_last(at, kv_text("b"));
    assert_false(at->ops->valid(at));
    at->ops->close(at);
}

static void test_snapshot_stays(void **state)
{
    struct place *place = *state;
    struct kv_engine *engine = place->engine;
    struct kv_snapshot *snapshot;

    wrote(engine, "a=1 b=2");
    assert_int_equal(engine->ops->snapshot(engine, &snapshot), 0);
    wrote(engine, "a=9 b- c=3");
    assert_string_equal(listed(engine, snapshot, "", ""), "a=1 b=2 ");
    assert_string_equal(listed(engine, NULL, "", ""), "a=9 c=3 ");
    engine->ops->snapshot_free(snapshot);
}

static void test_flushed_outlives(void **state)
{
    struct place *place = *state;

    wrote(place->engine, "a=1");
    assert_int_equal(place_flush(place), 0);
    place->engine->ops->close(place->engine);
    place_open(place);
    assert_string_equal(listed(place->engine, NULL, "", ""), "a=1 ");
}

static void test_replacement(void **state)
{
    struct place *place = *state;
    struct kv_engine *engine = place->engine;
    struct kv_snapshot *snapshot;

    wrote(engine, "a=1");
    assert_int_equal(engine->ops->snapshot(engine, &snapshot), 0);
    assert_int_equal(engine->ops->fresh_begin(engine), 0);
    assert_int_equal(write_words(engine, engine->ops->fresh_write, "x=1 y=2"), 0);
    assert_string_equal(listed(engine, NULL, "", ""), "a=1 ");
    engine->ops->fresh_abort(engine);
    assert_string_equal(listed(engine, NULL, "", ""), "a=1 ");
    assert_int_equal(engine->ops->fresh_begin(engine), 0);
    assert_int_equal(write_words(engine, engine->ops->fresh_write, "z=3"), 0);
    assert_int_equal(engine->ops->fresh_commit(engine), 0);
    assert_string_equal(listed(engine, NULL, "", ""), "z=3 ");
    assert_string_equal(listed(engine, snapshot, "", ""), "a=1 ");
    engine->ops->snapshot_free(snapshot);
    wrote(engine, "y=5");
    assert_int_equal(place_flush(place), 0);
    engine->ops->close(engine);
    place_open(place);
    assert_string_equal(listed(place->engine, NULL, "", ""), "y=5 z=3 ");
}

static unsigned folder_entries(const char *folder)
{
    DIR *list = opendir(folder);
    unsigned count = 0;

    assert_non_null(list);
    while (readdir(list))
        count++;
    closedir(list);
    return count;
}

/* A replacement that was not committed is gone when the process is. */
static void test_replacement_unfinished(void **state)
{
    struct place *place = *state;
    struct kv_engine *engine = place->engine;

    wrote(engine, "a=1");
    assert_int_equal(place_flush(place), 0);
    assert_int_equal(engine->ops->fresh_begin(engine), 0);
    assert_int_equal(write_words(engine, engine->ops->fresh_write, "x=1"), 0);
    engine->ops->close(engine);
    if (place->kind == RIG_ROCKSDB) {
        char *left;

        assert_true(asprintf(&left, "%s/content-77", place->folder) > 0);
        assert_int_equal(mkdir(left, 0700), 0); /* by a process that was killed */
        free(left);
    }
    place_open(place);
    assert_string_equal(listed(place->engine, NULL, "", ""), "a=1 ");
    if (place->kind == RIG_ROCKSDB) /* ., .., current, content-1 */
        assert_int_equal(folder_entries(place->folder), 4);
}

/* Only memory can forget on demand. */
static void test_memory_crash_goes_back(void **state)
{
    struct place *place = *state;

    if (place->kind != RIG_MEMORY)
        return;
    wrote(place->engine, "a=1");
    assert_int_equal(place_flush(place), 0);
    wrote(place->engine, "a=2 b=3");
    place->disk.fail = CULVERT_ENOSPC;
    assert_int_equal(place_flush(place), CULVERT_ENOSPC);
    place->disk.fail = 0;
    place->engine->ops->close(place->engine);
    place_open(place);
    assert_string_equal(listed(place->engine, NULL, "", ""), "a=1 ");
}

/* Some look-ups have the same result. */
static void same_gets(struct kv_engine *one, struct kv_engine *other, unsigned *seed)
{
    struct buffer mine = {0}, theirs = {0};
    char key[8];

    for (unsigned i = 0; i < 20; i++) {
        snprintf(key, sizeof(key), "%x", rand_r(seed) % 200);
        buffer_clear(&mine);
        buffer_clear(&theirs);
        assert_int_equal(one->ops->get(one, NULL, kv_text(key), &mine),
                         other->ops->get(other, NULL, kv_text(key), &theirs));
        assert_int_equal(mine.length, theirs.length);
        if (mine.length)
            assert_memory_equal(mine.data, theirs.data, mine.length);
    }
    buffer_free(&mine);
    buffer_free(&theirs);
}

static void test_random_equal(void **state)
{
    struct place *place = *state, other;
    struct buffer words = {0}, text = {0};
    unsigned seed = 7;

    place_make(&other, place->kind == RIG_MEMORY ? RIG_ROCKSDB : RIG_MEMORY, false);
    for (unsigned round = 0; round < 400; round++) {
        buffer_clear(&words);
        for (unsigned i = 0; i < 20; i++)
            buffer_format(&words, rand_r(&seed) % 3 ? "%x=%x " : "%x- ", rand_r(&seed) % 200,
                          rand_r(&seed));
        wrote(place->engine, words.data);
        wrote(other.engine, words.data);
        same_gets(place->engine, other.engine, &seed);
        if (rand_r(&seed) % 4)
            continue;
        buffer_clear(&text);
        buffer_text(&text, listed(place->engine, NULL, "2", "b"));
        assert_string_equal(listed(other.engine, NULL, "2", "b"), text.data);
    }
    buffer_free(&words);
    buffer_free(&text);
    place_remove(&other);
}

static int make_memory(void **state)
{
    *state = malloc(sizeof(struct place));
    place_make(*state, RIG_MEMORY, false);
    return 0;
}

static int make_cached(void **state)
{
    *state = malloc(sizeof(struct place));
    place_make(*state, RIG_MEMORY, true);
    return 0;
}

static int make_rocksdb(void **state)
{
    *state = malloc(sizeof(struct place));
    place_make(*state, RIG_ROCKSDB, false);
    return 0;
}

static int unmake(void **state)
{
    place_remove(*state);
    free(*state);
    return 0;
}

#define ALL(test) BOTH(test), cmocka_unit_test_setup_teardown(test, make_cached, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALL(test_reads_what_was_written), ALL(test_ranges_have_bounds),
        ALL(test_seeks_both_ways),        ALL(test_snapshot_stays),
        ALL(test_flushed_outlives),       ALL(test_replacement),
        ALL(test_replacement_unfinished), ALL(test_memory_crash_goes_back),
        ALL(test_random_equal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
