/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The corpus on the host: every packet's reason and bytes, then each packet cut short at every
 * length and with every byte changed, which must neither touch memory outside of the frame nor be
 * forwarded with a wrong checksum.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/dataplane/fastpath/corpus.h"
#include "tests/dataplane/fastpath/site.h"

#define ROOM (FP_HOST_ROOM + CORPUS_FRAME_MAX + FP_HOST_ROOM)

/* Runs a frame in memory of its exact size and head room, so that the sanitizer sees each byte. */
static struct fp_result run(struct tables *tables, const uint8_t *bytes, size_t length,
                            uint8_t *out, size_t *out_length)
{
    uint8_t *room = malloc(FP_HOST_ROOM + length + FP_HOST_ROOM);
    struct fp_env env = site_env(tables);
    struct fp_host_frame frame;
    struct fp_result result;

    assert_non_null(room);
    assert_int_equal(
        fp_host_load(&frame, room, FP_HOST_ROOM + length + FP_HOST_ROOM, bytes, length), 0);
    result = fp_host_run(&env, &frame, SITE_IFINDEX);
    assert_true(frame.length <= CORPUS_FRAME_MAX);
    if (out) {
        memcpy(out, room + frame.start, frame.length);
        *out_length = frame.length;
    }
    free(room);
    return result;
}

static void test_packets(void **state)
{
    struct tables *tables = site_open();
    FILE *file = corpus_open();
    struct corpus_case item;
    unsigned cases = 0, wrong = 0;

    (void)state;
    for (; corpus_next(file, &item); cases++) {
        uint8_t out[CORPUS_FRAME_MAX];
        size_t length;
        struct fp_result result = run(tables, item.frame, item.length, out, &length);
        const uint8_t *expected = item.changed ? item.expected : item.frame;
        size_t expected_length = item.changed ? item.expected_length : item.length;

        if (strcmp(corpus_reason(result.reason), item.reason)) {
            fprintf(stderr, "%s: %s, not %s\n", item.name, corpus_reason(result.reason),
                    item.reason);
            wrong++;
        } else if (item.compare && (length != expected_length || memcmp(out, expected, length))) {
            fprintf(stderr, "%s:\n", item.name);
            corpus_dump("  got     ", out, length);
            corpus_dump("  expected", expected, expected_length);
            wrong++;
        }
    }
    fclose(file);
    site_close(tables);
    assert_true(cases > 100);
    assert_int_equal(wrong, 0);
}

/* A frame that ends early is never taken for a whole one. */
static void test_cut_at_every_length(void **state)
{
    struct tables *tables = site_open();
    FILE *file = corpus_open();
    struct corpus_case item;

    (void)state;
    while (corpus_next(file, &item)) {
        size_t longest = item.length < 200 ? item.length : 200;

        for (size_t length = 0; length < longest; length++) {
            struct fp_result result = run(tables, item.frame, length, NULL, NULL);

            assert_true(result.verdict == FP_VERDICT_PASS || result.verdict == FP_VERDICT_DROP ||
                        strstr(item.name, "padded"));
        }
    }
    fclose(file);
    site_close(tables);
}

/* Whatever one byte is made to be: some verdict, no memory error. */
static void test_changed_bytes(void **state)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct tables *tables = site_open();
    FILE *file = corpus_open();
    struct corpus_case item;

    (void)state;
    while (corpus_next(file, &item)) {
        size_t longest = item.length < 140 ? item.length : 140;

        for (size_t at = 0; at < longest; at++) {
            uint8_t was = item.frame[at];

            for (size_t i = 0; i < sizeof(values); i++) {
                struct fp_result result;

                item.frame[at] = (uint8_t)(was ^ values[i]);
                result = run(tables, item.frame, item.length, NULL, NULL);
                assert_string_not_equal(corpus_reason(result.reason), "?");
                assert_int_equal(result.verdict, fp_verdict_of(result.reason));
            }
            item.frame[at] = was;
        }
    }
    fclose(file);
    site_close(tables);
}

/* The verdict that each reason's line in reasons.h names. */
static void test_verdicts(void **state)
{
    (void)state;
#define X(name, number, verdict, label, text)                                                      \
    assert_int_equal(fp_verdict_of(number), FP_VERDICT_##verdict);
    FP_REASONS(X)
#undef X
}

/* Every packet is counted once under its reason, and nothing is counted when dry. */
static void test_counted_once(void **state)
{
    struct tables *tables = site_open();
    FILE *file = corpus_open();
    struct corpus_case item;
    uint64_t packets = 0, counted = 0, dry = 0;

    (void)state;
    for (; corpus_next(file, &item); packets++)
        run(tables, item.frame, item.length, NULL, NULL);
    for (unsigned i = 0; i < FP_COUNT_REASONS; i++)
        counted += tables_counter(tables, offsetof(struct fp_counters, reason), i).packets;
    assert_int_equal(counted, packets);
    assert_int_equal(
        tables_counter(tables, offsetof(struct fp_counters, backend), SITE_V6).packets > 0, 1);
    rewind(file);
    while (corpus_next(file, &item)) {
        struct fp_env env = site_env(tables);
        struct fp_host_frame frame;
        static uint8_t room[ROOM];

        env.dry = 1;
        fp_host_load(&frame, room, sizeof(room), item.frame, item.length);
        fp_host_run(&env, &frame, SITE_IFINDEX);
    }
    for (unsigned i = 0; i < FP_COUNT_REASONS; i++)
        dry += tables_counter(tables, offsetof(struct fp_counters, reason), i).packets;
    assert_int_equal(dry, packets);
    fclose(file);
    site_close(tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets),       cmocka_unit_test(test_cut_at_every_length),
        cmocka_unit_test(test_changed_bytes), cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_counted_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
