/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files. Folders are given as open descriptors, names relative to them (AT_FDCWD works). */
#ifndef CULVERT_BASE_FILE_H
#define CULVERT_BASE_FILE_H

#include <stddef.h>

/* Reads a whole regular file of at most `bound` bytes. The bytes, with a NUL behind, are the
 * caller's to free(). CULVERT_ENOTFOUND, CULVERT_EACCES, CULVERT_EFULL: longer than the bound,
 * CULVERT_EIO, CULVERT_ENOMEM. */
int file_read(int folder, const char *name, size_t bound, char **data, size_t *length);

/* Writes a whole file under a name with ".tmp" behind: created, written, and with `sync` also
 * fsynced. On an error nothing is left. CULVERT_ENOSPC: the disk (or quota) is full. */
int file_write_tmp(int folder, const char *name, const void *data, size_t length, int sync);

/* Writes a whole file so that after a crash there is the old one or the new one: a temporary file
 * in the same folder, fsync, rename, fsync of the folder. */
int file_write(int folder, const char *name, const void *data, size_t length);
/* The same, readable by the owner alone (0600). */
int file_write_secret(int folder, const char *name, const void *data, size_t length);

/* Makes a folder and its missing parents, mode 0750. 0 also when it was there. */
int file_make_folder(const char *path);

/* The error of the table (base/error.h) for an errno. */
int file_error(int number);

#endif
