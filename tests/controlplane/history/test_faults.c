/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of our own code fails in turn: an error, nothing lost, nothing half done. */
#include <stdio.h>

#include "controlplane/base/error.h"
#include "tests/allocator.h"
#include "tests/controlplane/history/rig.h"

static long countdown = -1; /* allocations until one fails; negative: none will */

bool allocation_fails(void)
{
    return countdown >= 0 && countdown-- == 0;
}

struct sim_event *__real_sim_at(struct sim *sim, uint64_t at, void (*fn)(void *arg), void *arg);
struct sim_event *__wrap_sim_at(struct sim *sim, uint64_t at, void (*fn)(void *arg), void *arg);

/* The simulator's own memory never fails. */
struct sim_event *__wrap_sim_at(struct sim *sim, uint64_t at, void (*fn)(void *arg), void *arg)
{
    long saved = countdown;
    struct sim_event *event;

    countdown = -1;
    event = __real_sim_at(sim, at, fn, arg);
    countdown = saved;
    return event;
}

static const char first[] = "site: lab\npools: { p: { backends: { a: { address: 10.0.0.1 } } } }\n";
static const char second[] =
    "site: lab\npools: { p: { backends: { a: { address: 10.0.0.2 } } } }\n";

static int count_revision(void *arg, const struct site_revision *revision)
{
    ++*(unsigned *)arg;
    return 0;
}

static int count_audit(void *arg, const struct history_audit *audit)
{
    ++*(unsigned *)arg;
    return 0;
}

/* All that reads. 0 or the first error. */
static int read_all(struct rig *rig)
{
    struct history_collection *found = NULL;
    struct site_revision *revision = NULL;
    struct history_view *view = NULL;
    unsigned count = 0;
    int error = history_view_open(&view, rig->peer[0].history);

    if (!error)
        error = history_view_get(view, 1, &revision);
    if (!error)
        error = history_view_has(view, revision->blobs[0]);
    if (!error)
        error = history_view_list(view, count_revision, &count);
    if (!error)
        error = history_view_audit(view, count_audit, &count);
    if (!error)
        error =
            history_collect_find(&found, rig->peer[0].history, view, rig_wall(rig), 3600 * 1000);
    history_revision_free(revision);
    history_view_close(view);
    assert_null(found);
    return error;
}

static void test_reads(void **state)
{
    const struct history_options options = {0};
    struct rig *rig = malloc(sizeof(*rig));
    unsigned failed = 0;

    rig_open(rig, &options);
    rig_apply(rig, rig_leader(rig), first);
    rig_level(rig);
    for (long at = 0, left = -1; left < 0; at++) {
        int error;

        countdown = at;
        error = read_all(rig);
        left = countdown;
        countdown = -1;
        assert_true(!error || (left < 0 && error == CULVERT_ENOMEM));
        failed += error != 0;
    }
    assert_true(failed > 10);
    rig_close(rig);
    free(rig);
}

static void test_appends(void **state)
{
    const struct history_options options = {0};
    struct rig *rig = malloc(sizeof(*rig));
    bool over = false;

    rig_open(rig, &options);
    rig_apply(rig, rig_leader(rig), first);
    rig_level(rig);
    for (long at = 0; !over; at++) {
        struct edit edit;
        int error;

        assert_true(edit_prepare(rig, &edit, &rig->peer[0], second, NULL));
        history_append_free(&edit.append);
        countdown = at;
        error = history_append_prepare(&edit.append, edit.view);
        if (!error)
            error = history_append_start(rig->peer[0].history, &edit.append);
        over = countdown >= 0;
        countdown = -1;
        assert_true(!error || error == CULVERT_ENOMEM);
        edit.done = error != 0;
        edit.status = error;
        if (!edit_finish(rig, &edit))
            break; /* what failed then was no matter */
    }
    rig_level(rig);
    assert_int_equal(history_latest(rig->peer[0].history), 2);
    rig_close(rig);
    free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reads),
                                       cmocka_unit_test(test_appends)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
