/* SPDX-License-Identifier: Apache-2.0 */
/* Another CA for a site: its steps, its record, and a disk that fails or a crash at any write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/identity/rollover.h"

#define NOW 1800000000

/* Two nodes of one site. */
struct fixture {
    struct identity *node[2];
    struct rollover rollover;
    char path[2][64];
    int folder[2];
};

static long writes_left = -1; /* before the disk fails; negative: never */

int __real_file_write_secret(int folder, const char *name, const void *data, size_t length);
int __wrap_file_write_secret(int folder, const char *name, const void *data, size_t length);

int __wrap_file_write_secret(int folder, const char *name, const void *data, size_t length)
{
    if (!writes_left)
        return CULVERT_ENOSPC;
    if (writes_left > 0)
        writes_left--;
    return __real_file_write_secret(folder, name, data, length);
}

static struct identity *load(const struct fixture *fixture, int i)
{
    struct identity *identity = NULL;
    char problem[256] = "";

    if (identity_load(&identity, fixture->folder[i], problem, sizeof(problem)))
        fail_msg("the identity of node %d can't be loaded: %s", i, problem);
    return identity;
}

/* The second node's identity, as joining makes it. */
static struct identity *make_second(const struct identity *first)
{
    struct identity *second = calloc(1, sizeof(*second));

    assert_non_null(second);
    second->name = first->name;
    second->name.node = 2;
    memcpy(second->site_key, first->site_key, SITE_KEY_BYTES);
    buffer_add(&second->sealed, first->sealed.data, first->sealed.length);
    second->trust = certificates_copy(first->trust);
    assert_int_equal(certificate_key_make(&second->key), 0);
    assert_int_equal(identity_issue(first, 2, second->key, NOW, &second->chain), 0);
    return second;
}

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    writes_left = -1;
    assert_int_equal(identity_found(&fixture->node[0], 1, NOW), 0);
    fixture->node[1] = make_second(fixture->node[0]);
    for (int i = 0; i < 2; i++) {
        snprintf(fixture->path[i], sizeof(fixture->path[i]), "/tmp/culvert-rollover-XXXXXX");
        assert_non_null(mkdtemp(fixture->path[i]));
        fixture->folder[i] = open(fixture->path[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(identity_save(fixture->node[i], fixture->folder[i]), 0);
    }
    *state = fixture;
    return 0;
}

static int close_fixture(void **state)
{
    static const char *const files[] = {"node.pem", "trust.pem", "site.key", "ca.sealed"};
    struct fixture *fixture = *state;

    for (int i = 0; i < 2; i++) {
        for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++)
            unlinkat(fixture->folder[i], files[f], 0);
        close(fixture->folder[i]);
        assert_int_equal(rmdir(fixture->path[i]), 0);
        identity_free(fixture->node[i]);
    }
    rollover_free(&fixture->rollover);
    free(fixture);
    return 0;
}

static enum rollover_state state_of(const struct fixture *fixture, int i)
{
    enum rollover_state state;

    assert_int_equal(rollover_look(&fixture->rollover, fixture->node[i], &state), 0);
    return state;
}

static void follow(struct fixture *fixture, int i)
{
    assert_int_equal(rollover_follow(&fixture->rollover, fixture->node[i], fixture->folder[i], NOW),
                     0);
    assert_int_equal(state_of(fixture, i), ROLLOVER_FOLLOWS);
    assert_int_equal(identity_check(fixture->node[i]), 0);
}

/* Whether TLS of one would take the certificate of the other. */
static bool believes(const struct identity *who, const struct identity *whom)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool taken;

    assert_true(store && context);
    for (int i = 0; i < sk_X509_num(who->trust); i++)
        X509_STORE_add_cert(store, sk_X509_value(who->trust, i));
    assert_int_equal(
        X509_STORE_CTX_init(context, store, sk_X509_value(whom->chain, 0), whom->chain), 1);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), NOW);
    taken = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return taken;
}

static void test_steps(void **state)
{
    struct fixture *fixture = *state;
    struct rollover *rollover = &fixture->rollover;
    struct identity *first = fixture->node[0], *second = fixture->node[1], *stolen;
    uint8_t wanted[CERTIFICATE_FINGERPRINT], got[CERTIFICATE_FINGERPRINT];

    stolen = load(fixture, 1);
    assert_int_equal(rollover_begin(first, NOW, rollover), 0);
    assert_int_equal(rollover_fingerprint(rollover, wanted), 0);
    assert_int_equal(state_of(fixture, 0), ROLLOVER_ADOPT);
    follow(fixture, 0);
    /* The old one signs until every node believes the new one: a node that joins now is believed
     * by the one that has not heard of it. */
    assert_int_equal(identity_renew(first, NOW), 0);
    assert_true(believes(second, first) && believes(first, second));
    follow(fixture, 1);

    rollover_advance(rollover);
    assert_int_equal(rollover->step, ROLLOVER_RENEW);
    assert_int_equal(state_of(fixture, 0), ROLLOVER_REPLACED);
    follow(fixture, 0);
    assert_true(believes(second, first) && believes(first, second));
    follow(fixture, 1);
    assert_true(believes(first, stolen));

    rollover_advance(rollover);
    assert_int_equal(rollover->step, ROLLOVER_DONE);
    follow(fixture, 0);
    assert_true(believes(second, first) && believes(first, second));
    follow(fixture, 1);
    assert_false(believes(first, stolen));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sk_X509_num(fixture->node[i]->trust), 1);
        assert_int_equal(identity_fingerprint(fixture->node[i], got), 0);
        assert_memory_equal(got, wanted, sizeof(got));
    }
    rollover_advance(rollover); /* there is no further one */
    assert_int_equal(rollover->step, ROLLOVER_DONE);
    assert_int_equal(sk_X509_num(rollover->trust), 1);
    identity_free(stolen);
}

/* A node that slept through all of it and yet hears the end goes all the way at once. */
static void test_late(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(rollover_begin(fixture->node[0], NOW, &fixture->rollover), 0);
    rollover_advance(&fixture->rollover);
    rollover_advance(&fixture->rollover);
    follow(fixture, 1);
    follow(fixture, 0);
    assert_true(believes(fixture->node[0], fixture->node[1]));
    assert_int_equal(sk_X509_num(fixture->node[1]->trust), 1);
}

/* The disk fails at each write in turn: what is there is a whole identity, and going on from it,
 * or from what is in memory, gets to the same end. */
static void test_crash_at_any_write(void **state)
{
    struct fixture *fixture = *state;
    struct identity *before = load(fixture, 1);
    unsigned failures = 0;

    assert_int_equal(rollover_begin(fixture->node[0], NOW, &fixture->rollover), 0);
    rollover_advance(&fixture->rollover);
    rollover_advance(&fixture->rollover);
    for (long at = 0;; at++) {
        struct identity *restarted = load(fixture, 1);
        int error;

        writes_left = at;
        error = rollover_follow(&fixture->rollover, restarted, fixture->folder[1], NOW);
        writes_left = -1;
        identity_free(fixture->node[1]);
        fixture->node[1] = load(fixture, 1);
        assert_true(believes(fixture->node[1], fixture->node[1]));
        if (!error) {
            identity_free(restarted);
            break;
        }
        assert_int_equal(error, CULVERT_ENOSPC);
        failures++;
        assert_int_equal(rollover_follow(&fixture->rollover, restarted, fixture->folder[1], NOW),
                         0);
        identity_free(restarted);
        assert_int_equal(identity_save(before, fixture->folder[1]), 0); /* for the next one */
    }
    identity_free(before);
    assert_true(failures >= 8);
    follow(fixture, 1);
}

static void test_record(void **state)
{
    struct fixture *fixture = *state;
    struct rollover *rollover = &fixture->rollover, read;
    struct buffer bytes = {0}, again = {0};

    assert_int_equal(rollover_begin(fixture->node[0], NOW, rollover), 0);
    rollover->forced = true;
    for (int step = 0; step < 3; step++) {
        buffer_clear(&bytes);
        buffer_clear(&again);
        assert_int_equal(rollover_write(rollover, &bytes), 0);
        assert_true(bytes.length <= ROLLOVER_BYTES_MAX);
        assert_int_equal(rollover_read(bytes.data, bytes.length, &read), 0);
        assert_int_equal(rollover_write(&read, &again), 0);
        assert_int_equal(again.length, bytes.length);
        assert_memory_equal(again.data, bytes.data, bytes.length);
        rollover_free(&read);
        for (size_t length = 0; length < bytes.length; length++) {
            assert_int_equal(rollover_read(bytes.data, length, &read), CULVERT_ECORRUPT);
            rollover_free(&read);
        }
        buffer_char(&bytes, 0);
        assert_int_equal(rollover_read(bytes.data, bytes.length, &read), CULVERT_ECORRUPT);
        rollover_free(&read);
        rollover_advance(rollover);
    }
    buffer_free(&bytes);
    buffer_free(&again);
}

/* What another site's node, or one that changed a bit, wrote is not followed. */
static void test_foreign_record(void **state)
{
    struct fixture *fixture = *state;
    struct identity *other;
    enum rollover_state found;

    assert_int_equal(identity_found(&other, 1, NOW), 0);
    assert_int_equal(rollover_begin(other, NOW, &fixture->rollover), 0);
    assert_int_equal(rollover_look(&fixture->rollover, fixture->node[0], &found), CULVERT_ECORRUPT);
    assert_int_equal(rollover_follow(&fixture->rollover, fixture->node[0], fixture->folder[0], NOW),
                     CULVERT_ECORRUPT);
    rollover_free(&fixture->rollover);
    assert_int_equal(rollover_begin(fixture->node[0], NOW, &fixture->rollover), 0);
    X509_free(sk_X509_shift(fixture->rollover.trust)); /* the one that signs */
    assert_int_equal(rollover_look(&fixture->rollover, fixture->node[0], &found), CULVERT_ECORRUPT);
    assert_int_equal(identity_check(fixture->node[0]), 0);
    identity_free(other);
}

static void test_trust_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct rollover *rollover = &fixture->rollover;

    for (int i = 1; i < CERTIFICATE_LIST_MAX; i++) {
        assert_int_equal(rollover_begin(fixture->node[0], NOW, rollover), 0);
        follow(fixture, 0);
        rollover_free(rollover);
    }
    assert_int_equal(sk_X509_num(fixture->node[0]->trust), CERTIFICATE_LIST_MAX);
    assert_int_equal(rollover_begin(fixture->node[0], NOW, rollover), CULVERT_EFULL);
    identity_free(load(fixture, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, open_fixture, close_fixture)
        TEST(steps),  TEST(late),           TEST(crash_at_any_write),
        TEST(record), TEST(foreign_record), TEST(trust_is_bounded),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
