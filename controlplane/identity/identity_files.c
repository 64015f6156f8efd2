/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of an identity. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/identity/identity.h"

#define PEM_MAX ((size_t)64 << 10) /* bytes */

static int write_node(const struct identity *identity, int folder)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct buffer text = {.bound = PEM_MAX};
    int error = CULVERT_ENOMEM;
    char *data;

    if (bio && PEM_write_bio_PrivateKey(bio, identity->key, NULL, NULL, 0, NULL, NULL) == 1) {
        long length = BIO_get_mem_data(bio, &data);

        buffer_add(&text, data, (size_t)length);
        OPENSSL_cleanse(data, (size_t)length);
        error = certificates_write(identity->chain, &text);
    }
    if (!error)
        error = file_write_secret(folder, "node.pem", text.data, text.length);
    if (text.data)
        OPENSSL_cleanse(text.data, text.length);
    buffer_free(&text);
    BIO_free(bio);
    return error;
}

static int write_trust(const struct identity *identity, int folder)
{
    struct buffer text = {.bound = PEM_MAX};
    int error = certificates_write(identity->trust, &text);

    if (!error)
        error = file_write_secret(folder, "trust.pem", text.data, text.length);
    buffer_free(&text);
    return error;
}

int identity_save(const struct identity *identity, int folder)
{
    int error = file_write_secret(folder, "site.key", identity->site_key, SITE_KEY_BYTES);

    if (!error)
        error = write_trust(identity, folder);
    if (!error)
        error =
            file_write_secret(folder, "ca.sealed", identity->sealed.data, identity->sealed.length);
    return error ? error : write_node(identity, folder);
}

/* Overwrites the secret bytes of a file and frees them. */
static void forget(char *data, size_t length)
{
    if (data)
        OPENSSL_cleanse(data, length);
    free(data);
}

static int read_node(struct identity *identity, int folder)
{
    char *data = NULL;
    size_t length = 0;
    int error = file_read(folder, "node.pem", PEM_MAX, &data, &length);
    BIO *bio;

    if (error)
        return error;
    bio = BIO_new_mem_buf(data, (int)length);
    identity->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    error = identity->key && certificate_key_valid(identity->key)
                ? certificates_read(data, length, &identity->chain)
                : CULVERT_ECORRUPT;
    BIO_free(bio);
    forget(data, length);
    ERR_clear_error();
    return error;
}

static int read_trust(struct identity *identity, int folder)
{
    char *data = NULL;
    size_t length = 0;
    int error = file_read(folder, "trust.pem", PEM_MAX, &data, &length);

    if (!error)
        error = certificates_read(data, length, &identity->trust);
    free(data);
    return error;
}

static int read_site_key(struct identity *identity, int folder)
{
    char *data = NULL;
    size_t length = 0;
    int error = file_read(folder, "site.key", SITE_KEY_BYTES, &data, &length);

    if (error)
        return error == CULVERT_EFULL ? CULVERT_ECORRUPT : error;
    if (length == SITE_KEY_BYTES)
        memcpy(identity->site_key, data, SITE_KEY_BYTES);
    else
        error = CULVERT_ECORRUPT;
    forget(data, length);
    return error;
}

static int read_sealed(struct identity *identity, int folder)
{
    char *data = NULL;
    size_t length = 0;
    int error = file_read(folder, "ca.sealed", AUTHORITY_SEALED_MAX, &data, &length);

    if (error)
        return error;
    buffer_add(&identity->sealed, data, length);
    free(data);
    return identity->sealed.error;
}

int identity_load(struct identity **out, int folder, char *problem, size_t size)
{
    static const struct {
        const char *name;
        int (*read)(struct identity *identity, int folder);
    } files[] = {{"node.pem", read_node},
                 {"trust.pem", read_trust},
                 {"site.key", read_site_key},
                 {"ca.sealed", read_sealed}};
    struct identity *identity = calloc(1, sizeof(*identity));
    const char *name = "the files";
    int error = identity ? 0 : CULVERT_ENOMEM;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !error; i++) {
        error = files[i].read(identity, folder);
        if (error == CULVERT_EPROTO || (error == CULVERT_ENOTFOUND && i))
            error = CULVERT_ECORRUPT;
        if (error)
            name = files[i].name;
    }
    if (!error)
        error = identity_check(identity);
    if (error) {
        snprintf(problem, size, "%s: %s", name,
                 error == CULVERT_ECORRUPT ? "missing, damaged, or not of one node"
                                           : culvert_strerror(error));
        identity_free(identity);
        return error;
    }
    *out = identity;
    return 0;
}
