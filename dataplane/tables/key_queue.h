/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, first in first out, in blocks that are freed as they are used up. */
#ifndef CULVERT_TABLES_KEY_QUEUE_H
#define CULVERT_TABLES_KEY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/fastpath/region.h"

#define KEY_QUEUE_MAX ((size_t)1 << 23) /* keys */

struct key_block;

/* Zeroed: an empty one. */
struct key_queue {
    struct key_block *first, *last;
    size_t count;
};

/* CULVERT_ENOMEM, CULVERT_EFULL. */
int key_queue_push(struct key_queue *queue, const struct fp_key *key);
bool key_queue_pop(struct key_queue *queue, struct fp_key *key);
void key_queue_clear(struct key_queue *queue);

#endif
