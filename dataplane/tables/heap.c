/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tables/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "controlplane/base/error.h"

/* Lies at the start of a free block; `size` is repeated in its last 4 bytes. */
struct heap_block {
    uint32_t next, previous; /* offsets in the same list; 0: none */
    uint32_t size;
};

static struct heap_block *block_at(struct heap *heap, uint32_t offset)
{
    return (struct heap_block *)(heap->base + offset);
}

static uint32_t *block_footer(struct heap *heap, uint32_t end)
{
    return (uint32_t *)(heap->base + end - sizeof(uint32_t));
}

static bool ends_test(const struct heap *heap, uint32_t granule)
{
    return heap->ends[granule / 64] >> (granule % 64) & 1;
}

static void ends_flip(struct heap *heap, uint32_t offset, uint32_t size)
{
    uint32_t first = offset / HEAP_GRANULE, last = (offset + size) / HEAP_GRANULE - 1;

    heap->ends[first / 64] ^= 1ull << (first % 64);
    heap->ends[last / 64] ^= 1ull << (last % 64);
}

/* Up to 31 granules a class step is one size; above, a sixteenth of the power of two. */
static void size_class(uint32_t granules, unsigned *class, unsigned *step)
{
    unsigned log2;

    if (granules < HEAP_STEPS) {
        *class = 0;
        *step = granules;
        return;
    }
    log2 = 31u - (unsigned)__builtin_clz(granules);
    *class = log2 - 3;
    *step = (granules >> (log2 - 4)) - HEAP_STEPS;
}

static void list_add(struct heap *heap, uint32_t offset, uint32_t size)
{
    struct heap_block *block = block_at(heap, offset);
    unsigned class, step;
    uint32_t *head;

    size_class(size / HEAP_GRANULE, &class, &step);
    head = &heap->head[class][step];
    block->next = *head;
    block->previous = 0;
    block->size = size;
    *block_footer(heap, offset + size) = size;
    if (*head)
        block_at(heap, *head)->previous = offset;
    *head = offset;
    heap->steps[class] |= 1u << step;
    heap->classes |= 1u << class;
    heap->free += size;
    ends_flip(heap, offset, size);
}

static void list_remove(struct heap *heap, uint32_t offset)
{
    struct heap_block *block = block_at(heap, offset);
    unsigned class, step;

    size_class(block->size / HEAP_GRANULE, &class, &step);
    if (block->previous)
        block_at(heap, block->previous)->next = block->next;
    else
        heap->head[class][step] = block->next;
    if (block->next)
        block_at(heap, block->next)->previous = block->previous;
    if (!heap->head[class][step]) {
        heap->steps[class] &= ~(1u << step);
        if (!heap->steps[class])
            heap->classes &= ~(1u << class);
    }
    heap->free -= block->size;
    ends_flip(heap, offset, block->size);
}

/* A free block of a list whose every block is large enough; 0: none. */
static uint32_t list_search(const struct heap *heap, uint32_t granules)
{
    unsigned class, step;
    uint32_t steps, classes;

    if (granules >= 2 * HEAP_STEPS)
        granules += (1u << (27 - __builtin_clz(granules))) - 1;
    size_class(granules, &class, &step);
    if (class >= HEAP_CLASSES)
        return 0;
    steps = heap->steps[class] & ~0u << step;
    if (!steps) {
        classes = class + 1 < HEAP_CLASSES ? heap->classes & ~0u << (class + 1) : 0;
        if (!classes)
            return 0;
        class = (unsigned)__builtin_ctz(classes);
        steps = heap->steps[class];
    }
    return heap->head[class][__builtin_ctz(steps)];
}

/* The rounded-up search passes over blocks of the size's own list that would do; before the heap
 * grows, the first few of them are tried. */
static uint32_t list_search_own(struct heap *heap, uint32_t granules)
{
    unsigned class, step;
    uint32_t offset;

    size_class(granules, &class, &step);
    offset = heap->head[class][step];
    for (unsigned tries = 0; offset && tries < 32; tries++) {
        if (block_at(heap, offset)->size >= granules * HEAP_GRANULE)
            return offset;
        offset = block_at(heap, offset)->next;
    }
    return 0;
}

/* True when the heap grew enough for a block of `size` bytes to be found. */
static bool heap_grow(struct heap *heap, uint64_t size)
{
    uint32_t end = heap->root->heap_end, room = heap->limit - end, tail = 0;
    uint32_t last = end / HEAP_GRANULE - 1;

    if (end > heap->root->heap && ends_test(heap, last))
        tail = *block_footer(heap, end); /* is joined with what is added */
    size = size > tail ? size - tail : HEAP_GRANULE;
    size = (size + FP_CACHE_LINE - 1) & ~(uint64_t)(FP_CACHE_LINE - 1);
    if (size < HEAP_GROW)
        size = room < HEAP_GROW ? room : HEAP_GROW;
    if (size > room || tail + size < HEAP_BLOCK_MIN || size == 0)
        return false;
    __atomic_store_n(&heap->root->heap_end, end + (uint32_t)size, __ATOMIC_RELEASE);
    heap_free(heap, end, (uint32_t)size);
    return true;
}

int heap_open(struct heap *heap, void *base, size_t size)
{
    *heap = (struct heap){.base = base, .root = base};
    heap->limit = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
    heap->limit &= ~(FP_CACHE_LINE - 1);
    heap->ends = calloc(heap->limit / HEAP_GRANULE / 64 + 1, sizeof(uint64_t));
    return heap->ends ? 0 : CULVERT_ENOMEM;
}

void heap_close(struct heap *heap)
{
    free(heap->ends);
    heap->ends = NULL;
}

uint32_t heap_alloc(struct heap *heap, size_t size, uint32_t *got)
{
    uint32_t granules, offset, have, want;

    if (size > heap->limit)
        return 0;
    want = (uint32_t)(size + HEAP_GRANULE - 1) & ~(HEAP_GRANULE - 1);
    if (want < HEAP_BLOCK_MIN)
        want = HEAP_BLOCK_MIN;
    granules = want / HEAP_GRANULE;
    offset = list_search(heap, granules);
    if (!offset)
        offset = list_search_own(heap, granules);
    if (!offset) {
        /* A sixteenth more: the search rounds up so much. */
        if (!heap_grow(heap, (uint64_t)want + want / HEAP_STEPS) && !heap_grow(heap, want))
            return 0;
        offset = list_search(heap, granules);
        if (!offset)
            offset = list_search_own(heap, granules);
        if (!offset)
            return 0;
    }
    have = block_at(heap, offset)->size;
    list_remove(heap, offset);
    if (have - want >= HEAP_BLOCK_MIN)
        list_add(heap, offset + want, have - want);
    else
        want = have;
    *got = want;
    return offset;
}

uint32_t heap_alloc_aligned(struct heap *heap, size_t size, uint32_t align, uint32_t *got)
{
    uint32_t have, offset, front, back;

    if (size < HEAP_BLOCK_MIN)
        size = HEAP_BLOCK_MIN;
    offset = heap_alloc(heap, size + align + HEAP_BLOCK_MIN, &have);
    if (!offset)
        return 0;
    front = -offset & (align - 1);
    if (front && front < HEAP_BLOCK_MIN)
        front += align;
    if (front)
        heap_free(heap, offset, front);
    size = (size + HEAP_GRANULE - 1) & ~(size_t)(HEAP_GRANULE - 1);
    have -= front;
    back = have - (uint32_t)size;
    if (back >= HEAP_BLOCK_MIN) {
        heap_free(heap, offset + front + (uint32_t)size, back);
        have -= back;
    }
    *got = have;
    return offset + front;
}

void heap_free(struct heap *heap, uint32_t offset, uint32_t size)
{
    uint32_t end = offset + size;

    assert(offset % HEAP_GRANULE == 0 && size % HEAP_GRANULE == 0 && size);
    assert(offset >= heap->root->heap && end <= heap->root->heap_end && end > offset);
    if (offset > heap->root->heap && ends_test(heap, offset / HEAP_GRANULE - 1)) {
        uint32_t before = *block_footer(heap, offset);

        offset -= before;
        list_remove(heap, offset);
    }
    if (end < heap->root->heap_end && ends_test(heap, end / HEAP_GRANULE)) {
        uint32_t after = block_at(heap, end)->size;

        list_remove(heap, end);
        end += after;
    }
    /* Smaller pieces come only from the last step of a heap that reached its limit. */
    if (end - offset >= HEAP_BLOCK_MIN)
        list_add(heap, offset, end - offset);
}

void heap_recover(struct heap *heap, const uint64_t *live)
{
    uint32_t granule = heap->root->heap / HEAP_GRANULE;
    uint32_t end = heap->root->heap_end / HEAP_GRANULE;

    while (granule < end) {
        uint64_t word = live[granule / 64] >> (granule % 64);
        uint32_t start = granule;

        if (word & 1) {
            /* Ones shifted in from above would be zeros: count at most to the word's end. */
            uint64_t zeros = ~word;

            granule += zeros ? (uint32_t)__builtin_ctzll(zeros) : 64;
            continue;
        }
        while (granule < end && !(word & 1)) {
            granule += word ? (uint32_t)__builtin_ctzll(word) : 64 - granule % 64;
            word = granule < end ? live[granule / 64] >> (granule % 64) : 1;
        }
        if (granule > end)
            granule = end;
        if ((granule - start) * HEAP_GRANULE >= HEAP_BLOCK_MIN)
            list_add(heap, start * HEAP_GRANULE, (granule - start) * HEAP_GRANULE);
    }
}
