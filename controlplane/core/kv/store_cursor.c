/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over the keys of a range, at the newest revision with the command's own changes, or at one
 * of the past. */
#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

#define PAST_STEPS 8u /* changes of a key that are walked over before it is searched for */

static bool end_is_open(struct kv_slice end)
{
    return end.length == 1 && !end.data[0];
}

static bool in_range(const struct kv_keys *keys, struct kv_slice key)
{
    return end_is_open(keys->end) || kv_compare_bytes(key, keys->end) < 0;
}

/* The engine's iterator over the records of the range. */
static int open_iterator(struct kv_cursor *cursor)
{
    struct kv_engine *engine = cursor->work->store->engine;
    const struct kv_keys *keys = cursor->keys;
    bool past = cursor->revision;
    char kind = past ? LAYOUT_INDEX : LAYOUT_LIVE;
    struct buffer upper = {0};
    int error;

    if (past)
        layout_index_start(&cursor->seek, keys->key);
    else
        layout_key(&cursor->seek, kind, keys->key);
    if (cursor->single && past) {
        layout_index_behind(&upper, keys->key);
    } else if (cursor->single) {
        layout_key(&upper, kind, keys->key);
        buffer_char(&upper, 0);
    } else if (end_is_open(keys->end)) {
        buffer_char(&upper, (char)(kind + 1));
    } else if (past) {
        layout_index_start(&upper, keys->end);
    } else {
        layout_key(&upper, kind, keys->end);
    }
    error = cursor->seek.error ? cursor->seek.error : upper.error;
    if (!error)
        error =
            engine->ops->iterator(engine, cursor->work->snapshot, kv_buffer_slice(&cursor->seek),
                                  kv_buffer_slice(&upper), &cursor->iterator);
    if (!error)
        cursor->iterator->ops->seek(cursor->iterator, kv_buffer_slice(&cursor->seek));
    buffer_free(&upper);
    return error;
}

int kv_cursor_open(struct kv_cursor *cursor, struct kv_work *work, const struct kv_keys *keys,
                   uint64_t revision)
{
    bool overlaid = !revision;

    if (revision == work->start)
        revision = 0;
    *cursor = (struct kv_cursor){.work = work, .keys = keys, .revision = revision};
    cursor->overlaid = overlaid && work->overlay_count;
    cursor->single = !keys->end.length;
    if (!cursor->single && !in_range(keys, keys->key)) {
        cursor->ended = true;
        return 0;
    }
    if (cursor->single && !revision && (overlaid || !work->overlay_count))
        return 0;
    while (cursor->overlaid && cursor->overlay < work->overlay_count &&
           kv_compare_bytes(work->overlay[cursor->overlay].key, keys->key) < 0)
        cursor->overlay++;
    return open_iterator(cursor);
}

void kv_cursor_close(struct kv_cursor *cursor)
{
    if (cursor->iterator)
        cursor->iterator->ops->close(cursor->iterator);
    buffer_free(&cursor->key);
    buffer_free(&cursor->record);
    buffer_free(&cursor->seek);
}

/* Stands at a newest version. */
static int at_live(struct kv_cursor *cursor, struct kv_slice key, struct kv_slice record)
{
    struct kv_live *live = &cursor->live;

    if (!layout_live_decode(live, record))
        return CULVERT_ECORRUPT;
    cursor->pair = (struct kv_pair){key,           live->value, live->create, live->mod.main,
                                    live->version, live->lease};
    return 1;
}

static int next_single(struct kv_cursor *cursor)
{
    struct kv_live *live = &cursor->live;
    int error = kv_work_find(cursor->work, cursor->keys->key, live);

    cursor->ended = true;
    if (error)
        return error == CULVERT_ENOTFOUND ? 0 : error;
    cursor->pair = (struct kv_pair){cursor->keys->key, live->value,   live->create,
                                    live->mod.main,    live->version, live->lease};
    return 1;
}

/* The next of the engine's keys, without its kind; data NULL: none is left. */
static int engine_key(struct kv_cursor *cursor, struct kv_slice *key)
{
    struct kv_iterator *iterator = cursor->iterator;

    if (cursor->moved)
        iterator->ops->next(iterator);
    cursor->moved = false;
    *key = (struct kv_slice){0};
    if (!iterator->ops->valid(iterator))
        return iterator->ops->error(iterator);
    *key = iterator->ops->key(iterator);
    key->data++;
    key->length--;
    return 0;
}

/* The engine's records merged with the overlay, which has precedence. */
static int next_live(struct kv_cursor *cursor)
{
    const struct kv_work *work = cursor->work;
    struct kv_slice key;
    int order, error;

    for (;;) {
        const struct kv_overlay *over = NULL;

        error = engine_key(cursor, &key);
        if (error)
            return error;
        if (cursor->overlaid && cursor->overlay < work->overlay_count &&
            in_range(cursor->keys, work->overlay[cursor->overlay].key))
            over = &work->overlay[cursor->overlay];
        if (!over && !key.data)
            return 0;
        order = !over ? -1 : !key.data ? 1 : kv_compare_bytes(key, over->key);
        cursor->moved = order <= 0;
        if (order < 0)
            return at_live(cursor, key, cursor->iterator->ops->value(cursor->iterator));
        cursor->overlay++;
        if (over->record.data)
            return at_live(cursor, over->key, over->record);
    }
}

/* The version of the key at the place that `seek` was made for; 0: it was deleted then. */
static int at_past(struct kv_cursor *cursor, struct kv_point point)
{
    struct kv_engine *engine = cursor->work->store->engine;
    struct kv_history history;
    int error;

    layout_history_key(&cursor->seek, point);
    buffer_clear(&cursor->record);
    error = cursor->seek.error ? cursor->seek.error
                               : engine->ops->get(engine, cursor->work->snapshot,
                                                  kv_buffer_slice(&cursor->seek), &cursor->record);
    if (error)
        return error == CULVERT_ENOTFOUND ? CULVERT_ECORRUPT : error;
    if (!layout_history_decode(&history, kv_buffer_slice(&cursor->record)))
        return CULVERT_ECORRUPT;
    cursor->pair = (struct kv_pair){history.key, history.value,   history.create,
                                    point.main,  history.version, history.lease};
    return history.put;
}

/* Whether the iterator stands at a change of the key that `seek` is an index key of. */
static bool same_key(const struct kv_cursor *cursor, struct kv_slice index)
{
    return index.length == cursor->seek.length &&
           !memcmp(index.data, cursor->seek.data, index.length - LAYOUT_POINT);
}

/* Walks over the changes of the key in cursor->key, where the iterator stands, up to the revision.
 * True in *done: it stands behind them all; else it gave up, for there are many. */
static int walk_past(struct kv_cursor *cursor, struct kv_point *point, bool *found, bool *done)
{
    struct kv_iterator *iterator = cursor->iterator;
    struct kv_point at;

    *found = *done = false;
    for (unsigned step = 0; step < PAST_STEPS; step++, iterator->ops->next(iterator)) {
        *done = !iterator->ops->valid(iterator) || !same_key(cursor, iterator->ops->key(iterator));
        if (*done)
            break;
        at = layout_index_point(iterator->ops->key(iterator));
        if (at.main <= cursor->revision) {
            *point = at;
            *found = true;
        }
    }
    return iterator->ops->valid(iterator) ? 0 : iterator->ops->error(iterator);
}

/* The last change of the key in cursor->key that is not after the revision. Leaves the iterator
 * behind all of the key's changes. False in *found: there is none. */
static int find_past(struct kv_cursor *cursor, struct kv_point *point, bool *found)
{
    struct kv_iterator *iterator = cursor->iterator;
    struct kv_slice key = kv_buffer_slice(&cursor->key);
    struct kv_point last = {cursor->revision, LAYOUT_SUB_LAST};
    bool done;
    int error;

    layout_index_key(&cursor->seek, key, last);
    error = cursor->seek.error ? cursor->seek.error : walk_past(cursor, point, found, &done);
    if (error || done)
        return error;
    iterator->ops->seek_last(iterator, kv_buffer_slice(&cursor->seek));
    *found = iterator->ops->valid(iterator) && same_key(cursor, iterator->ops->key(iterator));
    if (*found)
        *point = layout_index_point(iterator->ops->key(iterator));
    layout_index_behind(&cursor->seek, key);
    if (cursor->seek.error)
        return cursor->seek.error;
    iterator->ops->seek(iterator, kv_buffer_slice(&cursor->seek));
    return iterator->ops->valid(iterator) ? 0 : iterator->ops->error(iterator);
}

static int next_past(struct kv_cursor *cursor)
{
    struct kv_iterator *iterator = cursor->iterator;
    struct kv_point point;
    bool found;
    int error;

    while (iterator->ops->valid(iterator)) {
        if (!layout_index_decode(&cursor->key, &point, iterator->ops->key(iterator)))
            return CULVERT_ECORRUPT;
        error = cursor->key.error ? cursor->key.error : find_past(cursor, &point, &found);
        if (!error && found)
            error = at_past(cursor, point);
        if (error)
            return error;
    }
    return iterator->ops->error(iterator);
}

int kv_cursor_next(struct kv_cursor *cursor)
{
    if (cursor->ended)
        return 0;
    if (!cursor->iterator)
        return next_single(cursor);
    return cursor->revision ? next_past(cursor) : next_live(cursor);
}
