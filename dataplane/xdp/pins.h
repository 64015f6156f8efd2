/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pin directory, on a BPF file system, is what makes one data plane: PIN/arena is its region,
 * PIN/links/NAME its program on interface NAME. Whoever holds the directory's lock owns it.
 */
#ifndef CULVERT_XDP_PINS_H
#define CULVERT_XDP_PINS_H

#include <stdbool.h>
#include <stddef.h>

#define PINS_PATH_BYTES 512
#define PINS_DIR_MAX 400 /* longest PIN, so that every path below it fits */

/* Makes PIN and PIN/links. Returns 0, or an error after having logged what is wrong (not on a BPF
 * file system, no permission). */
int pins_make(const char *pin_dir);

/* Removes PIN/arena, PIN/arena_next and the directories. */
void pins_remove(const char *pin_dir);

/* PIN/name. */
void pins_path(const char *pin_dir, const char *name, char path[PINS_PATH_BYTES]);

/* The pin of the link on an interface. A BPF file system allows no dots in names: they are written
 * as %2e. */
void pins_link_path(const char *pin_dir, const char *interface, char path[PINS_PATH_BYTES]);

/* The other way: the interface that a file in PIN/links stands for. False: no such name. */
bool pins_link_name(const char *file, char *interface, size_t size);

#endif
