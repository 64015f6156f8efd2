/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.509 as a site uses it (RFC 5280): ECDSA keys on P-256, a node's certificate for both roles of
 * TLS, and who it is for in a URI of its subject's alternative names: culvert://SITE/NODE. Times
 * are seconds since 1970.
 */
#ifndef CULVERT_IDENTITY_CERTIFICATE_H
#define CULVERT_IDENTITY_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/buffer.h"

#define SITE_ID_BYTES 16
#define SITE_ID_TEXT (2 * SITE_ID_BYTES + 1) /* lower-case hexadecimal digits, with the NUL */
#define CERTIFICATE_FINGERPRINT 32           /* bytes: SHA-256 of the DER form */
#define CERTIFICATE_DER_MAX 4096u            /* bytes of one certificate or request */
#define CERTIFICATE_LIST_MAX 8               /* certificates of one chain or trust bundle */

struct node_name {
    char site[SITE_ID_TEXT];
    uint64_t node; /* not 0 */
};

/* What a certificate is to say. */
struct certificate_spec {
    const struct node_name *name; /* NULL: it is a CA's */
    const char *common_name;
    EVP_PKEY *key;      /* the subject's */
    const X509 *issuer; /* NULL: signed by itself */
    EVP_PKEY *issuer_key;
    int64_t from, until;
};

/* A new random site id. CULVERT_ESYSTEM: no randomness. */
int site_id_make(char site[SITE_ID_TEXT]);
bool site_id_valid(const char *site);

/* A new key, the caller's to EVP_PKEY_free(). CULVERT_ENOMEM. */
int certificate_key_make(EVP_PKEY **out);
/* It is a key of the one kind that is used here. */
bool certificate_key_valid(const EVP_PKEY *key);

/* Makes and signs a certificate, the caller's to X509_free(). CULVERT_ENOMEM, CULVERT_EINVAL. */
int certificate_make(const struct certificate_spec *spec, X509 **out);

/* Who a node's certificate is for. CULVERT_EPROTO: it has not exactly one such name. */
int certificate_name(const X509 *certificate, struct node_name *out);
/* CULVERT_ENOMEM. */
int certificate_fingerprint(const X509 *certificate, uint8_t out[CERTIFICATE_FINGERPRINT]);
/* When it ends and how long it is valid in all. CULVERT_EPROTO: not a time. */
int certificate_times(const X509 *certificate, int64_t *from, int64_t *until);

/* A certificate request (RFC 2986): only the key in it means something. The bytes are appended. */
int certificate_request_write(EVP_PKEY *key, struct buffer *out);
/* The key of a request whose signature is right, the caller's. CULVERT_EPROTO. */
int certificate_request_read(const uint8_t *der, size_t length, EVP_PKEY **key);

/* A list of certificates as bytes: a count, and each behind its length. */
int certificates_encode(const STACK_OF(X509) * list, struct buffer *out);
struct bytes;
/* CULVERT_EPROTO, CULVERT_ENOMEM. Free with certificates_free(). */
int certificates_decode(struct bytes *bytes, STACK_OF(X509) * *out);
/* As PEM (RFC 7468). */
int certificates_write(const STACK_OF(X509) * list, struct buffer *out);
int certificates_read(const char *pem, size_t length, STACK_OF(X509) * *out);
/* A list of its own of the same certificates; NULL: out of memory. */
STACK_OF(X509) * certificates_copy(const STACK_OF(X509) * list);
bool certificates_have(const STACK_OF(X509) * list, const X509 *certificate);
void certificates_free(STACK_OF(X509) * list); /* NULL is allowed */

#endif
