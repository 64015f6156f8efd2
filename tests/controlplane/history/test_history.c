/* SPDX-License-Identifier: Apache-2.0 */
/* Revisions, blobs, the confirmation and the audit log, over a store on three nodes. */
#include <stdio.h>

#include "controlplane/base/error.h"
#include "controlplane/history/internal.h"
#include "tests/controlplane/history/rig.h"

#define BLOB_BYTES ((size_t)3 << 20) /* three chunks and a piece more */

static struct rig *rig;

static int open_rig(void **state)
{
    const struct history_options options = {.keep = 4, .keep_audit = 6};

    rig = malloc(sizeof(*rig));
    assert_non_null(rig);
    rig_open(rig, &options);
    return 0;
}

static int close_rig(void **state)
{
    rig_close(rig);
    free(rig);
    return 0;
}

static char *site_text(unsigned weight)
{
    char *text;

    assert_true(asprintf(&text,
                         "site: lab\npools:\n  web: { buckets: 64, backends: { a: { address: "
                         "10.0.0.1 }, b: { address: 10.0.0.2, weight: %u } } }\n",
                         weight) > 0);
    return text;
}

static void apply(struct peer *peer, unsigned weight)
{
    char *text = site_text(weight);

    rig_apply(rig, peer, text);
    free(text);
}

/* Prepares a change of the weight at a peer. */
static void prepare(struct edit *edit, struct peer *peer, unsigned weight)
{
    char *text = site_text(weight);

    assert_true(edit_prepare(rig, edit, peer, text, NULL));
    free(text);
}

static struct history_view *look(unsigned place)
{
    struct history_view *view;

    assert_int_equal(history_view_open(&view, rig->peer[place].history), 0);
    return view;
}

/* ---- revisions ---- */

static int count_revision(void *arg, const struct site_revision *revision)
{
    uint64_t *number = arg;

    assert_true(!*number || revision->number == *number - 1);
    assert_string_equal(revision->author, "ann");
    assert_string_equal(revision->comment, "why");
    assert_null(revision->site);
    *number = revision->number;
    return 0;
}

static void test_read_back(void **state)
{
    struct site_revision *revision;
    struct history_view *view;
    uint64_t number = 0;

    apply(&rig->peer[0], 10);
    apply(&rig->peer[1], 20);
    apply(&rig->peer[2], 30);
    rig_level(rig);
    for (unsigned i = 0; i < PEERS; i++) {
        view = look(i);
        assert_int_equal(history_latest(rig->peer[i].history), 3);
        assert_int_equal(history_view_get(view, 2, &revision), 0);
        assert_int_equal(revision->number, 2);
        assert_non_null(strstr(revision->site, "\"weight\":20"));
        assert_int_equal(revision->changes, 1);
        assert_int_equal(revision->blob_count, 1);
        assert_int_equal(history_view_has(view, revision->blobs[0]), 0);
        history_revision_free(revision);
        assert_int_equal(history_view_get(view, 4, &revision), CULVERT_ENOTFOUND);
        number = 0;
        assert_int_equal(history_view_list(view, count_revision, &number), 0);
        assert_int_equal(number, 1);
        history_view_close(view);
    }
}

/* Of two made from the same base, one is refused and leaves nothing. */
static void test_two_at_once(void **state)
{
    struct edit first, second;
    int a, b;

    apply(&rig->peer[0], 10);
    rig_level(rig);
    prepare(&first, &rig->peer[1], 20);
    prepare(&second, &rig->peer[2], 30);
    edit_start(&first);
    edit_start(&second);
    a = edit_finish(rig, &first);
    b = edit_finish(rig, &second);
    assert_true((!a && b == CULVERT_ECONFLICT) || (a == CULVERT_ECONFLICT && !b));
    rig_level(rig);
    for (unsigned i = 0; i < PEERS; i++) {
        assert_int_equal(history_latest(rig->peer[i].history), 2);
        peer_follow(rig, &rig->peer[i]);
    }
    rig_check_equal(rig);
}

static void test_restart(void **state)
{
    struct site_revision *revision;
    struct history_view *view;

    apply(&rig->peer[0], 10);
    apply(&rig->peer[1], 20);
    rig_level(rig);
    rig_pass(rig, 1000);
    for (unsigned i = 0; i < PEERS; i++)
        rig_restart(rig, i);
    rig_leader(rig);
    rig_level(rig);
    apply(&rig->peer[2], 30);
    rig_level(rig);
    view = look(0);
    assert_int_equal(history_view_get(view, 3, &revision), 0);
    assert_non_null(strstr(revision->site, "\"weight\":30"));
    history_revision_free(revision);
    history_view_close(view);
}

/* ---- blobs ---- */

static void test_blobs(void **state)
{
    static const size_t lengths[] = {0, 1, 256 << 10, (256 << 10) + 1, 1 << 20, BLOB_BYTES + 77};
    char digest[DIGEST_TEXT];

    rig_leader(rig);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t *data = rig_random(rig, lengths[i] + 1);

        assert_int_equal(rig_put(rig, &rig->peer[i % PEERS], data, lengths[i], digest), 0);
        assert_int_equal(rig_put(rig, &rig->peer[i % PEERS], data, lengths[i], digest), 0);
        rig_level(rig);
        for (unsigned place = 0; place < PEERS; place++)
            rig_check_blob(rig, place, digest, data, lengths[i]);
        free(data);
    }
}

static void set_done(void *arg, int status, const struct kv_result *result)
{
    *(bool *)arg = true;
}

/* Another value for a key that exists. */
static void overwrite(const char *key, const void *value, size_t length)
{
    struct kv_command command = {.kind = KV_PUT, .op.kind = KV_PUT};
    bool done = false;

    command.op.put.key = kv_text(key);
    command.op.put.value = (struct kv_slice){value, length};
    assert_int_equal(kv_service_propose(rig->peer[0].service, &command, set_done, &done), 0);
    rig_wait(rig, &done);
}

/* What isn't what was stored is never taken for it, and a blob isn't there before it is whole. */
static void test_damage(void **state)
{
    uint8_t *data = rig_random(rig, BLOB_BYTES);
    char digest[DIGEST_TEXT], key[128];
    struct site_revision *revision;
    struct history_view *view;
    struct site_blobs *blobs;
    const void *got;
    size_t length;

    apply(rig_leader(rig), 10);
    assert_int_equal(rig_put(rig, &rig->peer[0], data, BLOB_BYTES, digest), 0);
    snprintf(key, sizeof(key), "s/data/%s/0001", digest);
    overwrite(key, data, 1 << 20);
    view = look(0);
    blobs = history_view_blobs(view);
    assert_int_equal(blobs->get(blobs, digest, &got, &length), CULVERT_ECORRUPT);
    history_view_close(view);
    overwrite(key, data, 100);
    view = look(0);
    blobs = history_view_blobs(view);
    assert_int_equal(blobs->get(blobs, digest, &got, &length), CULVERT_ECORRUPT);
    history_view_close(view);
    snprintf(key, sizeof(key), "s/blob/%s", digest);
    overwrite(key, (uint8_t[17]){[7] = 1}, 17);
    view = look(0);
    assert_int_equal(history_view_has(view, digest), CULVERT_ENOTFOUND);
    history_view_close(view);
    overwrite("s/rev/00000000000000000001", "{\"format\":1", 11);
    view = look(0);
    assert_int_equal(history_view_get(view, 1, &revision), CULVERT_ECORRUPT);
    history_view_close(view);
    free(data);
}

/* ---- what nobody needs ---- */

struct waiting {
    bool done;
    int status;
};

static void on_done(void *arg, int status)
{
    *(struct waiting *)arg = (struct waiting){true, status};
}

/* Looks for what is older than that, and removes it. The status. */
static int collect(int64_t age_ms)
{
    struct history_view *view = look(0);
    struct history_collection *found;
    struct waiting waiting = {0};

    assert_int_equal(
        history_collect_find(&found, rig->peer[0].history, view, rig_wall(rig), age_ms), 0);
    history_view_close(view);
    if (!found)
        return CULVERT_ENOTFOUND;
    assert_int_equal(history_collect(rig->peer[0].history, found, on_done, &waiting), 0);
    rig_wait(rig, &waiting.done);
    return waiting.status;
}

static int count_audit(void *arg, const struct history_audit *audit)
{
    ++*(unsigned *)arg;
    return 0;
}

static void test_collect(void **state)
{
    uint8_t *data = rig_random(rig, BLOB_BYTES);
    struct site_revision *revision;
    struct history_view *view;
    char digest[DIGEST_TEXT];
    unsigned audits = 0;

    assert_int_equal(rig_put(rig, rig_leader(rig), data, BLOB_BYTES, digest), 0);
    for (unsigned weight = 1; weight <= 9; weight++)
        apply(&rig->peer[weight % PEERS], weight);
    rig_level(rig);
    assert_int_equal(collect(3600 * 1000), 0);
    rig_check_blob(rig, 0, digest, data, BLOB_BYTES); /* too young */
    rig_pass(rig, 1000);
    assert_int_equal(collect(500), 0);
    assert_int_equal(collect(500), CULVERT_ENOTFOUND);
    view = look(0);
    assert_int_equal(history_view_has(view, digest), CULVERT_ENOTFOUND);
    assert_int_equal(history_view_get(view, 5, &revision), CULVERT_ENOTFOUND);
    for (uint64_t number = 6; number <= 9; number++) {
        assert_int_equal(history_view_get(view, number, &revision), 0);
        for (size_t i = 0; i < revision->blob_count; i++)
            assert_int_equal(history_view_has(view, revision->blobs[i]), 0);
        history_revision_free(revision);
    }
    assert_int_equal(history_view_audit(view, count_audit, &audits), 0);
    assert_int_equal(audits, 6);
    history_view_close(view);
    free(data);
}

/* Large ones are fewer; the one to go back to stays in any case. */
static void test_collect_by_bytes(void **state)
{
    struct history_view *view;
    uint64_t number = 0;

    rig->peer[0].history->options.keep_bytes = 1;
    for (unsigned weight = 1; weight <= 4; weight++)
        apply(rig_leader(rig), weight);
    rig_level(rig);
    assert_int_equal(collect(3600 * 1000), 0);
    assert_int_equal(collect(3600 * 1000), CULVERT_ENOTFOUND);
    view = look(0);
    assert_int_equal(history_view_list(view, count_revision, &number), 0);
    assert_int_equal(number, 3);
    history_view_close(view);
}

/* A revision that was made from blobs which are gone meanwhile is refused. */
static void test_collect_amid_an_append(void **state)
{
    uint8_t *data = rig_random(rig, 1000);
    char digest[DIGEST_TEXT];
    struct edit edit;

    apply(rig_leader(rig), 10);
    assert_int_equal(rig_put(rig, &rig->peer[0], data, 1000, digest), 0);
    rig_pass(rig, 1000);
    prepare(&edit, &rig->peer[0], 20);
    assert_int_equal(collect(500), 0);
    edit_start(&edit);
    assert_int_equal(edit_finish(rig, &edit), CULVERT_ECONFLICT);
    prepare(&edit, &rig->peer[0], 20);
    edit_start(&edit);
    assert_int_equal(edit_finish(rig, &edit), 0);
    free(data);
}

/* ---- confirmation ---- */

static int append(struct peer *peer, unsigned weight, enum history_pends pends, int64_t deadline)
{
    struct edit edit;

    rig_level(rig);
    prepare(&edit, peer, weight);
    edit.append.pends = pends;
    edit.append.deadline_ms = deadline;
    edit_start(&edit);
    return edit_finish(rig, &edit);
}

static int confirm(struct peer *peer)
{
    struct history_audit audit = {.time_ms = rig_wall(rig), .author = "bob", .what = "confirm"};
    struct waiting waiting = {0};
    int error = history_confirm(peer->history, &audit, on_done, &waiting);

    if (error)
        return error;
    rig_wait(rig, &waiting.done);
    return waiting.status;
}

static void test_confirm(void **state)
{
    struct peer *peer = rig_leader(rig);
    const struct history_pending *pending;

    assert_int_equal(confirm(peer), CULVERT_ENOTFOUND);
    assert_int_equal(append(peer, 10, HISTORY_PENDS_REFUSE, 0), 0);
    assert_int_equal(append(peer, 20, HISTORY_PENDS_REFUSE, 5000), 0);
    rig_level(rig);
    for (unsigned i = 0; i < PEERS; i++) {
        pending = history_pending(rig->peer[i].history);
        assert_int_equal(pending->revision, 2);
        assert_int_equal(pending->back, 1);
        assert_int_equal(pending->deadline_ms, 5000);
        assert_true(rig->peer[i].changed > 0);
    }
    assert_int_equal(append(&rig->peer[1], 30, HISTORY_PENDS_REFUSE, 0), CULVERT_EBUSY);
    assert_int_equal(confirm(&rig->peer[2]), 0);
    rig_level(rig);
    assert_int_equal(history_pending(rig->peer[0].history)->revision, 0);
    assert_int_equal(append(&rig->peer[1], 30, HISTORY_PENDS_REFUSE, 0), 0);
}

/* What was decided before the confirmation came is too late. */
static void test_confirmed_just_in_time(void **state)
{
    struct peer *peer = rig_leader(rig);
    struct edit late;

    assert_int_equal(append(peer, 10, HISTORY_PENDS_REFUSE, 0), 0);
    assert_int_equal(append(peer, 20, HISTORY_PENDS_REFUSE, 5000), 0);
    rig_level(rig);
    prepare(&late, peer, 10);
    late.append.pends = HISTORY_PENDS_EXPIRE;
    assert_int_equal(confirm(&rig->peer[(peer->place + 1) % PEERS]), 0);
    edit_start(&late);
    assert_int_equal(edit_finish(rig, &late), CULVERT_ECONFLICT);
    assert_int_equal(history_latest(peer->history), 2);
}

static void test_expire(void **state)
{
    struct peer *peer = rig_leader(rig), *other;
    struct edit late;

    assert_int_equal(append(peer, 10, HISTORY_PENDS_REFUSE, 0), 0);
    assert_int_equal(append(peer, 20, HISTORY_PENDS_REFUSE, 5000), 0);
    rig_level(rig);
    prepare(&late, peer, 10);
    late.append.pends = HISTORY_PENDS_EXPIRE;
    rig_cut(rig, peer->place, true); /* who led is gone; another one sees to it */
    rig_pass(rig, 3000);
    other = rig_leader(rig);
    assert_ptr_not_equal(other, peer);
    assert_int_equal(append(other, 10, HISTORY_PENDS_EXPIRE, 0), 0);
    rig_level(rig);
    assert_int_equal(history_pending(other->history)->revision, 0);
    rig_cut(rig, peer->place, false);
    rig_level(rig);
    edit_start(&late);
    assert_int_equal(edit_finish(rig, &late), CULVERT_ECONFLICT);
    assert_int_equal(history_latest(peer->history), 3);
    assert_int_equal(history_pending(peer->history)->revision, 0);
    for (unsigned i = 0; i < PEERS; i++)
        peer_follow(rig, &rig->peer[i]);
    rig_check_equal(rig);
}

/* ---- the audit log ---- */

static int check_audit(void *arg, const struct history_audit *audit)
{
    unsigned *seen = arg;

    if (!(*seen)++) { /* the newest first */
        assert_string_equal(audit->what, "apply");
        assert_string_equal(audit->outcome, "it rains");
        assert_string_equal(audit->author, "bob");
        assert_int_equal(audit->revision, 0);
    } else {
        assert_string_equal(audit->outcome, "done");
        assert_string_equal(audit->author, "ann");
        assert_int_equal(audit->revision, 1);
    }
    assert_non_null(strstr("n1 n2 n3", audit->node));
    return 0;
}

static void test_audit(void **state)
{
    struct history_audit audit = {.author = "bob", .comment = "", .what = "apply"};
    struct history_view *view;
    unsigned seen = 0;

    apply(rig_leader(rig), 10);
    audit.time_ms = rig_wall(rig) + 1;
    audit.outcome = "it rains";
    history_note(rig->peer[1].history, &audit);
    rig_pass(rig, 500);
    view = look(2);
    assert_int_equal(history_view_audit(view, check_audit, &seen), 0);
    assert_int_equal(seen, 2);
    history_view_close(view);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read_back),
        TEST(test_two_at_once),
        TEST(test_restart),
        TEST(test_blobs),
        TEST(test_damage),
        TEST(test_collect),
        TEST(test_collect_by_bytes),
        TEST(test_confirm),
        TEST(test_collect_amid_an_append),
        TEST(test_expire),
        TEST(test_confirmed_just_in_time),
        TEST(test_audit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
