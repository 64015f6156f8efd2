/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel between the control plane and a data plane: messages over a Unix stream socket
 * (culvertd listens on RUN/channel.sock, data planes connect). I/O-free: bytes in, messages out.
 *
 *   data plane                                     culvertd
 *   HELLO version, layout, name, generation,
 *         digests of 256 parts               ->
 *                                            <-    LIST part...        (parts that differ)
 *   ENTRIES (key, digest)..., ENTRIES_END    ->
 *                                            <-    BEGIN, PUT..., DELETE..., COMMIT generation
 *   ACK generation, error                    ->
 *                                            <-    BEGIN ... COMMIT    (each later change)
 *                                            <-    STATS, EXPLAIN      (when asked)
 *   STATS_REPLY, EXPLAIN_REPLY, STATE        ->
 *
 * Every message: struct channel_header, then `length` bytes. Host byte order: one machine. Every
 * length and count is checked; a peer that breaks the rules is cut off.
 */
#ifndef CULVERT_TABLES_CHANNEL_H
#define CULVERT_TABLES_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/fastpath/region.h"
#include "dataplane/tables/tables.h"

#define CHANNEL_VERSION 1u
#define CHANNEL_MESSAGE_MAX (1u << 20) /* bytes of one message's payload */

enum channel_type {
    CHANNEL_HELLO = 1,     /* struct channel_hello */
    CHANNEL_LIST,          /* u8 part[]; none: nothing differs */
    CHANNEL_ENTRIES,       /* struct channel_entry[] of those parts */
    CHANNEL_ENTRIES_END,   /* -; answers every LIST */
    CHANNEL_BEGIN,         /* - */
    CHANNEL_PUT,           /* struct fp_key, then the body */
    CHANNEL_DELETE,        /* struct fp_key */
    CHANNEL_COMMIT,        /* u64 generation */
    CHANNEL_ACK,           /* struct channel_ack, then text of the error, if any */
    CHANNEL_STATS,         /* u32 cookie */
    CHANNEL_STATS_REPLY,   /* u32 cookie, u32 1: more follow, struct channel_stat[] (non-zero) */
    CHANNEL_EXPLAIN,       /* u32 cookie, u32 ifindex (0: the first), then the Ethernet frame */
    CHANNEL_EXPLAIN_REPLY, /* u32 cookie, u32 0, then JSON */
    CHANNEL_STATE,         /* JSON: interfaces, modes, next hops, errors; sent on each change */
    CHANNEL_TYPE_COUNT,
};

struct channel_header {
    uint32_t length;
    uint16_t type; /* enum channel_type */
    uint16_t zero;
};

struct channel_hello {
    uint32_t version; /* CHANNEL_VERSION */
    uint32_t layout;  /* FP_REGION_LAYOUT */
    uint32_t pid;
    uint32_t zero;
    char name[32]; /* of the data plane, e.g. "xdp"; NUL-terminated */
    uint64_t generation;
    uint64_t digest[TABLES_PARTS];
};

struct channel_entry {
    struct fp_key key;
    uint64_t digest;
};

struct channel_ack {
    uint64_t generation;
    int32_t error; /* 0 or an error of base/error.h; the transaction was aborted */
    uint32_t zero;
};

enum channel_stat_kind {
    CHANNEL_STAT_REASON,
    CHANNEL_STAT_VIP,
    CHANNEL_STAT_BACKEND,
    CHANNEL_STAT_ZONE,
    CHANNEL_STAT_LIMIT,
};

struct channel_stat {
    uint32_t kind; /* enum channel_stat_kind */
    uint32_t number;
    uint64_t packets, bytes;
};

/* ---- reading: feed bytes, get messages ---- */

struct channel_reader; /* a bounded buffer */

/* CULVERT_ENOMEM. The caller frees it. */
int channel_reader_new(struct channel_reader **out);
void channel_reader_free(struct channel_reader *reader);

/* Where to read the next bytes to: at least one byte of room. */
void channel_reader_room(struct channel_reader *reader, void **to, size_t *room);
void channel_reader_add(struct channel_reader *reader, size_t bytes);

/* The next whole message: 1 and its type and payload (aligned to 8, valid until the next call on
 * this reader), 0: more bytes needed, CULVERT_EPROTO: the peer broke the rules, CULVERT_ENOMEM.
 * The payload's length has been checked against its type. Call it until it returns 0 before asking
 * for room again. */
int channel_reader_next(struct channel_reader *reader, enum channel_type *type,
                        const void **payload, size_t *length);

/* ---- writing: a growing buffer with a bound ---- */

struct channel_writer {
    uint8_t *data;
    size_t length, capacity;
    size_t bound; /* CULVERT_EFULL past it */
};

/* Appends a message whose payload is `first` then `second` (either may be empty). */
int channel_write(struct channel_writer *writer, enum channel_type type, const void *first,
                  size_t first_length, const void *second, size_t second_length);
/* The first `bytes` were sent. */
void channel_writer_sent(struct channel_writer *writer, size_t bytes);
void channel_writer_free(struct channel_writer *writer);

#endif
