/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control plane's side of the channel (channel.h) as an I/O-free state machine: keeps one data
 * plane's tables equal to ours. One object a connection.
 *
 * On the hello, parts whose digests differ are listed, the peer's entries in them compared with
 * ours, and the difference travels as one transaction. Later changes: after each tables_commit()
 * call channel_sync_update() before the next tables_begin(). At most one transaction is under
 * way; changes that come meanwhile join it while it is still being sent, else they make the next
 * one. So a data plane goes from one committed state of ours to a later one, never to a mix.
 *
 * Output is bounded: it is produced in pieces as channel_sync_sent() makes room, with the content
 * that our tables have then (an open transaction of ours is not looked at).
 */
#ifndef CULVERT_TABLES_CHANNEL_SYNC_H
#define CULVERT_TABLES_CHANNEL_SYNC_H

#include "dataplane/tables/channel.h"

struct channel_sync;

/* Called from inside channel_sync_add(); any may be NULL. Pointers are valid during the call. */
struct channel_sync_hooks {
    void *arg;
    void (*hello)(void *arg, const struct channel_hello *hello);
    /* The data plane is at `generation` of ours (error 0), or refused it and stays where it was:
     * `text` (not NUL-terminated) says why. It is tried again, whole, at the next update. */
    void (*acked)(void *arg, uint64_t generation, int error, const char *text, size_t length);
    void (*state)(void *arg, const char *json, size_t length);
    /* `more`: another call for this cookie follows. */
    void (*stats)(void *arg, uint32_t cookie, const struct channel_stat *stats, size_t count,
                  bool more);
    void (*explained)(void *arg, uint32_t cookie, const char *json, size_t length);
};

/* Tables and hooks' arg must outlive the object; the hooks are copied. */
int channel_sync_new(struct channel_sync **out, struct tables *tables,
                     const struct channel_sync_hooks *hooks);
void channel_sync_free(struct channel_sync *sync);

/* As in channel_apply.h. Errors of add: CULVERT_EPROTO, CULVERT_ENOMEM, CULVERT_ELAYOUT (the data
 * plane is of another version), CULVERT_EFULL; close the connection then. */
void channel_sync_room(struct channel_sync *sync, void **to, size_t *room);
int channel_sync_add(struct channel_sync *sync, size_t bytes);
int channel_sync_output(struct channel_sync *sync, const void **data, size_t *length);
void channel_sync_sent(struct channel_sync *sync, size_t bytes);

/* Our tables committed a transaction: its changes are queued (tables_changes()). CULVERT_ENOMEM,
 * CULVERT_EFULL: the peer is too far behind; close the connection, it will come back and be
 * compared afresh. */
int channel_sync_update(struct channel_sync *sync);

/* Asks. The answer comes by the hook with the same cookie. CULVERT_EFULL: too much waits. */
int channel_sync_ask_stats(struct channel_sync *sync, uint32_t cookie);
int channel_sync_ask_explain(struct channel_sync *sync, uint32_t cookie, uint32_t ifindex,
                             const void *frame, size_t length);

struct channel_sync_status {
    bool greeted;           /* the hello came */
    bool in_sync;           /* the data plane has acknowledged all that we committed */
    uint64_t generation;    /* of ours that the data plane last said it is at */
    int error;              /* of the last transaction, 0: none */
    size_t waiting;         /* changed keys not yet sent */
    uint64_t puts, deletes; /* sent over this connection */
};
void channel_sync_status(const struct channel_sync *sync, struct channel_sync_status *status);

#endif
