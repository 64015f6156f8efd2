/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the nodes of a group tell each other, as bytes: version, kind, group, term, then the kind's
 * fields, little-endian. Raft's own messages are those of libraft; reads and snapshot chunks go
 * beside them. Decoding trusts no byte: everything that libraft asserts, and every bound, is
 * checked here.
 */
#ifndef CULVERT_CORE_MESSAGE_H
#define CULVERT_CORE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/buffer.h"
#include "controlplane/core/wal.h"

#define MESSAGE_VERSION 1u
#define MESSAGE_ENTRIES_MAX 4096u               /* of one append message */
#define MESSAGE_APPEND_MAX ((size_t)1 << 20)    /* bytes of data, or one entry */
#define MESSAGE_CHUNK_MAX ((size_t)1 << 20)     /* bytes of a snapshot's chunk */
#define MESSAGE_TOLD_MAX (ENV_MESSAGE_MAX - 64) /* bytes of the owner's */
#define MESSAGE_INDEX_MAX (UINT64_MAX >> 1)     /* terms, too */
#define MESSAGE_MEMBERS_MAX 32u
#define MESSAGE_ADDRESS_MAX 256u /* bytes, with the NUL */
#define MESSAGE_MEMBERS_BYTES ((size_t)MESSAGE_MEMBERS_MAX * (MESSAGE_ADDRESS_MAX + 16))

enum message_kind {
    MESSAGE_APPEND = 1,
    MESSAGE_APPEND_RESULT,
    MESSAGE_VOTE,
    MESSAGE_VOTE_RESULT,
    MESSAGE_TIMEOUT_NOW,
    MESSAGE_CONFIRM,    /* leader: do you still have my term? */
    MESSAGE_CONFIRMED,  /* yes */
    MESSAGE_READ_INDEX, /* follower: up to where must I have applied? */
    MESSAGE_READ_RESULT,
    MESSAGE_CHUNK, /* a piece of a snapshot */
    MESSAGE_CHUNK_RESULT,
    MESSAGE_TOLD, /* bytes of the group's owner (group_tell()) */
};

enum message_entry_type { MESSAGE_COMMAND = 1, MESSAGE_BARRIER = 2, MESSAGE_MEMBERS = 3 };

struct message {
    uint8_t kind;
    uint32_t group;
    uint64_t term; /* the sender's, or the one that it asks votes for */
    union {
        struct {
            uint64_t prev_index, prev_term, commit;
            unsigned count;
            struct wal_entry *entries; /* when decoded: to message_free(), data in the bytes */
        } append;
        struct {
            uint64_t rejected, last_index;
        } append_result;
        struct {
            uint64_t last_index, last_term;
            bool disrupt, pre_vote;
        } vote; /* MESSAGE_TIMEOUT_NOW: the first two */
        struct {
            bool granted, pre_vote;
        } vote_result;
        struct {
            uint64_t id;    /* the round, or the request */
            uint64_t index; /* MESSAGE_READ_RESULT: 0: not the leader */
        } read;
        struct {
            uint64_t stream, sequence;
            uint64_t index, index_term, members_index;
            bool last;
            const void *members; /* as libraft encodes them; only with sequence 0 */
            uint32_t members_length;
            const void *data;
            uint32_t length;
        } chunk;
        struct {
            uint64_t stream, sequence; /* the one that is wanted next */
            bool refused;
        } chunk_result;
        struct {
            const void *data;
            uint32_t length;
        } told;
    };
};

/* Appends the message to `out`, whose error is sticky. */
void message_encode(const struct message *message, struct buffer *out);
/* CULVERT_EPROTO, CULVERT_ENOMEM. What `out` points to lies in `bytes`. */
int message_decode(const uint8_t *bytes, size_t length, struct message *out);
void message_free(struct message *message); /* after a successful decode */

/* True when libraft can decode these members: it reads without looking for the end. */
bool message_members_valid(const void *bytes, size_t length);

#endif
