/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of an apply fails in turn: it says so, nothing changes, nothing leaks. The
 * linker puts our allocator in place of the real one in our own code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "helper.h"
#include "tests/allocator.h"

static long countdown = -1;

bool allocation_fails(void)
{
    return countdown >= 0 && !countdown--;
}

static const char before_text[] =
    "site: lab\n"
    "pools: { web: { buckets: 64, backends: { a: { address: 10.0.0.1 } } } }\n"
    "vips: { web: { address: 192.0.2.1, ports: [80], pool: web } }\n"
    "zones:\n"
    "  old.example: { soa: { mname: ns1, rname: hm }, records: { \"@\": { NS: x.example. } } }\n";

static const char after_text[] =
    "site: lab\n"
    "pools: { web: { buckets: 64, backends: { b: { address: 10.0.0.2 } } }, two: {} }\n"
    "vips: { web: { address: 192.0.2.1, ports: [80, 81], pool: web, mode: nat } }\n"
    "limits: { l: { per: vip, packets: 1/s } }\n"
    "access: [ { deny: 10.0.0.0/8 } ]\n"
    "dns: { listen: [192.0.2.53] }\n"
    "zones:\n"
    "  new.example:\n"
    "    soa: { mname: ns1, rname: hm }\n"
    "    records: { \"@\": { NS: x.example. }, www: { pool: web } }\n";

static const char bad_text[] = "site: lab\npools: { web: { bukets: 63 } }\nvips: { a: 1 }\n";

/* Prepares with the fault at each allocation until it comes through without one. */
static void prepare_everywhere(struct rig *rig, const char *text, int expected)
{
    struct site_source source = {.name = "site.yaml", .text = text, .length = strlen(text)};
    uint64_t before = rig_digest(rig);
    unsigned failed = 0;

    for (long at = 0;; at++) {
        struct site_errors errors = {0};
        struct site_plan *plan = NULL;
        long left;
        int error;

        countdown = at;
        error = site_prepare(rig->engine, &source, &rig->blobs, rig->now, &plan, &errors);
        left = countdown;
        countdown = -1;
        site_errors_free(&errors);
        if (!error)
            site_abort(rig->engine, plan);
        assert_int_equal(rig_digest(rig), before);
        if (left >= 0) {
            assert_int_equal(error, expected);
            break;
        }
        failed++;
        /* Where an error's text can't be kept it is counted: rejected it is, all the same. */
        assert_true(error == CULVERT_ENOMEM || error == expected);
    }
    assert_true(failed > 10);
}

static void test_apply(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig);
    rig_good(&rig, before_text);
    prepare_everywhere(&rig, after_text, 0);
    rig_good(&rig, after_text);
    prepare_everywhere(&rig, before_text, 0);
    prepare_everywhere(&rig, bad_text, CULVERT_EREJECTED);
    rig_close(&rig);
}

/* Takes over the maker's latest revision, whole or by its patch. */
static void adopt_everywhere(bool whole)
{
    struct rig maker, follower;
    struct site_revision revision;
    uint64_t before;

    rig_open(&maker);
    rig_open(&follower);
    rig_good(&maker, before_text);
    rig_adopt(&follower, &maker);
    rig_good(&maker, after_text);
    before = rig_digest(&follower);
    revision = maker.latest;
    if (!whole)
        revision.site = revision.state = NULL;
    for (long at = 0, left = -1; left < 0; at++) {
        struct site_errors errors = {0};
        struct site_plan *plan = NULL;
        int error;

        countdown = at;
        error = site_adopt(follower.engine, &revision, &maker.blobs, follower.now, &plan, &errors);
        left = countdown;
        countdown = -1;
        site_errors_free(&errors);
        assert_true(!error == (plan != NULL));
        /* A table that can't be read is made anew, which a patch is not for. */
        assert_true(left >= 0 ? !error
                              : !error || error == CULVERT_ENOMEM ||
                                    (!whole && error == CULVERT_ECONFLICT));
        site_abort(follower.engine, plan);
        assert_int_equal(rig_digest(&follower), before);
    }
    rig_adopt(&follower, &maker);
    assert_int_equal(rig_digest(&follower), rig_digest(&maker));
    rig_close(&maker);
    rig_close(&follower);
}

static void test_adopt(void **state)
{
    (void)state;
    adopt_everywhere(true);
    adopt_everywhere(false);
}

static void test_reads(void **state)
{
    struct buffer json = {0};
    struct rig rig;

    (void)state;
    rig_open(&rig);
    rig_good(&rig, after_text);
    for (long at = 0; at < 40; at++) {
        const struct address *listen;

        countdown = at;
        site_get(site_engine_site(rig.engine), NULL, &json);
        site_number_name(rig.engine, FP_KIND_VIP, 0, NULL);
        site_listen(rig.engine, &listen);
        countdown = -1;
        buffer_free(&json);
    }
    assert_string_equal(site_number_name(rig.engine, FP_KIND_VIP, 0, NULL), "web");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
