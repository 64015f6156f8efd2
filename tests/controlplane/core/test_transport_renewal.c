/* SPDX-License-Identifier: Apache-2.0 */
/* What nodes report to each other, and identities that are exchanged while they talk. */
#include "tests/controlplane/core/transport_rig.h"

#include <stdio.h>
#include <string.h>

#include "controlplane/core/transport_internal.h"
#include "controlplane/identity/rollover.h"

static struct rig rig;

static int open_three(void **state)
{
    (void)state;
    rig_open(&rig, 3);
    return 0;
}

static int close_rig(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

/* Each of them sends each other one some messages, and gets what the others sent. */
static void exchange(unsigned nodes)
{
    size_t before[RIG_NODES];

    for (unsigned id = 1; id <= nodes; id++)
        before[id] = rig.node[id].messages;
    for (unsigned round = 0; round < 100; round++)
        for (unsigned from = 1; from <= nodes; from++)
            for (unsigned to = 1; to <= nodes; to++)
                if (from != to)
                    assert_int_equal(rig_send(&rig, from, to, "hello", 5), 0);
    for (unsigned id = 1; id <= nodes; id++)
        rig_until(&rig, rig.node[id].messages == before[id] + (size_t)100 * (nodes - 1));
}

/* ---- reports ---- */

static void write_report(void *arg, struct buffer *out)
{
    const char *text = arg;

    buffer_text(out, text);
}

struct seen {
    uint64_t node;
    bool reported;
    char text[WIRE_REPORT_MAX + 1];
    int64_t clock_ms;
};

static void see_peer(void *arg, const struct transport_peer *peer)
{
    struct seen *seen = arg;

    if (peer->node != seen->node)
        return;
    seen->reported = peer->report != NULL;
    seen->clock_ms = peer->clock_ms;
    if (peer->report)
        snprintf(seen->text, sizeof(seen->text), "%.*s", (int)peer->report_length,
                 (const char *)peer->report);
}

static bool has_report(unsigned at, unsigned of, const char *text)
{
    struct seen seen = {.node = of};

    transport_peers(rig.node[at].transport, see_peer, &seen);
    return seen.reported && !strcmp(seen.text, text) && seen.clock_ms > -60000 &&
           seen.clock_ms < 60000;
}

static void test_reports(void **state)
{
    static char text[2][WIRE_REPORT_MAX + 2];
    struct seen seen = {.node = 3};

    (void)state;
    strcpy(text[0], "one");
    for (unsigned id = 1; id <= 2; id++) {
        rig.node[id].options.report = write_report;
        rig.node[id].options.report_arg = text[id - 1];
    }
    rig.node[3].options.report = write_report;
    rig.node[3].options.report_arg = text[0];
    rig.node[3].options.version_max = WIRE_REPORTS - 1;
    rig_meet(&rig, 3);
    rig_until(&rig, has_report(2, 1, "one") && has_report(1, 2, ""));
    /* The longest one; one more byte, and the last that fitted stays. */
    memset(text[0], 'x', WIRE_REPORT_MAX);
    rig_until(&rig, has_report(2, 1, text[0]));
    memset(text[0], 'y', WIRE_REPORT_MAX + 1);
    exchange(3);
    memset(text[0], 'x', WIRE_REPORT_MAX);
    text[0][WIRE_REPORT_MAX] = 0;
    assert_true(has_report(2, 1, text[0]));
    /* An older node gets none and sends none, and all goes well. */
    transport_peers(rig.node[1].transport, see_peer, &seen);
    assert_false(seen.reported);
    assert_int_equal(rig_ended(&rig, 3, TRANSPORT_PROTOCOL), 0);
    /* With the connection the report is gone. */
    rig_stop(&rig, 2);
    rig_until(&rig, rig.node[1].downs == 1);
    seen.node = 2;
    transport_peers(rig.node[1].transport, see_peer, &seen);
    assert_false(seen.reported);
}

/* ---- rotation ---- */

static void test_rotation_drops_nothing(void **state)
{
    (void)state;
    rig_meet(&rig, 2);
    for (unsigned id = 1; id <= 2; id++) {
        struct rig_node *node = &rig.node[id];

        assert_int_equal(identity_renew(node->identity, rig_now()), 0);
        assert_int_equal(transport_identity(node->transport, node->identity), 0);
        exchange(2);
    }
    assert_int_equal(rig.node[1].ups, 1);
    assert_int_equal(rig.node[1].downs, 0);
    rig_stop(&rig, 2);
    rig_start(&rig, 2);
    rig_until(&rig, rig_connected(&rig, 1, 2));
}

/* Both nodes take the step, as the daemon makes them. */
static void follow(unsigned id, const struct rollover *rollover)
{
    struct rig_node *node = &rig.node[id];

    assert_int_equal(identity_adopt(node->identity, rollover->sealed.data, rollover->sealed.length,
                                    rollover->trust),
                     0);
    if (rollover->step == ROLLOVER_RENEW)
        assert_int_equal(identity_renew(node->identity, rig_now()), 0);
    assert_int_equal(transport_identity(node->transport, node->identity), 0);
    if (rollover->step == ROLLOVER_DONE)
        transport_renew(node->transport);
}

static void restart(unsigned id)
{
    unsigned downs = rig.node[1].downs;

    rig_stop(&rig, id);
    rig_until(&rig, rig.node[1].downs > downs);
    rig_start(&rig, id);
    rig_until(&rig, rig_settled(&rig, id));
}

static void test_rollover_of_the_ca(void **state)
{
    struct rollover rollover;

    (void)state;
    rig_meet(&rig, 2);
    assert_int_equal(rollover_begin(rig.node[1].identity, rig_now(), &rollover), 0);
    for (;;) {
        follow(1, &rollover);
        restart(2); /* one has taken the step, the other not yet: they believe each other */
        follow(2, &rollover);
        restart(2);
        exchange(2);
        if (rollover.step == ROLLOVER_DONE)
            break;
        rollover_advance(&rollover);
    }
    assert_int_equal(sk_X509_num(rig.node[2].identity->trust), 1);
    rollover_free(&rollover);
}

/* The connection is up all the time, and is another one in the end. */
static void test_renewed_connections(void **state)
{
    uint64_t made;

    (void)state;
    rig_meet(&rig, 3);
    made = rig_stats(&rig, 1).established;
    transport_renew(rig.node[1].transport);
    transport_renew(rig.node[2].transport);
    rig_until(&rig, rig_stats(&rig, 1).established == made + 2 && rig_settled(&rig, 3));
    exchange(3);
    assert_int_equal(rig_ended(&rig, 1, TRANSPORT_CERTIFICATE), 0);
    assert_int_equal(rig_ended(&rig, 2, TRANSPORT_CERTIFICATE), 0);
}

/* Who has no certificate of the CAs that are believed now does not stay. */
static void test_outdated_connection_is_closed(void **state)
{
    struct rollover rollover;

    (void)state;
    rig_meet(&rig, 2);
    assert_int_equal(rollover_begin(rig.node[1].identity, rig_now(), &rollover), 0);
    for (unsigned step = 0; step < 3; step++) {
        follow(1, &rollover);
        rollover_advance(&rollover);
    }
    rig_until(&rig, rig.node[1].downs == 1 && !rig_connected(&rig, 1, 2));
    rig_until(&rig, rig_ended(&rig, 1, TRANSPORT_CERTIFICATE) > 2);
    assert_int_equal(rig.node[1].ups, 1);
    rollover_free(&rollover);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, open_three, close_rig)
        TEST(reports),
        TEST(rotation_drops_nothing),
        TEST(rollover_of_the_ca),
        TEST(renewed_connections),
        TEST(outdated_connection_is_closed),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
