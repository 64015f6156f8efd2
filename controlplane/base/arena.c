/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN ((size_t)1 << 10) /* bytes; each chunk is twice the one before */
#define CHUNK_MAX ((size_t)64 << 10)
#define ARENA_ALIGN _Alignof(max_align_t)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    _Alignas(max_align_t) char bytes[];
};

static struct arena_chunk *chunk_new(const struct arena *arena, size_t size)
{
    size_t room = arena->chunks ? 2 * arena->chunks->size : CHUNK_MIN;
    struct arena_chunk *chunk;

    if (room > CHUNK_MAX)
        room = CHUNK_MAX;
    if (room < size)
        room = size;
    chunk = malloc(sizeof(*chunk) + room);
    if (chunk)
        chunk->size = room;
    return chunk;
}

/* Zeroes what it gives out, not a chunk: for that much zeroed memory the allocator goes to the
 * kernel each time, which takes longer than all else that is done with a small arena. */
void *arena_alloc(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = arena->chunks;
    void *bytes;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    if (!chunk || size > chunk->size - arena->used) {
        chunk = chunk_new(arena, size);
        if (!chunk)
            return NULL;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->used = 0;
    }
    bytes = chunk->bytes + arena->used;
    arena->used += size;
    arena->total += size;
    return memset(bytes, 0, size);
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
    struct arena_chunk *kept = arena->chunks;

    if (kept && kept->size <= CHUNK_MAX)
        arena->chunks = kept->next;
    else
        kept = NULL;
    arena_free(arena);
    if (kept)
        kept->next = NULL;
    arena->chunks = kept;
}
