/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of many small pieces that live and die together. */
#ifndef CULVERT_BASE_ARENA_H
#define CULVERT_BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

/* A zeroed one is empty. */
struct arena {
    struct arena_chunk *chunks;
    size_t used;  /* of the newest chunk */
    size_t total; /* bytes given out */
};

/* Zeroed bytes, aligned for any type; NULL: out of memory. */
void *arena_alloc(struct arena *arena, size_t size);
/* A copy with a NUL behind it. */
char *arena_copy(struct arena *arena, const char *text, size_t length);
void arena_free(struct arena *arena); /* and makes it an empty one */
/* Empties it and keeps some of its memory for what comes. */
void arena_clear(struct arena *arena);

#endif
