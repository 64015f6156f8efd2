/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes at full speed beside a full load: every transaction gives some DNS names, and a virtual
 * IP with its pool and backend, the transaction's number. Each answer must say one number in all
 * its records, each translated packet the same one by the virtual IP's and the backend's entry;
 * none that was never committed, and none that is older than what was seen before it was asked.
 * The access list denies all sources but that of the queries, by other entries every few
 * transactions: who saw them in part would drop a query, which then has no answer.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "dataplane/fastpath/dns_hash.h"
#include "dataplane/fastpath/dns_layout.h"
#include "dataplane/plane/grace.h"
#include "tests/dataplane/dpdk/ring_rig.h"
#include "tests/dataplane/fastpath/site.h"

#define CHANGES 200000u
#define NAMES 256u     /* the first one changes in every transaction and gets half the queries */
#define VIP NAMES      /* what a flow to the virtual IP asks, after the names */
#define FLOWS 512u     /* queries under way */
#define ABORTED 65536u /* added to a number that is taken back */
#define LIST_TURNS 4u  /* transactions from one to the next that changes the access list */
#define WAIT_SECONDS 20
#define SPORT 10000u
#define DNS_AT (FP_ETH_BYTES + FP_IPV4_BYTES + FP_UDP_BYTES)
#define QUERY_BYTES 38u /* header 12, question 15, OPT 11 */
#define QUESTION_END 27u
#define MESSAGE_MAX 1232u

struct load {
    struct rig *rig;
    uint32_t least[NAMES + 1]; /* the newest number seen, by name */
    uint32_t floor[FLOWS];     /* `least` when the flow asked */
    uint64_t answers;
    bool stop;
    const char *problem; /* atomic */
    char detail[160];
};

static struct rig the_rig;

/* ---- what is asked and answered ---- */

static unsigned asked_by(unsigned flow)
{
    if (flow % 8 == 7)
        return VIP;
    return flow % 2 ? 0 : flow / 2 % NAMES;
}

static size_t write_name(uint8_t *to, unsigned name)
{
    char text[12];

    snprintf(text, sizeof(text), "\4n%03u\4test", name);
    memcpy(to, text, sizeof(text) - 1);
    return sizeof(text) - 1;
}

static size_t write_record(uint8_t *to, uint16_t type, uint16_t words, uint32_t name,
                           uint32_t number)
{
    fp_store16(to, fp_htons(0xc00c));
    fp_store16(to + 2, fp_htons(type));
    fp_store16(to + 4, fp_htons(1));
    fp_store32(to + 6, fp_htonl(name)); /* TTL */
    fp_store16(to + 10, fp_htons(words * 4));
    for (uint16_t i = 0; i < words; i++)
        fp_store32(to + 12 + i * 4, fp_htonl(number));
    return 12u + words * 4u;
}

/* A records, and AAAA records with them: more of them for an odd number. */
static unsigned count_a(uint32_t number)
{
    return 16 + number % 2 * 16;
}

#define COUNT_AAAA 8u

static size_t write_records(uint8_t *to, uint32_t name, uint32_t number)
{
    uint8_t *start = to;

    for (unsigned i = 0; i < count_a(number); i++)
        to += write_record(to, 1, 1, name, number);
    for (unsigned i = 0; i < COUNT_AAAA; i++)
        to += write_record(to, 28, 4, name, number);
    return (size_t)(to - start);
}

/* The body of a name's entry. */
static size_t write_node(uint8_t *to, unsigned name, uint32_t number)
{
    struct fp_dns_node *node = (struct fp_dns_node *)to;
    struct fp_dns_answer *answer = (struct fp_dns_answer *)(to + 16);
    size_t length = write_records(to + 32, name, number);

    *node = (struct fp_dns_node){.ntypes = 1, .name_length = 11, .labels = 2};
    node->type[0] = (struct fp_dns_type){.type = 1, .offset = 2};
    *answer = (struct fp_dns_answer){
        .core = (fp_u16)length,
        .full = (fp_u16)length,
        .ancount = fp_htons(count_a(number)),
        .core_arcount = fp_htons(COUNT_AAAA),
        .full_arcount = fp_htons(COUNT_AAAA),
        .flags = FP_DNS_AA,
        .reason = FP_DNS_ANSWER,
    };
    memset(to + 32 + length, 0, 8);
    return 32 + ((length + 7) & ~(size_t)7);
}

static size_t write_query(uint8_t *to, unsigned flow)
{
    static const uint8_t header[12] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1};
    static const uint8_t question[4] = {0, 1, 0, 1};
    static const uint8_t opt[11] = {0, 0, 41, MESSAGE_MAX >> 8, MESSAGE_MAX & 0xff};

    memcpy(to, header, sizeof(header));
    fp_store16(to, fp_htons(flow));
    write_name(to + 12, asked_by(flow));
    memcpy(to + 23, question, sizeof(question));
    memcpy(to + QUESTION_END, opt, sizeof(opt));
    return QUERY_BYTES;
}

static size_t write_frame(uint8_t *to, size_t size, unsigned flow)
{
    bool vip = asked_by(flow) == VIP;
    uint8_t query[QUERY_BYTES];
    struct fp_build_spec spec = {
        .family = 4,
        .protocol = FP_IP_UDP,
        .sport = (uint16_t)(SPORT + flow),
        .dport = vip ? 5000 : 53,
        .payload = query,
        .payload_bytes = write_query(query, flow),
    };

    fp_build_ipv4(spec.source, 198, 18, 0, 1);
    fp_build_ipv4(spec.destination, 192, 0, 2, vip ? 13 : 53);
    return fp_build_frame(to, size, &spec);
}

/* ---- what came back ---- */

static bool sums_are_good(const uint8_t *frame, size_t length)
{
    uint64_t pseudo = fp_build_sum(frame + 26, 8) + fp_htons(FP_IP_UDP) +
                      fp_htons(length - FP_ETH_BYTES - FP_IPV4_BYTES);

    return fp_sum_finish(fp_build_sum(frame + FP_ETH_BYTES, FP_IPV4_BYTES)) == 0 &&
           fp_sum_finish(pseudo + fp_build_sum(frame + 34, length - 34)) == 0;
}

static const char *check_answer(const uint8_t *frame, size_t length, unsigned flow,
                                uint32_t *number)
{
    const uint8_t *message = frame + DNS_AT;
    uint8_t expected[MESSAGE_MAX];
    size_t records;

    if (length < DNS_AT + QUESTION_END + 16)
        return "an answer without records";
    *number = fp_ntohl(fp_load32(message + QUESTION_END + 12));
    records = write_records(expected, asked_by(flow), *number);
    if (length != DNS_AT + QUERY_BYTES + records)
        return "an answer of another length";
    if (fp_load16(message) != fp_htons(flow) ||
        fp_load16(message + 6) != fp_htons(count_a(*number)) ||
        fp_load16(message + 10) != fp_htons(COUNT_AAAA + 1))
        return "an answer with another header";
    if (memcmp(message + QUESTION_END, expected, records))
        return "an answer whose records don't agree";
    return NULL;
}

/* The backend's address says the number, and so does the port. */
static const char *check_translated(const uint8_t *frame, size_t length, uint32_t *number)
{
    if (length != DNS_AT + QUERY_BYTES)
        return "a packet of another length";
    *number = fp_ntohl(fp_load32(frame + 30)) & 0xffffff;
    if (frame[30] != 10)
        return "a packet to no backend";
    if (fp_load16(frame + 36) != fp_htons((uint16_t)(*number + 1)))
        return "a packet whose address and port don't agree";
    return NULL;
}

static void check(struct load *load, const struct rte_mbuf *frame)
{
    const uint8_t *bytes = rte_pktmbuf_mtod(frame, const uint8_t *);
    size_t length = rte_pktmbuf_data_len(frame);
    unsigned flow = frame->hash.usr, asked = asked_by(flow);
    uint32_t number = 0;
    const char *problem = asked == VIP ? check_translated(bytes, length, &number)
                                       : check_answer(bytes, length, flow, &number);

    if (!problem && !sums_are_good(bytes, length))
        problem = "a wrong checksum";
    if (!problem && number >= ABORTED)
        problem = "a number that was never committed";
    if (!problem && number < load->floor[flow])
        problem = "a number older than one seen before";
    if (number > load->least[asked] && !problem)
        load->least[asked] = number;
    load->answers++;
    if (!problem || load->problem)
        return;
    snprintf(load->detail, sizeof(load->detail), "%s: flow %u asked for %u: number %u, before %u",
             problem, flow, asked, number, load->floor[flow]);
    __atomic_store_n(&load->problem, problem, __ATOMIC_RELEASE);
}

/* ---- the load ---- */

static void ask(struct load *load, struct rte_mbuf *frame, unsigned flow)
{
    size_t length;

    rte_pktmbuf_reset(frame);
    frame->hash.usr = flow;
    length = write_frame(rte_pktmbuf_mtod(frame, uint8_t *), MESSAGE_MAX, flow);
    rte_pktmbuf_append(frame, (uint16_t)length);
    load->floor[flow] = load->least[asked_by(flow)];
    rig_need(!rte_ring_enqueue(load->rig->port[0].in[flow % load->rig->workers], frame),
             "room in a ring");
}

/* One burst of what came out. Returns how many frames; `again`: each asks once more. */
static unsigned take(struct load *load, bool again)
{
    struct rte_mbuf *frame[PORT_BURST];
    unsigned count =
        rte_ring_dequeue_burst(load->rig->port[0].out, (void **)frame, PORT_BURST, NULL);

    for (unsigned i = 0; i < count; i++) {
        check(load, frame[i]);
        if (again)
            ask(load, frame[i], frame[i]->hash.usr);
        else
            rte_pktmbuf_free(frame[i]);
    }
    return count;
}

/* Keeps every flow asking until told to stop, then waits for all that is under way. */
static void *load_run(void *arg)
{
    struct load *load = arg;
    unsigned under_way = FLOWS;
    time_t deadline;

    pthread_setaffinity_np(pthread_self(), sizeof(load->rig->others), &load->rig->others);
    for (unsigned flow = 0; flow < FLOWS; flow++) {
        struct rte_mbuf *frame = rte_pktmbuf_alloc(load->rig->pool);

        if (!frame)
            abort();
        ask(load, frame, flow);
    }
    while (!__atomic_load_n(&load->stop, __ATOMIC_ACQUIRE)) {
        if (!take(load, true))
            sched_yield();
    }
    deadline = time(NULL) + WAIT_SECONDS;
    while (under_way && time(NULL) < deadline)
        under_way -= take(load, false);
    if (under_way && !load->problem) {
        snprintf(load->detail, sizeof(load->detail), "%u flows got no answer", under_way);
        load->problem = "no answer";
    }
    return NULL;
}

/* ---- the changes ---- */

static void put_name(struct tables *tables, unsigned name, uint32_t number)
{
    uint8_t wire[32] = {0}, body[MESSAGE_MAX + 32] __attribute__((aligned(8)));
    struct fp_key key = {.kind = FP_KIND_DNS};
    size_t length = write_node(body, name, number);
    fp_u64 a, b;

    fp_dns_hash(wire, sizeof(wire), 0, write_name(wire, name), 1, 2, &a, &b);
    key.a = a;
    key.b = b;
    site_put(tables, key, body, length);
}

/* The number's backend in turn is another one, so that the pool is part of it. */
static void put_vip(struct tables *tables, uint32_t number)
{
    struct fp_vip vip = {.id = 1, .pool = 1, .mode = FP_MODE_NAT, .port = (uint16_t)(number + 1)};
    char address[24];
    struct fp_backend backend = {0};

    snprintf(address, sizeof(address), "10.%u.%u.%u", number >> 16, number >> 8 & 0xff,
             number & 0xff);
    site_address(backend.address, address);
    site_put(tables, site_number(FP_KIND_BACKEND, 1 + number % 2), &backend, sizeof(backend));
    site_pool(tables, 1, 1 + number % 2, 0);
    site_put(tables, site_key(FP_KIND_VIP, "192.0.2.13", SITE_UDP | 5000), &vip, sizeof(vip));
}

static void put_access(struct tables *tables, const char *prefix, unsigned length, bool there,
                       uint32_t action)
{
    struct fp_key key = site_key(FP_KIND_ACCESS, prefix, 96 + length);

    if (there)
        site_access(tables, prefix, key.c, action);
    else
        assert_int_equal(tables_delete(tables, &key), 0);
}

/* Two ways to say the same of 198.18.0.1. Returns how many entries it changes, mostly. */
static unsigned put_list(struct tables *tables, uint32_t number)
{
    bool first = (number / LIST_TURNS + number / ABORTED) % 2;

    if (number % LIST_TURNS && number < ABORTED)
        return 0;
    put_access(tables, "198.18.0.0", 24, first, FP_ACCESS_DENY);
    put_access(tables, "198.18.0.1", 32, first, FP_ACCESS_ALLOW);
    put_access(tables, "198.18.0.0", 25, !first, FP_ACCESS_DENY);
    put_access(tables, "198.18.0.0", 31, !first, FP_ACCESS_ALLOW);
    return 4;
}

/* The names that a transaction changes, besides the first: few, so that what one replaces is
 * reused at once by the next, and sometimes many. */
static unsigned names_changed(uint32_t number)
{
    return number % 16 ? 4 : 64;
}

static unsigned put_all(struct tables *tables, uint32_t number, uint32_t says)
{
    unsigned count = names_changed(number), changes = 4 + count;

    put_vip(tables, says);
    put_name(tables, 0, says);
    changes += put_list(tables, says);
    for (unsigned i = 0; i < count; i++)
        put_name(tables, 1 + (number * 67 + i) % (NAMES - 1), says);
    return changes;
}

/* Returns how many entries it has changed. */
static unsigned transaction(struct tables *tables, uint32_t number)
{
    unsigned changes;

    assert_int_equal(tables_begin(tables), 0);
    if (number % 8 == 0) { /* thought better of it */
        put_all(tables, number, number + ABORTED);
        tables_abort(tables);
        assert_int_equal(tables_begin(tables), 0);
    }
    changes = put_all(tables, number, number);
    assert_int_equal(tables_commit(tables, number), 0);
    return changes;
}

static void fill(struct tables *tables)
{
    struct fp_config config = {
        .dns_key = {1, 2}, .flow_seed = 3, .dns_udp_max = MESSAGE_MAX, .dns_max_labels = 8};
    struct fp_address dns = {.flags = FP_ADDRESS_DNS}, vip = {.flags = FP_ADDRESS_VIP};
    struct fp_nexthop hop = {.ifindex = SITE_IFINDEX,
                             .dmac = {2, 0, 0, 0, 1, 11},
                             .smac = {2, 0, 0, 0, 0, 2},
                             .mtu = 1500,
                             .flags = FP_NEXTHOP_ONLINK};

    assert_int_equal(tables_begin(tables), 0);
    site_put(tables, site_number(FP_KIND_CONFIG, 0), &config, sizeof(config));
    site_put(tables, site_key(FP_KIND_ADDRESS, "192.0.2.53", 0), &dns, sizeof(dns));
    site_put(tables, site_key(FP_KIND_ADDRESS, "192.0.2.13", 0), &vip, sizeof(vip));
    for (unsigned name = 0; name < NAMES; name++)
        put_name(tables, name, 0);
    put_vip(tables, 0);
    put_list(tables, 0);
    assert_int_equal(tables_commit(tables, 1), 0);
    for (unsigned backend = 1; backend <= 2; backend++) {
        struct fp_key key = site_number(FP_KIND_NEXTHOP, backend);

        assert_int_equal(tables_put_local(tables, &key, &hop, sizeof(hop)), 0);
    }
}

/* ---- the test ---- */

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void test_no_answer_is_torn(void **state)
{
    struct tables_options options = {.size = SITE_BYTES,
                                     .cpus = the_rig.workers,
                                     .meters_log2 = 8,
                                     .flows_log2 = 8,
                                     .grace = grace_wait};
    struct load load = {.rig = &the_rig};
    struct tables *tables;
    unsigned changes = 0, number = 1;
    double begin, took;
    pthread_t thread;

    (void)state;
    rig_port(&the_rig, "nic", SITE_IFINDEX);
    options.base = eal_tables_memory(SITE_BYTES, true);
    assert_non_null(options.base);
    assert_int_equal(tables_open(&tables, &options), 0);
    fill(tables);
    assert_int_equal(workers_start(&the_rig.ports, options.base, NULL), 0);
    grace_use(workers_wait);
    assert_int_equal(pthread_create(&thread, NULL, load_run, &load), 0);
    begin = seconds_now();
    while (changes < CHANGES && !__atomic_load_n(&load.problem, __ATOMIC_ACQUIRE)) {
        changes += transaction(tables, number);
        if (number++ % 4 == 0)
            sched_yield(); /* to the load, where there are two cores only */
    }
    took = seconds_now() - begin;
    __atomic_store_n(&load.stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    print_message("%u changes in %u transactions, %.0f/s; %lu answers, %.0f/s; %u workers\n",
                  changes, number - 1, changes / took, (unsigned long)load.answers,
                  (double)load.answers / took, the_rig.workers);
    if (load.problem)
        fail_msg("%s", load.detail);
    assert_true(number < ABORTED);
    assert_int_equal(rig_close(&the_rig), 0);
    grace_use(NULL);
    tables_close(tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_answer_is_torn)};

    if (!rig_open(&the_rig, RIG_WORKERS_MAX)) {
        fprintf(stderr, "two cores are needed\n");
        return RIG_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
