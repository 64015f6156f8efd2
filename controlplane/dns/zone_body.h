/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a node's entry together: directory and answers. */
#ifndef CULVERT_DNS_ZONE_BODY_H
#define CULVERT_DNS_ZONE_BODY_H

#include "controlplane/dns/zone_answer.h"

#define BODY_BYTES_MAX (65535u * 8u) /* what 16-bit offsets in units of 8 bytes reach */

struct body {
    uint8_t *data;                             /* BODY_BYTES_MAX + one answer of room */
    size_t length;                             /* of the answers behind BODY_ANSWERS_AT */
    struct fp_dns_type type[FP_DNS_TYPES_MAX]; /* offsets count from the first answer, plus 1 */
    unsigned ntypes;
    uint16_t other; /* the same; 0: NODATA */
    struct answer answer;
    bool full;
};

/* Memory for one body at a time. Returns NULL: out of memory. */
struct body *body_new(void);
void body_free(struct body *body);

/* Builds the entry of a node. Returns its length, with `*data` valid until the next call, or 0 when
 * it does not fit. */
size_t body_build(struct body *body, const struct zone *zone, const struct node *node,
                  const uint8_t **data);
/* The entry of a child zone's apex as the parent sees it: its DS. */
size_t body_build_parent(struct body *body, const struct zone *zone, const struct node *node,
                         const uint8_t **data);

#endif
