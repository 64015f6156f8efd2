/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Join tokens: what `culvert node token` prints and a new node is given. The text names the site,
 * pins its CA and carries a secret; the site keeps only the secret's digest. Times are seconds
 * since 1970.
 */
#ifndef CULVERT_IDENTITY_TOKEN_H
#define CULVERT_IDENTITY_TOKEN_H

#include "controlplane/identity/identity.h"

#define TOKEN_SECRET 16 /* bytes */
#define TOKEN_DIGEST 32
#define TOKEN_TEXT 128              /* room for the text, with the NUL */
#define TOKEN_LIFE_MAX (90 * 86400) /* seconds */

struct token {
    uint64_t id;
    char site[SITE_ID_TEXT];
    uint8_t fingerprint[CERTIFICATE_FINGERPRINT]; /* of the CA that the site shows */
    uint8_t secret[TOKEN_SECRET];
    int64_t expires;
    bool multiple; /* may be used by more than one node */
};

/* What the site keeps of a token, replicated. */
struct token_record {
    uint64_t id;
    uint8_t digest[TOKEN_DIGEST]; /* SHA-256 of the secret */
    int64_t expires;
    bool multiple, used;
    uint8_t user[TOKEN_DIGEST]; /* the key that used it last */
    uint64_t node;              /* and the node id that it was given */
};

/* Makes a token that is good for `life` seconds, its text and its record. CULVERT_EINVAL: no such
 * life; CULVERT_ESYSTEM: no randomness; CULVERT_ENOMEM. */
int token_make(const struct identity *identity, int64_t now, int64_t life, bool multiple,
               char text[TOKEN_TEXT], struct token_record *record);
/* CULVERT_EINVAL: not a token, or mistyped. */
int token_parse(const char *text, struct token *out);

/* Whether a node with the key `user` (a digest of it) may join by the secret. CULVERT_EACCES: it is
 * not the token's secret; CULVERT_ETIMEOUT: the token has expired; CULVERT_EEXIST: another node
 * used it. `*again`: this very node did already, and is to get `record->node` once more: the answer
 * was lost. */
int token_verify(const struct token_record *record, uint64_t id, const uint8_t secret[TOKEN_SECRET],
                 const uint8_t user[TOKEN_DIGEST], int64_t now, bool *again);
/* Notes who has used it. */
void token_use(struct token_record *record, const uint8_t user[TOKEN_DIGEST], uint64_t node);

/* The record as bytes for the store. Reading: CULVERT_ECORRUPT. */
void token_record_write(const struct token_record *record, struct buffer *out);
int token_record_read(const void *data, size_t length, struct token_record *out);

#endif
