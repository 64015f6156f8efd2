/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/config.h"

#include <string.h>

#define FULL_SPEED 6400000u /* packets a second, about */
#define SAMPLES_PER_S 100000u

static uint32_t common_factor(uint32_t a, uint32_t b)
{
    return b ? common_factor(b, a % b) : a;
}

/* A step near the golden section, so that flows that follow each other are far apart. */
static uint32_t flow_stride(uint32_t flows)
{
    uint32_t stride = (uint32_t)((double)flows * 0.6180339887);

    if (stride < 1)
        return 1 % flows;
    while (common_factor(stride, flows) != 1)
        stride++;
    return stride % flows;
}

/* Few enough samples that time stamps cost nothing. */
static uint32_t sample_mask(const struct options *options)
{
    uint64_t rate = options->rate > 0 ? (uint64_t)options->rate : FULL_SPEED;
    uint32_t mask = 0;

    while (rate / (mask + 1) > SAMPLES_PER_S)
        mask = mask << 1 | 1;
    return mask;
}

void config_set(struct pktgen_config *config, const struct options *options,
                const struct templates *templates, const struct queries *queries)
{
    config->port_low = options->port_low;
    config->port_high = options->port_high;
    config->count_only = options->count_only;
    config->drop = options->drop;
    if (!templates)
        return;
    config->schedule_length = templates->schedule_length;
    config->flows = templates->flows;
    config->stride = flow_stride(templates->flows);
    config->sample_mask = sample_mask(options);
    memcpy(config->source, templates->source, sizeof(config->source));
    memcpy(&config->first.a, options->target[0].address.bytes, 16);
    config->first.port = options->target[0].port;
    config->first.kinds = options->target[0].kinds;
    if (queries) {
        config->queries = queries->count;
        config->query_words = queries_words(queries);
    }
    /* No longer than needed: the kernel fills it anew for each page that doesn't come back soon. */
    config->frame_bytes = templates->l4_farthest + PKTGEN_L4_ROOM(config->query_words);
    if (config->frame_bytes < templates->longest)
        config->frame_bytes = templates->longest;
    if (config->frame_bytes < PKTGEN_HEAD_BYTES)
        config->frame_bytes = PKTGEN_HEAD_BYTES;
}

void sender_start(struct pktgen_sender *sender, const struct pktgen_config *config, unsigned number,
                  unsigned count)
{
    sender->flow = (uint32_t)((uint64_t)number * config->flows / count);
    sender->query = (uint32_t)((uint64_t)number * config->queries / count);
    sender->number = (uint64_t)number << 28;
}
