/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A site's CA and how it is exchanged for another one, as all nodes know it
 * (docs/decisions/0009-certificates.md). Times are seconds since 1970.
 *
 *   SPREAD   a new CA is believed beside the old one, which still signs, until every node has it
 *   RENEW    the new one signs, until every node has a certificate of it
 *   DONE     only the new one is believed
 */
#ifndef CULVERT_IDENTITY_ROLLOVER_H
#define CULVERT_IDENTITY_ROLLOVER_H

#include "controlplane/identity/identity.h"

#define ROLLOVER_BYTES_MAX ((size_t)64 << 10) /* of a record */

enum rollover_step { ROLLOVER_DONE, ROLLOVER_SPREAD, ROLLOVER_RENEW };

struct rollover {
    char site[SITE_ID_TEXT];
    enum rollover_step step;
    bool forced;            /* nodes that are not there are not waited for */
    struct buffer sealed;   /* the CA that signs now */
    struct buffer next;     /* SPREAD: that will sign */
    STACK_OF(X509) * trust; /* the newest last */
};

/* A new CA for the site of an identity, at SPREAD; rollover_free() in any case. CULVERT_EFULL:
 * CERTIFICATE_LIST_MAX are believed already; CULVERT_ENOMEM. */
int rollover_begin(const struct identity *identity, int64_t now, struct rollover *out);
/* The next step; at DONE nothing. */
void rollover_advance(struct rollover *rollover);
void rollover_free(struct rollover *rollover); /* and zeroes it */

/* As bytes for the store. CULVERT_ENOMEM. Reading: CULVERT_ECORRUPT; then rollover_free(). */
int rollover_write(const struct rollover *rollover, struct buffer *out);
int rollover_read(const void *data, size_t length, struct rollover *out);

/* How far an identity has followed. */
enum rollover_state {
    ROLLOVER_FOLLOWS,  /* all is as the record says */
    ROLLOVER_ADOPT,    /* other CAs are to be believed, or another signs */
    ROLLOVER_REPLACED, /* the certificate is of a CA that doesn't sign any more */
};
/* CULVERT_ECORRUPT: the CA of the record can't be opened, or is not among those it believes. */
int rollover_look(const struct rollover *rollover, const struct identity *identity,
                  enum rollover_state *state);
/* Makes an identity what the record says, saving it in its folder so that a crash at any point
 * leaves one that is whole: what is to be believed comes before what is shown, and that before an
 * old CA goes. Errors as above, of identity_renew() and identity_save(): to be called again. */
int rollover_follow(const struct rollover *rollover, struct identity *identity, int folder,
                    int64_t now);

/* The fingerprint of the CA that nodes are to have certificates of in the end. */
int rollover_fingerprint(const struct rollover *rollover, uint8_t out[CERTIFICATE_FINGERPRINT]);

#endif
