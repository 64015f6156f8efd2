/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a node is: its site, its id, its key and certificate, the CAs it believes, and the means to
 * sign for others (docs/decisions/0009-certificates.md). Kept in one folder:
 *
 *   node.pem    the node's key, its certificate and the CA's that signed it
 *   trust.pem   the CAs whose certificates are believed, at most CERTIFICATE_LIST_MAX
 *   site.key    the site's key, which unseals the CA's key
 *   ca.sealed   the CA's key and certificate, sealed
 *
 * all 0600 and replaced atomically. Times are seconds since 1970.
 */
#ifndef CULVERT_IDENTITY_IDENTITY_H
#define CULVERT_IDENTITY_IDENTITY_H

#include <openssl/ssl.h>

#include "controlplane/identity/authority.h"

struct identity {
    struct node_name name;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* the node's certificate, then its CA's */
    STACK_OF(X509) * trust;
    uint8_t site_key[SITE_KEY_BYTES];
    struct buffer sealed; /* the CA that signs now */
};

/* A new site whose first node is `node`, in memory. CULVERT_ENOMEM, CULVERT_ESYSTEM. */
int identity_found(struct identity **out, uint64_t node, int64_t now);
/* Reads the folder. CULVERT_ENOTFOUND: there is no node.pem; CULVERT_ECORRUPT with the file's name
 * and what is wrong in `problem`; other errors of file_read(). */
int identity_load(struct identity **out, int folder, char *problem, size_t size);
/* Writes all four files; node.pem last, so that a crash leaves no node without the rest, and what
 * is trusted before what signs. */
int identity_save(const struct identity *identity, int folder);
void identity_free(struct identity *identity); /* NULL is allowed */

/* Checks that the parts fit each other, and fills in the name from the certificate.
 * CULVERT_ECORRUPT: they don't. */
int identity_check(struct identity *identity);

/* Signs a certificate of this site for a key. The chain is the caller's to certificates_free().
 * CULVERT_ECORRUPT: the sealed CA can't be opened, or is not trusted. */
int identity_issue(const struct identity *identity, uint64_t node, EVP_PKEY *key, int64_t now,
                   STACK_OF(X509) * *chain);

/* When the certificate should be replaced: two thirds of its life, or half an hour before it ends
 * whichever comes first. */
int64_t identity_renew_at(const struct identity *identity);
/* A new key and certificate, signed by the site's CA; to be saved, then given to the transport. On
 * an error nothing has changed. */
int identity_renew(struct identity *identity, int64_t now);

/* Signs with another CA from now on, and believes these. The trust is copied.
 * CULVERT_ECORRUPT: the sealed CA can't be opened or is not trusted; CULVERT_EBUSY: this node's own
 * certificate would not be trusted any more: renew first. */
int identity_adopt(struct identity *identity, const void *sealed, size_t length,
                   const STACK_OF(X509) * trust);
/* The CA that signed this node's certificate; lives as long as the chain. */
X509 *identity_issuer(const struct identity *identity);

/* TLS 1.3 for both roles, mutual, with this identity and none other, nothing resumed. The
 * caller's to SSL_CTX_free(); later changes of the identity don't reach it. */
int identity_context(const struct identity *identity, SSL_CTX **out);
/* What joining nodes pin: the fingerprint of the CA that signed this node. */
int identity_fingerprint(const struct identity *identity, uint8_t out[CERTIFICATE_FINGERPRINT]);

#endif
