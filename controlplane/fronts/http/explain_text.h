/* SPDX-License-Identifier: Apache-2.0 */
/* The words of an explanation. */
#ifndef CULVERT_FRONTS_HTTP_EXPLAIN_TEXT_H
#define CULVERT_FRONTS_HTTP_EXPLAIN_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/buffer.h"

struct daemon;

/* Appends one step in words. `what` and the numbers are as fp_trace_fn (dataplane/fastpath/env.h)
 * has them; "WHAT: LABEL, LABEL" becomes "things with their names: WHAT". */
void explain_step(struct daemon *daemon, const char *what, uint64_t a, uint64_t b,
                  struct buffer *text);

/* Appends what a frame is that leaves for `reason` (its label): its length, and from where to
 * where if it is IP. */
void explain_leaves(uint8_t *frame, size_t length, const char *reason, struct buffer *text);

#endif
