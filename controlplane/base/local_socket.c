/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/local_socket.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"

#define BACKLOG 64

static int fail(int error, char *problem, size_t size, const char *path, const char *what)
{
    snprintf(problem, size, "%s: %s", path, what);
    return error;
}

/* Makes way for a bind: nothing there, or a socket file that nobody listens on. */
static int clear_stale(const struct sockaddr_un *address, char *problem, size_t size)
{
    const char *path = address->sun_path;
    struct stat status;
    int probe, result;

    if (lstat(path, &status))
        return errno == ENOENT ? 0 : fail(file_error(errno), problem, size, path, strerror(errno));
    if (!S_ISSOCK(status.st_mode))
        return fail(CULVERT_EEXIST, problem, size, path, "is in the way and is not a socket");
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return fail(CULVERT_ESYSTEM, problem, size, path, strerror(errno));
    result = connect(probe, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
    close(probe);
    if (result == 0 || result == EAGAIN)
        return fail(CULVERT_EBUSY, problem, size, path, "somebody listens there already");
    if (result != ECONNREFUSED)
        return fail(file_error(result), problem, size, path, strerror(result));
    if (unlink(path) && errno != ENOENT)
        return fail(file_error(errno), problem, size, path, strerror(errno));
    return 0;
}

static int bind_private(int fd, const struct sockaddr_un *address)
{
    mode_t mask = umask(0117);
    int result = bind(fd, (const struct sockaddr *)address, sizeof(*address));
    int error = errno;

    umask(mask);
    errno = error;
    return result;
}

int local_socket_listen(const char *path, int *fd, char *problem, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct group *group;
    int error;

    if (strlen(path) >= sizeof(address.sun_path))
        return fail(CULVERT_EINVAL, problem, size, path, "longer than the 107 bytes of a socket");
    strcpy(address.sun_path, path);
    error = clear_stale(&address, problem, size);
    if (error)
        return error;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0)
        return fail(CULVERT_ESYSTEM, problem, size, path, strerror(errno));
    if (bind_private(*fd, &address)) {
        error = errno == EADDRINUSE ? CULVERT_EBUSY : file_error(errno);
        fail(error, problem, size, path, strerror(errno));
        close(*fd);
        return error;
    }
    group = getgrnam("culvert");
    if (group && chown(path, (uid_t)-1, group->gr_gid))
        errno = 0; /* not a member: the socket stays for our own group */
    if (listen(*fd, BACKLOG)) {
        fail(CULVERT_ESYSTEM, problem, size, path, strerror(errno));
        local_socket_close(path, *fd);
        return CULVERT_ESYSTEM;
    }
    return 0;
}

void local_socket_close(const char *path, int fd)
{
    close(fd);
    unlink(path);
}
