/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out when a test wants it. With allocator_dep (tests/meson.build) the linker puts
 * these functions in place of the real ones in our own code; libraries keep theirs.
 */
#ifndef CULVERT_TESTS_ALLOCATOR_H
#define CULVERT_TESTS_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

/* The test's own: whether the allocation that is being made fails. */
bool allocation_fails(void);

/* The real ones, and what stands for them. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

#endif
