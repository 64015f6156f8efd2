/* SPDX-License-Identifier: Apache-2.0 */
/* Watches on both engines: what a receiver saw is told as a text, "+a=1@2" for a put, "-a@3" for a
 * deletion, "(was 1)" for what was before, "|" at the end of each hand-over, "..." when there is
 * more of its revision. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/core/kv/watch.h"
#include "tests/controlplane/core/kv/rig.h"

struct seen {
    struct kv_watch *watch;
    struct buffer text;
    unsigned events, pieces;
    unsigned room; /* hand-overs until it is full */
    bool quiet;    /* counts only */
    bool cancels;  /* from within the call */
    uint64_t last; /* revision of the last change: they come in order */
    int error;
    uint64_t compacted;
};

struct fixture {
    struct rig rig;
    struct kv_watch_hub *hub;
};

static void write_event(struct buffer *text, const struct kv_watch_event *one)
{
    const struct kv_pair *now = &one->event->now;

    buffer_format(text, "%c%.*s", one->event->put ? '+' : '-', (int)now->key.length,
                  (const char *)now->key.data);
    if (one->event->put)
        buffer_format(text, "=%.*s", (int)now->value.length, (const char *)now->value.data);
    buffer_format(text, "@%" PRIu64, now->mod);
    if (one->previous)
        buffer_format(text, "(was %.*s)", (int)one->previous->value.length,
                      (const char *)one->previous->value.data);
    buffer_char(text, ' ');
}

static bool take(void *arg, struct kv_watch *watch, const struct kv_watch_news *news)
{
    struct seen *seen = arg;

    assert_ptr_equal(watch, seen->watch);
    if (seen->cancels) {
        kv_watch_cancel(watch);
        seen->watch = NULL;
        return true;
    }
    if (!seen->room)
        return false;
    seen->room--;
    seen->pieces++;
    for (size_t i = 0; i < news->count; i++) {
        assert_true(news->events[i].event->now.mod >= seen->last);
        seen->last = news->events[i].event->now.mod;
        seen->events++;
        if (!seen->quiet)
            write_event(&seen->text, &news->events[i]);
    }
    assert_true(news->revision >= seen->last);
    if (seen->quiet)
        return true;
    if (!news->count)
        buffer_format(&seen->text, "at %" PRIu64 " ", news->revision);
    buffer_text(&seen->text, news->more ? "..." : "|");
    return true;
}

static void end(void *arg, struct kv_watch *watch, int error, uint64_t compacted)
{
    struct seen *seen = arg;

    seen->error = error;
    seen->compacted = compacted;
    seen->watch = NULL;
}

static void watching(struct fixture *fixture, struct seen *seen, struct kv_watch_options options)
{
    struct kv_watch_receiver receiver = {seen, take, end};

    *seen = (struct seen){.room = UINT32_MAX};
    assert_int_equal(kv_watch_create(&seen->watch, fixture->hub, &options, &receiver), 0);
}

static const char *told(struct seen *seen)
{
    static char text[4096];

    buffer_text(&seen->text, "");
    assert_true(seen->text.length < sizeof(text));
    memcpy(text, seen->text.data, seen->text.length + 1);
    buffer_free(&seen->text);
    return text;
}

static void pump(struct fixture *fixture)
{
    while (kv_watch_pump(fixture->hub, 10))
        ;
}

static void test_history_then_live(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = &fixture->rig;
    struct seen seen;

    rig_put(rig, "a", "1");
    rig_put(rig, "b", "1");
    rig_put(rig, "a", "2");
    watching(fixture, &seen, (struct kv_watch_options){.keys.key = kv_text("a"), .start = 2});
    assert_string_equal(told(&seen), "");
    rig_put(rig, "a", "3"); /* before the pump: still exactly once */
    pump(fixture);
    rig_put(rig, "a", "4");
    rig_delete(rig, "a", "");
    assert_string_equal(told(&seen), "+a=1@2 +a=2@4 +a=3@5 |+a=4@6 |-a@7 |");
}

static void test_from_now_and_from_later(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = &fixture->rig;
    struct seen now, later;

    rig_put(rig, "a", "1");
    watching(fixture, &now, (struct kv_watch_options){.keys = {kv_text("a"), kv_text("c")}});
    watching(fixture, &later, (struct kv_watch_options){.keys.key = kv_text("a"), .start = 5});
    pump(fixture);
    for (unsigned i = 0; i < 5; i++)
        rig_put(rig, i % 2 ? "b" : "a", "2");
    assert_string_equal(told(&now), "+a=2@3 |+b=2@4 |+a=2@5 |+b=2@6 |+a=2@7 |");
    assert_string_equal(told(&later), "+a=2@5 |+a=2@7 |");
}

static void test_filters_and_previous(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = &fixture->rig;
    struct seen puts, deletes, previous;
    struct kv_keys all = {kv_text("a"), {(const uint8_t *)"", 1}};

    watching(fixture, &puts, (struct kv_watch_options){.keys = all, .no_delete = true});
    watching(fixture, &deletes, (struct kv_watch_options){.keys = all, .no_put = true});
    watching(fixture, &previous, (struct kv_watch_options){.keys = all, .previous = true});
    pump(fixture);
    rig_put(rig, "a", "1");
    rig_put(rig, "a", "2");
    rig_delete(rig, "a", "");
    assert_string_equal(told(&puts), "+a=1@2 |+a=2@3 |");
    assert_string_equal(told(&deletes), "-a@4 |");
    assert_string_equal(told(&previous), "+a=1@2 |+a=2@3(was 1) |-a@4(was 2) |");
}

static void test_slow_watch_reads_on(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = &fixture->rig;
    struct seen slow, other;

    watching(fixture, &slow, (struct kv_watch_options){.keys.key = kv_text("a")});
    watching(fixture, &other, (struct kv_watch_options){.keys.key = kv_text("a")});
    pump(fixture);
    slow.room = 1;
    for (unsigned i = 0; i < 4; i++)
        rig_put(rig, "a", "1");
    assert_string_equal(told(&slow), "+a=1@2 |");
    assert_string_equal(told(&other), "+a=1@2 |+a=1@3 |+a=1@4 |+a=1@5 |");
    assert_int_equal(kv_watch_next(slow.watch), 3);
    pump(fixture);
    assert_string_equal(told(&slow), "");
    slow.room = 10;
    kv_watch_ready(slow.watch);
    pump(fixture);
    rig_put(rig, "a", "2");
    assert_string_equal(told(&slow), "+a=1@3 +a=1@4 +a=1@5 |+a=2@6 |");
    assert_string_equal(told(&other), "+a=2@6 |");
}

static void test_compacted_watch_ends(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = &fixture->rig;
    struct seen slow, late, exact;

    watching(fixture, &slow, (struct kv_watch_options){.keys.key = kv_text("a")});
    pump(fixture);
    slow.room = 0;
    for (unsigned i = 0; i < 5; i++)
        rig_put(rig, "a", "1");
    rig_delete(rig, "a", "");
    rig_compact(rig, 7);
    watching(fixture, &late, (struct kv_watch_options){.keys.key = kv_text("a"), .start = 6});
    watching(fixture, &exact, (struct kv_watch_options){.keys.key = kv_text("a"), .start = 7});
    kv_watch_ready(slow.watch);
    pump(fixture);
    assert_int_equal(slow.error, CULVERT_ECOMPACTED);
    assert_int_equal(slow.compacted, 7);
    assert_null(slow.watch);
    assert_int_equal(late.error, CULVERT_ECOMPACTED);
    assert_string_equal(told(&exact), "-a@7 |");
}

/* A live watch that has seen all is not behind, whatever is compacted, even when its key was quiet
 * for long and then it can't keep up. */
static void test_live_watch_outlives_compaction(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = &fixture->rig;
    struct seen seen;

    watching(fixture, &seen, (struct kv_watch_options){.keys.key = kv_text("quiet")});
    pump(fixture);
    for (unsigned i = 0; i < 5; i++)
        rig_put(rig, "a", "1");
    rig_compact(rig, 6);
    seen.room = 0;
    rig_put(rig, "quiet", "1");
    seen.room = 5;
    kv_watch_ready(seen.watch);
    pump(fixture);
    assert_int_equal(seen.error, 0);
    assert_string_equal(told(&seen), "+quiet=1@7 |");
}

static void put_many(struct rig *rig, unsigned count)
{
    char key[16];

    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "k%05u", i);
        rig_put(rig, key, "1");
    }
}

/* One revision that is too large for one hand-over, live and from the history. */
static void test_large_revision_in_pieces(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = &fixture->rig;
    struct kv_keys all = {kv_text("k"), kv_text("l")};
    struct seen live, past;
    uint64_t start;

    put_many(rig, 600);
    start = rig->result.revision + 1;
    watching(fixture, &live, (struct kv_watch_options){.keys = all, .no_put = true});
    live.quiet = true;
    pump(fixture);
    rig_delete(rig, "k", "l");
    assert_int_equal(live.events, 600);
    assert_int_equal(live.pieces, 3);
    watching(fixture, &past, (struct kv_watch_options){.keys = all, .start = start});
    past.quiet = true;
    past.room = 1;
    pump(fixture);
    assert_true(past.events && past.events < 600);
    past.room = 100;
    kv_watch_ready(past.watch);
    pump(fixture);
    assert_int_equal(past.events, 600);
}

/* So many changes that observers are not told each one. */
static void test_huge_revision(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = &fixture->rig;
    struct seen range, one;

    put_many(rig, KV_EVENTS_MAX + 10);
    watching(fixture, &range, (struct kv_watch_options){.keys = {kv_text("k"), kv_text("l")}});
    watching(fixture, &one, (struct kv_watch_options){.keys.key = kv_text("k00007")});
    range.quiet = one.quiet = true;
    pump(fixture);
    rig_delete(rig, "k", "l");
    assert_int_equal(range.events, 0);
    pump(fixture);
    assert_int_equal(range.events, KV_EVENTS_MAX + 10);
    assert_int_equal(one.events, 1);
}

static void test_progress(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = &fixture->rig;
    struct seen live, behind;

    watching(fixture, &live, (struct kv_watch_options){.keys.key = kv_text("a")});
    pump(fixture);
    watching(fixture, &behind, (struct kv_watch_options){.keys.key = kv_text("a")});
    rig_put(rig, "b", "1");
    kv_watch_progress(fixture->hub, NULL);
    kv_watch_progress(fixture->hub, live.watch);
    assert_string_equal(told(&live), "at 2 |at 2 |");
    assert_string_equal(told(&behind), "");
}

static void test_cancel_from_within(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = &fixture->rig;
    struct seen first, second;

    watching(fixture, &first, (struct kv_watch_options){.keys.key = kv_text("a")});
    watching(fixture, &second, (struct kv_watch_options){.keys.key = kv_text("a")});
    pump(fixture);
    first.cancels = true;
    rig_put(rig, "a", "1");
    assert_null(first.watch);
    rig_put(rig, "a", "2");
    assert_string_equal(told(&second), "+a=1@2 |+a=2@3 |");
}

/* Another node's state takes the place of this one's: watches go on where they were. */
static void test_replaced_state(void **state)
{
    struct fixture *fixture = *state;
    struct rig *rig = &fixture->rig, other;
    struct buffer dump = {0};
    struct seen seen;

    rig_put(rig, "a", "1");
    watching(fixture, &seen, (struct kv_watch_options){.keys.key = kv_text("a")});
    pump(fixture);
    rig_open(&other, RIG_MEMORY);
    rig_put(&other, "a", "1");
    rig_put(&other, "a", "2");
    rig_put(&other, "a", "3");
    rig_dump(&other, 100, &dump);
    assert_int_equal(rig_load(rig, &dump, 100, other.index), 0);
    rig->index = other.index;
    pump(fixture);
    assert_string_equal(told(&seen), "+a=2@3 +a=3@4 |");
    rig_close(&other);
    buffer_free(&dump);
}

static int make(void **state, enum rig_engine kind)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    rig_open(&fixture->rig, kind);
    assert_int_equal(kv_watch_hub_open(&fixture->hub, fixture->rig.store), 0);
    *state = fixture;
    return 0;
}

static int make_memory(void **state)
{
    return make(state, RIG_MEMORY);
}

static int make_rocksdb(void **state)
{
    return make(state, RIG_ROCKSDB);
}

static int unmake(void **state)
{
    struct fixture *fixture = *state;

    kv_watch_hub_close(fixture->hub);
    rig_close(&fixture->rig);
    free(fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_history_then_live),
        BOTH(test_from_now_and_from_later),
        BOTH(test_filters_and_previous),
        BOTH(test_slow_watch_reads_on),
        BOTH(test_compacted_watch_ends),
        BOTH(test_live_watch_outlives_compaction),
        BOTH(test_large_revision_in_pieces),
        BOTH(test_huge_revision),
        BOTH(test_progress),
        BOTH(test_cancel_from_within),
        BOTH(test_replaced_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
