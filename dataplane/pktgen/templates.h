/* SPDX-License-Identifier: Apache-2.0 */
/* Frames to be varied, and in which order they are sent: kinds by weight, targets in turn. */
#ifndef CULVERT_PKTGEN_TEMPLATES_H
#define CULVERT_PKTGEN_TEMPLATES_H

#include "dataplane/pktgen/gateway.h"
#include "dataplane/pktgen/options.h"
#include "dataplane/pktgen/pktgen.h"

struct templates {
    struct pktgen_template *all; /* at most PKTGEN_TEMPLATES_MAX */
    uint32_t count;
    uint32_t schedule[PKTGEN_SCHEDULE_MAX]; /* template numbers */
    uint32_t schedule_length;
    uint32_t flows;
    uint32_t longest;               /* bytes of a frame, questions left out */
    uint32_t l4_farthest;           /* offset of the L4 header, the largest */
    struct pktgen_prefix source[2]; /* as the receiving program compares */
};

/* Makes them; `find` tells the ways. An error has been told on standard error. Ends with
 * templates_free(). */
int templates_make(struct templates *templates, const struct options *options, gateway_find find,
                   void *arg);
void templates_free(struct templates *templates);

/* Fills a template from a frame of the builder's: takes out what varies, and sums the rest.
 * `length` bytes of `spec`'s frame are in template->frame. For tests. */
struct fp_build_spec;
void template_open(struct pktgen_template *template, const struct fp_build_spec *spec);

#endif
