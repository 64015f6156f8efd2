/* SPDX-License-Identifier: Apache-2.0 */
/* Builds one answer's wire bytes (fastpath/dns_layout.h): records, compression, fix-ups. */
#ifndef CULVERT_DNS_ZONE_ANSWER_H
#define CULVERT_DNS_ZONE_ANSWER_H

#include "controlplane/dns/zone_internal.h"

#define ANSWER_NAMES_MAX 128 /* names that later ones may point to */

/* What the answer will be used for, which decides which pointers move (dns_layout.h). */
enum answer_use {
    ANSWER_EXACT,    /* only for the name itself */
    ANSWER_WILDCARD, /* for names that the wildcard stands for: the owner is the question */
    ANSWER_BELOW,    /* for the name and all below: it is a suffix of the question */
};

enum answer_section { SECTION_ANSWER, SECTION_AUTHORITY, SECTION_CORE_ADDITIONAL, SECTION_EXTRA };

struct answer {
    const struct zone *zone;
    struct name question;
    enum answer_use use;
    uint8_t *bytes; /* FP_DNS_ANSWER_MAX of room */
    uint32_t length, core;
    uint32_t count[4];
    uint16_t fixup[FP_DNS_FIXUPS_MAX];
    unsigned fixups;
    struct {
        uint16_t offset; /* in the message */
        uint8_t length;
        const uint8_t *wire;
    } known[ANSWER_NAMES_MAX];
    unsigned known_count;
    bool full; /* something did not fit */
};

/* Starts an answer to a question for `question`. */
void answer_begin(struct answer *answer, const struct zone *zone, const struct name *question,
                  enum answer_use use);
/* Adds a record set. `owner` NULL: the question's name. Sections come in order. Returns false when
 * it does not fit: for SECTION_EXTRA nothing was added, else the answer is `full`. */
bool answer_add(struct answer *answer, enum answer_section section, const struct name *owner,
                const struct rrset *set);
bool answer_add_soa(struct answer *answer);
/* Writes struct fp_dns_answer, fix-ups and bytes to `to`; returns the bytes written, a multiple of
 * 8. `to` NULL: only says how many. */
size_t answer_end(const struct answer *answer, uint8_t flags, uint8_t reason, uint8_t *to);

#endif
