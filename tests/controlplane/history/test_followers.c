/* SPDX-License-Identifier: Apache-2.0 */
/* Random histories, made by any node, two at a time, and followed by all: the same tables. */
#include <stdio.h>

#include "controlplane/base/error.h"
#include "tests/controlplane/history/rig.h"

static struct rig *rig;

static char *random_site(void)
{
    struct sim_random *random = &rig->sim.random;
    struct buffer text = {0};

    buffer_text(&text, "site: s\npools:\n");
    for (unsigned i = 0; i < 6; i++) {
        if (sim_random_percent(random, 30))
            continue;
        buffer_format(&text, "  p%u:\n    buckets: 64\n    backends: { z: { address: 10.1.%u.1 }",
                      i, i);
        for (unsigned j = 0; j < 3; j++)
            if (sim_random_percent(random, 60))
                buffer_format(&text, ", b%u: { address: 10.0.%u.%u, weight: %u }", j, i, j + 1,
                              1 + (unsigned)sim_random_below(random, 5));
        buffer_text(&text, " }\n");
    }
    buffer_text(&text, "limits:\n  l: { per: source/24, packets: 10/s }\n");
    for (unsigned i = 0; i < 3; i++)
        if (sim_random_percent(random, 50))
            buffer_format(&text, "  l%u: { per: vip, packets: %u/s }\n", i,
                          1 + (unsigned)sim_random_below(random, 3));
    buffer_text(&text, "zones:\n  com:\n    file: com.zone\n");
    for (unsigned i = 0; i < 3; i++)
        if (sim_random_percent(random, 50))
            buffer_format(&text,
                          "  z%u.com: { soa: { mname: ns1, rname: hm }, records: { \"@\": { NS: "
                          "ns1 }, ns1: { A: 192.0.2.%u } } }\n",
                          i, (unsigned)sim_random_below(random, 3));
    return buffer_take(&text);
}

static void test_random_histories(void **state)
{
    const struct history_options options = {0};
    unsigned conflicts = 0, made = 0;

    rig = malloc(sizeof(*rig));
    assert_non_null(rig);
    rig_open(rig, &options);
    rig_leader(rig);
    for (unsigned step = 0; step < 60; step++) {
        char zone[128], *texts[2] = {random_site(), random_site()};
        char digest[DIGEST_TEXT];
        struct site_upload upload = {"com.zone", digest};
        struct edit edits[2] = {0};
        unsigned first = (unsigned)sim_random_below(&rig->sim.random, PEERS);

        snprintf(zone, sizeof(zone),
                 "$TTL 300\n@ SOA ns1 hm 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\nx%u A 192.0.2.1\n",
                 (unsigned)sim_random_below(&rig->sim.random, 4));
        assert_int_equal(rig_put(rig, &rig->peer[first], zone, strlen(zone), digest), 0);
        rig_level(rig);
        for (unsigned i = 0; i < 2; i++)
            if (edit_prepare(rig, &edits[i], &rig->peer[(first + i) % PEERS], texts[i], &upload))
                edit_start(&edits[i]);
        for (unsigned i = 0; i < 2; i++) {
            int status = edits[i].append.arg ? edit_finish(rig, &edits[i]) : 0;

            assert_true(!status || status == CULVERT_ECONFLICT);
            conflicts += status != 0;
            made += !status;
            free(texts[i]);
        }
        if (sim_random_percent(&rig->sim.random, 60))
            continue; /* who follows skips revisions */
        rig_level(rig);
        for (unsigned i = 0; i < PEERS; i++)
            peer_follow(rig, &rig->peer[i]);
        rig_check_equal(rig);
    }
    assert_true(conflicts > 20 && made > 40);
    rig_close(rig);
    free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_histories)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
