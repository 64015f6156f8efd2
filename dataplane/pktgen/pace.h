/* SPDX-License-Identifier: Apache-2.0 */
/* How fast, how long and how many: the rate that each of several senders keeps. */
#ifndef CULVERT_PKTGEN_PACE_H
#define CULVERT_PKTGEN_PACE_H

#include <stdint.h>

#include "dataplane/pktgen/options.h"

struct pace {
    double rate;     /* packets a second of one sender; 0: full speed */
    uint64_t limit;  /* packets that it sends; UINT64_MAX: no end */
    uint64_t end;    /* ns, when it ends in any case; UINT64_MAX: never */
    uint64_t origin; /* ns, from when on the rate counts */
};

/* The pace of sender `number` of `count`, all of which start at `start` (ns). */
void pace_start(struct pace *pace, const struct options *options, unsigned number, unsigned count,
                uint64_t start);

/* How many frames, at most `most`, are due at `now` (ns) that `sent` have been sent. */
uint32_t pace_due(struct pace *pace, uint64_t now, uint64_t sent, uint32_t most);

/* When the next ones are due, some 200 microseconds' worth. Only for a rate. */
uint64_t pace_next(const struct pace *pace, uint64_t sent);

#endif
