/* SPDX-License-Identifier: Apache-2.0 */
/* A tar file, and what programs print. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/clock.h"
#include "controlplane/cli/process.h"
#include "controlplane/cli/support.h"

#define PIECE 65536u

/* ---- tar ---- */

/* The header of a file (POSIX.1-1988, ustar). */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == 512, "one block");

static int write_all(int fd, const void *data, size_t length)
{
    const char *from = data;

    while (length) {
        ssize_t put = write(fd, from, length);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        from += put;
        length -= (size_t)put;
    }
    return 0;
}

int support_add(int fd, const char *name, const char *data, size_t length)
{
    static const char zeros[sizeof(struct header)];
    struct header header = {.mode = "0000600", .uid = "0000000", .gid = "0000000", .type = '0'};
    unsigned sum = 0;

    snprintf(header.name, sizeof(header.name), "%s", name);
    snprintf(header.size, sizeof(header.size), "%011llo", (unsigned long long)length);
    snprintf(header.mtime, sizeof(header.mtime), "%011llo", (unsigned long long)time(NULL));
    memcpy(header.magic, "ustar", sizeof(header.magic));
    memcpy(header.version, "00", sizeof(header.version));
    memset(header.checksum, ' ', sizeof(header.checksum));
    for (size_t i = 0; i < sizeof(header); i++)
        sum += ((const unsigned char *)&header)[i];
    snprintf(header.checksum, sizeof(header.checksum), "%06o", sum);
    if (write_all(fd, &header, sizeof(header)) || write_all(fd, data, length))
        return -1;
    return write_all(fd, zeros, (sizeof(zeros) - length % sizeof(zeros)) % sizeof(zeros));
}

int support_end(int fd)
{
    static const char zeros[2 * sizeof(struct header)];

    return write_all(fd, zeros, sizeof(zeros));
}

/* ---- programs ---- */

/* Reads until the program closes its output. NULL, or why it is to be killed. */
static const char *collect(int fd, int64_t deadline, struct buffer *out)
{
    char piece[PIECE];

    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - (int64_t)clock_ms();
        ssize_t got;

        if (left <= 0)
            return "it took too long";
        if (poll(&poll_fd, 1, (int)left) <= 0)
            continue;
        got = read(fd, piece, sizeof(piece));
        if (got == 0 || (got < 0 && errno != EINTR))
            return NULL;
        if (got < 0)
            continue;
        if (out->bound - out->length < (size_t)got + PIECE) /* room for what is said at the end */
            return "it printed too much";
        buffer_add(out, piece, (size_t)got);
    }
}

static int spawn(const char *const argv[], int output, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error;

    if (posix_spawn_file_actions_init(&actions))
        return ENOMEM;
    if (posix_spawnattr_init(&attributes)) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    /* A group of its own: what it starts ends with it. */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    if (!error)
        /* It takes its words as they have always been taken, and leaves them as they are. */
        error = posix_spawnp(pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int support_run(const char *const argv[], unsigned seconds, struct buffer *out)
{
    int64_t deadline = (int64_t)clock_ms() + (int64_t)seconds * 1000;
    const char *problem;
    int ends[2], status, error;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC)) {
        buffer_format(out, "(%s: %s)\n", argv[0], strerror(errno));
        return -1;
    }
    error = spawn(argv, ends[1], &pid);
    close(ends[1]);
    if (error) {
        close(ends[0]);
        buffer_format(out, "(%s: %s)\n", argv[0], strerror(error));
        return -1;
    }
    problem = collect(ends[0], deadline, out);
    close(ends[0]);
    if (problem) {
        kill(-pid, SIGKILL);
        buffer_format(out, "\n(%s: ended, %s)\n", argv[0], problem);
    }
    status = process_wait(pid);
    return problem ? -1 : status;
}
