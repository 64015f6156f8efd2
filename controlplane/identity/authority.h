/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A site's certificate authority: its key, its own certificate, and what it signs. Outside memory
 * it exists only sealed: encrypted (AES-256-GCM, NIST SP 800-38D) with the site's key, which is on
 * the disk of every node and nowhere else. Times are seconds since 1970.
 */
#ifndef CULVERT_IDENTITY_AUTHORITY_H
#define CULVERT_IDENTITY_AUTHORITY_H

#include "controlplane/identity/certificate.h"

#define SITE_KEY_BYTES 32
#define AUTHORITY_SEALED_MAX 8192u /* bytes */
#define AUTHORITY_YEARS 10
#define AUTHORITY_NODE_DAYS 90   /* how long a node's certificate is valid */
#define AUTHORITY_BACKDATE 86400 /* seconds that other nodes' clocks may be behind */

struct authority;

/* Makes a new key and certificate, the caller's to authority_free(). CULVERT_ENOMEM. */
int authority_make(struct authority **out, const char *site, int64_t now);
void authority_free(struct authority *authority); /* NULL is allowed */

/* Lives as long as the authority. */
X509 *authority_certificate(const struct authority *authority);

/* Signs a certificate for a node's key, valid for AUTHORITY_NODE_DAYS and never longer than the
 * authority's own. The caller's to X509_free(). CULVERT_EINVAL, CULVERT_ENOMEM. */
int authority_issue(const struct authority *authority, const struct node_name *name, EVP_PKEY *key,
                    int64_t now, X509 **out);

/* Appends the sealed form, at most AUTHORITY_SEALED_MAX bytes. CULVERT_ENOMEM. */
int authority_seal(const struct authority *authority, const char *site,
                   const uint8_t key[SITE_KEY_BYTES], struct buffer *out);
/* CULVERT_ECORRUPT: it was changed, or is of another site or key. CULVERT_ENOMEM. */
int authority_unseal(struct authority **out, const char *site, const uint8_t key[SITE_KEY_BYTES],
                     const void *sealed, size_t length);

#endif
