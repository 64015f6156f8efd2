/* SPDX-License-Identifier: Apache-2.0 */
/* etcd's store as plainly as can be: every version of every key is kept, and looked for. */
#ifndef CULVERT_TESTS_CORE_KV_MODEL_H
#define CULVERT_TESTS_CORE_KV_MODEL_H

#include "controlplane/core/kv/result.h"

#define MODEL_LEASES 6

struct model_version {
    bool put;
    uint64_t main;
    uint32_t sub;
    struct kv_pair pair;
};

struct model_key {
    struct kv_slice key;
    struct model_version *versions;
    size_t count;
};

/* A zeroed one with revision 1 is empty. */
struct model {
    struct arena arena; /* of all that is kept */
    struct model_key *keys;
    size_t key_count;
    uint64_t revision, compacted;
    uint64_t ttl[MODEL_LEASES]; /* by lease id; 0: not there */
    uint32_t sub;               /* changes of the command at work */
};

/* Carries the command out; the result, in the arena, is what a store would say. */
void model_apply(struct model *model, const struct kv_command *command, struct arena *arena,
                 struct kv_result *result);
void model_free(struct model *model);

#endif
