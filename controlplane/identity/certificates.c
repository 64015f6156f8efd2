/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of certificates: chains and trust bundles, as bytes and as PEM. */
#include <openssl/err.h>
#include <openssl/pem.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/error.h"
#include "controlplane/identity/certificate.h"

void certificates_free(STACK_OF(X509) * list)
{
    sk_X509_pop_free(list, X509_free);
}

STACK_OF(X509) * certificates_copy(const STACK_OF(X509) * list)
{
    return X509_chain_up_ref((STACK_OF(X509) *)list);
}

bool certificates_have(const STACK_OF(X509) * list, const X509 *certificate)
{
    for (int i = 0; i < sk_X509_num(list); i++)
        if (!X509_cmp(sk_X509_value(list, i), certificate))
            return true;
    return false;
}

int certificates_encode(const STACK_OF(X509) * list, struct buffer *out)
{
    bytes_put_number(out, (uint64_t)sk_X509_num(list), 1);
    for (int i = 0; i < sk_X509_num(list); i++) {
        uint8_t *der = NULL;
        int length = i2d_X509(sk_X509_value(list, i), &der);

        if (length < 0)
            return CULVERT_ENOMEM;
        bytes_put_counted(out, der, (size_t)length);
        OPENSSL_free(der);
    }
    return out->error;
}

/* Adds a certificate, which is the list's then; NULL is what could not be read. */
static int list_add(STACK_OF(X509) * list, X509 *certificate)
{
    if (!certificate || sk_X509_num(list) >= CERTIFICATE_LIST_MAX) {
        X509_free(certificate);
        return CULVERT_EPROTO;
    }
    if (!sk_X509_push(list, certificate)) {
        X509_free(certificate);
        return CULVERT_ENOMEM;
    }
    return 0;
}

int certificates_decode(struct bytes *bytes, STACK_OF(X509) * *out)
{
    STACK_OF(X509) *list = sk_X509_new_null();
    size_t count = bytes_take_number(bytes, 1);
    int error = list ? 0 : CULVERT_ENOMEM;

    for (size_t i = 0; i < count && !error; i++) {
        struct bytes one = bytes_take_counted(bytes, CERTIFICATE_DER_MAX);
        const uint8_t *at = one.at;

        if (!one.left)
            error = CULVERT_EPROTO;
        else
            error = list_add(list, d2i_X509(NULL, &at, (long)one.left));
        if (!error && at != one.at + one.left)
            error = CULVERT_EPROTO;
    }
    if (!error && (bytes->bad || !count))
        error = CULVERT_EPROTO;
    if (error)
        certificates_free(list);
    else
        *out = list;
    ERR_clear_error();
    return error;
}

int certificates_write(const STACK_OF(X509) * list, struct buffer *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int error = bio ? 0 : CULVERT_ENOMEM;
    char *text;
    long length;

    for (int i = 0; !error && i < sk_X509_num(list); i++)
        if (PEM_write_bio_X509(bio, sk_X509_value(list, i)) != 1)
            error = CULVERT_ENOMEM;
    if (!error) {
        length = BIO_get_mem_data(bio, &text);
        buffer_add(out, text, (size_t)length);
        error = out->error;
    }
    BIO_free(bio);
    return error;
}

int certificates_read(const char *pem, size_t length, STACK_OF(X509) * *out)
{
    STACK_OF(X509) *list = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    int error = list && bio ? 0 : CULVERT_ENOMEM;
    X509 *certificate;

    while (!error && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        error = list_add(list, certificate);
    if (!error &&
        (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE || !sk_X509_num(list)))
        error = CULVERT_EPROTO;
    ERR_clear_error();
    BIO_free(bio);
    if (error)
        certificates_free(list);
    else
        *out = list;
    return error;
}
