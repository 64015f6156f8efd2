/* SPDX-License-Identifier: Apache-2.0 */
/* The text is TOKEN_PREFIX, and as token_text.h has it: flags, expiry, id, site, fingerprint,
 * secret. */
#include "controlplane/identity/token.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/digest.h"
#include "controlplane/base/error.h"
#include "controlplane/identity/token_text.h"

#define TOKEN_PREFIX "culvert1."
#define TOKEN_BODY (1u + 8u + 8u + SITE_ID_BYTES + CERTIFICATE_FINGERPRINT + TOKEN_SECRET)
#define RECORD_VERSION 1u

_Static_assert(sizeof(TOKEN_PREFIX) + TOKEN_ENCODED(TOKEN_BODY) <= TOKEN_TEXT, "the text fits");
_Static_assert(TOKEN_BODY <= TOKEN_BODY_MAX, "and the bytes");

static int write_text(const struct token *token, char text[TOKEN_TEXT])
{
    struct buffer body = {.bound = TOKEN_BODY};
    uint8_t site[SITE_ID_BYTES];
    size_t site_length;
    int error;

    if (OPENSSL_hexstr2buf_ex(site, sizeof(site), &site_length, token->site, 0) != 1)
        return CULVERT_EINVAL;
    bytes_put_number(&body, token->multiple, 1);
    bytes_put_number(&body, (uint64_t)token->expires, 8);
    bytes_put_number(&body, token->id, 8);
    buffer_add(&body, site, site_length);
    buffer_add(&body, token->fingerprint, sizeof(token->fingerprint));
    buffer_add(&body, token->secret, sizeof(token->secret));
    error = body.error;
    if (!error) {
        memcpy(text, TOKEN_PREFIX, sizeof(TOKEN_PREFIX) - 1);
        error = token_text_write((const uint8_t *)body.data, body.length,
                                 text + sizeof(TOKEN_PREFIX) - 1);
        OPENSSL_cleanse(body.data, body.length);
    }
    buffer_free(&body);
    return error;
}

int token_make(const struct identity *identity, int64_t now, int64_t life, bool multiple,
               char text[TOKEN_TEXT], struct token_record *record)
{
    struct token token = {.expires = now + life, .multiple = multiple};
    int error = identity_fingerprint(identity, token.fingerprint);

    if (life <= 0 || life > TOKEN_LIFE_MAX)
        return CULVERT_EINVAL;
    memcpy(token.site, identity->name.site, sizeof(token.site));
    if (!error && (RAND_bytes(token.secret, sizeof(token.secret)) != 1 ||
                   RAND_bytes((unsigned char *)&token.id, sizeof(token.id)) != 1))
        error = CULVERT_ESYSTEM;
    *record = (struct token_record){.id = token.id, .expires = token.expires, .multiple = multiple};
    if (!error)
        error = digest_sha256(token.secret, sizeof(token.secret), record->digest);
    if (!error)
        error = write_text(&token, text);
    OPENSSL_cleanse(token.secret, sizeof(token.secret));
    return error;
}

int token_parse(const char *text, struct token *out)
{
    uint8_t data[TOKEN_BODY];
    struct bytes bytes = {.at = data, .left = TOKEN_BODY};
    uint64_t flags;

    if (strncmp(text, TOKEN_PREFIX, sizeof(TOKEN_PREFIX) - 1) != 0 ||
        !token_text_read(text + sizeof(TOKEN_PREFIX) - 1, data, TOKEN_BODY))
        return CULVERT_EINVAL;
    flags = bytes_take_number(&bytes, 1);
    if (flags > 1)
        return CULVERT_EINVAL;
    out->multiple = flags;
    out->expires = (int64_t)bytes_take_number(&bytes, 8);
    out->id = bytes_take_number(&bytes, 8);
    for (size_t i = 0; i < SITE_ID_BYTES; i++)
        snprintf(out->site + 2 * i, 3, "%02x", (unsigned)bytes_take_number(&bytes, 1));
    memcpy(out->fingerprint, bytes_take(&bytes, CERTIFICATE_FINGERPRINT), CERTIFICATE_FINGERPRINT);
    memcpy(out->secret, bytes_take(&bytes, TOKEN_SECRET), TOKEN_SECRET);
    return 0;
}

int token_verify(const struct token_record *record, uint64_t id, const uint8_t secret[TOKEN_SECRET],
                 const uint8_t user[TOKEN_DIGEST], int64_t now, bool *again)
{
    uint8_t digest[DIGEST_BYTES];
    int error = digest_sha256(secret, TOKEN_SECRET, digest);

    *again = false;
    if (error)
        return error;
    if (record->id != id || CRYPTO_memcmp(digest, record->digest, sizeof(digest)))
        return CULVERT_EACCES;
    if (now >= record->expires)
        return CULVERT_ETIMEOUT;
    *again = record->used && !memcmp(record->user, user, TOKEN_DIGEST);
    return record->used && !record->multiple && !*again ? CULVERT_EEXIST : 0;
}

void token_use(struct token_record *record, const uint8_t user[TOKEN_DIGEST], uint64_t node)
{
    record->used = true;
    memcpy(record->user, user, TOKEN_DIGEST);
    record->node = node;
}

void token_record_write(const struct token_record *record, struct buffer *out)
{
    bytes_put_number(out, RECORD_VERSION, 1);
    bytes_put_number(out, record->id, 8);
    buffer_add(out, record->digest, sizeof(record->digest));
    bytes_put_number(out, (uint64_t)record->expires, 8);
    bytes_put_number(out, (uint64_t)record->multiple | (uint64_t)record->used << 1, 1);
    buffer_add(out, record->user, sizeof(record->user));
    bytes_put_number(out, record->node, 8);
}

int token_record_read(const void *data, size_t length, struct token_record *out)
{
    struct bytes bytes = {.at = data, .left = length};
    const uint8_t *digest, *user;
    uint64_t version = bytes_take_number(&bytes, 1), flags;

    out->id = bytes_take_number(&bytes, 8);
    digest = bytes_take(&bytes, sizeof(out->digest));
    out->expires = (int64_t)bytes_take_number(&bytes, 8);
    flags = bytes_take_number(&bytes, 1);
    user = bytes_take(&bytes, sizeof(out->user));
    out->node = bytes_take_number(&bytes, 8);
    if (!digest || !user || bytes.bad || bytes.left || version != RECORD_VERSION || flags > 3)
        return CULVERT_ECORRUPT;
    out->multiple = flags & 1;
    out->used = flags >> 1;
    memcpy(out->digest, digest, sizeof(out->digest));
    memcpy(out->user, user, sizeof(out->user));
    return 0;
}
