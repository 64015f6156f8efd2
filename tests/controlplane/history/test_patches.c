/* SPDX-License-Identifier: Apache-2.0 */
/* Revisions as patches on a document of an earlier one: read, followed, collected. */
#include <stdio.h>

#include "controlplane/base/error.h"
#include "controlplane/history/internal.h"
#include "tests/controlplane/history/rig.h"

#define POOLS 60u

static struct rig *rig;

static void apply(unsigned weight)
{
    struct buffer text = {0};

    buffer_text(&text, "site: lab\npools:\n");
    for (unsigned i = 0; i < POOLS; i++)
        buffer_format(&text,
                      "  p%u: { buckets: 64, backends: { a: { address: 10.0.%u.1 }, b: { address: "
                      "10.0.%u.2, weight: %u } } }\n",
                      i, i, i, i ? 100 : weight);
    rig_apply(rig, rig_leader(rig), text.data);
    buffer_free(&text);
}

struct waiting {
    bool done;
    int status;
};

static void on_done(void *arg, int status)
{
    *(struct waiting *)arg = (struct waiting){true, status};
}

static void collect(void)
{
    struct history *history = rig->peer[0].history;
    struct history_collection *found;
    struct history_view *view;
    struct waiting waiting = {0};

    assert_int_equal(history_view_open(&view, history), 0);
    assert_int_equal(history_collect_find(&found, history, view, rig_wall(rig), 500), 0);
    history_view_close(view);
    assert_non_null(found);
    assert_int_equal(history_collect(history, found, on_done, &waiting), 0);
    rig_wait(rig, &waiting.done);
    assert_int_equal(waiting.status, 0);
}

/* Revision `number` has the weight `number`, and every blob that it names is there. */
static void check_revision(struct history_view *view, uint64_t number)
{
    struct site_revision *revision;
    char weight[32];

    snprintf(weight, sizeof(weight), "\"weight\":%u,", (unsigned)number);
    assert_int_equal(history_view_get(view, number, &revision), 0);
    assert_int_equal(revision->number, number);
    assert_non_null(strstr(revision->site, weight));
    for (size_t i = 0; i < revision->blob_count; i++)
        assert_int_equal(history_view_has(view, revision->blobs[i]), 0);
    history_revision_free(revision);
}

static void test_patches(void **state)
{
    const struct history_options options = {.keep = 3};
    struct document_place place;
    struct history_view *view;
    unsigned whole = 0;

    (void)state;
    rig = malloc(sizeof(*rig));
    assert_non_null(rig);
    rig_open(rig, &options);
    for (unsigned number = 1; number <= 40; number++)
        apply(number);
    rig_level(rig);
    assert_int_equal(history_view_open(&view, rig->peer[0].history), 0);
    for (uint64_t number = 1; number <= 40; number++) {
        check_revision(view, number);
        assert_int_equal(view_place(view, number, &place), 0);
        whole += place.whole == number;
    }
    assert_in_range(whole, 2, 12); /* patches are let grow as large as the document */
    history_view_close(view);
    rig_pass(rig, 1000);
    collect();
    rig_level(rig);
    assert_int_equal(history_view_open(&view, rig->peer[0].history), 0);
    for (uint64_t number = 38; number <= 40; number++)
        check_revision(view, number);
    assert_int_equal(view_place(view, 37, &place), CULVERT_ENOTFOUND);
    history_view_close(view);
    rig_restart(rig, 1); /* it has none of it, and reads all */
    rig_level(rig);
    for (unsigned i = 0; i < PEERS; i++)
        peer_follow(rig, &rig->peer[i]);
    rig_check_equal(rig);
    apply(41);
    rig_level(rig);
    for (unsigned i = 0; i < PEERS; i++)
        peer_follow(rig, &rig->peer[i]);
    rig_check_equal(rig);
    assert_true(rig->peer[0].patched + rig->peer[1].patched + rig->peer[2].patched >= 2);
    rig_close(rig);
    free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_patches)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
