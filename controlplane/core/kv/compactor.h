/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Automatic compaction: which revision the leader should propose to compact, so that the last so
 * many revisions, or the history of so long, are kept, and none while the store is full. And when
 * to propose that compacted records be removed, where no other commands do it on their way.
 */
#ifndef CULVERT_CORE_KV_COMPACTOR_H
#define CULVERT_CORE_KV_COMPACTOR_H

#include "controlplane/core/kv/store.h"

#define KV_COMPACTOR_SAMPLES 64u
#define KV_COMPACTOR_INTERVAL_MS 60000u /* between compactions by revisions */

enum kv_compactor_mode { KV_COMPACT_OFF, KV_COMPACT_REVISIONS, KV_COMPACT_PERIOD };

/* Set mode and keep, the rest zero. Each leader has its own, and a new one keeps up to twice as
 * long. */
struct kv_compactor {
    enum kv_compactor_mode mode;
    uint64_t keep; /* revisions, or ms */
    struct {
        uint64_t ms, revision;
    } samples[KV_COMPACTOR_SAMPLES]; /* a ring */
    unsigned first, count;
    uint64_t next; /* ms: when to look again */
};

/* Fills in a KV_COMPACT or KV_TIDY to propose, and returns true, if there is one now. To be asked
 * again once the proposed one was applied, and otherwise every second or so. */
bool kv_compactor_due(struct kv_compactor *compactor, uint64_t now_ms, const struct kv_info *info,
                      struct kv_command *command);

#endif
