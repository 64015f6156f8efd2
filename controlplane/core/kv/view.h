/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest versions of all keys as they are at one moment, for readers that take their time: on
 * the machine (RocksDB) any thread may read a view, one at a time, while the loop's thread goes on
 * applying commands. Opened and closed on the loop's thread, before the store is closed.
 */
#ifndef CULVERT_CORE_KV_VIEW_H
#define CULVERT_CORE_KV_VIEW_H

#include "controlplane/core/kv/store.h"

struct kv_view;

/* CULVERT_ENOMEM, or the engine's error. */
int kv_view_open(struct kv_view **out, struct kv_store *store);
void kv_view_close(struct kv_view *view); /* NULL is allowed */

/* Answers as kv_store_read() did when the view was opened. */
int kv_view_read(struct kv_view *view, const struct kv_command *command, struct buffer *result);

/* Appends a key's value. CULVERT_ENOTFOUND, CULVERT_ENOMEM, or the engine's error. */
int kv_view_get(struct kv_view *view, struct kv_slice key, struct buffer *value);

/* Calls `each` for the keys from `first` up to but without `end`, in their order or, `back`, from
 * the last one, until it returns non-zero, which is returned. Slices are valid during the call. */
typedef int (*kv_view_fn)(void *arg, struct kv_slice key, struct kv_slice value);
int kv_view_each(struct kv_view *view, struct kv_slice first, struct kv_slice end, bool back,
                 kv_view_fn each, void *arg);

#endif
