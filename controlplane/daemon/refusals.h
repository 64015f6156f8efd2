/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of requests that were refused: a line of the audit log for the first of each user,
 * then one an hour with their number. All who show no right are one user. So whoever tries fills
 * no log. I/O-free; times are ms of any clock.
 */
#ifndef CULVERT_DAEMON_REFUSALS_H
#define CULVERT_DAEMON_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

#define REFUSALS_MAX 16u /* users; those past it count as the first one */
#define REFUSALS_EVERY_MS ((uint64_t)3600 * 1000)

struct refusal {
    char user[80]; /* "" of the first one: nobody that is known */
    char role[12];
    char from[64]; /* of the last time, as what follows */
    char what[160];
    uint64_t count; /* not told yet */
    uint64_t next;  /* when the next line may be written; 0: at once */
};

/* A zeroed one is empty. */
struct refusals {
    struct refusal list[REFUSALS_MAX];
    uint64_t total;
};

/* One more. */
void refusals_add(struct refusals *refusals, uint64_t now, const char *user, const char *role,
                  const char *from, const char *what);
/* The next line to be written now: a copy, whose count begins anew. False: none. */
bool refusals_take(struct refusals *refusals, uint64_t now, struct refusal *out);
/* Something waits for its hour. */
bool refusals_wait(const struct refusals *refusals);

#endif
