/* SPDX-License-Identifier: Apache-2.0 */
/* A client that knows a site by the fingerprint of its CA. */
#ifndef CULVERT_IDENTITY_PIN_H
#define CULVERT_IDENTITY_PIN_H

#include <openssl/ssl.h>

#include "controlplane/identity/certificate.h"

/* For SSL_CTX_set_cert_verify_callback(): whether the chain that is shown ends in the CA of that
 * fingerprint, and is a node's, whose name goes to *name. 1, or 0 with the context's error set. */
int pin_verify(X509_STORE_CTX *store, const uint8_t fingerprint[CERTIFICATE_FINGERPRINT],
               struct node_name *name);

#endif
