/* SPDX-License-Identifier: Apache-2.0 */
/* The join messages. */
#include "controlplane/identity/join.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/digest.h"
#include "controlplane/base/error.h"

#define JOIN_VERSION 1u

static void put_endpoint(struct buffer *out, const struct endpoint *endpoint)
{
    buffer_add(out, endpoint->address.bytes, sizeof(endpoint->address.bytes));
    bytes_put_number(out, endpoint->port, 2);
}

static void take_endpoint(struct bytes *bytes, struct endpoint *out)
{
    const uint8_t *address = bytes_take(bytes, sizeof(out->address.bytes));

    if (address)
        memcpy(out->address.bytes, address, sizeof(out->address.bytes));
    out->port = (uint16_t)bytes_take_number(bytes, 2);
    if (!out->port)
        bytes->bad = true;
}

/* ---- the request ---- */

int join_request_write(const struct join_options *options, struct buffer *out)
{
    struct buffer request = {.bound = CERTIFICATE_DER_MAX};
    int error = certificate_request_write(options->key, &request);

    if (!error) {
        bytes_put_number(out, JOIN_VERSION, 1);
        bytes_put_number(out, options->token->id, 8);
        buffer_add(out, options->token->secret, TOKEN_SECRET);
        bytes_put_number(out, options->version_min, 2);
        bytes_put_number(out, options->version_max, 2);
        bytes_put_text(out, options->software);
        put_endpoint(out, &options->address);
        bytes_put_counted(out, request.data, request.length);
        error = out->error;
    }
    buffer_free(&request);
    return error;
}

static int digest_key(EVP_PKEY *key, uint8_t out[TOKEN_DIGEST])
{
    uint8_t *der = NULL;
    int length = i2d_PUBKEY(key, &der);
    int error = length > 0 ? digest_sha256(der, (size_t)length, out) : CULVERT_ENOMEM;

    OPENSSL_free(der);
    return error;
}

int join_request_read(const uint8_t *data, size_t length, struct join_request *out)
{
    struct bytes bytes = {.at = data, .left = length}, request;
    const uint8_t *secret;
    int error;

    *out = (struct join_request){0};
    if (bytes_take_number(&bytes, 1) != JOIN_VERSION)
        return CULVERT_EPROTO;
    out->token = bytes_take_number(&bytes, 8);
    secret = bytes_take(&bytes, TOKEN_SECRET);
    out->version_min = (uint16_t)bytes_take_number(&bytes, 2);
    out->version_max = (uint16_t)bytes_take_number(&bytes, 2);
    bytes_take_text(&bytes, out->software, sizeof(out->software));
    take_endpoint(&bytes, &out->address);
    request = bytes_take_counted(&bytes, CERTIFICATE_DER_MAX);
    if (!secret || bytes.bad || !out->version_min || out->version_min > out->version_max)
        return CULVERT_EPROTO;
    memcpy(out->secret, secret, TOKEN_SECRET);
    error = certificate_request_read(request.at, request.left, &out->key);
    if (!error)
        error = digest_key(out->key, out->user);
    if (error)
        join_request_free(out);
    ERR_clear_error();
    return error;
}

void join_request_free(struct join_request *request)
{
    EVP_PKEY_free(request->key);
    *request = (struct join_request){0};
}

/* ---- the reply ---- */

void join_reply_deny(int status, struct buffer *out)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {{CULVERT_EACCES, "the site doesn't know this token"},
                 {CULVERT_ETIMEOUT, "the token has expired"},
                 {CULVERT_EEXIST, "the token was used already"},
                 {CULVERT_EUNSUPPORTED, "the versions don't fit"},
                 {CULVERT_EFULL, "the site has no room for more nodes"}};
    const char *text = culvert_strerror(status);

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].status == status)
            text = texts[i].text;
    bytes_put_number(out, JOIN_VERSION, 1);
    bytes_put_number(out, (uint64_t)-status, 2);
    bytes_put_text(out, text);
}

int join_reply_grant(const struct identity *identity, uint64_t node, EVP_PKEY *key, int64_t now,
                     const struct join_member *members, size_t count, struct buffer *out)
{
    STACK_OF(X509) *chain = NULL;
    int error;

    if (count > JOIN_MEMBERS_MAX)
        return CULVERT_EFULL;
    error = identity_issue(identity, node, key, now, &chain);
    if (error)
        return error;
    bytes_put_number(out, JOIN_VERSION, 1);
    bytes_put_number(out, 0, 2);
    bytes_put_text(out, "");
    error = certificates_encode(chain, out);
    if (!error)
        error = certificates_encode(identity->trust, out);
    buffer_add(out, identity->site_key, SITE_KEY_BYTES);
    bytes_put_counted(out, identity->sealed.data, identity->sealed.length);
    bytes_put_number(out, count, 1);
    for (size_t i = 0; i < count; i++) {
        bytes_put_number(out, members[i].node, 8);
        bytes_put_number(out, members[i].role, 1);
        put_endpoint(out, &members[i].address);
    }
    certificates_free(chain);
    return error ? error : out->error;
}

static int read_identity(struct bytes *bytes, struct identity *identity)
{
    const uint8_t *site_key;
    struct bytes sealed;
    int error = certificates_decode(bytes, &identity->chain);

    if (!error)
        error = certificates_decode(bytes, &identity->trust);
    if (error)
        return error;
    site_key = bytes_take(bytes, SITE_KEY_BYTES);
    sealed = bytes_take_counted(bytes, AUTHORITY_SEALED_MAX);
    if (!site_key || bytes->bad)
        return CULVERT_EPROTO;
    memcpy(identity->site_key, site_key, SITE_KEY_BYTES);
    buffer_add(&identity->sealed, sealed.at, sealed.left);
    if (identity->sealed.error)
        return CULVERT_ENOMEM;
    return identity_check(identity) ? CULVERT_EPROTO : 0;
}

static int read_members(struct bytes *bytes, struct join_result *out)
{
    size_t count = bytes_take_number(bytes, 1);

    if (count > JOIN_MEMBERS_MAX)
        return CULVERT_EPROTO;
    for (size_t i = 0; i < count; i++) {
        struct join_member *member = &out->members[i];

        member->node = bytes_take_number(bytes, 8);
        member->role = (uint8_t)bytes_take_number(bytes, 1);
        take_endpoint(bytes, &member->address);
    }
    out->count = count;
    return bytes->bad ? CULVERT_EPROTO : 0;
}

int join_reply_read(const uint8_t *data, size_t length, EVP_PKEY *key, const char *site,
                    struct join_result *out)
{
    struct bytes bytes = {.at = data, .left = length};
    struct identity *identity;
    int error;

    if (bytes_take_number(&bytes, 1) != JOIN_VERSION)
        return CULVERT_EPROTO;
    out->status = -(int)bytes_take_number(&bytes, 2);
    bytes_take_text(&bytes, out->text, sizeof(out->text));
    if (bytes.bad)
        return CULVERT_EPROTO;
    if (out->status)
        return CULVERT_EACCES;
    identity = calloc(1, sizeof(*identity));
    if (!identity)
        return CULVERT_ENOMEM;
    error = EVP_PKEY_up_ref(key) == 1 ? 0 : CULVERT_ENOMEM;
    if (!error) {
        identity->key = key;
        error = read_identity(&bytes, identity);
    }
    if (!error)
        error = read_members(&bytes, out);
    if (!error && strcmp(identity->name.site, site) != 0)
        error = CULVERT_EPROTO;
    if (error)
        identity_free(identity);
    else
        out->identity = identity;
    return error;
}
