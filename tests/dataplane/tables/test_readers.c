/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader beside the writer: every "packet" looks up all keys of one generation and must find
 * one transaction's work, whole. Grace periods wait for the packet under way, no longer.
 *
 * The writer is one thread in both processes: culvertd's own tables, or a data plane that takes
 * transactions from the channel. The channel itself has no threads (its two sides are state
 * machines of their loops); what it applies is read by the workers, which is what the second test
 * does, also under ThreadSanitizer.
 */
#include <pthread.h>
#include <sched.h>

#include "dataplane/fastpath/access.h"
#include "tests/dataplane/tables/pair.h"

#define KEYS 40u
#define BACKENDS 20u
#define SOURCES 30u
#define CROWD 3000u /* other entries that come and go, so that the index grows and shrinks */
#define TRANSACTIONS 1500u
#define STREAMED 400u /* transactions over the channel */

struct shared {
    struct tables *tables;
    uint64_t packets; /* ended */
    bool stop;
    const char *problem;
    uint64_t seen;  /* different transactions */
    uint64_t shown; /* packets that saw the lines of IPv4 access entries */
};

/* Whether transaction `stamp` leaves a key present, and with how long a body. */
static bool stamp_has(uint32_t stamp, unsigned key)
{
    return (stamp * 2654435761u >> (key % 29)) & 1;
}

static size_t stamp_length(uint32_t stamp, unsigned key)
{
    return 16 + (stamp * 31u + key * 17u) % 400;
}

/* Sources of the access list: changed by every second transaction. */
static struct fp_key source_key(unsigned number)
{
    return (struct fp_key){
        .b = FP_KEY_IPV4(fp_htonl(0xcb007100u + number)), .c = 128, .kind = FP_KIND_ACCESS};
}

static uint32_t source_action(uint32_t stamp, unsigned number)
{
    uint32_t bits = stamp / 2 * 2654435761u >> (number % 29);

    return bits & 1 ? bits >> 1 & 1 : FP_ACCESS_NONE;
}

static void grace(void *arg)
{
    struct shared *shared = arg;
    uint64_t packets = __atomic_load_n(&shared->packets, __ATOMIC_SEQ_CST);

    while (__atomic_load_n(&shared->packets, __ATOMIC_SEQ_CST) == packets &&
           !__atomic_load_n(&shared->problem, __ATOMIC_RELAXED))
        sched_yield();
}

static const char *record_check(const struct fp_rec *rec, uint32_t stamp, unsigned key)
{
    const uint8_t *body;

    if (!rec)
        return stamp_has(stamp, key) ? "an entry is missing" : NULL;
    body = (const uint8_t *)(rec + 1);
    if (!stamp_has(stamp, key))
        return "an entry is there that was deleted";
    if (rec->length != stamp_length(stamp, key))
        return "an entry of another transaction";
    if (memcmp(body + 8, &stamp, sizeof(stamp)))
        return "a body of another transaction";
    for (uint32_t i = 12; i < rec->length; i++)
        if (body[i] != (uint8_t)stamp)
            return "a torn body";
    return NULL;
}

static const char *packet(struct shared *shared, uint32_t *last)
{
    struct fp_root *root = root_of(shared->tables);
    uint32_t generation = __atomic_load_n(&root->generation, __ATOMIC_ACQUIRE), stamp;
    struct fp_env env = env_of(shared->tables, generation);
    struct fp_rec *rec = fp_slot(&env, FP_KIND_BACKEND, 1, FP_SLOTS_BACKEND);

    if (!rec)
        return NULL; /* before the first transaction */
    stamp = ((struct fp_backend *)(rec + 1))->flags;
    shared->seen += stamp != *last;
    *last = stamp;
    for (unsigned number = 2; number <= BACKENDS; number++) {
        rec = fp_slot(&env, FP_KIND_BACKEND, number, FP_SLOTS_BACKEND);
        if (!rec || ((struct fp_backend *)(rec + 1))->flags != stamp)
            return "a backend of another transaction";
    }
    for (unsigned number = 0; number < SOURCES; number++) {
        uint32_t action = fp_access_find(&env, 0, source_key(number).b);

        if (action != source_action(stamp, number))
            return "a source's action of another transaction";
    }
    shared->shown += fp_access4_lines(&env) != 0;
    for (unsigned number = 0; number < KEYS; number++) {
        struct fp_key key = dns_key(number);
        const char *problem =
            record_check(fp_find(&env, key.kind, key.a, key.b, key.c), stamp, number);

        if (problem)
            return problem;
    }
    return NULL;
}

static void *reader(void *arg)
{
    struct shared *shared = arg;
    uint32_t last = 0;

    while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
        const char *problem = packet(shared, &last);

        if (problem) {
            __atomic_store_n(&shared->problem, problem, __ATOMIC_SEQ_CST);
            return NULL;
        }
        __atomic_fetch_add(&shared->packets, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static void keys_put(struct tables *tables, uint32_t stamp)
{
    for (unsigned number = 0; number < KEYS; number++) {
        struct fp_key key = dns_key(number);
        uint8_t body[512];

        memset(body, (uint8_t)stamp, sizeof(body));
        memset(body, 0, 8);
        memcpy(body + 8, &stamp, sizeof(stamp));
        if (stamp_has(stamp, number))
            assert_int_equal(tables_put(tables, &key, body, stamp_length(stamp, number)), 0);
        else
            assert_int_equal(tables_delete(tables, &key), 0);
    }
}

static void sources_put(struct tables *tables, uint32_t stamp)
{
    for (unsigned number = 0; number < SOURCES; number++) {
        struct fp_key key = source_key(number);
        struct fp_access access = {.action = source_action(stamp, number)};

        if (access.action == FP_ACCESS_NONE)
            assert_int_equal(tables_delete(tables, &key), 0);
        else
            assert_int_equal(tables_put(tables, &key, &access, sizeof(access)), 0);
    }
}

static void transaction(struct tables *tables, uint32_t stamp)
{
    assert_int_equal(tables_begin(tables), 0);
    if (stamp % 11 == 0) { /* thought better of it */
        keys_put(tables, stamp + 77777);
        tables_abort(tables);
        assert_int_equal(tables_begin(tables), 0);
    }
    for (unsigned number = 1; number <= BACKENDS; number++) {
        struct fp_key key = slot_key(FP_KIND_BACKEND, number);
        struct fp_backend backend = {.flags = stamp};

        assert_int_equal(tables_put(tables, &key, &backend, sizeof(backend)), 0);
    }
    sources_put(tables, stamp);
    if (stamp % 7 == 0)
        keys_put(tables, stamp + 1);
    keys_put(tables, stamp);
    if (stamp % 100 == 50)
        for (unsigned i = 0; i < CROWD; i++)
            assert_int_equal(put_dns(tables, 1000 + i, 1, 64), 0);
    if (stamp % 100 == 99)
        for (unsigned i = 0; i < CROWD; i++)
            assert_int_equal(delete_dns(tables, 1000 + i), 0);
    assert_int_equal(tables_commit(tables, stamp), 0);
}

static void test_transactions_are_seen_whole(void **state)
{
    struct shared shared = {0};
    struct tables_options options = {
        .base = region_new(16 * MIB), .size = 16 * MIB, .grace = grace, .grace_arg = &shared};
    pthread_t thread;

    assert_int_equal(tables_open(&shared.tables, &options), 0);
    pthread_create(&thread, NULL, reader, &shared);
    for (uint32_t stamp = 1; stamp <= TRANSACTIONS && !shared.problem; stamp++) {
        transaction(shared.tables, stamp);
        if (stamp % 13 == 0)
            reclaim_all(shared.tables);
    }
    __atomic_store_n(&shared.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    if (shared.problem)
        fail_msg("%s", shared.problem);
    assert_true(shared.seen > TRANSACTIONS / 10);
    assert_true(shared.shown > 0);
    options.grace = NULL;
    tables_end(shared.tables);
}

/* The control plane changes its tables; all that travels is applied beside the reader. At times the
 * connection is cut in the middle of a transaction, and what differs travels on the next one. */
static void test_streamed_transactions_are_seen_whole(void **state)
{
    struct shared shared = {0};
    struct pair pair = {.random = 7};
    const struct channel_apply_hooks hooks = {.arg = &pair, .committed = on_committed};
    struct tables_options options = {
        .base = region_new(REGION), .size = REGION, .grace = grace, .grace_arg = &shared};
    pthread_t thread;

    pair.ours = tables_new(REGION, 0);
    assert_int_equal(tables_open(&pair.theirs, &options), 0);
    shared.tables = pair.theirs;
    assert_int_equal(channel_apply_new(&pair.apply, pair.theirs, "test", &hooks), 0);
    sync_connect(&pair);
    talk(&pair);
    pthread_create(&thread, NULL, reader, &shared);
    for (uint32_t stamp = 1; stamp <= STREAMED && !shared.problem; stamp++) {
        transaction(pair.ours, stamp);
        assert_int_equal(channel_sync_update(pair.sync), 0);
        if (stamp % 17 == 0) {
            talk_until(&pair, pair.down + 1);
            channel_apply_stop(pair.apply);
            sync_connect(&pair);
        }
        talk(&pair);
        if (stamp % 13 == 0)
            reclaim_all(pair.theirs);
    }
    __atomic_store_n(&shared.stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    if (shared.problem)
        fail_msg("%s", shared.problem);
    assert_true(pair.commits > STREAMED * 9 / 10);
    assert_true(shared.seen > STREAMED / 10);
    channel_apply_free(pair.apply);
    channel_sync_free(pair.sync);
    tables_end(pair.ours);
    tables_end(pair.theirs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transactions_are_seen_whole),
        cmocka_unit_test(test_streamed_transactions_are_seen_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
