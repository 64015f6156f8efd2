/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/identity/pin.h"

#include <string.h>

int pin_verify(X509_STORE_CTX *store, const uint8_t fingerprint[CERTIFICATE_FINGERPRINT],
               struct node_name *name)
{
    STACK_OF(X509) *shown = X509_STORE_CTX_get0_untrusted(store), *pinned = sk_X509_new_null();
    uint8_t digest[CERTIFICATE_FINGERPRINT];
    int verified = 0;

    for (int i = 0; pinned && i < sk_X509_num(shown); i++) {
        X509 *one = sk_X509_value(shown, i);

        if (!certificate_fingerprint(one, digest) && !memcmp(digest, fingerprint, sizeof(digest)) &&
            !sk_X509_push(pinned, one))
            break;
    }
    if (sk_X509_num(pinned) > 0) {
        X509_STORE_CTX_set0_trusted_stack(store, pinned);
        verified = X509_verify_cert(store);
    } else {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
    }
    if (verified == 1 && certificate_name(X509_STORE_CTX_get0_cert(store), name)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        verified = 0;
    }
    X509_STORE_CTX_set0_trusted_stack(store, NULL);
    sk_X509_free(pinned);
    return verified == 1;
}
