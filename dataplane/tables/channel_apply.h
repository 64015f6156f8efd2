/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data plane's side of the channel (channel.h) as an I/O-free state machine: bytes of the
 * control plane in, changes of a struct tables and bytes to send out. One object lives as long as
 * the data plane; channel_apply_start() begins each connection.
 *
 * The driver's loop: on connect, start; whenever the socket is readable, read into room(), then
 * add(); whenever output() has bytes and the socket is writable, write them and tell sent(). An
 * error of add() or output() means: close, wait a little, connect again.
 */
#ifndef CULVERT_TABLES_CHANNEL_APPLY_H
#define CULVERT_TABLES_CHANNEL_APPLY_H

#include "dataplane/tables/channel.h"

struct channel_apply;

/* Called from inside channel_apply_add(); any may be NULL. They may call channel_apply_send(). */
struct channel_apply_hooks {
    void *arg;
    /* A transaction ended: 0 and it is visible to packets; else it was aborted. */
    void (*committed)(void *arg, uint64_t generation, int error);
    /* Asked for the counters. NULL: answered from the region's counters, see tables_stats(). */
    void (*stats)(void *arg, uint32_t cookie);
    /* Asked what would become of a frame (valid during the call); `ifindex` 0: the first
     * interface. Answer with CHANNEL_EXPLAIN_REPLY, at once or later. */
    void (*explain)(void *arg, uint32_t cookie, uint32_t ifindex, const void *frame, size_t length);
};

/* `name` of the data plane for the hello, at most 31 bytes (CULVERT_EINVAL). Tables and hooks' arg
 * must outlive the object; the hooks are copied. */
int channel_apply_new(struct channel_apply **out, struct tables *tables, const char *name,
                      const struct channel_apply_hooks *hooks);
void channel_apply_free(struct channel_apply *apply); /* aborts an open transaction */

/* A connection was made: forgets the former one (aborting its open transaction) and says hello. */
int channel_apply_start(struct channel_apply *apply);
/* The connection was lost: aborts an open transaction and drops what was to be sent. */
void channel_apply_stop(struct channel_apply *apply);

/* Where to read the next bytes to (at least one byte), and: so many were read. Handles all whole
 * messages. CULVERT_EPROTO: the peer broke the protocol, CULVERT_ENOMEM, CULVERT_EFULL: the peer
 * asks faster than it reads; after an error stop and close. A transaction that fails (region
 * full, bad entry) is no error here: it is aborted and the peer is told. */
void channel_apply_room(struct channel_apply *apply, void **to, size_t *room);
int channel_apply_add(struct channel_apply *apply, size_t bytes);

/* The next bytes to send (none: *length 0), valid until the next call on this object. More may
 * follow once they were sent. */
int channel_apply_output(struct channel_apply *apply, const void **data, size_t *length);
void channel_apply_sent(struct channel_apply *apply, size_t bytes);

/* A message of the driver's own: CHANNEL_STATE, CHANNEL_STATS_REPLY, CHANNEL_EXPLAIN_REPLY; the
 * payload is `first` then `second`, copied. Dropped (0) while there is no connection.
 * CULVERT_EFULL: too much waits to be sent already, CULVERT_EINVAL: another type or too long. */
int channel_apply_send(struct channel_apply *apply, enum channel_type type, const void *first,
                       size_t first_length, const void *second, size_t second_length);

#endif
