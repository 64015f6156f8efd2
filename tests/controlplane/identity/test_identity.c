/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, the CA, the folder of an identity, rotation, tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/identity/join.h"
#include "controlplane/identity/token.h"

#define NOW 1800000000
#define DAY ((int64_t)86400)

struct fixture {
    struct identity *identity;
    char path[64];
    int folder;
};

static const char *const files[] = {"node.pem", "trust.pem", "site.key", "ca.sealed"};

static int open_fixture(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    snprintf(fixture->path, sizeof(fixture->path), "/tmp/culvert-identity-XXXXXX");
    assert_non_null(mkdtemp(fixture->path));
    fixture->folder = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(identity_found(&fixture->identity, 7, NOW), 0);
    *state = fixture;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 4; i++)
        unlinkat(fixture->folder, files[i], 0);
    close(fixture->folder);
    assert_int_equal(rmdir(fixture->path), 0); /* nothing else was left */
    identity_free(fixture->identity);
    free(fixture);
    return 0;
}

static struct identity *load(const struct fixture *fixture)
{
    struct identity *identity = NULL;
    char problem[256] = "";

    assert_int_equal(identity_load(&identity, fixture->folder, problem, sizeof(problem)), 0);
    return identity;
}

/* ---- names in certificates ---- */

static X509 *make(const struct identity *identity, const struct node_name *name)
{
    struct certificate_spec spec = {.name = name,
                                    .common_name = "x",
                                    .key = identity->key,
                                    .issuer_key = identity->key,
                                    .from = NOW,
                                    .until = NOW + DAY};
    X509 *certificate = NULL;

    assert_int_equal(certificate_make(&spec, &certificate), 0);
    return certificate;
}

static void test_name(void **state)
{
    const struct fixture *fixture = *state;
    struct node_name name = fixture->identity->name, read;
    X509 *certificate;

    name.node = UINT64_MAX;
    certificate = make(fixture->identity, &name);
    assert_int_equal(certificate_name(certificate, &read), 0);
    assert_string_equal(read.site, name.site);
    assert_true(read.node == UINT64_MAX);
    X509_free(certificate);
    certificate = make(fixture->identity, NULL);
    assert_int_equal(certificate_name(certificate, &read), CULVERT_EPROTO);
    X509_free(certificate);
}

/* A certificate whose only alternative name is this text. */
static int read_uri(const struct identity *identity, const char *value)
{
    X509 *certificate = make(identity, NULL);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, value);
    struct node_name name;
    int error;

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    error = certificate_name(certificate, &name);
    X509_EXTENSION_free(extension);
    X509_free(certificate);
    return error;
}

static void test_odd_names(void **state)
{
    const struct fixture *fixture = *state;
    const struct identity *identity = fixture->identity;

    assert_int_equal(read_uri(identity, "URI:culvert://00112233445566778899aabbccddeeff/12"), 0);
    static const char *const bad[] = {
        "URI:culvert://00112233445566778899aabbccddeeff/0",
        "URI:culvert://00112233445566778899aabbccddeeff/012",
        "URI:culvert://00112233445566778899aabbccddeeff/",
        "URI:culvert://00112233445566778899aabbccddeeff/1x",
        "URI:culvert://00112233445566778899aabbccddeeff/-1",
        "URI:culvert://00112233445566778899aabbccddeeff/99999999999999999999",
        "URI:culvert://00112233445566778899aabbccddeefg/1",
        "URI:culvert://00112233445566778899AABBCCDDEEFF/1",
        "URI:culvert://00112233445566778899aabbccddeeff0/1",
        "URI:https://00112233445566778899aabbccddeeff/1",
        "URI:culvert://",
        "DNS:culvert.example",
        "URI:culvert://00112233445566778899aabbccddeeff/1,DNS:culvert.example",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (read_uri(identity, bad[i]) != CULVERT_EPROTO)
            fail_msg("%s was taken", bad[i]);
}

static void test_requests(void **state)
{
    const struct fixture *fixture = *state;
    struct buffer der = {0};
    EVP_PKEY *key = NULL, *other = EVP_RSA_gen(2048);

    assert_int_equal(certificate_request_write(fixture->identity->key, &der), 0);
    assert_int_equal(certificate_request_read((uint8_t *)der.data, der.length, &key), 0);
    assert_int_equal(EVP_PKEY_eq(key, fixture->identity->key), 1);
    EVP_PKEY_free(key);
    /* One bit of the signature, a byte too many, another kind of key. */
    der.data[der.length - 1] ^= 1;
    assert_int_equal(certificate_request_read((uint8_t *)der.data, der.length, &key),
                     CULVERT_EPROTO);
    der.data[der.length - 1] ^= 1;
    buffer_char(&der, 0);
    assert_int_equal(certificate_request_read((uint8_t *)der.data, der.length, &key),
                     CULVERT_EPROTO);
    buffer_clear(&der);
    assert_int_equal(certificate_request_write(other, &der), 0);
    assert_int_equal(certificate_request_read((uint8_t *)der.data, der.length, &key),
                     CULVERT_EPROTO);
    buffer_free(&der);
    EVP_PKEY_free(other);
}

/* ---- the folder ---- */

static void test_save_and_load(void **state)
{
    struct fixture *fixture = *state;
    struct identity *loaded;
    char problem[256];
    struct stat info;

    assert_int_equal(identity_load(&loaded, fixture->folder, problem, sizeof(problem)),
                     CULVERT_ENOTFOUND);
    assert_int_equal(identity_save(fixture->identity, fixture->folder), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(fstatat(fixture->folder, files[i], &info, 0), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
    }
    loaded = load(fixture);
    assert_string_equal(loaded->name.site, fixture->identity->name.site);
    assert_int_equal(loaded->name.node, 7);
    assert_int_equal(EVP_PKEY_eq(loaded->key, fixture->identity->key), 1);
    identity_free(loaded);
}

/* A temporary file that a crash left behind, readable by all, must not become the key's. */
static void test_stale_temporary_file(void **state)
{
    struct fixture *fixture = *state;
    struct stat info;
    int file = openat(fixture->folder, "node.pem.tmp", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_true(file >= 0);
    assert_int_equal(fchmod(file, 0644), 0);
    close(file);
    assert_int_equal(identity_save(fixture->identity, fixture->folder), 0);
    assert_int_equal(fstatat(fixture->folder, "node.pem", &info, 0), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void test_damaged_files(void **state)
{
    struct fixture *fixture = *state;
    struct identity *loaded, *other;
    char problem[256], *data;
    size_t length;

    assert_int_equal(identity_save(fixture->identity, fixture->folder), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(file_read(fixture->folder, files[i], 65536, &data, &length), 0);
        assert_int_equal(file_write_secret(fixture->folder, files[i], data, length / 2), 0);
        assert_int_equal(identity_load(&loaded, fixture->folder, problem, sizeof(problem)),
                         CULVERT_ECORRUPT);
        assert_non_null(strstr(problem, files[i]));
        unlinkat(fixture->folder, files[i], 0);
        assert_int_equal(identity_load(&loaded, fixture->folder, problem, sizeof(problem)),
                         i ? CULVERT_ECORRUPT : CULVERT_ENOTFOUND);
        assert_int_equal(file_write_secret(fixture->folder, files[i], data, length), 0);
        free(data);
    }
    /* A trust bundle of another site. */
    assert_int_equal(identity_found(&other, 7, NOW), 0);
    certificates_free(fixture->identity->trust);
    fixture->identity->trust = certificates_copy(other->trust);
    assert_int_equal(identity_save(fixture->identity, fixture->folder), 0);
    assert_int_equal(identity_load(&loaded, fixture->folder, problem, sizeof(problem)),
                     CULVERT_ECORRUPT);
    identity_free(other);
}

/* ---- the CA ---- */

static void test_seal(void **state)
{
    struct fixture *fixture = *state;
    struct identity *identity = fixture->identity;
    struct authority *authority;
    uint8_t key[SITE_KEY_BYTES];
    char site[SITE_ID_TEXT];
    const struct buffer *sealed = &identity->sealed;

    memcpy(key, identity->site_key, sizeof(key));
    memcpy(site, identity->name.site, sizeof(site));
    for (size_t i = 0; i < sealed->length; i++) {
        sealed->data[i] ^= 1;
        assert_int_equal(authority_unseal(&authority, site, key, sealed->data, sealed->length),
                         CULVERT_ECORRUPT);
        sealed->data[i] ^= 1;
    }
    assert_int_equal(authority_unseal(&authority, site, key, sealed->data, 20), CULVERT_ECORRUPT);
    key[0] ^= 1;
    assert_int_equal(authority_unseal(&authority, site, key, sealed->data, sealed->length),
                     CULVERT_ECORRUPT);
    key[0] ^= 1;
    site[0] = site[0] == 'a' ? 'b' : 'a';
    assert_int_equal(authority_unseal(&authority, site, key, sealed->data, sealed->length),
                     CULVERT_ECORRUPT);
    assert_int_equal(
        authority_unseal(&authority, identity->name.site, key, sealed->data, sealed->length), 0);
    authority_free(authority);
}

static void test_renewal(void **state)
{
    struct fixture *fixture = *state;
    struct identity *identity = fixture->identity, *loaded;
    X509 *before = sk_X509_value(identity->chain, 0);
    int64_t due = identity_renew_at(identity), from, until;

    assert_int_equal(certificate_times(before, &from, &until), 0);
    assert_true(from <= NOW && until == NOW + AUTHORITY_NODE_DAYS * DAY);
    assert_in_range(due, NOW + AUTHORITY_NODE_DAYS * DAY / 2, until - 20 * DAY);
    X509_up_ref(before);
    assert_int_equal(identity_renew(identity, due), 0);
    assert_int_not_equal(X509_cmp(before, sk_X509_value(identity->chain, 0)), 0);
    assert_int_equal(X509_check_private_key(before, identity->key), 0);
    X509_free(before);
    assert_true(identity_renew_at(identity) > due + 50 * DAY);
    assert_int_equal(identity_check(identity), 0);
    assert_int_equal(identity_save(identity, fixture->folder), 0);
    loaded = load(fixture);
    assert_int_equal(EVP_PKEY_eq(loaded->key, identity->key), 1);
    identity_free(loaded);
    /* No certificate outlives its CA's. */
    assert_int_equal(identity_renew(identity, NOW + (int64_t)AUTHORITY_YEARS * 365 * DAY - DAY), 0);
    assert_int_equal(certificate_times(sk_X509_value(identity->chain, 0), &from, &until), 0);
    assert_true(until == NOW + (int64_t)AUTHORITY_YEARS * 365 * DAY);
}

/* ---- tokens ---- */

static void test_token(void **state)
{
    struct fixture *fixture = *state;
    struct token_record record, again;
    struct token token;
    char text[TOKEN_TEXT];
    uint8_t me[TOKEN_DIGEST] = {1}, other[TOKEN_DIGEST] = {2};
    struct buffer bytes = {0};
    bool repeated;

    assert_int_equal(token_make(fixture->identity, NOW, 0, false, text, &record), CULVERT_EINVAL);
    assert_int_equal(token_make(fixture->identity, NOW, 3600, false, text, &record), 0);
    assert_int_equal(token_parse(text, &token), 0);
    assert_string_equal(token.site, fixture->identity->name.site);
    assert_true(token.expires == NOW + 3600 && !token.multiple && token.id == record.id);
    assert_int_equal(token_verify(&record, token.id, token.secret, me, NOW, &repeated), 0);
    assert_false(repeated);
    token.secret[15] ^= 1;
    assert_int_equal(token_verify(&record, token.id, token.secret, me, NOW, &repeated),
                     CULVERT_EACCES);
    token.secret[15] ^= 1;
    assert_int_equal(token_verify(&record, token.id + 1, token.secret, me, NOW, &repeated),
                     CULVERT_EACCES);
    assert_int_equal(token_verify(&record, token.id, token.secret, me, NOW + 3600, &repeated),
                     CULVERT_ETIMEOUT);
    token_use(&record, me, 9);
    assert_int_equal(token_verify(&record, token.id, token.secret, other, NOW, &repeated),
                     CULVERT_EEXIST);
    assert_int_equal(token_verify(&record, token.id, token.secret, me, NOW, &repeated), 0);
    assert_true(repeated);
    token_record_write(&record, &bytes);
    assert_int_equal(token_record_read(bytes.data, bytes.length, &again), 0);
    assert_int_equal(again.node, 9);
    assert_int_equal(token_verify(&again, token.id, token.secret, other, NOW, &repeated),
                     CULVERT_EEXIST);
    assert_int_equal(token_record_read(bytes.data, bytes.length - 1, &again), CULVERT_ECORRUPT);
    record.multiple = true;
    assert_int_equal(token_verify(&record, token.id, token.secret, other, NOW, &repeated), 0);
    buffer_free(&bytes);
}

static void test_mistyped_token(void **state)
{
    struct fixture *fixture = *state;
    struct token_record record;
    struct token token;
    char text[TOKEN_TEXT + 1];
    size_t length;

    assert_int_equal(token_make(fixture->identity, NOW, 3600, true, text, &record), 0);
    length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        char right = text[i];

        text[i] = right == 'A' ? 'B' : 'A';
        assert_int_equal(token_parse(text, &token), CULVERT_EINVAL);
        text[i] = right;
    }
    text[length] = 'A';
    text[length + 1] = 0;
    assert_int_equal(token_parse(text, &token), CULVERT_EINVAL);
    text[length - 1] = 0;
    assert_int_equal(token_parse(text, &token), CULVERT_EINVAL);
    assert_int_equal(token_parse("", &token), CULVERT_EINVAL);
}

/* ---- the answer to a request to join ---- */

static void test_reply_is_checked(void **state)
{
    struct fixture *fixture = *state;
    struct join_member members[2] = {{.node = 7, .address.port = 1},
                                     {.node = 8, .address.port = 2}};
    struct join_result *result = calloc(1, sizeof(*result));
    struct buffer reply = {0};
    EVP_PKEY *key, *other;
    const char *site = fixture->identity->name.site;
    const uint8_t *data;

    assert_non_null(result);
    assert_int_equal(certificate_key_make(&key), 0);
    assert_int_equal(certificate_key_make(&other), 0);
    assert_int_equal(join_reply_grant(fixture->identity, 8, key, NOW, members, 2, &reply), 0);
    data = (const uint8_t *)reply.data;
    assert_int_equal(join_reply_read(data, reply.length, key, site, result), 0);
    assert_int_equal(result->count, 2);
    assert_int_equal(result->members[1].node, 8);
    assert_int_equal(result->identity->name.node, 8);
    identity_free(result->identity);
    /* Not the key that was asked for, another site, cut off at any byte. */
    assert_int_equal(join_reply_read(data, reply.length, other, site, result), CULVERT_EPROTO);
    assert_int_equal(join_reply_read(data, reply.length, key, "x", result), CULVERT_EPROTO);
    for (size_t length = 0; length < reply.length; length += 7)
        assert_int_equal(join_reply_read(data, length, key, site, result), CULVERT_EPROTO);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    buffer_free(&reply);
    free(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, open_fixture, close_fixture)
        TEST(name),
        TEST(odd_names),
        TEST(requests),
        TEST(save_and_load),
        TEST(stale_temporary_file),
        TEST(damaged_files),
        TEST(seal),
        TEST(renewal),
        TEST(token),
        TEST(mistyped_token),
        TEST(reply_is_checked),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
