/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/process.h"

#include <errno.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

int process_wait(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int process_run(const char *const argv[])
{
    pid_t child;

    /* POSIX: the strings are not changed. */
    if (posix_spawnp(&child, argv[0], NULL, NULL, (char *const *)argv, environ))
        return -1;
    return process_wait(child);
}
