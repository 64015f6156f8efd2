/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text is ACCESS_PREFIX, the id in 16 hexadecimal digits (what `culvert token list` shows), a
 * dot, and the fingerprint and the secret as token_text.h has it.
 */
#include "controlplane/identity/access.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/digest.h"
#include "controlplane/base/error.h"
#include "controlplane/identity/token_text.h"

#define ID_DIGITS 16u
#define HEAD (sizeof(ACCESS_PREFIX) - 1 + ID_DIGITS + 1)
#define BODY (CERTIFICATE_FINGERPRINT + ACCESS_SECRET)
#define RECORD_VERSION 1u

_Static_assert(HEAD + TOKEN_ENCODED(BODY) < ACCESS_TEXT, "the text fits");

static const char *const roles[] = {"none", "reader", "operator", "admin"};

const char *access_role_name(enum access_role role)
{
    return roles[role];
}

enum access_role access_role_parse(const char *name)
{
    for (unsigned i = ACCESS_READER; i <= ACCESS_ADMIN; i++)
        if (!strcmp(name, roles[i]))
            return (enum access_role)i;
    return ACCESS_NONE;
}

bool access_name_valid(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.@";
    size_t length = strnlen(name, ACCESS_NAME);

    return length && length < ACCESS_NAME && strspn(name, allowed) == length;
}

int access_make(const struct identity *identity, struct access_record *record,
                char text[ACCESS_TEXT])
{
    uint8_t body[BODY], *secret = body + CERTIFICATE_FINGERPRINT;
    int error = identity_fingerprint(identity, body);

    if (!access_name_valid(record->name) || record->role == ACCESS_NONE || record->created <= 0 ||
        (record->expires && (record->expires <= record->created ||
                             record->expires - record->created > ACCESS_LIFE_MAX)))
        return CULVERT_EINVAL;
    if (!error && (RAND_bytes(secret, ACCESS_SECRET) != 1 ||
                   RAND_bytes((unsigned char *)&record->id, sizeof(record->id)) != 1))
        error = CULVERT_ESYSTEM;
    if (!error)
        error = digest_sha256(secret, ACCESS_SECRET, record->digest);
    if (!error) {
        snprintf(text, ACCESS_TEXT, ACCESS_PREFIX "%016" PRIx64 ".", record->id);
        error = token_text_write(body, BODY, text + HEAD);
    }
    OPENSSL_cleanse(body, sizeof(body));
    return error;
}

int access_parse(const char *text, struct access_token *out)
{
    const char *digits = text + sizeof(ACCESS_PREFIX) - 1;
    uint8_t body[BODY];

    if (strncmp(text, ACCESS_PREFIX, sizeof(ACCESS_PREFIX) - 1) != 0 ||
        strspn(digits, "0123456789abcdef") != ID_DIGITS || digits[ID_DIGITS] != '.' ||
        !token_text_read(text + HEAD, body, BODY))
        return CULVERT_EINVAL;
    out->id = strtoull(digits, NULL, 16);
    memcpy(out->fingerprint, body, sizeof(out->fingerprint));
    memcpy(out->secret, body + CERTIFICATE_FINGERPRINT, sizeof(out->secret));
    OPENSSL_cleanse(body, sizeof(body));
    return 0;
}

int access_verify(const struct access_record *record, const struct access_token *token, int64_t now)
{
    uint8_t digest[ACCESS_DIGEST];
    int error = digest_sha256(token->secret, sizeof(token->secret), digest);

    if (error)
        return error;
    if (CRYPTO_memcmp(digest, record->digest, sizeof(digest)) || record->id != token->id)
        return CULVERT_EACCES;
    return record->expires && now >= record->expires ? CULVERT_ETIMEOUT : 0;
}

void access_record_write(const struct access_record *record, struct buffer *out)
{
    bytes_put_number(out, RECORD_VERSION, 1);
    bytes_put_number(out, record->id, 8);
    buffer_add(out, record->digest, sizeof(record->digest));
    bytes_put_number(out, record->role, 1);
    bytes_put_number(out, (uint64_t)record->created, 8);
    bytes_put_number(out, (uint64_t)record->expires, 8);
    bytes_put_text(out, record->name);
    bytes_put_text(out, record->author);
}

int access_record_read(const void *data, size_t length, struct access_record *out)
{
    struct bytes bytes = {.at = data, .left = length};
    const uint8_t *digest;
    uint64_t version = bytes_take_number(&bytes, 1), role;

    memset(out, 0, sizeof(*out));
    out->id = bytes_take_number(&bytes, 8);
    digest = bytes_take(&bytes, sizeof(out->digest));
    role = bytes_take_number(&bytes, 1);
    out->created = (int64_t)bytes_take_number(&bytes, 8);
    out->expires = (int64_t)bytes_take_number(&bytes, 8);
    bytes_take_text(&bytes, out->name, sizeof(out->name));
    bytes_take_text(&bytes, out->author, sizeof(out->author));
    if (!digest || bytes.bad || bytes.left || version != RECORD_VERSION || role < ACCESS_READER ||
        role > ACCESS_ADMIN || !access_name_valid(out->name))
        return CULVERT_ECORRUPT;
    memcpy(out->digest, digest, sizeof(out->digest));
    out->role = (enum access_role)role;
    return 0;
}
