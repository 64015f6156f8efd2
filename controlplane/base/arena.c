/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)64 << 10)
#define ARENA_ALIGN _Alignof(max_align_t)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    _Alignas(max_align_t) char bytes[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = arena->chunks;
    void *bytes;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    if (!chunk || size > chunk->size - arena->used) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;

        chunk = calloc(1, sizeof(*chunk) + room);
        if (!chunk)
            return NULL;
        chunk->size = room;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->used = 0;
    }
    bytes = chunk->bytes + arena->used;
    arena->used += size;
    arena->total += size;
    return bytes;
}

char *arena_copy(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);

    if (copy && length)
        memcpy(copy, text, length);
    return copy;
}

void arena_free(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *next = arena->chunks->next;

        free(arena->chunks);
        arena->chunks = next;
    }
    *arena = (struct arena){0};
}

void arena_clear(struct arena *arena)
{
    struct arena_chunk *kept = NULL, *next;

    for (struct arena_chunk *chunk = arena->chunks; chunk; chunk = next) {
        next = chunk->next;
        if (!kept && chunk->size == CHUNK_BYTES) {
            /* Chunks behind the newest one may have been used to their end. */
            memset(chunk->bytes, 0, chunk == arena->chunks ? arena->used : chunk->size);
            kept = chunk;
        } else {
            free(chunk);
        }
    }
    if (kept)
        kept->next = NULL;
    *arena = (struct arena){.chunks = kept};
}
