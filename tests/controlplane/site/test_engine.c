/* SPDX-License-Identifier: Apache-2.0 */
/* What a site's resources become in the tables, and what a change of them costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper.h"

static const char lab[] =
    "site: lab\n"
    "interfaces: { eth1: { mode: generic } }\n"
    "pools:\n"
    "  web:\n"
    "    buckets: 64\n"
    "    drain: 10s\n"
    "    backends:\n"
    "      a: { address: 10.0.0.11 }\n"
    "      b: { address: 10.0.0.12 }\n"
    "vips:\n"
    "  web: { address: 192.0.2.10, ports: [80, 443], pool: web, limits: [slow] }\n"
    "  any: { address: 192.0.2.11, protocol: udp, ports: all, pool: web, mode: nat }\n"
    "  one: { address: 192.0.2.12, ports: [81], port: 8081, pool: web, mode: nat }\n"
    "limits:\n"
    "  slow: { per: source/24, packets: 1000/s, burst: 20, bytes: 1M/s }\n"
    "  all: { per: vip, packets: 1M/s }\n"
    "access: [ { deny: 203.0.113.0/24 }, { allow: 203.0.113.7 }, { deny: \"2001:db8::/32\" } ]\n"
    "dns: { listen: [192.0.2.10], limits: [all], udp-size: 1400 }\n";

static const struct fp_pool *pool_entry(struct rig *rig, unsigned number)
{
    return rig_entry(rig, FP_KIND_POOL, number, 0, 0);
}

static void test_entries(void **state)
{
    const struct fp_interface *interface;
    const struct fp_config *config;
    const struct fp_limit *limit;
    unsigned count[4] = {0};
    struct rig rig;

    (void)state;
    rig_open(&rig);
    rig_good(&rig, lab);
    interface = rig_entry(&rig, FP_KIND_INTERFACE, 0, 0, 0);
    assert_string_equal(interface->name, "eth1");
    assert_int_equal(interface->mode, 2);
    assert_int_equal(interface->driver, 0);
    assert_int_equal(interface->queues, 0);
    assert_string_equal(interface->device, "");

    limit = rig_entry(&rig, FP_KIND_LIMIT, 1, 0, 0); /* names are numbered in their order */
    assert_int_equal(limit->per, FP_PER_SOURCE);
    assert_int_equal(limit->len4, 24);
    assert_int_equal(limit->len6, 64);
    assert_int_equal(limit->packet_cost, 1000000ull * 256); /* 1 ms */
    assert_int_equal(limit->packet_burst, 20 * limit->packet_cost);
    assert_int_equal(limit->byte_cost, 1000ull * 256);
    assert_int_equal(limit->byte_burst, 100000 * limit->byte_cost); /* a tenth of a second */
    limit = rig_entry(&rig, FP_KIND_LIMIT, 0, 0, 0);
    assert_int_equal(limit->per, FP_PER_VIP);
    assert_int_equal(limit->byte_cost, 0);

    assert_int_equal(pool_entry(&rig, 0)->log2, 6);
    for (unsigned i = 0; i < 64; i++)
        count[pool_entry(&rig, 0)->bucket[i]]++;
    assert_int_equal(count[1], 32);
    assert_int_equal(count[2], 32);
    assert_int_equal(
        ((const struct fp_backend *)rig_entry(&rig, FP_KIND_BACKEND, 2, 0, 0))->address[15], 12);

    config = rig_entry(&rig, FP_KIND_CONFIG, 0, 0, 0);
    assert_int_equal(config->dns_udp_max, 1400);
    assert_true(config->dns_key[0] && config->flow_seed);
    rig_close(&rig);
}

static void test_interface_entries(void **state)
{
    static const char dpdk[] =
        "site: lab\ninterfaces: { eth1: { driver: dpdk, device: 03:00.1, queues: 16 } }\n";
    const struct fp_interface *interface;
    struct site_counts counts;
    char device[104], *text;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    rig_good(&rig, "site: lab\ninterfaces: { eth1: }\n");
    assert_int_equal(rig_good(&rig, dpdk), 1); /* the same number: one entry changes */
    interface = rig_entry(&rig, FP_KIND_INTERFACE, 0, 0, 0);
    assert_string_equal(interface->name, "eth1");
    assert_int_equal(interface->driver, 1);
    assert_int_equal(interface->mode, 0);
    assert_int_equal(interface->queues, 16);
    assert_string_equal(interface->device, "0000:03:00.1");
    site_counts(rig.engine, &counts);
    assert_int_equal(counts.interfaces, 1);
    assert_int_equal(counts.dpdk_interfaces, 1);

    snprintf(device, sizeof(device), "net_pcap0,rx_pcap=%085d", 0);
    assert_int_equal(strlen(device), 103);
    text = text_of("site: lab\ninterfaces: { eth1: { driver: dpdk, device: \"%s\" } }\n", device);
    assert_int_equal(rig_good(&rig, text), 1);
    interface = rig_entry(&rig, FP_KIND_INTERFACE, 0, 0, 0);
    assert_int_equal(interface->queues, 1);
    assert_string_equal(interface->device, device);
    free(text);
    rig_restart(&rig);
    interface = rig_entry(&rig, FP_KIND_INTERFACE, 0, 0, 0);
    assert_string_equal(interface->device, device);
    rig_close(&rig);
}

static void test_service_entries(void **state)
{
    const struct fp_address *address;
    const struct fp_natback *back;
    const struct fp_vip *vip;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    rig_good(&rig, lab);
    vip = rig_vip(&rig, "192.0.2.10", 6, 443);
    assert_non_null(vip);
    assert_int_equal(vip->id, 2);
    assert_int_equal(vip->pool, 0);
    assert_int_equal(vip->mode, FP_MODE_DSR_IPIP);
    assert_int_equal(vip->nlimits, 1);
    assert_int_equal(vip->limit[0], 1);
    assert_null(rig_vip(&rig, "192.0.2.10", 6, 444));
    vip = rig_vip(&rig, "192.0.2.11", 17, 0);
    assert_int_equal(vip->mode, FP_MODE_NAT);
    vip = rig_vip(&rig, "192.0.2.12", 6, 81);
    assert_int_equal(vip->port, 8081);

    back = rig_address(&rig, FP_KIND_NATBACK, "10.0.0.11", 17 << 16);
    assert_non_null(back);
    assert_int_equal(back->vip, 0);
    assert_int_equal(back->port, 0);
    assert_int_equal(back->address[15], 11);
    back = rig_address(&rig, FP_KIND_NATBACK, "10.0.0.12", 6 << 16 | 8081);
    assert_int_equal(back->port, 81);
    assert_int_equal(back->vip, 1);

    address = rig_address(&rig, FP_KIND_ADDRESS, "192.0.2.10", 0);
    assert_int_equal(address->flags, FP_ADDRESS_VIP | FP_ADDRESS_DNS);
    assert_int_equal(address->nlimits, 1);
    assert_int_equal(address->limit[0], 0);
    address = rig_address(&rig, FP_KIND_ADDRESS, "192.0.2.11", 0);
    assert_int_equal(address->flags, FP_ADDRESS_VIP);

    assert_non_null(rig_address(&rig, FP_KIND_ACCESS, "203.0.113.0", 120));
    assert_int_equal(
        ((const struct fp_access *)rig_address(&rig, FP_KIND_ACCESS, "203.0.113.7", 128))->action,
        FP_ACCESS_ALLOW);
    assert_non_null(rig_address(&rig, FP_KIND_ACCESS, "2001:db8::", 32));
    rig_close(&rig);
}

/* The text with one part replaced. */
static char *edited(const char *text, const char *old, const char *new)
{
    const char *at = strstr(text, old);

    assert_non_null(at);
    return text_of("%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

static size_t edit(struct rig *rig, char **text, const char *old, const char *new)
{
    char *next = edited(*text, old, new);
    size_t changes = rig_good(rig, next);

    free(*text);
    *text = next;
    return changes;
}

static void test_only_what_changed(void **state)
{
    char *text = strdup(lab);
    struct rig rig;

    (void)state;
    rig_open(&rig);
    assert_int_equal(rig_good(&rig, text), 1 + 1 + 2 + 3 + 1 + 2 + 4 + 4 + 3);
    assert_int_equal(rig_good(&rig, text), 0);
    /* Another address behind a name: the backend, and the ways back of nat to both addresses. */
    assert_int_equal(edit(&rig, &text, "10.0.0.12", "10.0.0.13"), 1 + 4);
    assert_null(rig_address(&rig, FP_KIND_NATBACK, "10.0.0.12", 17 << 16));
    assert_non_null(rig_address(&rig, FP_KIND_NATBACK, "10.0.0.13", 17 << 16));
    /* A weight: the bucket table. */
    assert_int_equal(edit(&rig, &text, "10.0.0.13 }", "10.0.0.13, weight: 50 }"), 1);
    assert_int_equal(edit(&rig, &text, "source/24", "source/25"), 1);
    assert_int_equal(edit(&rig, &text, "[80, 443]", "[443, 80]"), 0);
    assert_int_equal(edit(&rig, &text, "[443, 80]", "[443]"), 1);
    assert_null(rig_vip(&rig, "192.0.2.10", 6, 80));
    assert_int_equal(edit(&rig, &text, "udp-size: 1400", "udp-size: 1232"), 1);
    assert_int_equal(edit(&rig, &text, "listen: [192.0.2.10]", "listen: [192.0.2.53]"), 2);
    assert_int_equal(edit(&rig, &text, "{ deny: 203.0.113.0/24 }, ", ""), 1);
    assert_int_equal(edit(&rig, &text, "allow: 203", "deny: 203"), 1);
    assert_int_equal(edit(&rig, &text, "interfaces: { eth1: { mode: generic } }\n", ""), 1);
    free(text);
    rig_close(&rig);
}

static void test_numbers_are_stable(void **state)
{
    struct rig rig;
    const char *pool;

    (void)state;
    rig_open(&rig);
    rig_good(&rig, "site: s\npools: { b: {}, c: { backends: { x: { address: 10.0.0.1 } } } }\n");
    assert_string_equal(site_number_name(rig.engine, FP_KIND_POOL, 0, NULL), "b");
    assert_string_equal(site_number_name(rig.engine, FP_KIND_POOL, 1, NULL), "c");
    assert_string_equal(site_number_name(rig.engine, FP_KIND_BACKEND, 1, &pool), "x");
    assert_string_equal(pool, "c");
    /* b goes and a comes: a doesn't get b's number at once, nor in the revision after. */
    rig_good(&rig, "site: s\npools: { a: {}, c: { backends: { x: { address: 10.0.0.1 } } } }\n");
    assert_null(site_number_name(rig.engine, FP_KIND_POOL, 0, NULL));
    assert_string_equal(site_number_name(rig.engine, FP_KIND_POOL, 1, NULL), "c");
    assert_string_equal(site_number_name(rig.engine, FP_KIND_POOL, 2, NULL), "a");
    rig_good(&rig, "site: s\npools: { a: {}, c: { backends: { w: { address: 10.0.0.2 }, "
                   "x: { address: 10.0.0.1 } } }, d: {} }\n");
    assert_string_equal(site_number_name(rig.engine, FP_KIND_POOL, 3, NULL), "d");
    assert_string_equal(site_number_name(rig.engine, FP_KIND_BACKEND, 1, &pool), "x");
    assert_string_equal(site_number_name(rig.engine, FP_KIND_BACKEND, 2, &pool), "w");
    rig_restart(&rig);
    assert_string_equal(site_number_name(rig.engine, FP_KIND_BACKEND, 2, &pool), "w");
    rig_good(&rig, "site: s\npools: { a: {}, c: {}, d: {}, e: {} }\n");
    assert_string_equal(site_number_name(rig.engine, FP_KIND_POOL, 0, NULL), "e");
    assert_int_equal(site_number_end(rig.engine, FP_KIND_POOL), 4);
    rig_close(&rig);
}

static unsigned marked(struct rig *rig)
{
    unsigned marks = 0;

    for (unsigned i = 0; i < 64; i++)
        marks += pool_entry(rig, 0)->bucket[i] >> 16 != 0;
    return marks;
}

static void test_drain(void **state)
{
    char *text = strdup(lab);
    struct site_changes changes;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    rig_good(&rig, text);
    assert_int_equal(site_deadline(rig.engine), -1);
    assert_int_equal(edit(&rig, &text, "10.0.0.12 }", "10.0.0.12, drain: true }"), 1);
    assert_int_equal(marked(&rig), 32);
    assert_int_equal(site_deadline(rig.engine), rig.now + 10000);
    /* The marks outlive a restart, but not their time. */
    rig.now += 9999;
    rig_restart(&rig);
    assert_int_equal(marked(&rig), 32);
    assert_int_equal(site_tick(rig.engine, 99, rig.now, &changes), 0);
    rig.now++;
    assert_int_equal(site_tick(rig.engine, 99, rig.now, &changes), 1);
    assert_int_equal(changes.list[0].key.kind, FP_KIND_POOL);
    assert_int_equal(marked(&rig), 0);
    assert_int_equal(tables_site_generation(rig.tables), 99);
    assert_int_equal(site_deadline(rig.engine), -1);
    rig_restart(&rig);
    assert_int_equal(marked(&rig), 0);
    /* A backend that is gone has no flows to keep. */
    edit(&rig, &text, ", drain: true", "");
    assert_int_equal(marked(&rig), 32);
    edit(&rig, &text, "      a: { address: 10.0.0.11 }\n", "");
    assert_int_equal(marked(&rig), 0);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(pool_entry(&rig, 0)->bucket[i], 2);
    free(text);
    rig_close(&rig);
}

static void test_restart_is_the_same(void **state)
{
    struct rig rig;
    uint64_t before;
    char *text;

    (void)state;
    rig_open(&rig);
    rig_good(&rig, lab);
    text = edited(lab, "10.0.0.12 }", "10.0.0.12, weight: 7 }");
    rig_good(&rig, text);
    before = rig_digest(&rig);
    rig_restart(&rig);
    assert_int_equal(rig_digest(&rig), before);
    assert_int_equal(rig_good(&rig, text), 0);
    /* And it can be stored again. */
    rig_good(&rig, lab);
    free(text);
    rig_close(&rig);
}

static void test_rejected_changes_nothing(void **state)
{
    struct rig rig;
    uint64_t before;
    char *text = edited(lab, "pool: web", "pool: wbe");

    (void)state;
    rig_open(&rig);
    rig_good(&rig, lab);
    before = rig_digest(&rig);
    assert_int_equal(rig_apply(&rig, text), CULVERT_EREJECTED);
    assert_int_equal(rig.errors.count, 1);
    assert_string_equal(rig.errors.list[0].hint, "did you mean \"web\"?");
    assert_int_equal(rig_digest(&rig), before);
    assert_int_equal(rig.latest.number, 1);
    assert_int_equal(rig_good(&rig, lab), 0);
    free(text);
    rig_close(&rig);
}

static void test_plan(void **state)
{
    struct site_source source = {.name = "x", .text = lab, .length = sizeof(lab) - 1};
    struct site_plan *plan, *second;
    struct rig rig;
    size_t paths;

    (void)state;
    rig_open(&rig);
    assert_int_equal(site_prepare(rig.engine, &source, &rig.blobs, 0, &plan, &rig.errors), 0);
    assert_int_equal(site_prepare(rig.engine, &source, &rig.blobs, 0, &second, &rig.errors),
                     CULVERT_EBUSY);
    site_plan_diff(plan, &paths);
    assert_int_equal(paths, 12); /* site, interface, pool, 3 vips, 2 limits, 3 rules, dns */
    site_abort(rig.engine, plan);
    assert_null(rig_vip(&rig, "192.0.2.10", 6, 80));
    rig_good(&rig, lab);
    source.text = "{\"site\": \"lab2\"}";
    source.length = strlen(source.text);
    assert_int_equal(site_prepare(rig.engine, &source, &rig.blobs, 0, &plan, &rig.errors), 0);
    assert_non_null(strstr(site_plan_diff(plan, &paths),
                           "{\"path\":\"site\",\"old\":\"lab\",\"new\":\"lab2\"}"));
    site_abort(rig.engine, plan);
    rig_close(&rig);
}

static void test_counts(void **state)
{
    const struct address *listen;
    struct site_counts counts;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    assert_null(site_engine_site(rig.engine));
    assert_int_equal(site_listen(rig.engine, &listen), 0);
    rig_good(&rig, lab);
    site_counts(rig.engine, &counts);
    assert_int_equal(counts.pools, 1);
    assert_int_equal(counts.backends, 2);
    assert_int_equal(counts.vips, 3);
    assert_int_equal(counts.access, 3);
    assert_int_equal(site_listen(rig.engine, &listen), 1);
    assert_int_equal(listen->bytes[15], 10);
    assert_string_equal(site_name(site_engine_site(rig.engine)), "lab");
    rig_good(&rig, "site: lab\n");
    assert_int_equal(rig_digest(&rig) == 0, 0); /* the configuration stays */
    site_counts(rig.engine, &counts);
    assert_int_equal(counts.pools, 0);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_interface_entries),
        cmocka_unit_test(test_service_entries),
        cmocka_unit_test(test_only_what_changed),
        cmocka_unit_test(test_numbers_are_stable),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_restart_is_the_same),
        cmocka_unit_test(test_rejected_changes_nothing),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
