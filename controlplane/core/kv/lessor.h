/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When leases expire: the leader's knowledge, which is in no state. It says what to propose: that
 * an expired lease be revoked, and now and then how long a long one has left, so that the next
 * leader goes on from there and not from the whole time to live. A new leader gives every lease
 * the time that it has left, or all of it, from its own beginning: late is safe, early is not.
 */
#ifndef CULVERT_CORE_KV_LESSOR_H
#define CULVERT_CORE_KV_LESSOR_H

#include "controlplane/core/kv/store.h"

struct kv_lessor;

#define KV_LEASE_CHECKPOINT_MS 300000u /* between checkpoints of a lease with more left than that */
#define KV_LEASE_RETRY_MS 1000u        /* a revocation that has had no effect is asked for again */

/* Observes the store until closed, and must be closed before it. */
int kv_lessor_open(struct kv_lessor **out, struct kv_store *store, struct env *env);
void kv_lessor_close(struct kv_lessor *lessor); /* NULL is allowed */

/* This node leads from now on: every lease has its time, and `extend_ms` more. CULVERT_ENOMEM, or
 * the store's error: it does not lead. */
int kv_lessor_promote(struct kv_lessor *lessor, uint64_t extend_ms);
void kv_lessor_demote(struct kv_lessor *lessor);

/* A client says that it is alive. `*reset`: a checkpoint with remaining 0 must be committed before
 * the client is answered. CULVERT_ENOLEASE: there is none, or it has expired;
 * CULVERT_EUNSUPPORTED: this node doesn't lead. */
int kv_lessor_renew(struct kv_lessor *lessor, int64_t id, uint64_t *ttl, bool *reset);
/* The lease with the seconds it has left, rounded up. Errors are those of renew. */
int kv_lessor_lookup(struct kv_lessor *lessor, int64_t id, struct kv_lease *lease);

/* What to propose now, at most `max`. */
struct kv_lease_action {
    int64_t id;
    bool revoke;        /* else checkpoint: */
    uint64_t remaining; /* seconds */
};
size_t kv_lessor_poll(struct kv_lessor *lessor, struct kv_lease_action *actions, size_t max);
/* When there will be something: ms of the environment's clock; UINT64_MAX: never. */
uint64_t kv_lessor_next(const struct kv_lessor *lessor);

#endif
