/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine must offer, and the wait for programs that run. */
#ifndef CULVERT_XDP_HOST_H
#define CULVERT_XDP_HOST_H

#include <stdbool.h>

/* Checks privileges and the kernel's BPF arenas. Returns 0, or an error after one log line that
 * says what is missing. */
int host_check(void);

/* The grace period of struct tables_options: returns when every XDP program that ran at the call
 * has ended. grace_open() finds the way that works here (membarrier(2), else an update of a map of
 * maps, which waits likewise); it returns 0, or an error (logged). */
int grace_open(void);
void grace_wait(void *arg); /* the argument is not used */

/* True: nothing was replaced since a grace_wait() began that has returned (in another thread), so
 * the next ones return at once, until it is taken back. */
void grace_cover(bool covered);
void grace_close(void);

#endif
