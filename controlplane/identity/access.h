/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access tokens: what `culvert token create` prints and a client of the API shows. The text has the
 * token's id, pins the site's CA and carries a secret; the site keeps only the secret's digest
 * (docs/decisions/0011-tokens-and-roles.md). Times are seconds since 1970.
 */
#ifndef CULVERT_IDENTITY_ACCESS_H
#define CULVERT_IDENTITY_ACCESS_H

#include "controlplane/identity/identity.h"

#define ACCESS_PREFIX "culvert-api1."
#define ACCESS_SECRET 32 /* bytes */
#define ACCESS_DIGEST 32
#define ACCESS_TEXT 128    /* room for the text, with the NUL */
#define ACCESS_NAME 64     /* room for a name, likewise */
#define ACCESS_AUTHOR 80   /* room for who made it */
#define ACCESS_RECORD 512u /* bytes of a record, at most */
#define ACCESS_LIFE_MAX ((int64_t)3650 * 86400)

/* Each may all that the one before may. */
enum access_role { ACCESS_NONE, ACCESS_READER, ACCESS_OPERATOR, ACCESS_ADMIN };
const char *access_role_name(enum access_role role); /* "none" for the first */
/* ACCESS_NONE: no such role. */
enum access_role access_role_parse(const char *name);

struct access_token {
    uint64_t id;
    uint8_t fingerprint[CERTIFICATE_FINGERPRINT]; /* of the CA that the site shows */
    uint8_t secret[ACCESS_SECRET];
};

/* What the site keeps of a token, replicated. */
struct access_record {
    uint64_t id;
    uint8_t digest[ACCESS_DIGEST]; /* SHA-256 of the secret */
    char name[ACCESS_NAME];
    enum access_role role;
    int64_t created, expires; /* the second 0: never */
    char author[ACCESS_AUTHOR];
};

/* 1 to 63 letters, digits, "-", "_", "." or "@". */
bool access_name_valid(const char *name);

/* Makes a token for a record that has all but id and digest, which are set, and its text.
 * CULVERT_EINVAL: the name, the role or the times are none; CULVERT_ESYSTEM: no randomness;
 * CULVERT_ENOMEM. */
int access_make(const struct identity *identity, struct access_record *record,
                char text[ACCESS_TEXT]);
/* CULVERT_EINVAL: not a token, or mistyped. */
int access_parse(const char *text, struct access_token *out);
/* Whether a token is the record's now. CULVERT_EACCES: it isn't; CULVERT_ETIMEOUT: it has expired.
 * Takes as long whatever the secret. */
int access_verify(const struct access_record *record, const struct access_token *token,
                  int64_t now);

/* The record as bytes for the store. Reading: CULVERT_ECORRUPT. */
void access_record_write(const struct access_record *record, struct buffer *out);
int access_record_read(const void *data, size_t length, struct access_record *out);

#endif
