/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/identity/token_text.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "controlplane/base/digest.h"
#include "controlplane/base/error.h"

#define BYTES_MAX (TOKEN_BODY_MAX + 4u)

static void swap(char *text, char from, char to)
{
    for (; *text; text++)
        if (*text == from)
            *text = to;
}

int token_text_write(const uint8_t *data, size_t body, char *text)
{
    uint8_t bytes[BYTES_MAX], digest[DIGEST_BYTES];
    int error = digest_sha256(data, body, digest);

    if (error)
        return error;
    memcpy(bytes, data, body);
    memcpy(bytes + body, digest, TOKEN_CHECK(body));
    EVP_EncodeBlock((unsigned char *)text, bytes, (int)(body + TOKEN_CHECK(body)));
    swap(text, '+', '-');
    swap(text, '/', '_');
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return 0;
}

bool token_text_read(const char *text, uint8_t *data, size_t body)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char copy[TOKEN_ENCODED(TOKEN_BODY_MAX) + 1];
    uint8_t bytes[BYTES_MAX], digest[DIGEST_BYTES];
    size_t length = TOKEN_ENCODED(body), all = body + TOKEN_CHECK(body);
    bool good;

    if (strnlen(text, length + 1) != length || strspn(text, alphabet) != length)
        return false;
    memcpy(copy, text, length + 1);
    swap(copy, '-', '+');
    swap(copy, '_', '/');
    good = EVP_DecodeBlock(bytes, (const unsigned char *)copy, (int)length) == (int)all &&
           !digest_sha256(bytes, body, digest) && !memcmp(digest, bytes + body, TOKEN_CHECK(body));
    if (good)
        memcpy(data, bytes, body);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    OPENSSL_cleanse(copy, sizeof(copy));
    return good;
}
