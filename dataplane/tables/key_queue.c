/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tables/key_queue.h"

#include <stdlib.h>

#include "controlplane/base/error.h"

#define BLOCK_KEYS 1023u

struct key_block {
    struct key_block *next;
    unsigned start, end;
    struct fp_key key[BLOCK_KEYS];
};

int key_queue_push(struct key_queue *queue, const struct fp_key *key)
{
    struct key_block *block = queue->last;

    if (queue->count == KEY_QUEUE_MAX)
        return CULVERT_EFULL;
    if (!block || block->end == BLOCK_KEYS) {
        block = malloc(sizeof(*block));
        if (!block)
            return CULVERT_ENOMEM;
        block->next = NULL;
        block->start = block->end = 0;
        if (queue->last)
            queue->last->next = block;
        else
            queue->first = block;
        queue->last = block;
    }
    block->key[block->end++] = *key;
    queue->count++;
    return 0;
}

bool key_queue_pop(struct key_queue *queue, struct fp_key *key)
{
    struct key_block *block = queue->first;

    if (!queue->count)
        return false;
    *key = block->key[block->start++];
    queue->count--;
    if (block->start == block->end) {
        queue->first = block->next;
        if (!queue->first)
            queue->last = NULL;
        free(block);
    }
    return true;
}

void key_queue_clear(struct key_queue *queue)
{
    struct fp_key key;

    while (key_queue_pop(queue, &key))
        ;
}
