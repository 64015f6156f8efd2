/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/digest.h"

#include <openssl/evp.h>
#include <string.h>

#include "controlplane/base/error.h"

static void digest_print(const uint8_t digest[DIGEST_BYTES], char text[DIGEST_TEXT])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[DIGEST_TEXT - 1] = 0;
}

int digest_sha256(const void *data, size_t length, uint8_t digest[DIGEST_BYTES])
{
    return EVP_Digest(length ? data : "", length, digest, NULL, EVP_sha256(), NULL)
               ? 0
               : CULVERT_ENOMEM;
}

int digest_text(const void *data, size_t length, char text[DIGEST_TEXT])
{
    uint8_t digest[DIGEST_BYTES];
    int error = digest_sha256(data, length, digest);

    if (!error)
        digest_print(digest, text);
    return error;
}

bool digest_valid(const char *text)
{
    return strspn(text, "0123456789abcdef") == DIGEST_TEXT - 1 && !text[DIGEST_TEXT - 1];
}

/* struct digest is OpenSSL's context under our name. */
struct digest *digest_new(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context && !EVP_DigestInit_ex(context, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    return (struct digest *)context;
}

int digest_add(struct digest *digest, const void *data, size_t length)
{
    return EVP_DigestUpdate((EVP_MD_CTX *)digest, data, length) ? 0 : CULVERT_ENOMEM;
}

int digest_end(struct digest *digest, char text[DIGEST_TEXT])
{
    uint8_t bytes[DIGEST_BYTES];
    int ok = EVP_DigestFinal_ex((EVP_MD_CTX *)digest, bytes, NULL);

    if (ok)
        digest_print(bytes, text);
    digest_free(digest);
    return ok ? 0 : CULVERT_ENOMEM;
}

void digest_free(struct digest *digest)
{
    EVP_MD_CTX_free((EVP_MD_CTX *)digest);
}
