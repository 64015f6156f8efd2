/* SPDX-License-Identifier: Apache-2.0 */
/* Listening Unix sockets: mode 0660, of the group `culvert` where there is one. */
#ifndef CULVERT_BASE_LOCAL_SOCKET_H
#define CULVERT_BASE_LOCAL_SOCKET_H

#include <stddef.h>

/* Listens on `path`, non-blocking. A socket file that nobody listens on any more is replaced.
 * Returns 0 and *fd, else an error and one line for the operator in `problem`: CULVERT_EBUSY:
 * somebody listens there; CULVERT_EEXIST: the file is no socket; CULVERT_EACCES; CULVERT_EINVAL:
 * the path is too long; CULVERT_ESYSTEM. Not for use beside other threads (sets the umask). */
int local_socket_listen(const char *path, int *fd, char *problem, size_t size);

/* Closes the descriptor and takes the file away. */
void local_socket_close(const char *path, int fd);

#endif
