/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines and query files, right and wrong, and the percentiles of the report. */
#include "tests/dataplane/pktgen/helper.h"

#include "controlplane/base/error.h"
#include "dataplane/pktgen/report.h"

#define DEVICE "--device net_null0 "
#define GOOD "--interface v0 --profile udp --to 192.0.2.1:80 "

/* What was said on standard error between listen_start() and listen_end(). */
static char *said;
static size_t said_length;
static FILE *spoken;

static void listen_start(void)
{
    free(said);
    said = NULL;
    spoken = stderr;
    stderr = open_memstream(&said, &said_length);
    assert_non_null(stderr);
}

static void listen_end(void)
{
    fclose(stderr);
    stderr = spoken;
}

static int parse_quietly(struct options *options, const char *line)
{
    int result;

    listen_start();
    result = helper_parse(options, line);
    listen_end();
    return result;
}

static void test_bad_lines_are_told(void **state)
{
    static const struct {
        const char *line, *word;
    } lines[] = {
        {"--profile udp --to 192.0.2.1:80", "--interface"},
        {"--interface v0 --to 192.0.2.1:80", "--profile"},
        {"--interface v0 --profile udp", "--to"},
        {"--interface v0 --profile smtp --to 192.0.2.1:80", "smtp"},
        {"--interface v0 --profile udp --to 192.0.2.1", "PORT"},
        {"--interface v0 --profile udp --to 192.0.2.1:0", "192.0.2.1:0"},
        {"--interface v0 --profile udp --to 192.0.2.1:65536", "192.0.2.1:65536"},
        {"--interface v0 --profile udp --to 192.0.2:80", "192.0.2:80"},
        {"--interface v0 --profile udp --to [2001:db8::1:80", "[2001:db8::1"},
        {"--interface v0 --profile dns --to 192.0.2.1", "--queries"},
        {"--interface v0 --profile mix=dns:50,nfs:2 --to 192.0.2.1", "nfs"},
        {"--interface v0 --profile mix=udp:0 --to 192.0.2.1:1", "0"},
        {"--interface v0 --profile mix=udp:5,syn:5 --to udp=192.0.2.1:1", "syn"},
        {"--interface v0 --count-only --profile udp", "--count-only"},
        {"--interface v0 --drop", "--count-only"},
        {GOOD "--sources 10.0.0.1/24", "10.0.0.0/24"},
        {GOOD "--sources 10.0.0.0/33", "10.0.0.0/33"},
        {GOOD "--sources 10.0.0.0/24 --sources 10.0.1.0/24", "one IPv4"},
        {GOOD "--ports 9-3", "9-3"},
        {GOOD "--ports 0-3", "0-3"},
        {GOOD "--ports 3-70000", "3-70000"},
        {GOOD "--rate fast", "fast"},
        {GOOD "--rate 0", "--rate"},
        {GOOD "--duration 5x", "5x"},
        {GOOD "--duration 0", "--duration"},
        {GOOD "--size 20", "--size"},
        {GOOD "--size 9000", "--size"},
        {GOOD "--gateway-mac 02:00", "02:00"},
        {GOOD "--vlan 7", "--gateway-mac"},
        {GOOD "--edns 100", "--edns"},
        {GOOD "-o xml", "json"},
        {GOOD "--device net_null0", "exclude"},
        {GOOD "--cores 1", "--cores goes with --device"},
        {GOOD "--main-core 1", "--main-core goes with --device"},
        {GOOD "--mbufs 5000", "--mbufs goes with --device"},
        {GOOD "--no-huge", "--no-huge goes with --device"},
        {GOOD "--address 10.0.0.1", "--address goes with --device"},
        {GOOD "--source-mac 02:00:00:00:00:01", "--source-mac goes with --device"},
        {DEVICE "--profile udp --to 192.0.2.1:80", "no way to 192.0.2.1 is known"},
        {DEVICE "--profile udp --to [2001:db8::1]:80 --address 10.0.0.1", "2001:db8::1"},
        {DEVICE "--count-only --address 10.0.0.1,10.0.0.2", "one IPv4"},
        {DEVICE "--count-only --address 10.0.0.1/24", "10.0.0.1/24"},
        {DEVICE "--count-only --via 10.0.0.1", "--address"},
        {DEVICE "--count-only --cores 1 --threads 2", "--threads and --cores"},
        {DEVICE "--count-only --cores one", "--cores one"},
        {DEVICE "--count-only --mbufs 12", "--mbufs 12"},
        {DEVICE "--count-only --source-mac 01:00:00:00:00:01", "group"},
        {GOOD "more", "more"},
    };
    struct options options;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        int result = parse_quietly(&options, lines[i].line);

        if (result != CULVERT_EINVAL || !strstr(said, lines[i].word) ||
            strchr(said, '\n') != said + strlen(said) - 1)
            fail_msg("%s: %d, %s", lines[i].line, result, said);
    }
}

static void test_good_lines(void **state)
{
    struct options options;

    assert_int_equal(helper_parse(&options, GOOD "--rate 20k --duration 3 --ports 7 --count 2M "
                                                 "--sources 2001:db8::/64 --sources 10.0.0.0/8"),
                     0);
    assert_true(options.rate > 19999 && options.rate < 20001);
    assert_int_equal(options.duration_ms, 3000);
    assert_int_equal(options.port_low, 7);
    assert_int_equal(options.port_high, 7);
    assert_int_equal(options.count, 2000000);
    assert_int_equal(options.source[0].length, 104);
    assert_int_equal(options.source[1].length, 64);
    assert_int_equal(helper_parse(&options, GOOD "--duration 250ms"), 0);
    assert_int_equal(options.duration_ms, 250);
    assert_int_equal(helper_parse(&options, "--interface v0 --profile dns --queries q --to "
                                            "2001:db8::1,192.0.2.1:5353,[2001:db8::2]:54"),
                     0);
    assert_int_equal(options.target[0].port, 53);
    assert_int_equal(options.target[1].port, 5353);
    assert_int_equal(options.target[2].port, 54);
    assert_int_equal(options.threads, 1);
    assert_int_equal(helper_parse(&options, DEVICE
                                  "--profile udp --to 192.0.2.1:80 --cores 1-3 --mbufs 65535 "
                                  "--address 2001:db8::1,10.0.0.1 --via 10.0.0.2 --vlan 7 "
                                  "--source-mac 2:0:0:0:0:a"),
                     0);
    assert_string_equal(options.device, "net_null0");
    assert_string_equal(options.eal.cores, "1-3");
    assert_int_equal(options.eal.mbufs, 65535);
    assert_int_equal(options.threads, 0);
    assert_true(options.own[0].given && options.own[1].given);
    assert_true(options.via[0].given && !options.via[1].given);
    assert_int_equal(options.source_mac[5], 10);
    assert_int_equal(helper_parse(&options, DEVICE "--count-only"), 0);
    assert_int_equal(options.eal.most, 1);
}

/* ---- query files ---- */

static int read_text(const char *text, struct queries *queries)
{
    char path[] = "/tmp/culvert-pktgen-test-XXXXXX";
    size_t length = strlen(text);
    int fd = mkstemp(path), result;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), length);
    close(fd);
    listen_start();
    result = queries_read(queries, path, 0);
    listen_end();
    unlink(path);
    return result;
}

static void test_query_files(void **state)
{
    static const struct {
        const char *text, *word;
    } bad[] = {
        {"", "no queries"},
        {"# nothing\n\n", "no queries"},
        {"a.example A\nb.example NOTYPE\n", ":2: \"NOTYPE\""},
        {"a.example A\n\nb..example A\n", ":3: \"b..example\""},
        {"a.example A extra\n", ":1: \"extra\""},
        {"a123456789012345678901234567890123456789012345678901234567890123.example A\n", ":1:"},
    };
    struct queries queries;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!read_text(bad[i].text, &queries) || !strstr(said, bad[i].word))
            fail_msg("%s: %s", bad[i].text, said);
    }
    assert_int_equal(read_text("a.example\n. NS\nb.example TYPE1", &queries), 0);
    assert_int_equal(queries.count, 3);
    assert_int_equal(queries.longest, 15);
    queries_free(&queries);
    listen_start();
    assert_true(queries_read(&queries, "/nonexistent/queries", 0) != 0);
    listen_end();
    assert_non_null(strstr(said, "/nonexistent/queries"));
    free(said);
    said = NULL;
}

/* ---- percentiles ---- */

static void test_percentiles(void **state)
{
    static struct pktgen_counters counters;
    double p50;

    assert_true(report_percentile(&counters, 0.5) == 0);
    counters.rtt_count = 100;
    counters.rtt_min = 1000;
    counters.rtt_max = 1000000;
    counters.rtt[(9 - 4 + 1) << 4 | 15] = 99; /* 992 to 1023 ns */
    counters.rtt[(19 - 4 + 1) << 4 | 14] = 1; /* 983040 to 1015807 ns */
    p50 = report_percentile(&counters, 0.5);
    assert_true(p50 >= 1000 && p50 < 1024);
    assert_true(report_percentile(&counters, 0.99) < 1024);
    assert_true(report_percentile(&counters, 0.999) > 980000);
    assert_true(report_percentile(&counters, 1) <= 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_lines_are_told),
        cmocka_unit_test(test_good_lines),
        cmocka_unit_test(test_query_files),
        cmocka_unit_test(test_percentiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
