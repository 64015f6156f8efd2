/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static bool before(const struct sim_event *x, const struct sim_event *y)
{
    return x->at != y->at ? x->at < y->at : x->order < y->order;
}

static void swap(struct sim_event **x, struct sim_event **y)
{
    struct sim_event *z = *x;

    *x = *y;
    *y = z;
}

struct sim_event *sim_at(struct sim *sim, uint64_t at, void (*fn)(void *arg), void *arg)
{
    struct sim_queue *queue = &sim->queue;
    struct sim_event *event = malloc(sizeof(*event)), **heap;
    size_t i = queue->count;

    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity ? 2 * queue->capacity : 256;
        heap = realloc(queue->heap, queue->capacity * sizeof(struct sim_event *));
        if (!heap)
            abort();
        queue->heap = heap;
    }
    if (!event)
        abort();
    *event = (struct sim_event){
        .at = at < sim->now ? sim->now : at, .order = ++queue->order, .fn = fn, .arg = arg};
    queue->heap[queue->count++] = event;
    for (; i && before(queue->heap[i], queue->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&queue->heap[i], &queue->heap[(i - 1) / 2]);
    return event;
}

static struct sim_event *take(struct sim_queue *queue)
{
    struct sim_event *first = queue->heap[0];
    size_t i = 0, child;

    queue->heap[0] = queue->heap[--queue->count];
    while ((child = 2 * i + 1) < queue->count) {
        if (child + 1 < queue->count && before(queue->heap[child + 1], queue->heap[child]))
            child++;
        if (!before(queue->heap[child], queue->heap[i]))
            break;
        swap(&queue->heap[child], &queue->heap[i]);
        i = child;
    }
    return first;
}

bool sim_next(struct sim *sim)
{
    struct sim_event *event;

    if (!sim->queue.count)
        return false;
    event = take(&sim->queue);
    if (event->at > sim->now) /* a long command has made it later than that */
        sim->now = event->at;
    if (event->fn) {
        sim->events++;
        event->fn(event->arg);
    }
    free(event);
    return true;
}

void sim_queue_free(struct sim *sim)
{
    for (size_t i = 0; i < sim->queue.count; i++)
        free(sim->queue.heap[i]);
    free(sim->queue.heap);
    memset(&sim->queue, 0, sizeof(sim->queue));
}

uint64_t sim_hash(uint64_t hash, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    while (length--)
        hash = (hash ^ *at++) * 0x100000001b3u;
    return hash;
}

void sim_trace(struct sim *sim, int slot, const char *format, ...)
{
    char text[512];
    va_list args;
    int length;

    length = snprintf(text, sizeof(text), "%10.3f ms  ", (double)sim->now / (double)SIM_MS);
    if (slot < 0)
        length += snprintf(text + length, sizeof(text) - (size_t)length, "--      ");
    else
        length += snprintf(text + length, sizeof(text) - (size_t)length, "node %-3u",
                           (unsigned)sim->slot[slot].id);
    va_start(args, format);
    length += vsnprintf(text + length, sizeof(text) - (size_t)length, format, args);
    va_end(args);
    if ((size_t)length >= sizeof(text))
        length = sizeof(text) - 1;
    sim->trace_hash = sim_hash(sim->trace_hash, text, (size_t)length);
    if (sim->verbose)
        puts(text);
}

void sim_finding(struct sim *sim, const char *format, ...)
{
    va_list args;

    if (sim->finding[0])
        return;
    va_start(args, format);
    vsnprintf(sim->finding, sizeof(sim->finding), format, args);
    va_end(args);
    sim_trace(sim, -1, "FOUND: %s", sim->finding);
}
