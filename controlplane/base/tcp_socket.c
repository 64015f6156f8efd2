/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/tcp_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int tcp_socket_listen(const struct endpoint *endpoint, int backlog)
{
    struct sockaddr_storage address = {0};
    socklen_t size;
    int one = 1, fd;

    endpoint_to_socket(endpoint, &address);
    size = address.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) &&
        !bind(fd, (struct sockaddr *)&address, size) && !listen(fd, backlog))
        return fd;
    one = errno;
    close(fd);
    errno = one;
    return -1;
}
