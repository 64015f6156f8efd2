/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/kv/compactor.h"

#define TIDY_RECORDS 500u /* a few milliseconds of work */

static uint64_t of_revisions(struct kv_compactor *compactor, uint64_t now,
                             const struct kv_info *info)
{
    if (now < compactor->next || info->revision <= compactor->keep)
        return 0;
    compactor->next = now + KV_COMPACTOR_INTERVAL_MS;
    return info->revision - compactor->keep;
}

/* Notes the revision of now and then; the newest note that is old enough is the answer. */
static uint64_t of_period(struct kv_compactor *compactor, uint64_t now, const struct kv_info *info)
{
    uint64_t revision = 0;
    unsigned last;

    if (now >= compactor->next) {
        compactor->next = now + compactor->keep / (KV_COMPACTOR_SAMPLES - 2) + 1;
        if (compactor->count == KV_COMPACTOR_SAMPLES) {
            compactor->first = (compactor->first + 1) % KV_COMPACTOR_SAMPLES;
            compactor->count--;
        }
        last = (compactor->first + compactor->count++) % KV_COMPACTOR_SAMPLES;
        compactor->samples[last].ms = now;
        compactor->samples[last].revision = info->revision;
    }
    while (compactor->count && now - compactor->samples[compactor->first].ms >= compactor->keep) {
        revision = compactor->samples[compactor->first].revision;
        compactor->first = (compactor->first + 1) % KV_COMPACTOR_SAMPLES;
        compactor->count--;
    }
    return revision;
}

bool kv_compactor_due(struct kv_compactor *compactor, uint64_t now_ms, const struct kv_info *info,
                      struct kv_command *command)
{
    uint64_t revision = 0;

    if (compactor->mode == KV_COMPACT_REVISIONS)
        revision = of_revisions(compactor, now_ms, info);
    else if (compactor->mode == KV_COMPACT_PERIOD)
        revision = of_period(compactor, now_ms, info);
    /* A full store gives up the history that it was to keep: deletions make room at once. */
    if (info->alarm && !info->tidying && compactor->mode != KV_COMPACT_OFF)
        revision = info->revision;
    *command = (struct kv_command){.kind = KV_COMPACT, .revision = revision};
    if (revision > info->compacted)
        return true;
    *command = (struct kv_command){.kind = KV_TIDY, .records = TIDY_RECORDS};
    return info->tidying;
}
