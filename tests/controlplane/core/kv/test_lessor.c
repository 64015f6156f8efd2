/* SPDX-License-Identifier: Apache-2.0 */
/* When leases expire, across changes of the leader; and when history is compacted. */
#include <stdlib.h>

#include "controlplane/core/kv/compactor.h"
#include "controlplane/core/kv/lessor.h"
#include "tests/controlplane/core/kv/rig.h"

#define MINUTE 60000u

struct fixture {
    struct rig rig;
    struct kv_lessor *lessor;
    struct kv_lease_action actions[8];
};

/* Time passes; returns how many actions there are then. */
static size_t after(struct fixture *fixture, uint64_t ms)
{
    fixture->rig.env.now_ms += ms;
    return kv_lessor_poll(fixture->lessor, fixture->actions, 8);
}

/* What the leader proposes is committed. */
static void commit_checkpoint(struct fixture *fixture, int64_t id, uint64_t remaining)
{
    struct kv_lease lease = {.id = id, .remaining = remaining};
    struct kv_command command = {.kind = KV_LEASE_CHECKPOINT, .checkpoint = {&lease, 1}};

    assert_int_equal(rig_apply(&fixture->rig, &command)->status, 0);
}

static void test_expires_unless_renewed(void **state)
{
    struct fixture *fixture = *state;
    uint64_t ttl;
    bool reset;

    rig_grant(&fixture->rig, 1, 10);
    assert_int_equal(kv_lessor_next(fixture->lessor), fixture->rig.env.now_ms + 10000);
    assert_int_equal(after(fixture, 9999), 0);
    assert_int_equal(kv_lessor_renew(fixture->lessor, 1, &ttl, &reset), 0);
    assert_true(ttl == 10 && !reset);
    assert_int_equal(after(fixture, 9999), 0);
    assert_int_equal(after(fixture, 1), 1);
    assert_true(fixture->actions[0].revoke && fixture->actions[0].id == 1);
    assert_int_equal(kv_lessor_renew(fixture->lessor, 1, &ttl, &reset), CULVERT_ENOLEASE);
    assert_int_equal(after(fixture, KV_LEASE_RETRY_MS - 1), 0);
    assert_int_equal(after(fixture, 1), 1); /* the proposal was lost: once more */
    rig_revoke(&fixture->rig, 1);
    assert_int_equal(after(fixture, 10 * MINUTE), 0);
    assert_int_equal(kv_lessor_next(fixture->lessor), UINT64_MAX);
}

static void test_many_in_order(void **state)
{
    struct fixture *fixture = *state;
    int64_t last = 0;

    for (int64_t id = 200; id; id--)
        rig_grant(&fixture->rig, id, (uint64_t)id);
    for (int64_t id = 50; id <= 100; id++)
        rig_revoke(&fixture->rig, id);
    for (unsigned second = 1; second <= 200; second++) {
        bool due = second < 50 || second > 100;

        assert_int_equal(after(fixture, 1000), due);
        if (due)
            rig_revoke(&fixture->rig, last = fixture->actions[0].id);
        assert_true(!due || last == second);
    }
}

static void test_new_leader_goes_on_from_checkpoint(void **state)
{
    struct fixture *fixture = *state;
    struct kv_lease lease;

    rig_grant(&fixture->rig, 1, 3600);
    rig_grant(&fixture->rig, 2, 3600);
    assert_int_equal(after(fixture, 5 * MINUTE), 2);
    assert_false(fixture->actions[0].revoke);
    assert_int_equal(fixture->actions[0].remaining, 3300);
    commit_checkpoint(fixture, 1, 3300); /* that of 2 is lost */
    fixture->rig.env.now_ms += MINUTE;
    kv_lessor_demote(fixture->lessor);
    assert_int_equal(kv_lessor_lookup(fixture->lessor, 1, &lease), CULVERT_EUNSUPPORTED);
    assert_int_equal(kv_lessor_promote(fixture->lessor, 0), 0);
    assert_int_equal(kv_lessor_lookup(fixture->lessor, 1, &lease), 0);
    assert_true(lease.remaining == 3300 && lease.ttl == 3600);
    assert_int_equal(kv_lessor_lookup(fixture->lessor, 2, &lease), 0);
    assert_int_equal(lease.remaining, 3600);
}

/* Who renews a lease that has a checkpoint has it reset, or the next leader would end it early. */
static void test_renewal_resets_checkpoint(void **state)
{
    struct fixture *fixture = *state;
    struct kv_lease lease;
    uint64_t ttl;
    bool reset;

    rig_grant(&fixture->rig, 1, 3600);
    after(fixture, 5 * MINUTE);
    commit_checkpoint(fixture, 1, 3300);
    assert_int_equal(kv_lessor_renew(fixture->lessor, 1, &ttl, &reset), 0);
    assert_true(reset);
    commit_checkpoint(fixture, 1, 0);
    assert_int_equal(kv_lessor_renew(fixture->lessor, 1, &ttl, &reset), 0);
    assert_false(reset);
    assert_int_equal(kv_lessor_promote(fixture->lessor, 0), 0);
    assert_int_equal(kv_lessor_lookup(fixture->lessor, 1, &lease), 0);
    assert_int_equal(lease.remaining, 3600);
}

static void test_short_leases_have_no_checkpoint(void **state)
{
    struct fixture *fixture = *state;

    rig_grant(&fixture->rig, 1, 300);
    assert_int_equal(after(fixture, 5 * MINUTE - 1), 0);
}

static void test_keeps_revisions(void **state)
{
    struct kv_compactor compactor = {.mode = KV_COMPACT_REVISIONS, .keep = 1000};
    struct kv_info info = {.revision = 1000};
    struct kv_command command;

    assert_false(kv_compactor_due(&compactor, 0, &info, &command));
    info.revision = 1500;
    assert_true(kv_compactor_due(&compactor, 1, &info, &command));
    assert_true(command.kind == KV_COMPACT && command.revision == 500);
    info = (struct kv_info){.revision = 1600, .compacted = 500, .tidying = true};
    assert_true(kv_compactor_due(&compactor, 2, &info, &command));
    assert_int_equal(command.kind, KV_TIDY);
    info.tidying = false;
    assert_false(kv_compactor_due(&compactor, 3, &info, &command));
    assert_true(kv_compactor_due(&compactor, 1 + KV_COMPACTOR_INTERVAL_MS, &info, &command));
    assert_int_equal(command.revision, 600);
}

/* A full store keeps nothing of the past, once what was compacted before is gone. */
static void test_keeps_nothing_when_full(void **state)
{
    struct kv_compactor compactor = {.mode = KV_COMPACT_PERIOD, .keep = 60 * MINUTE};
    struct kv_compactor off = {.mode = KV_COMPACT_OFF};
    struct kv_info info = {.revision = 1000, .compacted = 500, .tidying = true, .alarm = true};
    struct kv_command command;

    assert_true(kv_compactor_due(&compactor, 0, &info, &command));
    assert_int_equal(command.kind, KV_TIDY);
    info.tidying = false;
    assert_true(kv_compactor_due(&compactor, 1, &info, &command));
    assert_true(command.kind == KV_COMPACT && command.revision == 1000);
    assert_false(kv_compactor_due(&off, 1, &info, &command));
    info.compacted = 1000;
    assert_false(kv_compactor_due(&compactor, 2, &info, &command));
}

/* An hour is kept: never less, and not much more. */
static void test_keeps_a_period(void **state)
{
    struct kv_compactor compactor = {.mode = KV_COMPACT_PERIOD, .keep = 60 * MINUTE};
    struct kv_info info = {.revision = 1};
    struct kv_command command;
    unsigned compactions = 0;

    for (uint64_t second = 0; second < 4 * 3600; second++) {
        info.revision = second + 1;
        if (!kv_compactor_due(&compactor, second * 1000, &info, &command))
            continue;
        compactions++;
        info.compacted = command.revision;
        assert_in_range(second + 1 - command.revision, 3600, 3600 + 120);
    }
    assert_in_range(compactions, 100, 200);
    assert_in_range(info.revision - info.compacted, 3600, 3600 + 180);
}

static int make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    rig_open(&fixture->rig, RIG_MEMORY);
    fixture->rig.env.now_ms = 1000;
    assert_int_equal(kv_lessor_open(&fixture->lessor, fixture->rig.store, &fixture->rig.env.env),
                     0);
    assert_int_equal(kv_lessor_promote(fixture->lessor, 0), 0);
    *state = fixture;
    return 0;
}

static int unmake(void **state)
{
    struct fixture *fixture = *state;

    kv_lessor_close(fixture->lessor);
    rig_close(&fixture->rig);
    free(fixture);
    return 0;
}

#define STORY(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(test_expires_unless_renewed),
        STORY(test_many_in_order),
        STORY(test_new_leader_goes_on_from_checkpoint),
        STORY(test_renewal_resets_checkpoint),
        STORY(test_short_leases_have_no_checkpoint),
        cmocka_unit_test(test_keeps_revisions),
        cmocka_unit_test(test_keeps_nothing_when_full),
        cmocka_unit_test(test_keeps_a_period),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
