/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tables/channel_apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/tables/internal.h"

#define OUTPUT_BOUND (8u << 20)
#define OUTPUT_PIECE (256u << 10) /* entries are produced while less than this waits */
#define ENTRIES_MAX 512u          /* in a message */
#define STATS_MAX 1024u           /* in a message */

struct channel_apply {
    struct tables *tables;
    struct channel_apply_hooks hooks;
    char name[32];
    struct channel_reader *reader; /* NULL: no connection */
    struct channel_writer writer;

    bool listing; /* a LIST is being answered */
    bool listed[TABLES_PARTS];
    struct tables_cursor cursor;

    bool open;           /* between BEGIN and COMMIT */
    int error;           /* of the transaction: the rest of it is skipped */
    struct fp_key fault; /* the entry that failed */
};

int channel_apply_new(struct channel_apply **out, struct tables *tables, const char *name,
                      const struct channel_apply_hooks *hooks)
{
    struct channel_apply *apply;

    *out = NULL;
    if (strlen(name) >= sizeof(apply->name))
        return CULVERT_EINVAL;
    apply = calloc(1, sizeof(*apply));
    if (!apply)
        return CULVERT_ENOMEM;
    apply->tables = tables;
    if (hooks)
        apply->hooks = *hooks;
    memcpy(apply->name, name, strlen(name) + 1);
    apply->writer.bound = OUTPUT_BOUND;
    *out = apply;
    return 0;
}

void channel_apply_free(struct channel_apply *apply)
{
    if (!apply)
        return;
    channel_apply_stop(apply);
    channel_writer_free(&apply->writer);
    free(apply);
}

void channel_apply_stop(struct channel_apply *apply)
{
    if (apply->open && !apply->error)
        tables_abort(apply->tables);
    apply->open = false;
    apply->listing = false;
    apply->error = 0;
    apply->writer.length = 0;
    channel_reader_free(apply->reader);
    apply->reader = NULL;
}

int channel_apply_start(struct channel_apply *apply)
{
    struct channel_hello hello = {
        .version = CHANNEL_VERSION,
        .layout = FP_REGION_LAYOUT,
        .pid = (uint32_t)getpid(),
        .generation = tables_site_generation(apply->tables),
    };
    int rc;

    channel_apply_stop(apply);
    rc = channel_reader_new(&apply->reader);
    if (rc)
        return rc;
    memcpy(hello.name, apply->name, sizeof(hello.name));
    memcpy(hello.digest, tables_digests(apply->tables), sizeof(hello.digest));
    return channel_write(&apply->writer, CHANNEL_HELLO, &hello, sizeof(hello), NULL, 0);
}

/* ---- LIST ---- */

static int list_start(struct channel_apply *apply, const uint8_t *part, size_t count)
{
    if (apply->open || apply->listing)
        return CULVERT_EPROTO;
    memset(apply->listed, 0, sizeof(apply->listed));
    for (size_t i = 0; i < count; i++)
        apply->listed[part[i]] = true;
    apply->cursor = (struct tables_cursor){0};
    apply->listing = true;
    return 0;
}

static int list_produce(struct channel_apply *apply)
{
    struct channel_entry entries[ENTRIES_MAX];
    size_t count = 0, length;
    const void *body;

    while (count < ENTRIES_MAX) {
        struct channel_entry *entry = &entries[count];

        if (!tables_next(apply->tables, &apply->cursor, &entry->key, &body, &length)) {
            apply->listing = false;
            break;
        }
        if (entry->key.kind == FP_KIND_NEXTHOP || !apply->listed[tables_part(&entry->key)])
            continue;
        entry->digest = tables_entry_digest(&entry->key, body, length);
        count++;
    }
    if (count) {
        int rc = channel_write(&apply->writer, CHANNEL_ENTRIES, entries, count * sizeof(entries[0]),
                               NULL, 0);
        if (rc)
            return rc;
    }
    return apply->listing ? 0
                          : channel_write(&apply->writer, CHANNEL_ENTRIES_END, NULL, 0, NULL, 0);
}

/* ---- transactions ---- */

static void change_failed(struct channel_apply *apply, const struct fp_key *key, int error)
{
    tables_abort(apply->tables);
    apply->error = error;
    apply->fault = *key;
}

static int change(struct channel_apply *apply, enum channel_type type, const void *payload,
                  size_t length)
{
    const struct fp_key *key = payload;
    int rc;

    if (!apply->open)
        return CULVERT_EPROTO;
    if (apply->error)
        return 0;
    if (type == CHANNEL_PUT)
        rc = tables_put(apply->tables, key, key + 1, length - sizeof(*key));
    else
        rc = tables_delete(apply->tables, key);
    if (rc)
        change_failed(apply, key, rc);
    return 0;
}

static int begin(struct channel_apply *apply)
{
    if (apply->open || apply->listing)
        return CULVERT_EPROTO;
    apply->open = true;
    apply->fault = (struct fp_key){.kind = FP_KIND_COUNT};
    apply->error = tables_begin(apply->tables);
    return 0;
}

static int error_text(const struct channel_apply *apply, char *text, size_t size)
{
    static const char *const kinds[FP_KIND_COUNT + 1] = {
#define X(name, number, slots, what) [number] = #name,
        FP_KINDS(X)
#undef X
    };
    unsigned kind = apply->fault.kind < FP_KIND_COUNT ? apply->fault.kind : FP_KIND_COUNT;
    struct tables_usage usage;

    if (apply->error == CULVERT_EFULL) {
        tables_usage(apply->tables, &usage);
        return snprintf(text, size, "its %zu MiB for tables are full%s%s: give it more --memory",
                        usage.region >> 20, kinds[kind] ? ", at table " : "",
                        kinds[kind] ? kinds[kind] : "");
    }
    if (!kinds[kind])
        return snprintf(text, size, "%s", culvert_strerror(apply->error));
    return snprintf(text, size, "%s (table %s, entry %llx %llx %x)", culvert_strerror(apply->error),
                    kinds[kind], apply->fault.a, apply->fault.b, apply->fault.c);
}

static int commit(struct channel_apply *apply, const void *payload)
{
    struct channel_ack ack = {0};
    char text[160];
    int written = 0;

    if (!apply->open)
        return CULVERT_EPROTO;
    memcpy(&ack.generation, payload, sizeof(ack.generation));
    if (!apply->error)
        apply->error = tables_commit(apply->tables, ack.generation);
    ack.error = apply->error;
    if (ack.error)
        written = error_text(apply, text, sizeof(text));
    apply->open = false;
    apply->error = 0;
    if (apply->hooks.committed)
        apply->hooks.committed(apply->hooks.arg, ack.generation, ack.error);
    return channel_write(&apply->writer, CHANNEL_ACK, &ack, sizeof(ack), text, (size_t)written);
}

/* ---- STATS ---- */

struct stats_reply {
    struct channel_apply *apply;
    uint32_t head[2]; /* cookie, more */
    size_t count;
    int error;
    struct channel_stat stat[STATS_MAX];
};

static void stats_flush(struct stats_reply *reply, uint32_t more)
{
    reply->head[1] = more;
    if (!reply->error)
        reply->error =
            channel_write(&reply->apply->writer, CHANNEL_STATS_REPLY, reply->head,
                          sizeof(reply->head), reply->stat, reply->count * sizeof(reply->stat[0]));
    reply->count = 0;
}

static uint32_t stat_kind(size_t array)
{
    switch (array) {
    case offsetof(struct fp_counters, vip):
        return CHANNEL_STAT_VIP;
    case offsetof(struct fp_counters, backend):
        return CHANNEL_STAT_BACKEND;
    case offsetof(struct fp_counters, zone):
        return CHANNEL_STAT_ZONE;
    case offsetof(struct fp_counters, limit):
        return CHANNEL_STAT_LIMIT;
    default:
        return CHANNEL_STAT_REASON;
    }
}

static void stats_add(void *arg, size_t array, unsigned number, const struct fp_counter *counter)
{
    struct stats_reply *reply = arg;

    if (reply->count == STATS_MAX)
        stats_flush(reply, 1);
    reply->stat[reply->count++] = (struct channel_stat){
        .kind = stat_kind(array),
        .number = number,
        .packets = counter->packets,
        .bytes = counter->bytes,
    };
}

static int stats_answer(struct channel_apply *apply, const uint32_t *cookie)
{
    struct stats_reply reply;

    if (apply->hooks.stats) {
        apply->hooks.stats(apply->hooks.arg, *cookie);
        return 0;
    }
    reply.apply = apply;
    reply.head[0] = *cookie;
    reply.count = 0;
    reply.error = 0;
    tables_stats(apply->tables, stats_add, &reply);
    stats_flush(&reply, 0);
    return reply.error;
}

static void explain(struct channel_apply *apply, const void *payload, size_t length)
{
    const uint32_t *head = payload;

    if (apply->hooks.explain)
        apply->hooks.explain(apply->hooks.arg, head[0], head[1], head + 2,
                             length - 2 * sizeof(*head));
}

/* ---- bytes in and out ---- */

static int handle(struct channel_apply *apply, enum channel_type type, const void *payload,
                  size_t length)
{
    switch (type) {
    case CHANNEL_LIST:
        return list_start(apply, payload, length);
    case CHANNEL_BEGIN:
        return begin(apply);
    case CHANNEL_PUT:
    case CHANNEL_DELETE:
        return change(apply, type, payload, length);
    case CHANNEL_COMMIT:
        return commit(apply, payload);
    case CHANNEL_STATS:
        return stats_answer(apply, payload);
    case CHANNEL_EXPLAIN:
        explain(apply, payload, length);
        return 0;
    default:
        return CULVERT_EPROTO;
    }
}

void channel_apply_room(struct channel_apply *apply, void **to, size_t *room)
{
    channel_reader_room(apply->reader, to, room);
}

int channel_apply_add(struct channel_apply *apply, size_t bytes)
{
    enum channel_type type;
    const void *payload;
    size_t length;
    int rc;

    channel_reader_add(apply->reader, bytes);
    while ((rc = channel_reader_next(apply->reader, &type, &payload, &length)) > 0) {
        rc = handle(apply, type, payload, length);
        if (rc)
            return rc;
    }
    return rc;
}

int channel_apply_output(struct channel_apply *apply, const void **data, size_t *length)
{
    while (apply->listing && apply->writer.length < OUTPUT_PIECE) {
        int rc = list_produce(apply);

        if (rc)
            return rc;
    }
    *data = apply->writer.data;
    *length = apply->writer.length;
    return 0;
}

void channel_apply_sent(struct channel_apply *apply, size_t bytes)
{
    channel_writer_sent(&apply->writer, bytes);
}

int channel_apply_send(struct channel_apply *apply, enum channel_type type, const void *first,
                       size_t first_length, const void *second, size_t second_length)
{
    if (type != CHANNEL_STATE && type != CHANNEL_STATS_REPLY && type != CHANNEL_EXPLAIN_REPLY)
        return CULVERT_EINVAL;
    if (!apply->reader)
        return 0;
    return channel_write(&apply->writer, type, first, first_length, second, second_length);
}
