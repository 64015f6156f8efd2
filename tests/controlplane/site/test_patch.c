/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Revisions taken over by their patches: byte for byte what comes of compiling the whole document
 * anew, whatever the sequence of changes; and nothing at all where the patch doesn't fit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper.h"
#include "random_site.h"

static const char zone[] = "$TTL 300\n@ SOA ns1 hm 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n";

static char *text_get(struct rig *rig)
{
    struct buffer json = {0};

    assert_int_equal(site_get(site_engine_site(rig->engine), NULL, &json), 0);
    return buffer_take(&json);
}

/* Sections come and go, too. */
static char *random_text(void)
{
    switch (random_below(8)) {
    case 0:
        return strdup("site: s\n");
    case 1:
        return strdup("site: t\ndns: { listen: [192.0.2.9] }\n");
    default:
        return random_site();
    }
}

/* From nothing: all is read, checked and compiled. */
static void check_whole(struct rig *maker, struct rig *follower, const char *site,
                        const char *state)
{
    struct site_revision revision = {.number = 1, .site = site, .state = state};
    struct site_errors errors = {0};
    struct rig fresh;

    rig_open(&fresh);
    assert_int_equal(site_load(fresh.engine, &revision, &maker->blobs, 1, maker->now, &errors), 0);
    rig_check_equal(&fresh, follower);
    rig_close(&fresh);
}

struct texts {
    char *site, *state;
};

static void texts_start(struct texts *texts, const struct rig *rig)
{
    free(texts->site);
    free(texts->state);
    *texts = (struct texts){strdup(rig->latest.site), strdup(rig->latest.state)};
    assert_true(texts->site && texts->state);
}

static void test_random(void **state)
{
    size_t patched = 0;

    (void)state;
    for (uint64_t run = 1; run <= 10; run++) {
        struct rig node[2], *maker = &node[0];
        struct texts texts = {0};

        rig_open(&node[0]);
        rig_open(&node[1]);
        for (unsigned step = 0; step < 20; step++) {
            struct rig *follower;
            char *text, *a, *b;

            random_start(run * 1000 + step);
            if (step)
                maker = &node[random_below(2)];
            follower = maker == node ? node + 1 : node;
            text = random_text();
            random_file(maker);
            if (rig_good(maker, text) && step) {
                assert_int_equal(rig_patch(follower, maker), 0);
                patched++;
            } else if (!step) {
                rig_adopt(follower, maker);
                texts_start(&texts, maker);
            }
            free(text);
            rig_check_equal(maker, follower);
            a = text_get(maker);
            b = text_get(follower);
            assert_string_equal(a, b);
            free(a);
            free(b);
            if (step && maker->latest.patch) {
                assert_int_equal(site_patch_texts(&texts.site, &texts.state,
                                                  &(const char *){maker->latest.patch}, 1),
                                 0);
                assert_string_equal(texts.site, maker->latest.site);
                check_whole(maker, follower, texts.site, texts.state);
            }
            texts_start(&texts, maker);
            check_whole(maker, follower, texts.site, texts.state);
            maker->now += random_below(2) * 120000; /* or buckets go on moving */
            follower->now = maker->now;
        }
        free(texts.site);
        free(texts.state);
        rig_close(&node[0]);
        rig_close(&node[1]);
    }
    assert_true(patched > 100);
}

/* `pools` pools, the last one's backend of that weight. */
static void apply_pools(struct rig *rig, unsigned pools, unsigned weight)
{
    struct buffer text = {0};

    buffer_text(&text, "site: lab\nzones: { example.com: { file: example.com.zone } }\npools:\n");
    for (unsigned i = 0; i < pools; i++)
        buffer_format(&text,
                      "  p%u: { backends: { a: { address: 10.0.%u.1, weight: %u }, b: { address: "
                      "10.0.%u.2 } } }\n",
                      i, i, i + 1 < pools ? 100 : weight, i);
    rig_good(rig, text.data);
    buffer_free(&text);
}

static void open_two(struct rig *maker, struct rig *follower, unsigned pools)
{
    rig_open(maker);
    rig_open(follower);
    rig_file(maker, "example.com.zone", zone);
    rig_file(follower, "example.com.zone", zone);
    apply_pools(maker, pools, 100);
    rig_adopt(follower, maker);
}

/* What is stored and sent doesn't grow with the site. */
static void test_size(void **state)
{
    struct rig maker, follower;
    size_t length;

    (void)state;
    open_two(&maker, &follower, 10);
    apply_pools(&maker, 10, 50);
    length = strlen(maker.latest.patch);
    rig_close(&maker);
    rig_close(&follower);
    open_two(&maker, &follower, 200);
    apply_pools(&maker, 200, 50);
    assert_true(strlen(maker.latest.patch) < length + 16); /* a number has more digits */
    assert_true(length < 2048);
    assert_int_equal(rig_patch(&follower, &maker), 0);
    assert_int_equal(follower.changes.count, maker.changes.count);
    rig_check_equal(&maker, &follower);
    rig_close(&maker);
    rig_close(&follower);
}

/* A zone whose text in the document is the same, and whose file isn't. */
static void test_file(void **state)
{
    struct rig maker, follower;
    size_t length;
    char *text = text_of("%swww A 192.0.2.1\n", zone);

    (void)state;
    open_two(&maker, &follower, 3);
    rig_file(&maker, "example.com.zone", text);
    apply_pools(&maker, 3, 100);
    assert_int_equal(rig_patch(&follower, &maker), 0);
    assert_true(follower.changes.count);
    rig_check_equal(&maker, &follower);
    apply_pools(&maker, 3, 50); /* the next one goes on with that file */
    assert_int_equal(rig_patch(&follower, &maker), 0);
    rig_check_equal(&maker, &follower);
    length = strlen(maker.latest.patch);
    assert_null(memmem(maker.latest.patch, length, "example.com.zone", 16));
    free(text);
    rig_close(&maker);
    rig_close(&follower);
}

/* A patch too large to be of use is none. */
static void test_large(void **state)
{
    struct buffer text = {0};
    struct rig maker;

    (void)state;
    rig_open(&maker);
    rig_good(&maker, "site: lab\n");
    buffer_text(&text, "site: lab\naccess:\n");
    for (unsigned i = 0; i < 10000; i++)
        buffer_format(&text, "  - { deny: 10.%u.%u.0/24 }\n", i >> 8, i & 255);
    rig_good(&maker, text.data);
    assert_null(maker.latest.patch);
    buffer_free(&text);
    rig_close(&maker);
}

/* On another base than it was made from: it would lead elsewhere. */
static void test_other_base(void **state)
{
    struct rig maker, follower;
    uint64_t before;

    (void)state;
    open_two(&maker, &follower, 5);
    before = rig_digest(&follower);
    apply_pools(&maker, 4, 100);
    apply_pools(&maker, 4, 50);
    assert_int_equal(rig_patch(&follower, &maker), CULVERT_ECONFLICT);
    assert_int_equal(rig_digest(&follower), before);
    rig_adopt(&follower, &maker);
    rig_check_equal(&maker, &follower);
    apply_pools(&maker, 4, 70); /* and from there by patches again */
    assert_int_equal(rig_patch(&follower, &maker), 0);
    rig_check_equal(&maker, &follower);
    rig_close(&maker);
    rig_close(&follower);
}

/* Numbers that came about another way than the maker's. */
static void test_other_numbers(void **state)
{
    struct rig maker, follower;
    uint64_t before;

    (void)state;
    open_two(&maker, &follower, 5);
    apply_pools(&maker, 4, 100);
    apply_pools(&maker, 5, 100); /* the same document, where p4 has another number */
    before = rig_digest(&follower);
    apply_pools(&maker, 5, 50);
    assert_int_equal(rig_patch(&follower, &maker), CULVERT_ECONFLICT);
    assert_int_equal(rig_digest(&follower), before);
    rig_close(&maker);
    rig_close(&follower);
}

static void refuse(struct rig *follower, struct rig *maker, const char *from, const char *to)
{
    struct site_revision revision = {.patch = NULL};
    const char *patch = maker->latest.patch, *at = strstr(patch, from);
    uint64_t before = rig_digest(follower);
    struct site_plan *plan;
    char *broken;

    assert_non_null(at);
    broken = text_of("%.*s%s%s", (int)(at - patch), patch, to, at + strlen(from));
    revision.patch = broken;
    assert_int_equal(site_adopt(follower->engine, &revision, &maker->blobs, follower->now, &plan,
                                &follower->errors),
                     CULVERT_ECONFLICT);
    assert_null(plan);
    assert_int_equal(rig_digest(follower), before);
    free(broken);
}

static void test_broken(void **state)
{
    struct rig maker, follower, empty;

    (void)state;
    open_two(&maker, &follower, 5);
    apply_pools(&maker, 5, 50);
    refuse(&follower, &maker, "{", "[");
    refuse(&follower, &maker, "\"site\"", "\"sites\"");
    refuse(&follower, &maker, "\"state\":{", "\"states\":{");
    refuse(&follower, &maker, "\"weight\":50", "\"weight\":51");
    refuse(&follower, &maker, "\"weight\":50", "\"weight\":\"heavy\"");
    refuse(&follower, &maker, "\"weight\":50", "\"mass\":50");
    refuse(&follower, &maker, "\"pools\":{", "\"pools\":{\"p9\":null,");
    refuse(&follower, &maker, "\"pools\":{", "\"pools\":{\"q\":{},");
    refuse(&follower, &maker, "\"site\":{", "\"site\":{\"lakes\":{},");
    refuse(&follower, &maker, "\"tables\":{", "\"tables\":{\"p0\":null,");
    refuse(&follower, &maker, "\"document\":\"", "\"document\":\"0");
    refuse(&follower, &maker, "\"decided\":\"", "\"decided\":\"0");
    assert_int_equal(rig_patch(&follower, &maker), 0);
    rig_open(&empty);
    assert_int_equal(rig_patch(&empty, &maker), CULVERT_ECONFLICT);
    rig_close(&empty);
    rig_close(&maker);
    rig_close(&follower);
}

/* Parts are shared over many documents, in any order of their ends. */
static void test_long_chain(void **state)
{
    struct rig maker, follower;

    (void)state;
    open_two(&maker, &follower, 8);
    for (unsigned i = 0; i < 300; i++) {
        apply_pools(&maker, 5 + i % 4, 1 + i % 100);
        assert_int_equal(rig_patch(&follower, &maker), 0);
    }
    rig_check_equal(&maker, &follower);
    apply_pools(&follower, 5, 33); /* and it makes one itself */
    assert_int_equal(rig_patch(&maker, &follower), 0);
    rig_check_equal(&maker, &follower);
    rig_close(&maker);
    rig_close(&follower);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),     cmocka_unit_test(test_size),
        cmocka_unit_test(test_file),       cmocka_unit_test(test_large),
        cmocka_unit_test(test_other_base), cmocka_unit_test(test_other_numbers),
        cmocka_unit_test(test_broken),     cmocka_unit_test(test_long_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
