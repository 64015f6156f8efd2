/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/system/manifest.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

#include "controlplane/base/error.h"

#define FORMAT 1
#define CERTIFICATES_MAX 16

/* ---- versions ---- */

/* Skips a group of numbers with dots between them. */
static const char *skip_numbers(const char *at)
{
    for (;;) {
        size_t digits = strspn(at, "0123456789");

        if (!digits)
            return NULL;
        at += digits;
        if (*at != '.')
            return at;
        at++;
    }
}

bool version_valid(const char *text)
{
    const char *at = strlen(text) < SYSTEM_VERSION ? skip_numbers(text) : NULL;

    if (at && *at == '-')
        at = skip_numbers(at + 1);
    return at && !*at;
}

/* The order of what may follow a number. */
static int rank(char c)
{
    return c == '.' ? 2 : c == '-' ? 1 : 0;
}

int version_compare(const char *a, const char *b)
{
    for (;;) {
        size_t m, n;
        int order;

        a += strspn(a, "0");
        b += strspn(b, "0");
        m = strspn(a, "0123456789");
        n = strspn(b, "0123456789");
        order = m == n ? memcmp(a, b, n) : m < n ? -1 : 1;
        a += m;
        b += n;
        if (!order)
            order = rank(*a) - rank(*b);
        if (order || !*a)
            return order;
        a++;
        b++;
    }
}

/* ---- the signature ---- */

static bool signed_by(X509 *certificate, const char *text, size_t length, const void *signature,
                      size_t signature_length)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good =
        key && context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestVerify(context, signature, signature_length, (const uint8_t *)text, length) == 1;

    EVP_MD_CTX_free(context);
    return good;
}

int manifest_check_signature(const char *certificates, size_t certificates_length, const char *text,
                             size_t length, const void *signature, size_t signature_length)
{
    BIO *bio = BIO_new_mem_buf(certificates, (int)certificates_length);
    int error = CULVERT_EPROTO;

    for (int i = 0; bio && i < CERTIFICATES_MAX && error; i++) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

        if (!certificate)
            break;
        error =
            signed_by(certificate, text, length, signature, signature_length) ? 0 : CULVERT_EACCES;
        X509_free(certificate);
    }
    BIO_free(bio);
    ERR_clear_error();
    return error;
}

/* ---- the manifest ---- */

const char *manifest_part_name(enum update_part_index part)
{
    static const char *const names[UPDATE_PARTS] = {"kernel", "root", "hash"};

    return names[part];
}

static int bad(char why[SYSTEM_WHY], const char *field)
{
    snprintf(why, SYSTEM_WHY, "the update's manifest is damaged: %s", field);
    return CULVERT_EPROTO;
}

static const char *text_of(yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));

    return text ? text : "";
}

static int read_part(yyjson_val *root, const char *name, struct update_part *part,
                     char why[SYSTEM_WHY])
{
    yyjson_val *object = yyjson_obj_get(root, name);
    const char *digest = text_of(object, "sha256");

    part->size = yyjson_get_uint(yyjson_obj_get(object, "size"));
    if (!part->size || !digest_valid(digest))
        return bad(why, name);
    memcpy(part->sha256, digest, DIGEST_TEXT);
    return 0;
}

static int read_root(yyjson_val *root, struct manifest *manifest, char why[SYSTEM_WHY])
{
    const char *version = text_of(root, "version"), *hash = text_of(root, "root_hash");
    const char *flavour = text_of(root, "flavour");
    int error = 0;

    if (yyjson_get_uint(yyjson_obj_get(root, "format")) != FORMAT) {
        snprintf(why, SYSTEM_WHY,
                 "the update is of a format that this version doesn't know: update to one in "
                 "between first");
        return CULVERT_EPROTO;
    }
    if (strcmp(text_of(root, "product"), "culvert") != 0) {
        snprintf(why, SYSTEM_WHY, "the update is for another product");
        return CULVERT_EPROTO;
    }
    if (!version_valid(version))
        return bad(why, "version");
    if (!digest_valid(hash))
        return bad(why, "root_hash");
    if (strlen(flavour) >= SYSTEM_FLAVOUR)
        return bad(why, "flavour");
    snprintf(manifest->flavour, SYSTEM_FLAVOUR, "%s", *flavour ? flavour : SYSTEM_FLAVOUR_DEFAULT);
    memcpy(manifest->version, version, strlen(version) + 1);
    memcpy(manifest->root_hash, hash, DIGEST_TEXT);
    for (unsigned i = 0; i < UPDATE_PARTS && !error; i++)
        error = read_part(root, manifest_part_name(i), &manifest->parts[i], why);
    return error;
}

int manifest_read(const char *text, size_t length, struct manifest *manifest, char why[SYSTEM_WHY])
{
    yyjson_doc *doc = yyjson_read(text, length, 0);
    int error;

    memset(manifest, 0, sizeof(*manifest));
    error = doc ? read_root(yyjson_doc_get_root(doc), manifest, why) : bad(why, "not JSON");
    yyjson_doc_free(doc);
    return error;
}
