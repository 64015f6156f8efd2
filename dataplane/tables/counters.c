/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "dataplane/tables/internal.h"

static struct fp_counters *counters_of(const struct tables *tables, unsigned cpu)
{
    return (struct fp_counters *)(tables->base + tables->root->counters) + cpu;
}

/* A write that changes nothing even while a packet counts: an atomic "or 0", volatile so that no
 * compiler makes less of it. */
static void touch_at(void *at)
{
    __atomic_fetch_or((volatile uint64_t *)at, 0, __ATOMIC_RELAXED);
}

static void touch_range(struct tables *tables, uint32_t offset, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += TOUCH_BYTES)
        touch_at(tables->base + offset + at);
}

static void touch_counter(struct tables *tables, size_t array, unsigned number)
{
    size_t offset = array + number * sizeof(struct fp_counter);
    size_t chunk = offset / TOUCH_BYTES, last = (chunk + 1) * TOUCH_BYTES;

    if (tables->touched[chunk])
        return;
    tables->touched[chunk] = 1;
    if (last > sizeof(struct fp_counters))
        last = sizeof(struct fp_counters);
    /* A block needs not start on a page: a chunk lies in one page or two. */
    for (unsigned cpu = 0; cpu < tables->root->cpus; cpu++) {
        uint8_t *block = (uint8_t *)counters_of(tables, cpu);

        touch_at(block + chunk * TOUCH_BYTES);
        touch_at(block + last - sizeof(uint64_t));
    }
}

void tables_touch(struct tables *tables, const struct fp_key *key, const void *body)
{
    switch (key->kind) {
    case FP_KIND_VIP:
        touch_counter(tables, offsetof(struct fp_counters, vip), ((const struct fp_vip *)body)->id);
        break;
    case FP_KIND_BACKEND:
        touch_counter(tables, offsetof(struct fp_counters, backend), (unsigned)key->a);
        break;
    case FP_KIND_ZONE:
        touch_counter(tables, offsetof(struct fp_counters, zone), (unsigned)key->a);
        break;
    case FP_KIND_LIMIT:
        touch_counter(tables, offsetof(struct fp_counters, limit), (unsigned)key->a);
        break;
    }
}

void tables_touch_fixed(struct tables *tables)
{
    const struct fp_root *root = tables->root;

    if (!root->cpus)
        return;
    /* Slots and filter are only read, but a read of an absent page is a fault for eBPF, too. */
    touch_range(tables, TOUCH_BYTES, root->counters - TOUCH_BYTES);
    for (unsigned reason = 0; reason < FP_COUNT_REASONS; reason++)
        touch_counter(tables, offsetof(struct fp_counters, reason), reason);
    touch_range(tables, root->meters, sizeof(struct fp_meter_line) << root->meters_log2);
    touch_range(tables, root->flows, sizeof(struct fp_flow_line) << root->flows_log2);
}

static struct fp_counter counter_sum(const struct tables *tables, size_t offset)
{
    struct fp_counter sum = {0};

    for (unsigned cpu = 0; cpu < tables->root->cpus; cpu++) {
        struct fp_counter *counter =
            (struct fp_counter *)((uint8_t *)counters_of(tables, cpu) + offset);

        sum.packets += __atomic_load_n(&counter->packets, __ATOMIC_RELAXED);
        sum.bytes += __atomic_load_n(&counter->bytes, __ATOMIC_RELAXED);
    }
    return sum;
}

struct fp_counter tables_counter(const struct tables *tables, size_t array, unsigned number)
{
    return counter_sum(tables, array + number * sizeof(struct fp_counter));
}

void tables_stats(const struct tables *tables, tables_stats_fn each, void *arg)
{
    static const struct {
        size_t offset;
        unsigned count;
    } arrays[] = {
#define ARRAY(member)                                                                              \
    {offsetof(struct fp_counters, member),                                                         \
     sizeof(((struct fp_counters *)0)->member) / sizeof(struct fp_counter)}
        ARRAY(reason), ARRAY(vip), ARRAY(backend), ARRAY(zone), ARRAY(limit),
#undef ARRAY
    };

    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
        for (unsigned number = 0; number < arrays[i].count; number++) {
            size_t offset = arrays[i].offset + number * sizeof(struct fp_counter);
            struct fp_counter sum;

            if (!tables->touched[offset / TOUCH_BYTES]) {
                /* Reading would make the page present for nothing. */
                number |= TOUCH_BYTES / sizeof(struct fp_counter) - 1;
                continue;
            }
            sum = counter_sum(tables, offset);
            if (sum.packets || sum.bytes)
                each(arg, arrays[i].offset, number, &sum);
        }
}
