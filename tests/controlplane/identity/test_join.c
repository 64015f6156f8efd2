/* SPDX-License-Identifier: Apache-2.0 */
/* A node joins: by a token, over TLS, on the transport's port of a node of the site. */
#include "tests/controlplane/core/transport_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"

static struct rig rig;

/* What the store would hold, and what its owner is asked. */
static struct {
    struct token_record record;
    char text[TOKEN_TEXT];
    unsigned asked;
    uint64_t next; /* node id */
    bool later;    /* answers wait in `call` */
    transport_call call;
    char software[JOIN_SOFTWARE_MAX];
} site;

static void answer(transport_call call, int status, uint64_t node)
{
    struct join_member members[1] = {{.node = 1, .role = 1, .address = rig.node[1].endpoint}};

    if (status)
        assert_int_equal(transport_deny(rig.node[1].transport, call, status), 0);
    else
        assert_int_equal(transport_grant(rig.node[1].transport, call, node, members, 1), 0);
}

static void on_join(void *arg, transport_call call, const struct join_request *request)
{
    bool again;
    int status = token_verify(&site.record, request->token, request->secret, request->user,
                              rig_now(), &again);

    (void)arg;
    site.asked++;
    snprintf(site.software, sizeof(site.software), "%s", request->software);
    if (site.later) {
        site.call = call;
        return;
    }
    if (!status && !again)
        token_use(&site.record, request->user, site.next++);
    answer(call, status, site.record.node);
}

static int open_site(void **state)
{
    (void)state;
    memset(&site, 0, sizeof(site));
    site.next = 5;
    rig_open(&rig, 2);
    rig.node[1].options.join = on_join;
    rig_start(&rig, 1);
    assert_int_equal(
        token_make(rig.node[1].identity, rig_now(), 3600, false, site.text, &site.record), 0);
    return 0;
}

static int close_site(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

/* ---- a node that asks ---- */

struct joiner {
    pthread_t thread;
    struct token token;
    struct join_options options;
    struct endpoint at;
    struct join_result result;
    int status;
    atomic_bool done;
};

static void joiner_open(struct joiner *joiner)
{
    memset(joiner, 0, sizeof(*joiner));
    assert_int_equal(token_parse(site.text, &joiner->token), 0);
    joiner->at = rig.node[1].endpoint;
    joiner->options = (struct join_options){.token = &joiner->token,
                                            .software = "joiner",
                                            .version_min = 1,
                                            .version_max = 1,
                                            .address = joiner->at,
                                            .timeout_ms = 15000};
    assert_int_equal(certificate_key_make(&joiner->options.key), 0);
}

static void *run(void *arg)
{
    struct joiner *joiner = arg;

    joiner->status = join_run(&joiner->at, &joiner->options, &joiner->result);
    atomic_store(&joiner->done, true);
    return NULL;
}

static void begin(struct joiner *joiner)
{
    atomic_store(&joiner->done, false);
    identity_free(joiner->result.identity);
    joiner->result.identity = NULL;
    assert_int_equal(pthread_create(&joiner->thread, NULL, run, joiner), 0);
}

static void end(struct joiner *joiner)
{
    rig_until(&rig, atomic_load(&joiner->done));
    pthread_join(joiner->thread, NULL);
}

static void join(struct joiner *joiner)
{
    begin(joiner);
    end(joiner);
}

static void joiner_close(struct joiner *joiner)
{
    identity_free(joiner->result.identity);
    EVP_PKEY_free(joiner->options.key);
}

/* ---- right ---- */

static void test_joins(void **state)
{
    static struct joiner joiner;
    struct rig_node *second = &rig.node[2];

    (void)state;
    joiner_open(&joiner);
    join(&joiner);
    assert_int_equal(joiner.status, 0);
    assert_string_equal(site.software, "joiner");
    assert_int_equal(joiner.result.identity->name.node, 5);
    assert_int_equal(joiner.result.count, 1);
    assert_int_equal(joiner.result.members[0].node, 1);
    assert_int_equal(joiner.result.members[0].address.port, rig.node[1].endpoint.port);
    assert_int_equal(rig_ended(&rig, 1, TRANSPORT_JOINED), 1);
    /* It is a node now: with what it got it talks to the others, and can sign like them. */
    identity_free(second->identity);
    second->identity = joiner.result.identity;
    joiner.result.identity = NULL;
    assert_int_equal(identity_renew(second->identity, rig_now()), 0);
    rig_start_alone(&rig, 2);
    assert_int_equal(transport_peer_set(second->transport, 1, &rig.node[1].endpoint), 0);
    assert_int_equal(transport_peer_set(rig.node[1].transport, 5, &second->endpoint), 0);
    rig_until(&rig, rig.node[1].connected >> 5 & 1 && second->connected >> 1 & 1);
    joiner_close(&joiner);
}

/* The store takes its time; meanwhile the node's first try was cut off, the next gets the same. */
static void test_answer_was_lost(void **state)
{
    static struct joiner joiner;

    (void)state;
    joiner_open(&joiner);
    site.later = true;
    joiner.options.timeout_ms = 300;
    join(&joiner);
    assert_int_equal(joiner.status, CULVERT_ETIMEOUT);
    rig_until(&rig, site.asked == 1 && rig_stats(&rig, 1).connections == 0);
    assert_int_equal(transport_grant(rig.node[1].transport, site.call, 5, NULL, 0),
                     CULVERT_ENOTFOUND);
    site.later = false;
    joiner.options.timeout_ms = 15000;
    for (int i = 0; i < 2; i++) {
        join(&joiner);
        assert_int_equal(joiner.status, 0);
        assert_int_equal(joiner.result.identity->name.node, 5);
    }
    assert_int_equal(site.next, 6);
    joiner_close(&joiner);
}

static void test_answer_comes_later(void **state)
{
    static struct joiner joiner;

    (void)state;
    joiner_open(&joiner);
    site.later = true;
    begin(&joiner);
    rig_until(&rig, site.asked == 1);
    answer(site.call, 0, 6);
    assert_int_equal(transport_deny(rig.node[1].transport, site.call, CULVERT_EACCES),
                     CULVERT_ENOTFOUND);
    end(&joiner);
    assert_int_equal(joiner.status, 0);
    assert_int_equal(joiner.result.identity->name.node, 6);
    joiner_close(&joiner);
}

/* ---- wrong ---- */

static void expect_denied(struct joiner *joiner, int status, const char *text)
{
    join(joiner);
    assert_int_equal(joiner->status, CULVERT_EACCES);
    assert_int_equal(joiner->result.status, status);
    assert_non_null(strstr(joiner->result.text, text));
    assert_null(joiner->result.identity);
}

static void test_wrong_secret(void **state)
{
    static struct joiner joiner;

    (void)state;
    joiner_open(&joiner);
    joiner.token.secret[0] ^= 1;
    expect_denied(&joiner, CULVERT_EACCES, "doesn't know this token");
    joiner_close(&joiner);
}

static void test_expired(void **state)
{
    static struct joiner joiner;

    (void)state;
    joiner_open(&joiner);
    site.record.expires = rig_now();
    expect_denied(&joiner, CULVERT_ETIMEOUT, "expired");
    joiner_close(&joiner);
}

static void test_used(void **state)
{
    static struct joiner joiner, other;

    (void)state;
    joiner_open(&joiner);
    join(&joiner);
    assert_int_equal(joiner.status, 0);
    joiner_open(&other);
    expect_denied(&other, CULVERT_EEXIST, "used already");
    joiner_close(&joiner);
    joiner_close(&other);
}

static void test_versions_do_not_fit(void **state)
{
    static struct joiner joiner;

    (void)state;
    joiner_open(&joiner);
    joiner.options.version_min = 8;
    joiner.options.version_max = 9;
    expect_denied(&joiner, CULVERT_EUNSUPPORTED, "versions");
    assert_int_equal(site.asked, 0);
    joiner_close(&joiner);
}

/* Somebody else answers at the site's address: it must not learn the secret. */
static void expect_not_the_site(struct joiner *joiner)
{
    join(joiner);
    assert_int_equal(joiner->status, CULVERT_EACCES);
    assert_int_equal(joiner->result.status, 0);
    assert_non_null(strstr(joiner->result.text, "not the site"));
    assert_int_equal(site.asked, 0);
    joiner_close(joiner);
}

static void test_another_ca(void **state)
{
    static struct joiner joiner;

    (void)state;
    joiner_open(&joiner);
    joiner.token.fingerprint[0] ^= 1;
    expect_not_the_site(&joiner);
}

static void test_another_site_of_the_ca(void **state)
{
    static struct joiner joiner;

    (void)state;
    joiner_open(&joiner);
    joiner.token.site[0] = joiner.token.site[0] == 'a' ? 'b' : 'a';
    expect_not_the_site(&joiner);
}

/* The fingerprint is that of a node's certificate: it is no CA. */
static void test_pinned_certificate_is_no_ca(void **state)
{
    static struct joiner joiner;

    (void)state;
    joiner_open(&joiner);
    assert_int_equal(certificate_fingerprint(sk_X509_value(rig.node[2].identity->chain, 0),
                                             joiner.token.fingerprint),
                     0);
    expect_not_the_site(&joiner);
}

/* Somebody shows the CA's certificate, which is no secret, behind one that the CA didn't sign. */
static void test_impostor(void **state)
{
    static struct joiner joiner;
    struct identity *identity = rig.node[1].identity, *other;
    struct authority *authority;
    X509 *certificate;

    (void)state;
    joiner_open(&joiner);
    assert_int_equal(identity_found(&other, 1, rig_now()), 0);
    assert_int_equal(authority_unseal(&authority, other->name.site, other->site_key,
                                      other->sealed.data, other->sealed.length),
                     0);
    assert_int_equal(
        authority_issue(authority, &identity->name, identity->key, rig_now(), &certificate), 0);
    X509_free(sk_X509_shift(identity->chain));
    assert_true(sk_X509_unshift(identity->chain, certificate) > 0);
    assert_int_equal(transport_identity(rig.node[1].transport, identity), 0);
    expect_not_the_site(&joiner);
    authority_free(authority);
    identity_free(other);
}

static void test_garbage_in_place_of_a_request(void **state)
{
    struct rig_tls tls;
    static const struct {
        const char *data;
        size_t length;
    } bad[] = {{"\xff\xff\xff\xff", 4}, {"\1\0\0\0x", 5}, {"\1\0\0\0\1", 5}, {"\1\0\0\0\1\1", 6}};

    (void)state;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rig_tls_open(&rig, &tls, 1, NULL, JOIN_ALPN);
        rig_tls_send(&rig, &tls, bad[i].data, bad[i].length);
        rig_until(&rig, rig_ended(&rig, 1, TRANSPORT_PROTOCOL) == i + 1);
        rig_tls_close(&tls);
    }
    assert_int_equal(site.asked, 0);
}

static void test_nothing_is_said(void **state)
{
    struct rig_tls tls;

    (void)state;
    rig_stop(&rig, 1);
    rig.node[1].options.handshake_ms = 200;
    rig_start(&rig, 1);
    rig_tls_open(&rig, &tls, 1, NULL, JOIN_ALPN);
    rig_until(&rig, rig_ended(&rig, 1, TRANSPORT_HANDSHAKE) == 1);
    rig_tls_close(&tls);
}

static void test_nobody_listens(void **state)
{
    static struct joiner joiner;

    (void)state;
    joiner_open(&joiner);
    rig_stop(&rig, 1);
    join(&joiner);
    assert_int_equal(joiner.status, CULVERT_EIO);
    joiner_close(&joiner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, open_site, close_site)
        TEST(joins),
        TEST(answer_was_lost),
        TEST(answer_comes_later),
        TEST(wrong_secret),
        TEST(expired),
        TEST(used),
        TEST(versions_do_not_fit),
        TEST(another_ca),
        TEST(another_site_of_the_ca),
        TEST(pinned_certificate_is_no_ca),
        TEST(impostor),
        TEST(garbage_in_place_of_a_request),
        TEST(nothing_is_said),
        TEST(nobody_listens),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
