/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tables/channel_sync.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/tables/internal.h"
#include "dataplane/tables/key_queue.h"

#define OUTPUT_BOUND (8u << 20)
#define OUTPUT_PIECE (256u << 10) /* changes are produced while less than this waits */

enum sync_phase {
    PHASE_HELLO,   /* waits for the hello */
    PHASE_LISTED,  /* asked what is in the parts that differ */
    PHASE_READY,   /* no transaction under way */
    PHASE_SENDING, /* after BEGIN */
    PHASE_SENT,    /* after COMMIT: waits for the ACK */
    PHASE_REFUSED, /* the last transaction was: what the peer has is unknown */
};

struct channel_sync {
    struct tables *tables;
    struct channel_sync_hooks hooks;
    struct channel_reader *reader;
    struct channel_writer writer;
    enum sync_phase phase;
    struct key_queue changes; /* keys to be sent */
    struct channel_sync_status status;

    /* PHASE_LISTED */
    bool listed[TABLES_PARTS];
    uint64_t *same; /* a bit per granule of our heap: the peer has this record */
    uint32_t same_end;
};

int channel_sync_new(struct channel_sync **out, struct tables *tables,
                     const struct channel_sync_hooks *hooks)
{
    struct channel_sync *sync = calloc(1, sizeof(*sync));
    int rc;

    *out = NULL;
    if (!sync)
        return CULVERT_ENOMEM;
    rc = channel_reader_new(&sync->reader);
    if (rc) {
        free(sync);
        return rc;
    }
    sync->tables = tables;
    if (hooks)
        sync->hooks = *hooks;
    sync->writer.bound = OUTPUT_BOUND;
    *out = sync;
    return 0;
}

void channel_sync_free(struct channel_sync *sync)
{
    if (!sync)
        return;
    key_queue_clear(&sync->changes);
    free(sync->same);
    channel_reader_free(sync->reader);
    channel_writer_free(&sync->writer);
    free(sync);
}

/* ---- comparing ---- */

/* Asks for the entries of the parts marked in `listed`. Changes of ours that are committed until
 * the answer ends are queued anyway, so the comparison need only be right for what they leave
 * alone: those records stay where they are, and a bit names them. */
static int list_ask(struct channel_sync *sync)
{
    uint8_t parts[TABLES_PARTS];
    size_t count = 0;

    for (unsigned part = 0; part < TABLES_PARTS; part++)
        if (sync->listed[part])
            parts[count++] = (uint8_t)part;
    key_queue_clear(&sync->changes);
    sync->same_end = sync->tables->root->heap_end;
    free(sync->same);
    sync->same = calloc(sync->same_end / HEAP_GRANULE / 64 + 1, sizeof(*sync->same));
    if (!sync->same)
        return CULVERT_ENOMEM;
    sync->phase = PHASE_LISTED;
    return channel_write(&sync->writer, CHANNEL_LIST, parts, count, NULL, 0);
}

/* The bit of a committed record of ours; false: it is newer than the question. */
static bool same_bit(const struct channel_sync *sync, const void *body, uint64_t **word,
                     uint64_t *mask)
{
    uint32_t ref = (uint32_t)((const uint8_t *)body - sync->tables->base - sizeof(struct fp_rec));
    uint32_t granule = ref / HEAP_GRANULE;

    *word = &sync->same[granule / 64];
    *mask = 1ull << (granule % 64);
    return ref < sync->same_end;
}

static int hello(struct channel_sync *sync, const struct channel_hello *hello)
{
    const uint64_t *digests = tables_digests(sync->tables);

    if (sync->phase != PHASE_HELLO || !memchr(hello->name, 0, sizeof(hello->name)))
        return CULVERT_EPROTO;
    if (hello->version != CHANNEL_VERSION || hello->layout != FP_REGION_LAYOUT)
        return CULVERT_ELAYOUT;
    sync->status.greeted = true;
    sync->status.generation = hello->generation;
    for (unsigned part = 0; part < TABLES_PARTS; part++)
        sync->listed[part] = digests[part] != hello->digest[part];
    if (sync->hooks.hello)
        sync->hooks.hello(sync->hooks.arg, hello);
    return list_ask(sync);
}

static int entry_compare(struct channel_sync *sync, const struct channel_entry *entry)
{
    uint64_t *word, mask;
    const void *body;
    size_t length;

    if (tables_check_key(&entry->key) || entry->key.kind == FP_KIND_NEXTHOP ||
        !sync->listed[tables_part(&entry->key)])
        return CULVERT_EPROTO;
    body = tables_get_committed(sync->tables, &entry->key, &length);
    if (body && tables_entry_digest(&entry->key, body, length) == entry->digest) {
        if (same_bit(sync, body, &word, &mask))
            *word |= mask;
        return 0;
    }
    /* Those that we have come at the end, with all that the peer hasn't. */
    return body ? 0 : key_queue_push(&sync->changes, &entry->key);
}

static int entries(struct channel_sync *sync, const struct channel_entry *entry, size_t length)
{
    if (sync->phase != PHASE_LISTED)
        return CULVERT_EPROTO;
    for (size_t i = 0; i < length / sizeof(*entry); i++) {
        int rc = entry_compare(sync, &entry[i]);

        if (rc)
            return rc;
    }
    return 0;
}

static int each_missing(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct channel_sync *sync = arg;
    uint64_t *word, mask;

    if (key->kind == FP_KIND_NEXTHOP || !sync->listed[tables_part(key)])
        return 0;
    if (same_bit(sync, body, &word, &mask) && *word & mask)
        return 0;
    return key_queue_push(&sync->changes, key);
}

static int entries_end(struct channel_sync *sync)
{
    int rc;

    if (sync->phase != PHASE_LISTED)
        return CULVERT_EPROTO;
    rc = tables_each(sync->tables, FP_KIND_COUNT, each_missing, sync);
    free(sync->same);
    sync->same = NULL;
    sync->phase = PHASE_READY;
    return rc;
}

/* ---- sending ---- */

static int change_send(struct channel_sync *sync, const struct fp_key *key)
{
    size_t length;
    const void *body = tables_get_committed(sync->tables, key, &length);

    if (!body) {
        sync->status.deletes++;
        return channel_write(&sync->writer, CHANNEL_DELETE, key, sizeof(*key), NULL, 0);
    }
    sync->status.puts++;
    return channel_write(&sync->writer, CHANNEL_PUT, key, sizeof(*key), body, length);
}

static bool behind(const struct channel_sync *sync)
{
    return sync->changes.count || sync->status.generation != tables_site_generation(sync->tables);
}

/* One message of the transaction. What was committed while it was being sent is in it too: every
 * entry is at least as new as the generation that it ends with, and all that changed is queued. */
static int produce(struct channel_sync *sync)
{
    uint64_t generation = tables_site_generation(sync->tables);
    struct fp_key key;

    if (sync->phase == PHASE_READY) {
        sync->phase = PHASE_SENDING;
        return channel_write(&sync->writer, CHANNEL_BEGIN, NULL, 0, NULL, 0);
    }
    if (key_queue_pop(&sync->changes, &key))
        return change_send(sync, &key);
    sync->phase = PHASE_SENT;
    return channel_write(&sync->writer, CHANNEL_COMMIT, &generation, sizeof(generation), NULL, 0);
}

static bool producing(const struct channel_sync *sync)
{
    return sync->phase == PHASE_SENDING || (sync->phase == PHASE_READY && behind(sync));
}

static int ack(struct channel_sync *sync, const struct channel_ack *ack, size_t length)
{
    if (sync->phase != PHASE_SENT)
        return CULVERT_EPROTO;
    sync->status.error = ack->error;
    if (ack->error) {
        sync->phase = PHASE_REFUSED;
        key_queue_clear(&sync->changes);
    } else {
        sync->phase = PHASE_READY;
        sync->status.generation = ack->generation;
    }
    if (sync->hooks.acked)
        sync->hooks.acked(sync->hooks.arg, ack->generation, ack->error, (const char *)(ack + 1),
                          length - sizeof(*ack));
    return 0;
}

static int change_queue(void *arg, const struct fp_key *key)
{
    struct channel_sync *sync = arg;

    return key_queue_push(&sync->changes, key);
}

int channel_sync_update(struct channel_sync *sync)
{
    if (sync->phase == PHASE_HELLO)
        return 0;
    if (sync->phase == PHASE_REFUSED) {
        memset(sync->listed, true, sizeof(sync->listed));
        return list_ask(sync);
    }
    return tables_changes(sync->tables, change_queue, sync);
}

/* ---- bytes in and out ---- */

static void stats_reply(struct channel_sync *sync, const uint32_t *head, size_t length)
{
    if (sync->hooks.stats)
        sync->hooks.stats(sync->hooks.arg, head[0], (const struct channel_stat *)(head + 2),
                          (length - 2 * sizeof(*head)) / sizeof(struct channel_stat), head[1] != 0);
}

static void explain_reply(struct channel_sync *sync, const uint32_t *head, size_t length)
{
    if (sync->hooks.explained)
        sync->hooks.explained(sync->hooks.arg, head[0], (const char *)(head + 2),
                              length - 2 * sizeof(*head));
}

static int handle(struct channel_sync *sync, enum channel_type type, const void *payload,
                  size_t length)
{
    if (sync->phase == PHASE_HELLO && type != CHANNEL_HELLO)
        return CULVERT_EPROTO;
    switch (type) {
    case CHANNEL_HELLO:
        return hello(sync, payload);
    case CHANNEL_ENTRIES:
        return entries(sync, payload, length);
    case CHANNEL_ENTRIES_END:
        return entries_end(sync);
    case CHANNEL_ACK:
        return ack(sync, payload, length);
    case CHANNEL_STATS_REPLY:
        stats_reply(sync, payload, length);
        return 0;
    case CHANNEL_EXPLAIN_REPLY:
        explain_reply(sync, payload, length);
        return 0;
    case CHANNEL_STATE:
        if (sync->hooks.state)
            sync->hooks.state(sync->hooks.arg, payload, length);
        return 0;
    default:
        return CULVERT_EPROTO;
    }
}

void channel_sync_room(struct channel_sync *sync, void **to, size_t *room)
{
    channel_reader_room(sync->reader, to, room);
}

int channel_sync_add(struct channel_sync *sync, size_t bytes)
{
    enum channel_type type;
    const void *payload;
    size_t length;
    int rc;

    channel_reader_add(sync->reader, bytes);
    while ((rc = channel_reader_next(sync->reader, &type, &payload, &length)) > 0) {
        rc = handle(sync, type, payload, length);
        if (rc)
            return rc;
    }
    return rc;
}

int channel_sync_output(struct channel_sync *sync, const void **data, size_t *length)
{
    while (producing(sync) && sync->writer.length < OUTPUT_PIECE) {
        int rc = produce(sync);

        if (rc)
            return rc;
    }
    *data = sync->writer.data;
    *length = sync->writer.length;
    return 0;
}

void channel_sync_sent(struct channel_sync *sync, size_t bytes)
{
    channel_writer_sent(&sync->writer, bytes);
}

int channel_sync_ask_stats(struct channel_sync *sync, uint32_t cookie)
{
    return channel_write(&sync->writer, CHANNEL_STATS, &cookie, sizeof(cookie), NULL, 0);
}

int channel_sync_ask_explain(struct channel_sync *sync, uint32_t cookie, uint32_t ifindex,
                             const void *frame, size_t length)
{
    uint32_t head[2] = {cookie, ifindex};

    return channel_write(&sync->writer, CHANNEL_EXPLAIN, head, sizeof(head), frame, length);
}

void channel_sync_status(const struct channel_sync *sync, struct channel_sync_status *status)
{
    *status = sync->status;
    status->waiting = sync->changes.count;
    status->in_sync = sync->phase == PHASE_READY && !behind(sync);
}
