/* SPDX-License-Identifier: Apache-2.0 */
/* Access tokens: their text, what is kept of them, who may in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/identity/access.h"

#define NOW 1800000000

static struct identity *identity;

static int set_up(void **state)
{
    (void)state;
    return identity_found(&identity, 7, NOW);
}

static int tear_down(void **state)
{
    (void)state;
    identity_free(identity);
    return 0;
}

static struct access_record record_of(const char *name, enum access_role role, int64_t expires)
{
    struct access_record record = {.role = role, .created = NOW, .expires = expires};

    snprintf(record.name, sizeof(record.name), "%s", name);
    strcpy(record.author, "root");
    return record;
}

static void test_text(void **state)
{
    struct access_record record = record_of("ci", ACCESS_OPERATOR, 0);
    uint8_t fingerprint[CERTIFICATE_FINGERPRINT];
    char text[ACCESS_TEXT], head[64];
    struct access_token token;

    (void)state;
    assert_int_equal(access_make(identity, &record, text), 0);
    snprintf(head, sizeof(head), ACCESS_PREFIX "%016" PRIx64 ".", record.id);
    assert_memory_equal(text, head, strlen(head));
    assert_int_equal(access_parse(text, &token), 0);
    assert_int_equal(token.id, record.id);
    assert_int_equal(identity_fingerprint(identity, fingerprint), 0);
    assert_memory_equal(token.fingerprint, fingerprint, sizeof(fingerprint));
    assert_int_equal(access_verify(&record, &token, NOW), 0);
    assert_int_equal(access_verify(&record, &token, NOW + ACCESS_LIFE_MAX), 0);
}

/* Any other character anywhere, one too few, one too many: not a token, or not this one. */
static void test_mistyped(void **state)
{
    struct access_record record = record_of("ci", ACCESS_ADMIN, 0);
    char text[ACCESS_TEXT + 1], kept;
    struct access_token token;
    size_t length;

    (void)state;
    assert_int_equal(access_make(identity, &record, text), 0);
    length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        kept = text[i];
        text[i] = kept == 'A' || kept == 'a' ? 'b' : 'a';
        if (!access_parse(text, &token))
            assert_int_equal(access_verify(&record, &token, NOW), CULVERT_EACCES);
        text[i] = '+';
        assert_int_equal(access_parse(text, &token), CULVERT_EINVAL);
        text[i] = kept;
    }
    text[length] = 'A';
    text[length + 1] = 0;
    assert_int_equal(access_parse(text, &token), CULVERT_EINVAL);
    for (size_t i = 0; i < length; i++) {
        text[length - 1 - i] = 0;
        assert_int_equal(access_parse(text, &token), CULVERT_EINVAL);
    }
}

static void test_verify(void **state)
{
    struct access_record record = record_of("ci", ACCESS_READER, NOW + 60), other = record;
    char text[ACCESS_TEXT], other_text[ACCESS_TEXT];
    struct access_token token, another;

    (void)state;
    assert_int_equal(access_make(identity, &record, text), 0);
    assert_int_equal(access_make(identity, &other, other_text), 0);
    assert_string_not_equal(text, other_text);
    assert_int_equal(access_parse(text, &token), 0);
    assert_int_equal(access_parse(other_text, &another), 0);
    assert_int_equal(access_verify(&record, &token, NOW + 59), 0);
    assert_int_equal(access_verify(&record, &token, NOW + 60), CULVERT_ETIMEOUT);
    assert_int_equal(access_verify(&record, &another, NOW), CULVERT_EACCES);
    another.id = token.id;
    assert_int_equal(access_verify(&record, &another, NOW), CULVERT_EACCES);
    /* Who doesn't know the secret doesn't learn that it has expired. */
    assert_int_equal(access_verify(&record, &another, NOW + 60), CULVERT_EACCES);
}

/* The secret is nowhere in what is kept. */
static void test_record(void **state)
{
    struct access_record record = record_of("ci@example.com", ACCESS_OPERATOR, NOW + 60), back;
    char text[ACCESS_TEXT];
    struct access_token token;
    struct buffer out = {0};

    (void)state;
    assert_int_equal(access_make(identity, &record, text), 0);
    assert_int_equal(access_parse(text, &token), 0);
    access_record_write(&record, &out);
    assert_true(out.length <= ACCESS_RECORD && !out.error);
    assert_null(memmem(out.data, out.length, token.secret, 8));
    assert_int_equal(access_record_read(out.data, out.length, &back), 0);
    assert_string_equal(back.name, "ci@example.com");
    assert_string_equal(back.author, "root");
    assert_int_equal(back.role, ACCESS_OPERATOR);
    assert_int_equal(back.expires, NOW + 60);
    assert_int_equal(access_verify(&back, &token, NOW), 0);
    for (size_t i = 0; i < out.length; i++)
        assert_int_equal(access_record_read(out.data, i, &back), CULVERT_ECORRUPT);
    buffer_free(&out);
}

static void test_what_is_no_token(void **state)
{
    static const struct {
        const char *name;
        enum access_role role;
        int64_t expires;
    } cases[] = {
        {"", ACCESS_READER, 0},     {"a b", ACCESS_READER, 0},
        {"a\"", ACCESS_READER, 0},  {"ci", ACCESS_NONE, 0},
        {"ci", ACCESS_READER, NOW}, {"ci", ACCESS_READER, NOW + ACCESS_LIFE_MAX + 1},
    };
    char text[ACCESS_TEXT], name[ACCESS_NAME + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct access_record record = record_of(cases[i].name, cases[i].role, cases[i].expires);

        assert_int_equal(access_make(identity, &record, text), CULVERT_EINVAL);
    }
    memset(name, 'a', sizeof(name));
    name[ACCESS_NAME] = 0;
    assert_false(access_name_valid(name));
    name[ACCESS_NAME - 1] = 0;
    assert_true(access_name_valid(name));
}

static void test_roles(void **state)
{
    (void)state;
    for (unsigned role = ACCESS_READER; role <= ACCESS_ADMIN; role++)
        assert_int_equal(access_role_parse(access_role_name((enum access_role)role)), role);
    assert_int_equal(access_role_parse("none"), ACCESS_NONE);
    assert_int_equal(access_role_parse("Admin"), ACCESS_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),   cmocka_unit_test(test_mistyped),
        cmocka_unit_test(test_verify), cmocka_unit_test(test_record),
        cmocka_unit_test(test_roles),  cmocka_unit_test(test_what_is_no_token),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
