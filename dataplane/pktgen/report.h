/* SPDX-License-Identifier: Apache-2.0 */
/* What is printed: a line a second while it runs, and at the end a summary or JSON. */
#ifndef CULVERT_PKTGEN_REPORT_H
#define CULVERT_PKTGEN_REPORT_H

#include <stdio.h>

#include "controlplane/base/buffer.h"
#include "dataplane/pktgen/engine.h"

struct report {
    const struct options *options;
    struct engine *engine;
    struct engine_sums last; /* of the line before */
    unsigned lines;
};

/* A line about what happened since the one before. */
void report_line(struct report *report, const struct engine_sums *now, FILE *out);

/* The whole run, over `seconds` of sending, as text or as one line of JSON. */
void report_text(struct report *report, const struct engine_sums *sums, double seconds, FILE *out);
void report_json(struct report *report, const struct engine_sums *sums, double seconds,
                 struct buffer *out);

/* Nanoseconds below which `part` (0..1) of the round trips were; 0: none were timed. */
double report_percentile(const struct pktgen_counters *counters, double part);

#endif
