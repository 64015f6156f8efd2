/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest versions of keys as a view (store.h) has them, key by key. On the machine (RocksDB)
 * any thread may read a view, one at a time, while the loop's thread goes on applying commands.
 */
#ifndef CULVERT_CORE_KV_VIEW_H
#define CULVERT_CORE_KV_VIEW_H

#include "controlplane/core/kv/store.h"

/* Appends a key's value. CULVERT_ENOTFOUND, CULVERT_ENOMEM, or the engine's error. */
int kv_view_get(struct kv_view *view, struct kv_slice key, struct buffer *value);

/* Calls `each` for the keys from `first` up to but without `end`, in their order or, `back`, from
 * the last one, until it returns non-zero, which is returned. Slices are valid during the call. */
typedef int (*kv_view_fn)(void *arg, struct kv_slice key, struct kv_slice value);
int kv_view_each(struct kv_view *view, struct kv_slice first, struct kv_slice end, bool back,
                 kv_view_fn each, void *arg);

#endif
