/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a node joins: by a token, over TLS 1.3 on the transport's port with an ALPN name of its own.
 * The site shows a certificate of the CA that the token pins; the node shows the token's secret and
 * a certificate request. It gets its id, certificate, the site's CAs and key, and the members. One
 * request, one answer, each behind its length in 32 bits, little-endian.
 */
#ifndef CULVERT_IDENTITY_JOIN_H
#define CULVERT_IDENTITY_JOIN_H

#include "controlplane/base/units.h"
#include "controlplane/identity/token.h"

#define JOIN_ALPN "culvert-join/1"
#define JOIN_REQUEST_MAX 8192u /* bytes */
#define JOIN_REPLY_MAX 65536u
#define JOIN_MEMBERS_MAX 64u
#define JOIN_SOFTWARE_MAX 64u /* bytes, with the NUL */
#define JOIN_TEXT_MAX 256u

struct join_request {
    uint64_t token;
    uint8_t secret[TOKEN_SECRET];
    uint16_t version_min, version_max; /* of the transport's protocol */
    char software[JOIN_SOFTWARE_MAX];
    struct endpoint address;    /* where the node will listen */
    EVP_PKEY *key;              /* of the certificate request; the request's */
    uint8_t user[TOKEN_DIGEST]; /* a digest of the key */
};

struct join_member {
    uint64_t node;
    uint8_t role; /* the caller's */
    struct endpoint address;
};

struct join_result {
    struct identity *identity; /* the caller's to identity_free() */
    struct join_member members[JOIN_MEMBERS_MAX];
    size_t count;
    int status;               /* what the site said: 0, or an error of the table */
    char text[JOIN_TEXT_MAX]; /* for the operator, when it failed */
};

/* What a joining node is and wants. */
struct join_options {
    const struct token *token;
    EVP_PKEY *key; /* kept over tries, so that a lost answer is given again */
    const char *software;
    uint16_t version_min, version_max;
    struct endpoint address; /* where it will listen */
    unsigned timeout_ms;     /* 0: 20 s */
};

/* Asks the site at `at` to join; blocks. CULVERT_EIO, CULVERT_ETIMEOUT: it can't be reached;
 * CULVERT_EACCES: not the site of the token, or it said no (`out->status` is set); CULVERT_EPROTO:
 * not understood. `out->text` says more. */
int join_run(const struct endpoint *at, const struct join_options *options,
             struct join_result *out);

/* ---- the messages, without their length ---- */

/* CULVERT_ENOMEM. */
int join_request_write(const struct join_options *options, struct buffer *out);
/* CULVERT_EPROTO. Then join_request_free(). */
int join_request_read(const uint8_t *data, size_t length, struct join_request *out);
void join_request_free(struct join_request *request);

/* An answer that says no; `status` is of the error table. */
void join_reply_deny(int status, struct buffer *out);
/* An answer that says yes: signs a certificate. CULVERT_ECORRUPT: the CA can't be used;
 * CULVERT_EFULL: more than JOIN_MEMBERS_MAX members; CULVERT_ENOMEM. */
int join_reply_grant(const struct identity *identity, uint64_t node, EVP_PKEY *key, int64_t now,
                     const struct join_member *members, size_t count, struct buffer *out);
/* Makes an identity of an answer and the key that was asked with. CULVERT_EACCES: it says no, and
 * out->status why; CULVERT_EPROTO; CULVERT_ENOMEM. */
int join_reply_read(const uint8_t *data, size_t length, EVP_PKEY *key, const char *site,
                    struct join_result *out);

#endif
