/* SPDX-License-Identifier: Apache-2.0 */
/* The grace period of struct tables_options, by whatever way the data plane has to wait. */
#ifndef CULVERT_PLANE_GRACE_H
#define CULVERT_PLANE_GRACE_H

#include <stdbool.h>

/* `wait` returns when no packet that was under way at the call is left; it may be called in any
 * thread. NULL: there are no packets. */
void grace_use(void (*wait)(void));

/* For tables_options.grace: the argument is not used. */
void grace_wait(void *arg);

/* True: nothing was replaced since a grace_wait() began that has returned (in another thread), so
 * the next ones return at once, until it is taken back. */
void grace_cover(bool covered);

#endif
