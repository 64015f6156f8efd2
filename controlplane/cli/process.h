/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that a command runs. */
#ifndef CULVERT_CLI_PROCESS_H
#define CULVERT_CLI_PROCESS_H

#include <sys/types.h>

/* Waits for a child's end. Returns its exit status; -1: it had none. */
int process_wait(pid_t child);

/* Runs a program by its name, its input and output the caller's, and waits for its end. `argv` ends
 * with NULL. Returns its exit status; -1: it could not be run or had none. */
int process_run(const char *const argv[]);

#endif
