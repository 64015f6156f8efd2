/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/internal.h"

/* RFC 7301. Who offers both is no gRPC client: it gets http/1.1, which the gateway speaks. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *length,
                           const unsigned char *offered, unsigned offered_length, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1\x02h2";
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, length, ours, sizeof(ours) - 1, offered, offered_length) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int context_fail(SSL_CTX *context, const char *file, char *problem, size_t size)
{
    char reason[160];

    ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
    snprintf(problem, size, "%s: %s", file, reason);
    ERR_clear_error();
    SSL_CTX_free(context);
    return CULVERT_EIO;
}

int etcd_tls_context(SSL_CTX **out, const char *certificate, const char *key, const char *ca,
                     char *problem, size_t size)
{
    static const unsigned char id[] = "culvert-etcd";
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (!context)
        return CULVERT_ENOMEM;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_id_context(context, id, sizeof(id) - 1);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return context_fail(context, certificate, problem, size);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return context_fail(context, key, problem, size);
    if (ca && SSL_CTX_load_verify_file(context, ca) != 1)
        return context_fail(context, ca, problem, size);
    if (ca)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    *out = context;
    return 0;
}

void etcd_tls_user(struct tls_stream *tls, char *user, size_t size)
{
    X509 *certificate = SSL_get0_peer_certificate(tls_stream_ssl(tls));
    int length = -1;

    if (certificate)
        length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, user,
                                           (int)size);
    if (length < 0 || (size_t)length != strlen(user))
        user[0] = 0;
}
