/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator by itself: no block overlaps another, everything joins again. */
#include "dataplane/tables/heap.h"
#include "tests/dataplane/tables/helper.h"

#define SIZE (8 * MIB)
#define START 4096u
#define BLOCKS 2000u

struct block {
    uint32_t offset, size;
    uint8_t fill;
};

static void heap_new(struct heap *heap)
{
    struct fp_root *root = region_new(SIZE);

    root->heap = root->heap_end = START;
    assert_int_equal(heap_open(heap, root, SIZE), 0);
}

static void heap_end(struct heap *heap)
{
    munmap(heap->base, SIZE);
    heap_close(heap);
}

static void block_fill(struct heap *heap, const struct block *block)
{
    memset(heap->base + block->offset, block->fill, block->size);
}

static void block_check(struct heap *heap, const struct block *block)
{
    for (uint32_t i = 0; i < block->size; i++)
        assert_int_equal(heap->base[block->offset + i], block->fill);
}

static size_t random_size(uint64_t *random)
{
    switch (random_next(random) % 16) {
    case 0:
        return 1 + random_next(random) % 100000;
    case 1:
        return 1 + random_next(random) % 4000;
    default:
        return 1 + random_next(random) % 400;
    }
}

static void one_block_left(struct heap *heap)
{
    assert_int_equal(heap->free, heap->root->heap_end - START);
    if (heap->free)
        assert_int_equal(__builtin_popcount(heap->classes), 1);
}

static void test_random_blocks(void **state)
{
    static struct block blocks[BLOCKS];
    uint64_t random = 12345;
    struct heap heap;
    size_t live = 0;

    heap_new(&heap);
    for (unsigned i = 0; i < 60000; i++) {
        struct block *block = &blocks[random_next(&random) % BLOCKS];
        size_t size = random_size(&random);

        if (block->offset) {
            block_check(&heap, block);
            heap_free(&heap, block->offset, block->size);
            live -= block->size;
            block->offset = 0;
        } else if (random_next(&random) % 32 == 0) {
            block->offset = heap_alloc_aligned(&heap, size, 64, &block->size);
            assert_int_equal(block->offset % 64, 0);
        } else {
            block->offset = heap_alloc(&heap, size, &block->size);
        }
        if (!block->offset)
            continue;
        assert_true(block->size >= size && block->size % HEAP_GRANULE == 0);
        assert_true(block->size < size + 2 * HEAP_BLOCK_MIN);
        live += block->size;
        assert_int_equal(heap.free + live, heap.root->heap_end - START);
        block->fill = (uint8_t)i;
        block_fill(&heap, block);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        if (blocks[i].offset)
            heap_free(&heap, blocks[i].offset, blocks[i].size);
    one_block_left(&heap);
    heap_end(&heap);
}

static void test_full_then_all_again(void **state)
{
    static struct block blocks[SIZE / 1000];
    uint32_t got, count = 0;
    struct heap heap;

    heap_new(&heap);
    while ((blocks[count].offset = heap_alloc(&heap, 1000, &blocks[count].size)))
        count++;
    assert_true(count > (SIZE - START) / 1008 - 300);
    assert_int_equal(heap_alloc(&heap, SIZE, &got), 0);
    assert_int_equal(heap_alloc(&heap, (size_t)1 << 40, &got), 0);
    while (count--)
        heap_free(&heap, blocks[count].offset, blocks[count].size);
    one_block_left(&heap);
    assert_true(heap_alloc(&heap, SIZE - SIZE / 8, &got));
    heap_end(&heap);
}

static void test_sizes_are_exact_when_small(void **state)
{
    struct heap heap;
    uint32_t got;

    heap_new(&heap);
    for (size_t size = 1; size < 5000; size += 7) {
        assert_true(heap_alloc(&heap, size, &got));
        assert_int_equal(got, size <= 48 ? 48 : (size + 15) / 16 * 16);
    }
    heap_end(&heap);
}

static void test_recover_frees_the_gaps(void **state)
{
    uint64_t live[SIZE / HEAP_GRANULE / 64] = {0};
    struct heap heap, again;
    size_t kept = 0;
    uint32_t got;

    heap_new(&heap);
    for (unsigned i = 0; i < 3000; i++) {
        uint32_t offset = heap_alloc(&heap, 48 + i % 70 * 16, &got);

        if (i % 3)
            continue;
        kept += got;
        for (uint32_t at = offset / 16; at < (offset + got) / 16; at++)
            live[at / 64] |= 1ull << (at % 64);
    }
    assert_int_equal(heap_open(&again, heap.base, SIZE), 0);
    heap_recover(&again, live);
    assert_int_equal(again.free, heap.root->heap_end - START - kept);
    for (uint32_t at = START / 16; at < again.root->heap_end / 16;) { /* free the rest */
        uint32_t start = at;

        while (at < again.root->heap_end / 16 && live[at / 64] >> (at % 64) & 1)
            at++;
        if (at > start)
            heap_free(&again, start * 16, (at - start) * 16);
        else
            at++;
    }
    one_block_left(&again);
    heap_close(&again);
    heap_end(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_blocks),
        cmocka_unit_test(test_full_then_all_again),
        cmocka_unit_test(test_sizes_are_exact_when_small),
        cmocka_unit_test(test_recover_frees_the_gaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
