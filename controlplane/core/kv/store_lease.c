/* SPDX-License-Identifier: Apache-2.0 */
/* Leases as the state has them. When they expire is the leader's to say (lessor.h). */
#include "controlplane/base/error.h"
#include "controlplane/core/kv/store_internal.h"

#define LEASE_RECORD 16u /* bytes */

int kv_store_lease(struct kv_store *store, int64_t id, struct kv_lease *lease)
{
    struct buffer key = {0}, record = {0};
    int error;

    layout_lease_key(&key, LAYOUT_LEASE, id, (struct kv_slice){0});
    error = key.error
                ? key.error
                : store->engine->ops->get(store->engine, NULL, kv_buffer_slice(&key), &record);
    if (!error && !layout_lease_decode(lease, kv_buffer_slice(&key), kv_buffer_slice(&record)))
        error = CULVERT_ECORRUPT;
    buffer_free(&key);
    buffer_free(&record);
    return error == CULVERT_ENOTFOUND ? CULVERT_ENOLEASE : error;
}

static int lease_write(struct kv_work *work, const struct kv_lease *lease)
{
    layout_lease_key(&work->key, LAYOUT_LEASE, lease->id, (struct kv_slice){0});
    layout_lease_encode(&work->record, lease);
    if (work->key.error || work->record.error)
        return CULVERT_ENOMEM;
    kv_work_record(work, kv_buffer_slice(&work->key), kv_buffer_slice(&work->record));
    return kv_work_lease(work, lease);
}

int kv_lease_grant(struct kv_work *work, const struct kv_lease *lease)
{
    struct kv_lease there;
    int error = kv_store_lease(work->store, lease->id, &there);

    if (!error)
        return kv_refuse(work, CULVERT_EEXIST);
    if (error != CULVERT_ENOLEASE)
        return error;
    if (work->meta.leases >= KV_LEASES_MAX)
        return kv_refuse(work, CULVERT_EFULL);
    error = kv_quota_check(work, LEASE_RECORD);
    if (!error)
        error = lease_write(work, &(struct kv_lease){lease->id, lease->ttl, 0});
    if (error)
        return error;
    work->meta.leases++;
    if (work->result) {
        kv_put_varint(work->result, (uint64_t)lease->id);
        kv_put_varint(work->result, lease->ttl);
    }
    return work->result ? work->result->error : 0;
}

struct revoke {
    struct kv_work *work;
    struct kv_key_list {
        struct kv_slice key;
        struct kv_key_list *next;
    } *list, **last;
};

static int revoke_key(void *arg, struct kv_slice key)
{
    struct revoke *revoke = arg;
    struct kv_key_list *one = arena_alloc(&revoke->work->arena, sizeof(*one));

    if (!one)
        return CULVERT_ENOMEM;
    one->key.data =
        (const uint8_t *)arena_copy(&revoke->work->arena, (const char *)key.data, key.length);
    one->key.length = key.length;
    *revoke->last = one;
    revoke->last = &one->next;
    return one->key.data ? 0 : CULVERT_ENOMEM;
}

int kv_lease_revoke(struct kv_work *work, int64_t id)
{
    struct revoke revoke = {.work = work};
    struct kv_lease lease;
    struct kv_live live;
    int error = kv_store_lease(work->store, id, &lease);

    if (error)
        return error == CULVERT_ENOLEASE ? kv_refuse(work, error) : error;
    revoke.last = &revoke.list;
    error = kv_store_lease_keys(work->store, id, revoke_key, &revoke);
    for (struct kv_key_list *one = revoke.list; one && !error; one = one->next) {
        error = kv_work_find(work, one->key, &live);
        if (!error)
            error = kv_work_delete(work, one->key, &live);
        else if (error == CULVERT_ENOTFOUND)
            error = CULVERT_ECORRUPT;
    }
    if (error)
        return error;
    layout_lease_key(&work->key, LAYOUT_LEASE, id, (struct kv_slice){0});
    kv_work_remove(work, kv_buffer_slice(&work->key), LEASE_RECORD);
    work->meta.leases--;
    lease.ttl = 0;
    return work->key.error ? work->key.error : kv_work_lease(work, &lease);
}

int kv_lease_checkpoint(struct kv_work *work, const struct kv_lease *list, size_t count)
{
    struct kv_lease lease;
    int error = 0;

    for (size_t i = 0; i < count && !error; i++) {
        error = kv_store_lease(work->store, list[i].id, &lease);
        if (error == CULVERT_ENOLEASE) {
            error = 0; /* revoked meanwhile */
            continue;
        }
        if (error)
            return error;
        lease.remaining = list[i].remaining < lease.ttl ? list[i].remaining : 0;
        error = lease_write(work, &lease);
        if (!error)
            work->meta.size -= work->key.length + LEASE_RECORD; /* it was there */
    }
    return error;
}

/* Over the records of a kind from a key to another. */
static int each_record(struct kv_store *store, const struct buffer *from, const struct buffer *to,
                       int (*each)(void *arg, struct kv_slice key, struct kv_slice record),
                       void *arg)
{
    struct kv_iterator *iterator;
    int error = from->error ? from->error : to->error;

    if (!error)
        error = store->engine->ops->iterator(store->engine, NULL, kv_buffer_slice(from),
                                             kv_buffer_slice(to), &iterator);
    if (error)
        return error;
    for (iterator->ops->seek(iterator, kv_buffer_slice(from));
         !error && iterator->ops->valid(iterator); iterator->ops->next(iterator))
        error = each(arg, iterator->ops->key(iterator), iterator->ops->value(iterator));
    if (!error)
        error = iterator->ops->error(iterator);
    iterator->ops->close(iterator);
    return error;
}

struct each_lease {
    int (*each)(void *arg, const struct kv_lease *lease);
    int (*each_key)(void *arg, struct kv_slice key);
    void *arg;
};

static int lease_record(void *arg, struct kv_slice key, struct kv_slice record)
{
    const struct each_lease *each = arg;
    struct kv_lease lease;

    return layout_lease_decode(&lease, key, record) ? each->each(each->arg, &lease)
                                                    : CULVERT_ECORRUPT;
}

static int attached_record(void *arg, struct kv_slice key, struct kv_slice record)
{
    const struct each_lease *each = arg;

    return each->each_key(each->arg, (struct kv_slice){key.data + 9, key.length - 9});
}

int kv_store_leases(struct kv_store *store, int (*each)(void *arg, const struct kv_lease *lease),
                    void *arg)
{
    struct each_lease leases = {.each = each, .arg = arg};
    struct buffer from = {0}, to = {0};
    int error;

    buffer_char(&from, LAYOUT_LEASE);
    buffer_char(&to, LAYOUT_LEASE + 1);
    error = each_record(store, &from, &to, lease_record, &leases);
    buffer_free(&from);
    buffer_free(&to);
    return error;
}

int kv_store_lease_keys(struct kv_store *store, int64_t id,
                        int (*each)(void *arg, struct kv_slice key), void *arg)
{
    struct each_lease keys = {.each_key = each, .arg = arg};
    struct buffer from = {0}, to = {0};
    int error;

    layout_lease_key(&from, LAYOUT_ATTACHED, id, (struct kv_slice){0});
    if ((uint64_t)id == UINT64_MAX)
        buffer_char(&to, LAYOUT_ATTACHED + 1);
    else
        layout_lease_key(&to, LAYOUT_ATTACHED, (int64_t)((uint64_t)id + 1), (struct kv_slice){0});
    error = each_record(store, &from, &to, attached_record, &keys);
    buffer_free(&from);
    buffer_free(&to);
    return error;
}
