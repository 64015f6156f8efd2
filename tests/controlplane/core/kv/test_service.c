/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of the service on a few simulated nodes (tests/sim/store.h): who asks need not know who
 * leads. Each change is compared with the history of all nodes. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/service_internal.h"
#include "tests/sim/store.h"

enum sim_bug sim_bug = SIM_BUG_NONE;
bool sim_store_only;

#define PENDING 1 /* no answer yet */
#define TIMEOUT_MS 2000u

struct answer {
    int status, problem; /* of the way; of the request */
    uint64_t revision, value, remaining, granted;
};

static struct sim *cluster(unsigned slots, const struct kv_service_options *options)
{
    struct sim *sim = calloc(1, sizeof(*sim));

    assert_non_null(sim);
    sim->random.state = slots;
    sim->voters = sim->slots = slots;
    sim->groups = 1;
    sim->options = (struct group_options){.election_ms = 300, .heartbeat_ms = 60};
    sim->delay_min = 50000;
    sim->delay_max = SIM_MS;
    sim_store_new(sim);
    sim->store->options = options ? *options : (struct kv_service_options){0};
    if (!sim->store->options.timeout_ms)
        sim->store->options.timeout_ms = TIMEOUT_MS;
    sim_cluster_new(sim);
    return sim;
}

static void end(struct sim *sim)
{
    assert_string_equal(sim->finding, "");
    sim->over = true;
    sim_cluster_free(sim);
    sim_store_free(sim);
    free(sim);
}

static void run_for(struct sim *sim, uint64_t ms)
{
    uint64_t until = sim->now + ms * SIM_MS;

    while (sim->queue.count && sim->queue.heap[0]->at <= until)
        sim_next(sim);
    sim->now = until;
}

static int leader(struct sim *sim)
{
    for (unsigned i = 0; i < 100 && sim_leader(sim, 0) < 0; i++)
        run_for(sim, 50);
    assert_true(sim_leader(sim, 0) >= 0);
    run_for(sim, 200); /* all have heard of it */
    return sim_leader(sim, 0);
}

static struct kv_service *service(struct sim *sim, int slot)
{
    return sim->store->life[slot]->service;
}

static struct group_status status_of(struct sim *sim, int slot)
{
    struct group_status status;

    group_status(node_group(sim->slot[slot].node, 0), &status);
    return status;
}

/* A node alone, and back. */
static void cut(struct sim *sim, int slot, bool off)
{
    for (unsigned i = 0; i < sim->slots; i++)
        sim->link[slot][i].cut = sim->link[i][slot].cut = off;
}

static void answered(void *arg, int status, const struct kv_result *result)
{
    struct answer *answer = arg;

    assert_int_equal(answer->status, PENDING); /* once */
    answer->status = status;
    if (status)
        return;
    answer->problem = result->status;
    answer->revision = result->revision;
    if (!result->status && result->kind == KV_RANGE && result->op.pairs.count)
        answer->value = sim_store_number(result->op.pairs.list[0].value);
}

static void lease_answered(void *arg, int status, uint64_t remaining, uint64_t granted)
{
    struct answer *answer = arg;

    assert_int_equal(answer->status, PENDING);
    *answer = (struct answer){.status = status, .remaining = remaining, .granted = granted};
}

static void ended(void *arg, int status)
{
    answered(arg, status ? status : CULVERT_EEXIST, NULL);
}

static int wait_for(struct sim *sim, struct answer *answer)
{
    for (unsigned i = 0; i < 20000 && answer->status == PENDING; i++)
        run_for(sim, 1);
    return answer->status;
}

/* ---- questions ---- */

static int put(struct sim *sim, int slot, uint64_t number, struct answer *answer)
{
    uint64_t bytes = htobe64(number);
    struct kv_command command = {
        .kind = KV_PUT,
        .op = {.kind = KV_PUT,
               .put = {.key = sim_store_key(0), .value = {(const uint8_t *)&bytes, 8}}}};
    int error;

    *answer = (struct answer){.status = PENDING};
    error = kv_service_propose(service(sim, slot), &command, answered, answer);
    assert_int_equal(answer->status, PENDING); /* never inside the call */
    return error;
}

static int get(struct sim *sim, int slot, bool serializable, struct answer *answer)
{
    struct kv_command command = {.kind = KV_RANGE,
                                 .op = {.kind = KV_RANGE, .range.keys.key = sim_store_key(0)}};
    int error;

    *answer = (struct answer){.status = PENDING};
    error = kv_service_read(service(sim, slot), &command, serializable, answered, answer);
    assert_int_equal(answer->status, PENDING);
    return error;
}

static int keep(struct sim *sim, int slot, int64_t id, struct answer *answer)
{
    *answer = (struct answer){.status = PENDING};
    assert_int_equal(kv_service_lease_keep(service(sim, slot), id, lease_answered, answer), 0);
    assert_int_equal(answer->status, PENDING);
    return wait_for(sim, answer);
}

static int lease_time(struct sim *sim, int slot, int64_t id, struct answer *answer)
{
    *answer = (struct answer){.status = PENDING};
    assert_int_equal(kv_service_lease_time(service(sim, slot), id, lease_answered, answer), 0);
    return wait_for(sim, answer);
}

static void grant(struct sim *sim, int slot, int64_t id, uint64_t ttl)
{
    struct kv_command command = {.kind = KV_LEASE_GRANT, .lease = {.id = id, .ttl = ttl}};
    struct answer answer = {.status = PENDING};

    assert_int_equal(kv_service_propose(service(sim, slot), &command, answered, &answer), 0);
    assert_int_equal(wait_for(sim, &answer), 0);
    assert_int_equal(answer.problem, 0);
}

/* ---- stories ---- */

static void test_forwarded(void **state)
{
    struct sim *sim = cluster(3, NULL);
    int first = leader(sim), other = (first + 1) % 3, third = (first + 2) % 3;
    struct answer answer;
    struct kv_status how;

    assert_int_equal(put(sim, other, 1, &answer), 0);
    assert_int_equal(wait_for(sim, &answer), 0);
    assert_int_equal(answer.revision, 2);
    assert_int_equal(get(sim, third, false, &answer), 0);
    assert_int_equal(wait_for(sim, &answer), 0);
    assert_int_equal(answer.value, 1);
    answer = (struct answer){.status = PENDING};
    assert_int_equal(kv_service_barrier(service(sim, other), ended, &answer), 0);
    assert_int_equal(wait_for(sim, &answer), CULVERT_EEXIST); /* ended() says so */
    kv_service_status(service(sim, other), &how);
    assert_int_equal(how.leader, sim->slot[first].id);
    assert_int_equal(how.store.revision, 2);
    end(sim);
}

/* Nobody leads yet: all waits for who will. */
static void test_waits_for_a_leader(void **state)
{
    struct sim *sim = cluster(3, NULL);
    struct answer write, read, kept = {.status = PENDING};

    assert_int_equal(put(sim, 0, 1, &write), 0);
    assert_int_equal(get(sim, 1, false, &read), 0);
    assert_int_equal(kv_service_lease_keep(service(sim, 2), 7, lease_answered, &kept), 0);
    assert_int_equal(wait_for(sim, &write), 0);
    assert_int_equal(wait_for(sim, &read), 0);
    assert_int_equal(wait_for(sim, &kept), CULVERT_ENOLEASE);
    end(sim);
}

/* A follower asks one that leads no more: it is told so, and goes to the next leader. */
static void test_replaced_leader(void **state)
{
    struct sim *sim = cluster(3, NULL);
    int first = leader(sim), next = (first + 1) % 3, late = (first + 2) % 3;
    struct answer answer = {.status = PENDING};

    sim->link[next][late].cut = true;
    kv_service_transfer(service(sim, first), sim->slot[next].id, ended, &answer);
    while (!status_of(sim, next).leading || status_of(sim, first).leading)
        sim_next(sim);
    assert_int_equal(status_of(sim, late).leader, sim->slot[first].id);
    assert_int_equal(put(sim, late, 1, &answer), 0);
    run_for(sim, 5);
    assert_int_equal(answer.status, PENDING);
    sim->link[next][late].cut = false;
    assert_int_equal(wait_for(sim, &answer), 0);
    assert_int_equal(sim->store->newest, 2);
    end(sim);
}

/* The leader dies with a follower's command: nobody knows; the next command waits for the next. */
static void test_lost_leader(void **state)
{
    struct sim *sim = cluster(3, NULL);
    int first = leader(sim), other = (first + 1) % 3;
    struct answer answer, second;
    uint64_t id = sim->slot[first].id;

    assert_int_equal(put(sim, other, 1, &answer), 0);
    sim_crash(sim, (unsigned)first);
    sim_env_connected(sim->slot[other].env, id, false);
    assert_int_equal(wait_for(sim, &answer), CULVERT_EUNKNOWN);
    assert_int_equal(put(sim, other, 2, &second), 0);
    assert_int_equal(wait_for(sim, &second), 0);
    assert_int_not_equal(sim_leader(sim, 0), first);
    end(sim);
}

/* Without a quorum everything ends in time, by what is known of it. */
static void test_time_out(void **state)
{
    struct sim *sim = cluster(3, NULL);
    int first = leader(sim), other = (first + 1) % 3;
    struct answer led, away, waits, read;
    uint64_t begin;

    for (int i = 0; i < 3; i++)
        cut(sim, i, true);
    begin = sim->now;
    assert_int_equal(put(sim, first, 1, &led), 0);
    assert_int_equal(put(sim, other, 2, &away), 0);
    assert_int_equal(get(sim, other, false, &read), 0);
    run_for(sim, 1000);
    assert_int_equal(led.status, CULVERT_EUNKNOWN); /* it steps down before */
    assert_int_equal(put(sim, other, 3, &waits), 0);
    assert_int_equal(wait_for(sim, &away), CULVERT_EUNKNOWN);
    assert_true(sim->now <= begin + (TIMEOUT_MS + 100) * SIM_MS);
    assert_int_equal(read.status, CULVERT_ENOTLEADER);
    assert_int_equal(wait_for(sim, &waits), CULVERT_ENOTLEADER);
    assert_int_equal(sim->store->newest, 1);
    for (int i = 0; i < 3; i++)
        cut(sim, i, false);
    assert_int_equal(put(sim, other, 4, &away), 0);
    assert_int_equal(wait_for(sim, &away), 0);
    end(sim);
}

static void test_bounds(void **state)
{
    static const uint8_t bytes[2000];
    struct kv_service_options few = {.requests_max = 4, .limits = {.ops = 2, .bytes = 1000}};
    struct sim *sim = cluster(3, &few);
    int other = (leader(sim) + 1) % 3;
    struct kv_command large = {
        .kind = KV_PUT,
        .op = {.kind = KV_PUT, .put = {.key = sim_store_key(0), .value = {bytes, sizeof(bytes)}}}};
    struct answer answers[5];

    assert_int_equal(kv_service_propose(service(sim, other), &large, answered, &answers[0]),
                     CULVERT_ETOOLARGE);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(put(sim, other, 1 + i, &answers[i]), 0);
    assert_int_equal(put(sim, other, 5, &answers[4]), CULVERT_EFULL);
    assert_int_equal(get(sim, other, true, &answers[4]), CULVERT_EFULL);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(wait_for(sim, &answers[i]), 0);
    assert_int_equal(put(sim, other, 6, &answers[4]), 0);
    assert_int_equal(wait_for(sim, &answers[4]), 0);
    end(sim);
}

static void test_lease(void **state)
{
    struct sim *sim = cluster(3, NULL);
    int other = (leader(sim) + 1) % 3;
    struct answer answer;

    grant(sim, other, 7, 2);
    for (unsigned i = 0; i < 6; i++) {
        run_for(sim, 1500);
        assert_int_equal(keep(sim, other, 7, &answer), 0);
        assert_int_equal(answer.remaining, 2);
    }
    run_for(sim, 1100);
    assert_int_equal(lease_time(sim, other, 7, &answer), 0);
    assert_int_equal(answer.remaining, 1);
    assert_int_equal(answer.granted, 2);
    run_for(sim, 1500);
    assert_int_equal(keep(sim, other, 7, &answer), CULVERT_ENOLEASE);
    assert_int_equal(lease_time(sim, other, 7, &answer), CULVERT_ENOLEASE);
    end(sim);
}

static uint64_t remaining_in_state(struct sim *sim, int slot)
{
    struct kv_lease lease;

    assert_int_equal(kv_store_lease(sim->store->life[slot]->store, 7, &lease), 0);
    return lease.remaining;
}

/* The state says how long a long lease has left; who renews it has all of it at the next leader,
 * too, also when the checkpoint was only under way. */
static void test_checkpoint(void **state)
{
    struct sim *sim = cluster(3, NULL);
    int first = leader(sim), other = (first + 1) % 3;
    struct answer answer;
    uint64_t last;

    grant(sim, first, 7, 1000);
    run_for(sim, 301000);
    assert_int_equal(remaining_in_state(sim, first), 700);
    assert_int_equal(keep(sim, other, 7, &answer), 0);
    assert_int_equal(remaining_in_state(sim, first), 0);
    run_for(sim, 299000);
    assert_int_equal(sim_leader(sim, 0), first);
    last = status_of(sim, first).last;
    for (unsigned i = 0; i < 3; i++)
        sim->slot[i].slow_ns = 100 * SIM_MS;
    while (status_of(sim, first).last == last)
        run_for(sim, 1); /* the next checkpoint is in the log */
    assert_int_equal(remaining_in_state(sim, first), 0);
    assert_int_equal(keep(sim, first, 7, &answer), 0);
    run_for(sim, 1000);
    assert_int_equal(remaining_in_state(sim, first), 0);
    sim_crash(sim, (unsigned)first);
    other = leader(sim);
    assert_int_equal(lease_time(sim, other, 7, &answer), 0);
    assert_in_range(answer.remaining, 990, 1001);
    end(sim);
}

static void test_serializable(void **state)
{
    struct sim *sim = cluster(3, NULL);
    int first = leader(sim), other = (first + 1) % 3;
    struct answer answer, old, current;

    assert_int_equal(put(sim, first, 1, &answer), 0);
    assert_int_equal(wait_for(sim, &answer), 0);
    run_for(sim, 200);
    cut(sim, other, true);
    assert_int_equal(put(sim, first, 2, &answer), 0);
    assert_int_equal(wait_for(sim, &answer), 0);
    assert_int_equal(get(sim, other, true, &old), 0);
    assert_int_equal(get(sim, other, false, &current), 0);
    run_for(sim, 1);
    assert_int_equal(old.status, 0);
    assert_int_equal(old.value, 1);
    assert_int_equal(current.status, PENDING);
    run_for(sim, 500);
    assert_int_equal(current.status, PENDING);
    cut(sim, other, false);
    assert_int_equal(wait_for(sim, &current), 0);
    assert_int_equal(current.value, 2);
    end(sim);
}

/* Everything that is under way has its answer when the node ends. */
static void test_close(void **state)
{
    struct sim *sim = cluster(3, NULL);
    int first = leader(sim), other = (first + 1) % 3;
    struct answer led, away, read, local, guest, kept = {.status = PENDING};

    assert_int_equal(put(sim, first, 1, &led), 0);
    assert_int_equal(put(sim, (first + 2) % 3, 2, &guest), 0);
    assert_int_equal(put(sim, other, 3, &away), 0);
    assert_int_equal(get(sim, other, false, &read), 0);
    assert_int_equal(get(sim, other, true, &local), 0);
    assert_int_equal(kv_service_lease_keep(service(sim, other), 7, lease_answered, &kept), 0);
    sim_crash(sim, (unsigned)other);
    assert_int_equal(away.status, CULVERT_EUNKNOWN);
    assert_int_equal(read.status, CULVERT_ENOTLEADER);
    assert_int_equal(local.status, CULVERT_ENOTLEADER);
    assert_true(kept.status < 0 && kept.status != CULVERT_ENOLEASE);
    while (!service(sim, first)->guests)
        sim_next(sim);
    sim_crash(sim, (unsigned)first);
    assert_int_equal(led.status, CULVERT_EUNKNOWN);
    assert_int_equal(wait_for(sim, &guest), CULVERT_EUNKNOWN);
    end(sim);
}

static void tell(struct sim *sim, int from, int to, const uint8_t *bytes, size_t length)
{
    assert_true(group_tell(node_group(sim->slot[from].node, 0), sim->slot[to].id, bytes, length));
    run_for(sim, 5);
}

/* A peer's request as service_peer.c has it. */
static void say(struct buffer *to, uint8_t kind, uint64_t life, uint64_t id)
{
    const uint8_t head[2] = {1, kind};

    buffer_clear(to);
    buffer_add(to, head, 2);
    kv_put_be64(to, life);
    kv_put_be64(to, id);
}

static void test_peers(void **state)
{
    struct sim *sim = cluster(3, NULL);
    int first = leader(sim), other = (first + 1) % 3;
    uint64_t number = htobe64(1);
    struct kv_command command = {
        .kind = KV_PUT,
        .op = {.kind = KV_PUT,
               .put = {.key = sim_store_key(1), .value = {(const uint8_t *)&number, 8}}}};
    struct buffer bytes = {0};
    struct answer answer;

    say(&bytes, REQUEST_PROPOSE, 5, 100);
    kv_command_encode(&command, &bytes);
    for (size_t i = 0; i < bytes.length; i++) /* cut anywhere it is nothing, or no command */
        tell(sim, other, first, (const uint8_t *)bytes.data, i);
    assert_int_equal(sim->store->newest, 1);
    ((uint8_t *)bytes.data)[17]++; /* the id: that one was used up */
    for (unsigned i = 0; i < 3; i++)
        tell(sim, other, first, (const uint8_t *)bytes.data, bytes.length);
    assert_int_equal(sim->store->newest, 2); /* once */
    say(&bytes, REQUEST_PROPOSE, 6, 1);
    tell(sim, other, first, (const uint8_t *)bytes.data, bytes.length);
    say(&bytes, REQUEST_PROPOSE, 5, 101); /* of a life before, late: again not */
    kv_command_encode(&command, &bytes);
    tell(sim, other, first, (const uint8_t *)bytes.data, bytes.length);
    assert_int_equal(sim->store->newest, 2);
    /* Answers that nobody waits for; kinds and versions that are not. */
    for (unsigned kind = 0; kind < 256; kind++) {
        say(&bytes, (uint8_t)kind, 0, 0);
        kv_put_be32(&bytes, 0);
        tell(sim, other, first, (const uint8_t *)bytes.data, bytes.length);
    }
    assert_int_equal(put(sim, other, 2, &answer), 0);
    assert_int_equal(wait_for(sim, &answer), 0);
    buffer_free(&bytes);
    end(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forwarded),       cmocka_unit_test(test_waits_for_a_leader),
        cmocka_unit_test(test_replaced_leader), cmocka_unit_test(test_lost_leader),
        cmocka_unit_test(test_time_out),        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_lease),           cmocka_unit_test(test_checkpoint),
        cmocka_unit_test(test_serializable),    cmocka_unit_test(test_close),
        cmocka_unit_test(test_peers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
