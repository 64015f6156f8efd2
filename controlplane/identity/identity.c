/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/identity/identity.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"

#define RENEW_LATEST 1800 /* seconds before the end */
#define CHAIN_BYTES_MAX 16384

void identity_free(struct identity *identity)
{
    if (!identity)
        return;
    EVP_PKEY_free(identity->key);
    certificates_free(identity->chain);
    certificates_free(identity->trust);
    OPENSSL_cleanse(identity->site_key, sizeof(identity->site_key));
    buffer_free(&identity->sealed);
    free(identity);
}

/* A chain of a node's certificate and its CA's; takes the first over, also on an error. */
static int chain_make(X509 *certificate, X509 *issuer, STACK_OF(X509) * *out)
{
    STACK_OF(X509) *chain = sk_X509_new_null();

    if (!chain || !sk_X509_push(chain, certificate)) {
        X509_free(certificate);
        certificates_free(chain);
        return CULVERT_ENOMEM;
    }
    if (X509_add_cert(chain, issuer, X509_ADD_FLAG_UP_REF) != 1) {
        certificates_free(chain);
        return CULVERT_ENOMEM;
    }
    *out = chain;
    return 0;
}

static int issue_with(const struct authority *authority, const struct node_name *name,
                      EVP_PKEY *key, int64_t now, STACK_OF(X509) * *chain)
{
    X509 *certificate;
    int error = authority_issue(authority, name, key, now, &certificate);

    return error ? error : chain_make(certificate, authority_certificate(authority), chain);
}

int identity_issue(const struct identity *identity, uint64_t node, EVP_PKEY *key, int64_t now,
                   STACK_OF(X509) * *chain)
{
    struct node_name name = identity->name;
    struct authority *authority;
    int error = authority_unseal(&authority, name.site, identity->site_key, identity->sealed.data,
                                 identity->sealed.length);

    if (error)
        return error;
    name.node = node;
    error = certificates_have(identity->trust, authority_certificate(authority))
                ? issue_with(authority, &name, key, now, chain)
                : CULVERT_ECORRUPT;
    authority_free(authority);
    return error;
}

/* A trust bundle of one CA. */
static int trust_one(X509 *authority, STACK_OF(X509) * *out)
{
    STACK_OF(X509) *trust = sk_X509_new_null();

    if (!trust || X509_add_cert(trust, authority, X509_ADD_FLAG_UP_REF) != 1) {
        certificates_free(trust);
        return CULVERT_ENOMEM;
    }
    *out = trust;
    return 0;
}

int identity_found(struct identity **out, uint64_t node, int64_t now)
{
    struct identity *identity = calloc(1, sizeof(*identity));
    struct authority *authority = NULL;
    int error;

    if (!identity)
        return CULVERT_ENOMEM;
    identity->name.node = node;
    error = site_id_make(identity->name.site);
    if (!error && RAND_bytes(identity->site_key, SITE_KEY_BYTES) != 1)
        error = CULVERT_ESYSTEM;
    if (!error)
        error = authority_make(&authority, identity->name.site, now);
    if (!error)
        error =
            authority_seal(authority, identity->name.site, identity->site_key, &identity->sealed);
    if (!error)
        error = trust_one(authority_certificate(authority), &identity->trust);
    if (!error)
        error = certificate_key_make(&identity->key);
    if (!error)
        error = issue_with(authority, &identity->name, identity->key, now, &identity->chain);
    authority_free(authority);
    if (error)
        identity_free(identity);
    else
        *out = identity;
    return error;
}

/* ---- checks ---- */

X509 *identity_issuer(const struct identity *identity)
{
    return sk_X509_value(identity->chain, sk_X509_num(identity->chain) - 1);
}

int identity_check(struct identity *identity)
{
    X509 *own = sk_X509_value(identity->chain, 0), *issuer = identity_issuer(identity);

    if (sk_X509_num(identity->chain) == 2 && !certificate_name(own, &identity->name) &&
        X509_check_private_key(own, identity->key) == 1 &&
        certificates_have(identity->trust, issuer) &&
        X509_verify(own, X509_get0_pubkey(issuer)) == 1)
        return 0;
    ERR_clear_error();
    return CULVERT_ECORRUPT;
}

int identity_fingerprint(const struct identity *identity, uint8_t out[CERTIFICATE_FINGERPRINT])
{
    return certificate_fingerprint(identity_issuer(identity), out);
}

/* ---- rotation ---- */

int64_t identity_renew_at(const struct identity *identity)
{
    int64_t from, until, early;

    if (certificate_times(sk_X509_value(identity->chain, 0), &from, &until))
        return 0;
    early = from + (until - from) / 3 * 2;
    return early < until - RENEW_LATEST ? early : until - RENEW_LATEST;
}

int identity_renew(struct identity *identity, int64_t now)
{
    STACK_OF(X509) *chain = NULL;
    EVP_PKEY *key;
    int error = certificate_key_make(&key);

    if (error)
        return error;
    error = identity_issue(identity, identity->name.node, key, now, &chain);
    if (error) {
        EVP_PKEY_free(key);
        return error;
    }
    EVP_PKEY_free(identity->key);
    certificates_free(identity->chain);
    identity->key = key;
    identity->chain = chain;
    return 0;
}

static void replace(struct identity *identity, struct buffer *sealed, STACK_OF(X509) * trust)
{
    buffer_free(&identity->sealed);
    identity->sealed = *sealed;
    certificates_free(identity->trust);
    identity->trust = trust;
}

int identity_adopt(struct identity *identity, const void *sealed, size_t length,
                   const STACK_OF(X509) * trust)
{
    struct authority *authority;
    STACK_OF(X509) * copy;
    struct buffer bytes = {0};
    int error =
        authority_unseal(&authority, identity->name.site, identity->site_key, sealed, length);

    if (error)
        return error;
    if (!certificates_have(trust, authority_certificate(authority)))
        error = CULVERT_ECORRUPT;
    else if (!certificates_have(trust, identity_issuer(identity)))
        error = CULVERT_EBUSY;
    authority_free(authority);
    if (error)
        return error;
    buffer_add(&bytes, sealed, length);
    copy = certificates_copy(trust);
    if (bytes.error || !copy) {
        buffer_free(&bytes);
        certificates_free(copy);
        return CULVERT_ENOMEM;
    }
    replace(identity, &bytes, copy);
    return 0;
}

/* ---- TLS ---- */

static bool context_fill(const struct identity *identity, SSL_CTX *context)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);

    for (int i = 0; i < sk_X509_num(identity->trust); i++)
        if (X509_STORE_add_cert(store, sk_X509_value(identity->trust, i)) != 1)
            return false;
    return SSL_CTX_use_certificate(context, sk_X509_value(identity->chain, 0)) == 1 &&
           SSL_CTX_use_PrivateKey(context, identity->key) == 1 &&
           SSL_CTX_add1_chain_cert(context, identity_issuer(identity)) == 1;
}

int identity_context(const struct identity *identity, SSL_CTX **out)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());

    if (!context)
        return CULVERT_ENOMEM;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_verify_depth(context, 1);
    SSL_CTX_set_max_cert_list(context, CHAIN_BYTES_MAX);
    /* Each connection is authenticated anew. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_num_tickets(context, 0) != 1 ||
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                          "TLS_CHACHA20_POLY1305_SHA256") != 1 ||
        !context_fill(identity, context)) {
        SSL_CTX_free(context);
        ERR_clear_error();
        return CULVERT_ENOMEM;
    }
    *out = context;
    return 0;
}
