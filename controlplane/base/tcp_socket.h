/* SPDX-License-Identifier: Apache-2.0 */
/* TCP sockets that listen. */
#ifndef CULVERT_BASE_TCP_SOCKET_H
#define CULVERT_BASE_TCP_SOCKET_H

#include "controlplane/base/units.h"

/* A socket that listens there, non-blocking; -1 with errno. */
int tcp_socket_listen(const struct endpoint *endpoint, int backlog);

#endif
