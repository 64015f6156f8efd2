/* SPDX-License-Identifier: Apache-2.0 */
/* The size of a data plane's tables, as its command line says it. */
#ifndef CULVERT_PLANE_MEMORY_H
#define CULVERT_PLANE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define MEMORY_MAX ((size_t)4 << 30)
#define MEMORY_MIN ((size_t)64 << 20)
#define MEMORY_DEFAULT ((size_t)1 << 30)
#define MEMORY_WORDS "64M to 4G is right, such as 512M or 2G"

/* "1G", "512M": powers of 1024, whole megabytes, MEMORY_MIN to MEMORY_MAX. False: not that. */
bool memory_parse(const char *text, size_t *bytes);

#endif
