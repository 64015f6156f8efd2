/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine must offer, and the wait for programs that run. */
#ifndef CULVERT_XDP_HOST_H
#define CULVERT_XDP_HOST_H

/* Checks privileges and the kernel's BPF arenas. Returns 0, or an error after one log line that
 * says what is missing. */
int host_check(void);

/* Makes grace_wait() (plane/grace.h) wait for every XDP program that runs at the call, by the way
 * that works here: membarrier(2), else an update of a map of maps, which waits likewise. Returns 0,
 * or an error (logged). */
int grace_open(void);
void grace_close(void);

#endif
