/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/kv/view.h"

#include <stdlib.h>

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

struct kv_view {
    struct kv_store *store;
    struct kv_snapshot *snapshot;
    struct kv_meta meta;
    struct buffer lower, upper; /* of the last read by kv_view_each() */
};

int kv_view_open(struct kv_view **out, struct kv_store *store)
{
    struct kv_view *view = calloc(1, sizeof(*view));
    int error =
        view ? store->engine->ops->snapshot(store->engine, &view->snapshot) : CULVERT_ENOMEM;

    if (error) {
        free(view);
        return error;
    }
    view->store = store;
    view->meta = store->meta;
    *out = view;
    return 0;
}

int kv_view_read(struct kv_view *view, const struct kv_command *command, struct buffer *result)
{
    struct kv_work work = {.store = view->store,
                           .snapshot = view->snapshot,
                           .meta = view->meta,
                           .start = view->meta.revision,
                           .result = result};
    int error;

    buffer_init(&work.pairs, KV_RESULT_MAX);
    error = kv_read_run(&work, command);
    kv_work_end(&work);
    return error;
}

void kv_view_close(struct kv_view *view)
{
    if (!view)
        return;
    view->store->engine->ops->snapshot_free(view->snapshot);
    buffer_free(&view->lower);
    buffer_free(&view->upper);
    free(view);
}

static int open_range(struct kv_view *view, struct kv_slice first, struct kv_slice end,
                      struct kv_iterator **out)
{
    layout_key(&view->lower, LAYOUT_LIVE, first);
    layout_key(&view->upper, LAYOUT_LIVE, end);
    if (view->lower.error || view->upper.error)
        return CULVERT_ENOMEM;
    return view->store->engine->ops->iterator(view->store->engine, view->snapshot,
                                              kv_buffer_slice(&view->lower),
                                              kv_buffer_slice(&view->upper), out);
}

static int add_value(void *arg, struct kv_slice key, struct kv_slice value)
{
    struct buffer *to = arg;

    (void)key;
    buffer_add(to, value.data, value.length);
    return to->error ? to->error : 1;
}

int kv_view_get(struct kv_view *view, struct kv_slice key, struct buffer *value)
{
    struct buffer behind = {0};
    int found;

    buffer_add(&behind, key.data, key.length);
    buffer_char(&behind, 0); /* the next key that there can be */
    found = behind.error
                ? behind.error
                : kv_view_each(view, key, kv_buffer_slice(&behind), false, add_value, value);
    buffer_free(&behind);
    return found > 0 ? 0 : found ? found : CULVERT_ENOTFOUND;
}

int kv_view_each(struct kv_view *view, struct kv_slice first, struct kv_slice end, bool back,
                 kv_view_fn each, void *arg)
{
    const struct kv_iterator_ops *ops;
    struct kv_iterator *at;
    int result = open_range(view, first, end, &at);

    if (result)
        return result;
    ops = at->ops;
    if (back)
        ops->seek_last(at, kv_buffer_slice(&view->upper));
    else
        ops->seek(at, kv_buffer_slice(&view->lower));
    while (!result && ops->valid(at)) {
        struct kv_slice key = ops->key(at);
        struct kv_live live;

        if (!layout_live_decode(&live, ops->value(at)))
            result = CULVERT_ECORRUPT;
        else
            result = each(arg, (struct kv_slice){key.data + 1, key.length - 1}, live.value);
        if (back)
            ops->prev(at);
        else
            ops->next(at);
    }
    if (!result)
        result = ops->error(at);
    ops->close(at);
    return result;
}
