/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `culvert support-bundle`: programs that can't run on, a text without its secrets, a
 * tar file. */
#ifndef CULVERT_CLI_SUPPORT_H
#define CULVERT_CLI_SUPPORT_H

#include <stddef.h>
#include <sys/types.h>

#include "controlplane/base/buffer.h"

/* Takes secrets out of a text: tokens of ours, private keys (PEM), credentials on the kernel's
 * command line, values of what is called password, passphrase, secret, token or psk, passwords in
 * URLs, and the site's `key`. What is left out is told in its place. CULVERT_ENOMEM. */
int support_clean(const char *text, size_t length, struct buffer *out);

/* Runs a program (argv[0], found by PATH) with no input, and appends what it prints, errors too, to
 * a buffer with a bound; at the bound or after `seconds` it is killed. Its exit status, or -1 with
 * a line about it appended. */
int support_run(const char *const argv[], unsigned seconds, struct buffer *out);

/* Appends a file to a tar archive (POSIX.1-1988 ustar), mode 0600, names of at most 99 bytes. 0, or
 * -1 with errno. */
int support_add(int fd, const char *name, const char *data, size_t length);
/* The archive's end. */
int support_end(int fd);

#endif
