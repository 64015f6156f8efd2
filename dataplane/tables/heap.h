/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator of a region's heap: two-level segregated fit (Masmano et al., ECRTS 2004), good
 * fit in constant time, neighbours joined at once.
 *
 * Blocks are multiples of 16 bytes, at least 48, at offsets that are multiples of 16. A live block
 * carries nothing of the allocator. A free one holds its links and its size at both ends; which
 * granules are ends of free blocks is a bitmap outside the region (1/128 of its size, touched as
 * the heap grows), so a joined neighbour is found without a header in live blocks. Nothing that
 * the allocator keeps in the region is trusted after a crash: heap_recover() starts anew.
 */
#ifndef CULVERT_TABLES_HEAP_H
#define CULVERT_TABLES_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/fastpath/region.h"

#define HEAP_GRANULE 16u
#define HEAP_BLOCK_MIN 48u
#define HEAP_CLASSES 26u
#define HEAP_STEPS 16u
#define HEAP_GROW (256u << 10) /* bytes by which root->heap_end grows, at least */

struct heap {
    uint8_t *base;
    struct fp_root *root; /* heap, heap_end */
    uint32_t limit;       /* heap_end's bound */
    uint64_t *ends;       /* a bit per granule: first or last one of a free block */
    size_t free;          /* bytes in free blocks */
    uint32_t classes;     /* bit n: steps[n] is not 0 */
    uint32_t steps[HEAP_CLASSES];
    uint32_t head[HEAP_CLASSES][HEAP_STEPS];
};

/* An empty heap from root->heap to root->heap_end, all of it live. CULVERT_ENOMEM. */
int heap_open(struct heap *heap, void *base, size_t size);
void heap_close(struct heap *heap);

/* A block of at least `size` bytes: its offset, and its size in *got; 0: the region is full. */
uint32_t heap_alloc(struct heap *heap, size_t size, uint32_t *got);
/* The same at a multiple of `align` (a power of two, at least 64). */
uint32_t heap_alloc_aligned(struct heap *heap, size_t size, uint32_t align, uint32_t *got);
void heap_free(struct heap *heap, uint32_t offset, uint32_t size);

/* Frees all that `live` (a bit per granule of the region) doesn't hold. */
void heap_recover(struct heap *heap, const uint64_t *live);

#endif
