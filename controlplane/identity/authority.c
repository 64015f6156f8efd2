/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed form: a version, a nonce, the ciphertext of (key and certificate, each DER behind its
 * length), the tag. The site id is authenticated with it.
 */
#include "controlplane/identity/authority.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/error.h"

#define SEAL_VERSION 1u
#define SEAL_NONCE 12u
#define SEAL_TAG 16u
#define DAY_SECONDS 86400

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

int authority_make(struct authority **out, const char *site, int64_t now)
{
    struct authority *authority = calloc(1, sizeof(*authority));
    char name[64], distinct[SITE_ID_TEXT];
    struct certificate_spec spec = {.common_name = name,
                                    .from = now - AUTHORITY_BACKDATE,
                                    .until = now + (int64_t)AUTHORITY_YEARS * 365 * DAY_SECONDS};
    int error = authority ? site_id_make(distinct) : CULVERT_ENOMEM;

    if (!error)
        error = certificate_key_make(&authority->key);
    if (!error) {
        /* Two authorities of a site differ in name, so that a verifier never mistakes one. */
        snprintf(name, sizeof(name), "culvert %.16s %.8s", site, distinct);
        spec.key = spec.issuer_key = authority->key;
        error = certificate_make(&spec, &authority->certificate);
    }
    if (error)
        authority_free(authority);
    else
        *out = authority;
    return error;
}

void authority_free(struct authority *authority)
{
    if (!authority)
        return;
    EVP_PKEY_free(authority->key);
    X509_free(authority->certificate);
    free(authority);
}

X509 *authority_certificate(const struct authority *authority)
{
    return authority->certificate;
}

int authority_issue(const struct authority *authority, const struct node_name *name, EVP_PKEY *key,
                    int64_t now, X509 **out)
{
    char common_name[32];
    struct certificate_spec spec = {.name = name,
                                    .common_name = common_name,
                                    .key = key,
                                    .issuer = authority->certificate,
                                    .issuer_key = authority->key,
                                    .from = now - AUTHORITY_BACKDATE,
                                    .until = now + (int64_t)AUTHORITY_NODE_DAYS * DAY_SECONDS};
    int64_t from, until;
    int error = certificate_times(authority->certificate, &from, &until);

    if (error)
        return error;
    if (spec.until > until)
        spec.until = until;
    if (spec.from < from)
        spec.from = from;
    snprintf(common_name, sizeof(common_name), "node %llu", (unsigned long long)name->node);
    return certificate_make(&spec, out);
}

/* ---- sealing ---- */

/* Encrypts or decrypts `length` bytes from `in` to `out`; the tag is written or checked. */
static bool cipher(bool encrypt, const uint8_t *key, const uint8_t *nonce, const char *site,
                   const uint8_t *in, size_t length, uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int done = 0, last = 0;
    bool right;

    right = context &&
            EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce, encrypt) == 1 &&
            EVP_CipherUpdate(context, NULL, &done, (const uint8_t *)site, (int)strlen(site)) == 1 &&
            EVP_CipherUpdate(context, out, &done, in, (int)length) == 1 &&
            (encrypt || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG, tag) == 1) &&
            EVP_CipherFinal_ex(context, out + done, &last) == 1 &&
            (!encrypt || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, tag) == 1);
    EVP_CIPHER_CTX_free(context);
    return right && (size_t)done + (size_t)last == length;
}

static int encode(const struct authority *authority, struct buffer *out)
{
    uint8_t *key = NULL, *certificate = NULL;
    int key_length = i2d_PrivateKey(authority->key, &key);
    int length = i2d_X509(authority->certificate, &certificate);
    int error = key_length > 0 && length > 0 ? 0 : CULVERT_ENOMEM;

    if (!error) {
        bytes_put_counted(out, key, (size_t)key_length);
        bytes_put_counted(out, certificate, (size_t)length);
        error = out->error;
    }
    OPENSSL_clear_free(key, key_length > 0 ? (size_t)key_length : 0);
    OPENSSL_free(certificate);
    return error;
}

int authority_seal(const struct authority *authority, const char *site,
                   const uint8_t key[SITE_KEY_BYTES], struct buffer *out)
{
    struct buffer plain = {.bound = AUTHORITY_SEALED_MAX - SEAL_NONCE - SEAL_TAG - 1};
    int error = encode(authority, &plain);
    uint8_t *to = NULL;

    if (!error) {
        to = buffer_room(out, 1 + SEAL_NONCE + plain.length + SEAL_TAG);
        error = out->error;
    }
    if (to) {
        to[0] = SEAL_VERSION;
        if (RAND_bytes(to + 1, SEAL_NONCE) != 1 ||
            !cipher(true, key, to + 1, site, (const uint8_t *)plain.data, plain.length,
                    to + 1 + SEAL_NONCE, to + 1 + SEAL_NONCE + plain.length))
            error = CULVERT_ESYSTEM;
    }
    if (plain.data)
        OPENSSL_cleanse(plain.data, plain.length);
    buffer_free(&plain);
    return error;
}

static int decode(struct authority **out, const uint8_t *plain, size_t length)
{
    struct authority *authority = calloc(1, sizeof(*authority));
    struct bytes bytes = {.at = plain, .left = length};
    struct bytes key = bytes_take_counted(&bytes, length);
    struct bytes certificate = bytes_take_counted(&bytes, length);

    if (!authority)
        return CULVERT_ENOMEM;
    if (!bytes.bad && !bytes.left) {
        authority->key = d2i_AutoPrivateKey(NULL, &key.at, (long)key.left);
        authority->certificate = d2i_X509(NULL, &certificate.at, (long)certificate.left);
    }
    if (!authority->key || !authority->certificate ||
        X509_check_private_key(authority->certificate, authority->key) != 1) {
        authority_free(authority);
        ERR_clear_error();
        return CULVERT_ECORRUPT;
    }
    *out = authority;
    return 0;
}

int authority_unseal(struct authority **out, const char *site, const uint8_t key[SITE_KEY_BYTES],
                     const void *sealed, size_t length)
{
    const uint8_t *from = sealed, *text = from + 1 + SEAL_NONCE;
    uint8_t tag[SEAL_TAG], *plain;
    int error;

    if (length <= 1 + SEAL_NONCE + SEAL_TAG || length > AUTHORITY_SEALED_MAX ||
        from[0] != SEAL_VERSION)
        return CULVERT_ECORRUPT;
    length -= 1 + SEAL_NONCE + SEAL_TAG;
    plain = malloc(length);
    if (!plain)
        return CULVERT_ENOMEM;
    memcpy(tag, text + length, sizeof(tag));
    if (cipher(false, key, from + 1, site, text, length, plain, tag))
        error = decode(out, plain, length);
    else
        error = CULVERT_ECORRUPT;
    OPENSSL_cleanse(plain, length);
    free(plain);
    if (error)
        ERR_clear_error();
    return error;
}
