/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node that joins says and is told, and what is read from disk or the store. The first byte
 * says which: a token's text, a request, a reply, a token's record, a sealed CA, PEM,
 * an access token's text, its record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/identity/access.h"
#include "controlplane/identity/join.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key and site that the seeds were made with. */
static const uint8_t key_der[] = {
    0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20, 0xdc, 0x08, 0x90, 0xe9, 0xd3, 0x82, 0x6e, 0x1c, 0x25,
    0x59, 0x4e, 0xc8, 0x81, 0xa2, 0x03, 0x9d, 0x0e, 0xd0, 0xd1, 0x2a, 0x7d, 0xe8, 0xec, 0xdf, 0x8e,
    0xe9, 0x7f, 0x6b, 0x54, 0xfa, 0x48, 0x57, 0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x03, 0x01, 0x07, 0xa1, 0x44, 0x03, 0x42, 0x00, 0x04, 0x55, 0x61, 0x97, 0xe0, 0x42, 0xdc, 0x51,
    0x1e, 0x39, 0xe6, 0x89, 0x6f, 0xd7, 0x57, 0x28, 0x56, 0x7a, 0x14, 0x8f, 0x47, 0x5a, 0x2c, 0xb3,
    0xc6, 0xdb, 0x9e, 0xfe, 0x68, 0x28, 0x87, 0xb6, 0x15, 0xd0, 0x3b, 0x4f, 0xfa, 0x81, 0x2f, 0x59,
    0xd4, 0xbc, 0xa0, 0xff, 0x7b, 0x73, 0xc6, 0x35, 0xdd, 0x51, 0xd9, 0xd4, 0x96, 0x13, 0x31, 0x4d,
    0xac, 0x56, 0x2c, 0x17, 0xa3, 0x64, 0x36, 0x4a, 0xdf,
};
static const char site[] = "0718e195add73de4fd5d6d1c8594f443";

static void must(bool condition)
{
    if (!condition)
        abort();
}

static EVP_PKEY *get_key(void)
{
    static EVP_PKEY *key;
    const uint8_t *at = key_der;

    if (!key)
        key = d2i_AutoPrivateKey(NULL, &at, sizeof(key_der));
    must(key != NULL);
    return key;
}

static void try_token(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct token token;

    must(text != NULL);
    memcpy(text, data, size);
    text[size] = 0;
    if (!token_parse(text, &token))
        must(site_id_valid(token.site));
    free(text);
}

static void try_request(const uint8_t *data, size_t size)
{
    struct join_request request;

    if (join_request_read(data, size, &request))
        return;
    must(certificate_key_valid(request.key) && request.address.port);
    must(request.version_min && request.version_min <= request.version_max);
    join_request_free(&request);
    must(!request.key);
}

static void try_reply(const uint8_t *data, size_t size)
{
    static struct join_result result;
    int error;

    memset(&result, 0, sizeof(result));
    error = join_reply_read(data, size, get_key(), site, &result);
    must(!error == (result.identity != NULL));
    must(strlen(result.text) < sizeof(result.text) && result.count <= JOIN_MEMBERS_MAX);
    if (!error)
        must(!strcmp(result.identity->name.site, site) && !result.status);
    identity_free(result.identity);
}

static void try_record(const uint8_t *data, size_t size)
{
    struct token_record record;
    struct buffer out = {0};

    if (token_record_read(data, size, &record))
        return;
    token_record_write(&record, &out);
    must(out.length == size && !memcmp(out.data, data, size));
    buffer_free(&out);
}

static void try_sealed(const uint8_t *data, size_t size)
{
    static const uint8_t site_key[SITE_KEY_BYTES] = {1};
    struct authority *authority;

    must(authority_unseal(&authority, site, site_key, data, size) == CULVERT_ECORRUPT);
}

static void try_pem(const uint8_t *data, size_t size)
{
    STACK_OF(X509) * list;
    struct node_name name;

    if (certificates_read((const char *)data, size, &list))
        return;
    must(sk_X509_num(list) > 0 && sk_X509_num(list) <= CERTIFICATE_LIST_MAX);
    for (int i = 0; i < sk_X509_num(list); i++)
        if (!certificate_name(sk_X509_value(list, i), &name))
            must(site_id_valid(name.site) && name.node);
    certificates_free(list);
}

static void try_access(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), head[64];
    struct access_token token;

    must(text != NULL);
    memcpy(text, data, size);
    text[size] = 0;
    if (!access_parse(text, &token)) {
        snprintf(head, sizeof(head), ACCESS_PREFIX "%016llx.", (unsigned long long)token.id);
        must(strlen(text) < ACCESS_TEXT && !strncmp(text, head, strlen(head)));
    }
    free(text);
}

static void try_access_record(const uint8_t *data, size_t size)
{
    struct access_record record;
    struct buffer out = {0};

    if (access_record_read(data, size, &record))
        return;
    must(record.role != ACCESS_NONE && access_name_valid(record.name));
    access_record_write(&record, &out);
    must(out.length == size && !memcmp(out.data, data, size));
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const uint8_t *data, size_t size) = {
        try_token,  try_request, try_reply,  try_record,
        try_sealed, try_pem,     try_access, try_access_record};

    if (!size || data[0] >= sizeof(tries) / sizeof(tries[0]))
        return 0;
    tries[data[0]](data + 1, size - 1);
    return 0;
}
