/* SPDX-License-Identifier: Apache-2.0 */
/* Zones among the resources: files, inline records, pools' records, and who is compiled again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper.h"

static const char zone[] = "$TTL 300\n"
                           "@ SOA ns1 hostmaster 1 3600 600 86400 300\n"
                           "@ NS ns1\n"
                           "ns1 A 192.0.2.53\n"
                           "a.b A 192.0.2.1\n";

static const char site[] = "site: lab\n"
                           "pools:\n"
                           "  web:\n"
                           "    backends:\n"
                           "      a: { address: 10.0.0.11 }\n"
                           "      b: { address: 10.0.0.12 }\n"
                           "zones:\n"
                           "  example.com:\n"
                           "    file: com.zone\n"
                           "    records: { www: { pool: web, ttl: 30 } }\n"
                           "  example.net:\n"
                           "    soa: { mname: ns1.example.net., rname: hostmaster.example.net. }\n"
                           "    records:\n"
                           "      \"@\": { NS: [ns1], MX: [\"10 mail\"] }\n"
                           "      ns1: { A: 192.0.2.53, AAAA: \"2001:db8::53\" }\n";

static size_t names(struct rig *rig)
{
    struct tables_usage usage;

    tables_usage(rig->tables, &usage);
    return usage.kind[FP_KIND_DNS];
}

static char *edited(const char *text, const char *old, const char *new)
{
    const char *at = strstr(text, old);

    assert_non_null(at);
    return text_of("%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

static size_t edit(struct rig *rig, const char *text, const char *old, const char *new)
{
    char *next = edited(text, old, new);
    size_t changes = rig_good(rig, next);

    free(next);
    return changes;
}

static void test_only_changed_names_travel(void **state)
{
    struct site_counts counts;
    struct rig rig;
    size_t all;
    char *file;

    (void)state;
    rig_open(&rig);
    rig_file(&rig, "com.zone", zone);
    rig_good(&rig, site);
    site_counts(rig.engine, &counts);
    assert_int_equal(counts.zones, 2);
    all = names(&rig);
    assert_true(all >= counts.names && counts.names >= 6);
    assert_int_equal(rig_good(&rig, site), 0);
    file = edited(zone, "192.0.2.1\n", "192.0.2.2\n");
    rig_file(&rig, "com.zone", file);
    assert_int_equal(rig_good(&rig, site), 1);
    free(file);
    file = edited(zone, "a.b A 192.0.2.1\n", "");
    rig_file(&rig, "com.zone", file);
    /* a.b, the empty b above it, and how deep names are. */
    assert_int_equal(rig_good(&rig, site), 3);
    assert_int_equal(names(&rig), all - 2);
    free(file);
    rig_close(&rig);
}

static void test_pool_records(void **state)
{
    struct rig rig;
    uint64_t before;
    size_t all;

    (void)state;
    rig_open(&rig);
    rig_file(&rig, "com.zone", zone);
    rig_good(&rig, site);
    all = names(&rig);
    before = rig_digest(&rig);
    /* A weight changes the buckets and no answer; a drain changes both. */
    assert_int_equal(edit(&rig, site, "10.0.0.12 }", "10.0.0.12, weight: 99 }"), 1);
    assert_int_equal(edit(&rig, site, "10.0.0.12 }", "10.0.0.12, drain: true }"), 2);
    assert_int_equal(names(&rig), all);
    assert_true(rig_digest(&rig) != before);
    rig_close(&rig);
}

static void test_zones_hide_each_other(void **state)
{
    struct rig rig, fresh;
    uint64_t before;

    (void)state;
    rig_open(&rig);
    rig_file(&rig, "com.zone", zone);
    rig_good(&rig, site);
    before = rig_digest(&rig);
    edit(&rig, site, "  example.net:\n",
         "  b.example.com: { soa: { mname: ns1.example.com., rname: h.example.com. }, "
         "records: { \"@\": { NS: ns1.example.com. } } }\n  example.net:\n");
    assert_true(rig_digest(&rig) != before);
    rig_good(&rig, site);
    assert_int_equal(rig_digest(&rig), before); /* the parent's names are back */
    edit(&rig, site, "example.net:", "net:");
    rig_restart(&rig);
    rig_open(&fresh);
    rig_file(&fresh, "com.zone", zone);
    edit(&fresh, site, "example.net:", "net:");
    assert_int_equal(names(&rig), names(&fresh));
    rig_good(&rig, "site: lab\n");
    assert_int_equal(names(&rig), 0);
    rig_close(&fresh);
    rig_close(&rig);
}

static void test_key_change(void **state)
{
    struct rig rig;
    size_t all, changes;

    (void)state;
    rig_open(&rig);
    rig_file(&rig, "com.zone", zone);
    rig_good(&rig, site);
    all = names(&rig);
    changes =
        edit(&rig, site, "zones:\n", "dns: { key: 000102030405060708090a0b0c0d0e0f }\nzones:\n");
    assert_int_equal(names(&rig), all);
    assert_int_equal(changes, 2 * all + 1);
    rig_close(&rig);
}

static void test_errors_of_all_files(void **state)
{
    struct buffer text = {0};
    struct rig rig;
    char *bad;

    (void)state;
    rig_open(&rig);
    bad = edited(zone, "ns1 A 192.0.2.53", "ns1 A 192.0.2.553");
    rig_file(&rig, "com.zone", bad);
    free(bad);
    /* An error in the zone file, one in an inline record, and one elsewhere in the site file. */
    bad = edited(site, "A: 192.0.2.53", "A: 192.0.2.x");
    assert_int_equal(rig_apply(&rig, bad), CULVERT_EREJECTED);
    site_errors_text(&rig.errors, &text);
    assert_non_null(strstr(text.data, "com.zone:4:"));
    assert_non_null(strstr(text.data, "site.yaml:15:17: zones.example.net.records.ns1.A"));
    buffer_clear(&text);
    free(bad);
    bad = edited(site, "site: lab", "sitte: lab");
    assert_int_equal(rig_apply(&rig, bad), CULVERT_EREJECTED);
    site_errors_text(&rig.errors, &text);
    assert_non_null(strstr(text.data, "com.zone:4:"));
    assert_non_null(strstr(text.data, "site.yaml:1:1: sitte: unknown key"));
    assert_int_equal(names(&rig), 0);
    buffer_free(&text);
    free(bad);
    rig_close(&rig);
}

static void test_missing_blob(void **state)
{
    static const char other[] = "0000000000000000000000000000000000000000000000000000000000000000";
    struct rig rig;

    (void)state;
    rig_open(&rig);
    rig_file(&rig, "com.zone", zone);
    memcpy((char *)rig.upload[0].digest, other, sizeof(other));
    assert_int_equal(rig_apply(&rig, site), CULVERT_EREJECTED);
    assert_int_equal(rig.errors.count, 1);
    assert_string_equal(rig.errors.list[0].field, "zones.example.com.file");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_changed_names_travel), cmocka_unit_test(test_pool_records),
        cmocka_unit_test(test_zones_hide_each_other),     cmocka_unit_test(test_key_change),
        cmocka_unit_test(test_errors_of_all_files),       cmocka_unit_test(test_missing_blob),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
