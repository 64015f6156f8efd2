/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens and passwords. A token names its user and its end and is signed with a secret that the
 * store has, so that every node knows the tokens of every other, and no node keeps any. What is
 * signed has the salt of the user's password in it: a new password makes old tokens void.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/base/error.h"
#include "controlplane/fronts/etcd/auth_internal.h"

#define TOKEN_S (24 * 3600)
#define MAC_BYTES 32u
#define HEX(bytes) (2 * (bytes) + 1)

/* scrypt (RFC 7914): 16 MiB, some 40 ms */
#define SCRYPT_N 16384
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SCRYPT_MEMORY ((uint64_t)64 << 20)

int auth_derive(const char *password, const uint8_t salt[AUTH_SALT_BYTES],
                uint8_t key[AUTH_KEY_BYTES])
{
    if (EVP_PBE_scrypt(password, strlen(password), salt, AUTH_SALT_BYTES, SCRYPT_N, SCRYPT_R,
                       SCRYPT_P, SCRYPT_MEMORY, key, AUTH_KEY_BYTES) != 1)
        return CULVERT_ENOMEM;
    return 0;
}

static void write_hex(char *to, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < length; i++) {
        to[2 * i] = digits[bytes[i] >> 4];
        to[2 * i + 1] = digits[bytes[i] & 15];
    }
    to[2 * length] = 0;
}

/* The user's name and the end in hexadecimal and decimal digits, and the signature. */
static int token_write(const struct etcd_auth *auth, const Authpb__User *user, long long end,
                       char token[ETCD_TOKEN_MAX])
{
    const Authpb__State *state = auth->state;
    char name[HEX(AUTH_NAME_MAX)], salt[HEX(AUTH_SALT_BYTES)], text[ETCD_TOKEN_MAX];
    char mac_text[HEX(MAC_BYTES)];
    uint8_t mac[MAC_BYTES];
    unsigned mac_length = 0;
    int length;

    if (user->name.len > AUTH_NAME_MAX || user->salt.len > AUTH_SALT_BYTES)
        return CULVERT_EINVAL;
    write_hex(name, user->name.data, user->name.len);
    write_hex(salt, user->salt.data, user->salt.len);
    length = snprintf(text, sizeof(text), "%s.%lld.%s", name, end, salt);
    if (!HMAC(EVP_sha256(), state->secret.data, (int)state->secret.len, (const uint8_t *)text,
              (size_t)length, mac, &mac_length) ||
        mac_length != MAC_BYTES)
        return CULVERT_ENOMEM;
    write_hex(mac_text, mac, MAC_BYTES);
    snprintf(token, ETCD_TOKEN_MAX, "%s.%lld.%s", name, end, mac_text);
    return 0;
}

int auth_token_make(const struct etcd_auth *auth, const Authpb__User *user,
                    char token[ETCD_TOKEN_MAX])
{
    return token_write(auth, user, (long long)time(NULL) + TOKEN_S, token);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The name at the beginning of a token. */
static bool token_name(const char *token, char name[AUTH_NAME_MAX + 1])
{
    size_t n = 0;

    for (; *token && *token != '.'; token += 2) {
        int high = hex_digit(token[0]), low = high < 0 ? -1 : hex_digit(token[1]);

        if (low < 0 || n == AUTH_NAME_MAX)
            return false;
        name[n++] = (char)(high << 4 | low);
    }
    name[n] = 0;
    return *token == '.';
}

Authpb__User *auth_token_user(const struct etcd_auth *auth, const char *token)
{
    char name[AUTH_NAME_MAX + 1], expected[ETCD_TOKEN_MAX], *rest;
    Authpb__User *user = token_name(token, name) ? auth_user(auth, name) : NULL;
    long long end;

    if (!user)
        return NULL;
    end = strtoll(strchr(token, '.') + 1, &rest, 10);
    if (end < (long long)time(NULL) || token_write(auth, user, end, expected))
        return NULL;
    if (strlen(expected) != strlen(token) || CRYPTO_memcmp(expected, token, strlen(token)) != 0)
        return NULL;
    return user;
}
