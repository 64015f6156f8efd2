/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of ways back to clients, over the kernel's routes in a network namespace of the test's
 * own: 10.9.0.1 is ours, each of 198.18.0.0/24, 198.18.1.0/24 and the rest of 198.18.0.0/15 is
 * behind a router of its own. A worker's side asks, the loop's side answers when it is run.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <rte_hash_crc.h>

#include "dataplane/dpdk/ways.h"
#include "tests/dataplane/dpdk/ring_rig.h"
#include "tests/dataplane/fastpath/site.h"

#define WAIT_SECONDS 20
#define PLACES 16384u       /* ways.c: one client each */
#define QUESTIONS 1023u     /* that wait at most */
#define A_TURN 64u          /* that one turn of the loop answers at most */
#define CLIENTS 100000u     /* of the hostile sort */
#define READS_MIN 12000000u /* beside the changes */

static const char *const commands[] = {
    "ip link set lo up",
    "ip link add nic0 type veth peer name far0",
    "ip link set nic0 up",
    "ip link set far0 up",
    "ip addr add 10.9.0.1/24 dev nic0",
    "ip addr add 2001:db8:9::1/64 dev nic0 nodad",
    "ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev nic0 nud permanent",
    "ip neigh add 10.9.0.3 lladdr 02:00:00:00:00:03 dev nic0 nud permanent",
    "ip neigh add 10.9.0.4 lladdr 02:00:00:00:00:04 dev nic0 nud permanent",
    "ip neigh add 2001:db8:9::2 lladdr 02:00:00:00:00:06 dev nic0 nud permanent",
    "ip route add 198.18.0.0/24 via 10.9.0.2",
    "ip route add 198.18.1.0/24 via 10.9.0.3",
    "ip route add 198.18.0.0/15 via 10.9.0.4",
    "ip route add 2001:db8:18::/48 via 2001:db8:9::2",
};

static struct rtnl rtnl = {.fd = -1};
static struct devices devices;
static struct ways *ways;
static uv_loop_t loop;

/* ---- both sides ---- */

/* One turn of the loop: what waits is answered, up to its bound. */
static void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
}

/* What a worker gets: the last byte of the next hop's MAC address; 0: the kernel's way; -1: an
 * address of this machine, or no way. */
static int find_bytes(const uint8_t address[16])
{
    struct fp_nexthop hop;

    memset(&hop, 0xff, sizeof(hop));
    if (!ways_find(ways, address, &hop))
        return -1;
    return hop.ifindex ? hop.dmac[5] : 0;
}

static int find(const char *text)
{
    uint8_t address[16];

    site_address(address, text);
    return find_bytes(address);
}

static void client(uint8_t address[16], uint32_t number)
{
    site_address(address, "198.18.0.0");
    address[13] = (uint8_t)(18 | (number >> 16 & 1));
    address[14] = (uint8_t)(number >> 8);
    address[15] = (uint8_t)number;
}

/* Turns the loop until the address is answered; whatever comes, then. */
static int find_soon(const char *text)
{
    time_t deadline = time(NULL) + WAIT_SECONDS;
    int found = find(text);

    while (!found && time(NULL) < deadline) {
        turn();
        found = find(text);
    }
    return found;
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(ways_new(&ways, &rtnl, &devices), 0);
    assert_int_equal(ways_enter(ways, &loop), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ways_leave(ways);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    ways_free(ways);
    return 0;
}

/* ---- tests ---- */

static void test_miss_ask_fill_hit(void **state)
{
    (void)state;
    assert_int_equal(find("198.18.0.7"), 0);
    assert_int_equal(find("198.18.0.7"), 0); /* asked already, not yet answered */
    turn();
    assert_int_equal(find("198.18.0.7"), 2);
    assert_int_equal(find_soon("198.18.1.7"), 3);
    assert_int_equal(find_soon("198.19.1.7"), 4);
    assert_int_equal(find_soon("10.9.0.3"), 3);
    assert_int_equal(find_soon("2001:db8:18::7"), 6);
    assert_int_equal(find("198.18.0.7"), 2);
}

/* Packets to this machine stay as they are, from the first one on; so does what has no way. */
static void test_own_addresses(void **state)
{
    (void)state;
    assert_int_equal(find("10.9.0.1"), -1);
    assert_int_equal(find("2001:db8:9::1"), -1);
    turn();
    assert_int_equal(find("10.9.0.1"), -1);
    assert_int_equal(find("203.0.113.1"), 0);
    turn();
    assert_int_equal(find("203.0.113.1"), -1);
    assert_int_equal(system("ip addr add 10.9.0.99/24 dev nic0"), 0);
    assert_int_equal(find("10.9.0.99"), 0);
    ways_forget(ways);
    turn();
    assert_int_equal(find("10.9.0.99"), -1);
    assert_int_equal(system("ip addr del 10.9.0.99/24 dev nic0"), 0);
}

/* What nobody confirms is not used for longer than a second, whatever the kernel tells. */
static void test_age(void **state)
{
    time_t deadline = time(NULL) + WAIT_SECONDS;

    (void)state;
    assert_int_equal(find_soon("198.18.0.7"), 2);
    while (find("198.18.0.7") && time(NULL) < deadline)
        sched_yield();
    assert_int_equal(find("198.18.0.7"), 0);
    assert_int_equal(find_soon("198.18.0.7"), 2);
}

static void test_a_change_empties_it(void **state)
{
    (void)state;
    assert_int_equal(find_soon("198.18.0.7"), 2);
    assert_int_equal(find_soon("198.18.1.7"), 3);
    assert_int_equal(system("ip route replace 198.18.0.0/24 via 10.9.0.4"), 0);
    ways_forget(ways);
    assert_int_equal(find("198.18.0.7"), 0);
    assert_int_equal(find("198.18.1.7"), 0);
    turn();
    assert_int_equal(find("198.18.0.7"), 4);
    assert_int_equal(find("198.18.1.7"), 3);
    assert_int_equal(system("ip route replace 198.18.0.0/24 via 10.9.0.2"), 0);
}

/* Two clients that share a place, behind the first and the third router. */
static void place_pair(uint8_t first[16], uint8_t second[16])
{
    uint32_t number = 0x200;

    site_address(first, "198.18.0.7");
    do
        client(second, number++);
    while ((rte_hash_crc(first, 16, 0) ^ rte_hash_crc(second, 16, 0)) & (PLACES - 1));
}

/* Clients that share a place take it from each other, and never get each other's way. */
static void test_one_place(void **state)
{
    uint8_t first[16], second[16];

    (void)state;
    place_pair(first, second);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(find_bytes(first), 0);
        assert_int_equal(find_bytes(second), i ? 4 : 0); /* as before: nobody is asked twice */
        turn();
        assert_int_equal(find_bytes(first), 2);
        assert_int_equal(find_bytes(second), 0);
        turn();
        assert_int_equal(find_bytes(second), 4);
    }
}

/* Many clients at once fill the questions' ring and no more; the loop answers some a turn; a client
 * that comes later is answered too. */
static void test_hostile_clients(void **state)
{
    static bool known[CLIENTS];
    uint8_t address[16];
    unsigned turns = 0, total = 0;

    (void)state;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        client(address, i);
        assert_int_equal(find_bytes(address), 0);
    }
    while (uv_run(&loop, UV_RUN_NOWAIT), turns++ < 2 * QUESTIONS / A_TURN) {
        unsigned now = 0;

        for (uint32_t i = 0; i < QUESTIONS; i++) { /* the first ones got into the ring */
            struct fp_nexthop hop;

            client(address, i);
            if (!known[i] && ways_find(ways, address, &hop) && hop.ifindex) {
                known[i] = true;
                now++;
            }
        }
        assert_true(now <= A_TURN);
        total += now;
    }
    assert_true(total > QUESTIONS * 9 / 10); /* some share a place */
    assert_int_equal(find_soon("2001:db8:18::7"), 6);
}

struct reader {
    bool stop, wrong;
    uint64_t reads, hits;
};

static void *read_run(void *arg)
{
    struct reader *reader = arg;
    uint8_t first[16], second[16];
    cpu_set_t any;

    memset(&any, 0xff, sizeof(any)); /* EAL has given the test's own thread one core */
    pthread_setaffinity_np(pthread_self(), sizeof(any), &any);
    place_pair(first, second);
    while (!__atomic_load_n(&reader->stop, __ATOMIC_ACQUIRE)) {
        int a = find_bytes(first), b = find_bytes(second);

        reader->wrong |= (a && a != 2) || (b && b != 4);
        reader->hits += a == 2;
        __atomic_store_n(&reader->reads, reader->reads + 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* A worker asks for two clients of one place while the loop gives it to one and to the other: each
 * way whole or not at all. */
static void test_reads_beside_changes(void **state)
{
    struct reader reader = {0};
    time_t deadline = time(NULL) + WAIT_SECONDS;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, read_run, &reader), 0);
    while (__atomic_load_n(&reader.reads, __ATOMIC_RELAXED) < READS_MIN && time(NULL) < deadline) {
        turn();
    }
    __atomic_store_n(&reader.stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    assert_false(reader.wrong);
    assert_true(reader.reads >= READS_MIN && reader.hits > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_miss_ask_fill_hit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_age, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_change_empties_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reads_beside_changes, set_up, tear_down),
    };
    struct rig rig;
    int failed;

    if (unshare(CLONE_NEWNET)) {
        fprintf(stderr, "a network namespace is needed: root\n");
        return RIG_SKIPPED;
    }
    if (!rig_open_eal(&rig, 1, 64)) {
        fprintf(stderr, "two cores are needed\n");
        return RIG_SKIPPED;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        rig_need(!system(commands[i]), commands[i]);
    rig_need(!rtnl_open(&rtnl), "netlink");
    rig_need(!devices_load(&devices, &rtnl), "devices");
    for (size_t i = 0; i < devices.count; i++)
        devices.all[i].takes_frames = true;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    devices_free(&devices);
    rtnl_close(&rtnl);
    eal_close();
    return failed;
}
