/* SPDX-License-Identifier: Apache-2.0 */
/* Good documents: their canonical JSON, parts of it, differences, files, and words. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/file.h"
#include "helper.h"

static const struct site_upload zone_file = {
    "example.com.zone", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"};

static struct site *parse(const char *text)
{
    struct site_source source = {.name = "site.yaml",
                                 .text = text,
                                 .length = strlen(text),
                                 .uploads = &zone_file,
                                 .upload_count = 1};
    struct site_errors errors = {0};
    struct buffer all = {0};
    struct site *site = NULL;
    int error = site_parse(&site, &source, &errors);

    site_errors_text(&errors, &all);
    if (error)
        print_error("%s", all.data);
    buffer_free(&all);
    site_errors_free(&errors);
    assert_int_equal(error, 0);
    return site;
}

static const char full[] =
    "site: lab # a comment\n"
    "interfaces:\n"
    "  eth1:\n"
    "  eth0: { mode: native }\n"
    "  wan0: { driver: dpdk, device: 0A:00.1 }\n"
    "  wan1: { queues: 4, device: \"net_memif0,role=client\", driver: dpdk }\n"
    "dpdk: { hugepages: false, cores: [10, 2, 3], main-core: 0 }\n"
    "pools:\n"
    "  web:\n"
    "    buckets: 4096\n"
    "    drain: 90s\n"
    "    backends:\n"
    "      b: { address: \"2001:DB8:0:0::12\", weight: 50 }\n"
    "      a: { address: 10.0.0.11, drain: true }\n"
    "vips:\n"
    "  web: { address: 192.0.2.10, ports: [443, 80], pool: web, limits: [per-client] }\n"
    "  any: { address: 192.0.2.11, ports: all, protocol: udp, mode: dsr-ipip, pool: web }\n"
    "limits:\n"
    "  per-client: { per: source/32, per6: source/56, packets: 10000/s, burst: 2k }\n"
    "access: [ { allow: 203.0.113.7 }, { deny: 203.0.113.0/24 } ]\n"
    "dns: { listen: [192.0.2.53], limits: [per-client], key: 000102030405060708090A0b0c0d0e0f }\n"
    "zones:\n"
    "  Example.COM.: { file: example.com.zone, ttl: 5m }\n"
    "  example.net:\n"
    "    soa: { mname: ns1.example.net., rname: hostmaster.example.net. }\n"
    "    records:\n"
    "      \"@\": { NS: [ns1], MX: [\"10 mail\", \"20 mail2\"] }\n"
    "      WWW: { pool: web, ttl: 30 }\n"
    "api: { listen: [\"[2001:DB8:0::1]:8443\", 10.0.0.1:8443, 0.0.0.0:443] }\n";

static const char canonical[] =
    "{\"site\":\"lab\","
    "\"interfaces\":{\"eth0\":{\"driver\":\"xdp\",\"mode\":\"native\"},"
    "\"eth1\":{\"driver\":\"xdp\",\"mode\":\"auto\"},"
    "\"wan0\":{\"driver\":\"dpdk\",\"device\":\"0000:0a:00.1\",\"queues\":1},"
    "\"wan1\":{\"driver\":\"dpdk\",\"device\":\"net_memif0,role=client\",\"queues\":4}},"
    "\"dpdk\":{\"cores\":[2,3,10],\"main-core\":0,\"hugepages\":false},"
    "\"pools\":{\"web\":{\"policy\":\"hash\",\"buckets\":4096,\"drain\":\"90s\",\"backends\":{"
    "\"a\":{\"address\":\"10.0.0.11\",\"weight\":100,\"drain\":true},"
    "\"b\":{\"address\":\"2001:db8::12\",\"weight\":50,\"drain\":false}}}},"
    "\"vips\":{\"any\":{\"address\":\"192.0.2.11\",\"protocol\":\"udp\",\"ports\":\"all\","
    "\"mode\":\"dsr-ipip\",\"pool\":\"web\"},"
    "\"web\":{\"address\":\"192.0.2.10\",\"protocol\":\"tcp\",\"ports\":[80,443],"
    "\"mode\":\"dsr-ipip\",\"pool\":\"web\",\"limits\":[\"per-client\"]}},"
    "\"limits\":{\"per-client\":{\"per\":\"source/32\",\"per6\":\"source/56\","
    "\"packets\":\"10k/s\",\"burst\":2000}},"
    "\"access\":[{\"deny\":\"203.0.113.0/24\"},{\"allow\":\"203.0.113.7/32\"}],"
    "\"dns\":{\"listen\":[\"192.0.2.53\"],\"limits\":[\"per-client\"],\"udp-size\":1232,"
    "\"key\":\"000102030405060708090a0b0c0d0e0f\"},"
    "\"zones\":{\"example.com\":{\"file\":\"example.com.zone\",\"ttl\":300},"
    "\"example.net\":{\"ttl\":3600,\"soa\":{\"mname\":\"ns1.example.net.\","
    "\"rname\":\"hostmaster.example.net.\",\"serial\":1,\"refresh\":10800,\"retry\":3600,"
    "\"expire\":604800,\"minimum\":300},\"records\":{"
    "\"@\":{\"MX\":[\"10 mail\",\"20 mail2\"],\"NS\":\"ns1\"},"
    "\"www\":{\"pool\":\"web\",\"ttl\":30}}}},"
    "\"api\":{\"listen\":[\"[2001:db8::1]:8443\",\"10.0.0.1:8443\",\"0.0.0.0:443\"]}}";

static void check_get(const struct site *site, const char *path, const char *expected)
{
    struct buffer json = {0};
    int error = site_get(site, path, &json);

    if (expected) {
        assert_int_equal(error, 0);
        assert_string_equal(json.data, expected);
    } else {
        assert_int_equal(error, CULVERT_ENOTFOUND);
    }
    buffer_free(&json);
}

static void test_canonical(void **state)
{
    struct site *site = parse(full), *again;
    struct buffer json = {0};

    (void)state;
    check_get(site, NULL, canonical);
    again = parse(canonical);
    check_get(again, "", canonical);
    assert_int_equal(site_diff(site, again, &json), 0);
    assert_string_equal(json.data, "[]");
    buffer_free(&json);
    site_free(again);
    site_free(site);
}

static void test_get(void **state)
{
    struct site *site = parse(full);

    (void)state;
    check_get(site, "site", "\"lab\"");
    check_get(site, "vips.web.ports", "[80,443]");
    check_get(site, "pools.web.backends.b.weight", "50");
    check_get(site, "zones.example.com.ttl", "300");
    check_get(site, "zones.example.net.records.www", "{\"pool\":\"web\",\"ttl\":30}");
    check_get(site, "zones.example", NULL);
    check_get(site, "vips.web.", NULL);
    check_get(site, "vips.wob", NULL);
    check_get(site, "vips.web.port", NULL);
    check_get(site, "site.x", NULL);
    check_get(site, "interfaces.wan0.device", "\"0000:0a:00.1\"");
    check_get(site, "interfaces.wan0.mode", NULL);
    check_get(site, "interfaces.eth1.queues", NULL);
    assert_string_equal(site_name(site), "lab");
    site_free(site);
}

static void check_diff(const char *old, const char *new, int count, const char *expected)
{
    struct site *a = old ? parse(old) : NULL, *b = parse(new);
    struct buffer json = {0};

    site_diff(a, b, &json);
    assert_string_equal(json.data, expected);
    buffer_clear(&json);
    assert_int_equal(site_diff(a, b, &json), count);
    buffer_free(&json);
    site_free(a);
    site_free(b);
}

static void test_diff(void **state)
{
    (void)state;
    check_diff("site: a\npools: { p: { backends: { x: { address: 10.0.0.1 } } } }\n",
               "site: a\npools: { p: { backends: { x: { address: 10.0.0.1, weight: 50 } } } }\n", 1,
               "[{\"path\":\"pools.p.backends.x.weight\",\"old\":100,\"new\":50}]");
    check_diff(
        "site: a\npools: { p: {}, q: {} }\n", "site: b\npools: { p: {}, r: {} }\n", 3,
        "[{\"path\":\"site\",\"old\":\"a\",\"new\":\"b\"},"
        "{\"path\":\"pools.q\",\"old\":{\"policy\":\"hash\",\"drain\":\"1m\"},\"new\":null},"
        "{\"path\":\"pools.r\",\"old\":null,\"new\":{\"policy\":\"hash\",\"drain\":\"1m\"}}]");
    check_diff("site: a\naccess: [ { deny: 10.0.0.0/8 }, { deny: 11.0.0.0/8 } ]\n",
               "site: a\naccess: [ { deny: 11.0.0.0/8 }, { allow: 10.0.0.0/8 } ]\n", 1,
               "[{\"path\":\"access.10.0.0.0/8\",\"old\":{\"deny\":\"10.0.0.0/8\"},"
               "\"new\":{\"allow\":\"10.0.0.0/8\"}}]");
    check_diff("site: a\naccess: [ { deny: 10.0.0.0/8 } ]\n", "site: a\n", 1,
               "[{\"path\":\"access.10.0.0.0/8\",\"old\":{\"deny\":\"10.0.0.0/8\"},\"new\":null}]");
    check_diff("site: a\ninterfaces: { e: { device: net_null0, driver: dpdk } }\n",
               "site: a\ninterfaces: { e: }\n", 4,
               "[{\"path\":\"interfaces.e.driver\",\"old\":\"dpdk\",\"new\":\"xdp\"},"
               "{\"path\":\"interfaces.e.mode\",\"old\":null,\"new\":\"auto\"},"
               "{\"path\":\"interfaces.e.device\",\"old\":\"net_null0\",\"new\":null},"
               "{\"path\":\"interfaces.e.queues\",\"old\":1,\"new\":null}]");
    check_diff("site: a\ndpdk: { cores: [1, 2], hugepages: true }\n",
               "site: a\ndpdk: { cores: [2, 1, 3], main-core: 0, hugepages: true }\n", 2,
               "[{\"path\":\"dpdk.cores\",\"old\":[1,2],\"new\":[1,2,3]},"
               "{\"path\":\"dpdk.main-core\",\"old\":null,\"new\":0}]");
    check_diff("site: a\ninterfaces: { e: { driver: dpdk, device: \"03:00.0\" } }\n",
               "site: a\ninterfaces: { e: { driver: dpdk, device: \"0000:03:00.0\" } }\n", 0, "[]");
    check_diff(
        NULL, "site: a\npools: { p: { policy: hash, drain: 1m } }\n", 2,
        "[{\"path\":\"site\",\"old\":null,\"new\":\"a\"},"
        "{\"path\":\"pools.p\",\"old\":null,\"new\":{\"policy\":\"hash\",\"drain\":\"1m\"}}]");
}

static void test_diff_of_files(void **state)
{
    static const char text[] = "site: a\nzones: { x.example: { file: z } }\n";
    struct site_upload upload = {
        "z", "0000000000000000000000000000000000000000000000000000000000000000"};
    struct site_source source = {
        .text = text, .length = sizeof(text) - 1, .uploads = &upload, .upload_count = 1};
    struct site_errors errors = {0};
    struct buffer json = {0};
    struct site *a, *b;

    (void)state;
    assert_int_equal(site_parse(&a, &source, &errors), 0);
    upload.digest = "1111111111111111111111111111111111111111111111111111111111111111";
    assert_int_equal(site_parse(&b, &source, &errors), 0);
    assert_int_equal(site_diff(a, b, &json), 1);
    assert_string_equal(json.data, "[{\"path\":\"zones.x.example.file\",\"old\":\"z@000000000000\","
                                   "\"new\":\"z@111111111111\"}]");
    buffer_free(&json);
    site_free(a);
    site_free(b);
}

static void test_files(void **state)
{
    static const char text[] = "zones: { a: { file: one }, b: { file: two }, c: { file: one }, "
                               "d: {}, e: 5, f: { file: [x] } }\nnonsense: true\n";
    char **names;
    size_t count;

    (void)state;
    assert_int_equal(site_files(text, sizeof(text) - 1, &names, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "one");
    assert_string_equal(names[1], "two");
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    assert_int_equal(site_files("a: [", 4, &names, &count), CULVERT_EREJECTED);
    assert_int_equal(site_files("5", 1, &names, &count), 0);
    assert_int_equal(count, 0);
    free(names);
}

static void test_words(void **state)
{
    struct site *site = parse(full);
    struct buffer lines = {0};

    (void)state;
    site_words(NULL, "vips.x.mode", &lines);
    assert_string_equal(lines.data, "dsr-ipip\ndsr-l2\nnat\n");
    buffer_clear(&lines);
    site_words(NULL, "pools.x", &lines);
    assert_string_equal(lines.data, "policy\nbuckets\ndrain\nbackends\n");
    buffer_clear(&lines);
    site_words(site, "pools.web.backends", &lines);
    assert_string_equal(lines.data, "a\nb\n");
    buffer_free(&lines);
    site_free(site);
}

/* The example of docs/SITE.md is a good site file. */
static void test_documented(void **state)
{
    char *page, *start, *end;
    size_t length;

    (void)state;
    assert_int_equal(file_read(AT_FDCWD, SITE_MD, 1 << 20, &page, &length), 0);
    start = strstr(page, "```yaml\n");
    assert_non_null(start);
    end = strstr(start + 8, "```");
    assert_non_null(end);
    *end = 0;
    site_free(parse(start + 8));
    free(page);
}

static void test_many_errors(void **state)
{
    struct site_errors errors = {0};
    struct buffer text = {0}, json = {0};
    struct site_source source = {.name = "s"};
    struct site *site;

    (void)state;
    buffer_text(&text, "site: s\n");
    for (unsigned i = 0; i < SITE_ERRORS_MAX + 50; i++)
        buffer_format(&text, "k%03u: 1\n", i);
    source.text = text.data;
    source.length = text.length;
    assert_int_equal(site_parse(&site, &source, &errors), CULVERT_EREJECTED);
    assert_int_equal(errors.count, SITE_ERRORS_MAX);
    assert_int_equal(errors.dropped, 50);
    site_errors_json(&errors, &json);
    assert_non_null(strstr(json.data, "[{\"file\":\"s\",\"line\":2,\"column\":1,\"field\":\"k000\","
                                      "\"message\":\"unknown key\",\"hint\":\"known here: "));
    assert_non_null(strstr(json.data, "{\"message\":\"and 50 more\"}]"));
    site_errors_free(&errors);
    buffer_free(&json);
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical),   cmocka_unit_test(test_get),
        cmocka_unit_test(test_diff),        cmocka_unit_test(test_diff_of_files),
        cmocka_unit_test(test_files),       cmocka_unit_test(test_words),
        cmocka_unit_test(test_many_errors), cmocka_unit_test(test_documented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
