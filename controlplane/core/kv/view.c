/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/kv/view.h"

#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

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
    struct kv_engine *engine = view->store->engine;
    struct buffer lower = {0}, upper = {0};
    const struct kv_iterator_ops *ops;
    struct kv_iterator *at;
    int result;

    layout_key(&lower, LAYOUT_LIVE, first);
    layout_key(&upper, LAYOUT_LIVE, end);
    result = lower.error ? lower.error : upper.error;
    if (!result)
        result = engine->ops->iterator(engine, view->snapshot, kv_buffer_slice(&lower),
                                       kv_buffer_slice(&upper), &at);
    if (result)
        goto out;
    ops = at->ops;
    if (back)
        ops->seek_last(at, kv_buffer_slice(&upper));
    else
        ops->seek(at, kv_buffer_slice(&lower));
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
out:
    buffer_free(&lower);
    buffer_free(&upper);
    return result;
}
