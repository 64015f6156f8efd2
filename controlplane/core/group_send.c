/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots for followers which are behind the log's first entry: the machine's dump, read chunk
 * by chunk, one chunk on its way at a time. A chunk that gets no answer is sent again, so a stream
 * outlives a lost connection; it ends with the leadership, or when the follower is silent for long.
 */
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/group_private.h"

#define SILENT_ELECTIONS 10u /* timeouts without an answer before a stream is given up */

static void stream_end(struct group *group, struct stream *stream)
{
    if (stream->dump)
        group->machine->ops->dump_close(stream->dump);
    buffer_free(&stream->chunk);
    raft_free(stream->members.base);
    memset(stream, 0, sizeof(*stream));
}

void group_streams_end(struct group *group)
{
    for (unsigned i = 0; i < GROUP_STREAMS_MAX; i++)
        if (group->streams[i].node)
            stream_end(group, &group->streams[i]);
}

static struct stream *stream_to(struct group *group, uint64_t node)
{
    for (unsigned i = 0; i < GROUP_STREAMS_MAX; i++)
        if (group->streams[i].node == node)
            return &group->streams[i];
    return NULL;
}

static void send_chunk(struct group *group, struct stream *stream)
{
    struct message message = {.kind = MESSAGE_CHUNK, .term = group->raft.current_term};

    message.chunk.stream = stream->id;
    message.chunk.sequence = stream->sequence;
    message.chunk.index = stream->index;
    message.chunk.index_term = stream->term;
    message.chunk.members_index = stream->members_index;
    message.chunk.last = stream->last;
    message.chunk.data = stream->chunk.data;
    message.chunk.length = (uint32_t)stream->chunk.length;
    if (!stream->sequence) {
        message.chunk.members = stream->members.base;
        message.chunk.members_length = (uint32_t)stream->members.len;
    }
    stream->sent = group_now_ms(group);
    group_send(group, stream->node, &message);
}

/* Reads the next chunk and sends it. */
static void next_chunk(struct group *group, struct stream *stream)
{
    int more;

    buffer_clear(&stream->chunk);
    more = group->machine->ops->dump_next(stream->dump, group->options.chunk, &stream->chunk);
    if (more < 0 || stream->chunk.error || stream->chunk.length > MESSAGE_CHUNK_MAX) {
        stream_end(group, stream); /* libraft asks again */
        return;
    }
    stream->last = !more;
    send_chunk(group, stream);
}

/* libraft asks for a snapshot to be sent; it does so again and again while the follower has none.
 * What goes is the state as it is now, which is at least as new as the log's mark. */
void group_stream_begin(struct group *group, uint64_t to)
{
    struct raft *raft = &group->raft;
    struct stream *stream;
    uint64_t now = group_now_ms(group);

    if (stream_to(group, to))
        return;
    stream = stream_to(group, 0);
    if (!stream)
        return;
    if (group->machine->ops->dump_open(group->machine, &stream->dump, &stream->index)) {
        stream->dump = NULL;
        return;
    }
    stream->term = wal_term_at(group->wal, group->number, stream->index);
    if (!stream->term || stream->index < raft->trail.snapshot.index ||
        !raft->configuration_committed_index ||
        raft_configuration_encode(&raft->configuration_committed, &stream->members)) {
        stream->members.base = NULL;
        stream_end(group, stream);
        return;
    }
    stream->members_index = raft->configuration_committed_index;
    stream->node = to;
    group->env->ops->random(group->env, &stream->id, sizeof(stream->id));
    stream->id |= 1;
    stream->heard = now;
    next_chunk(group, stream);
}

void group_streams_tick(struct group *group)
{
    uint64_t now = group_now_ms(group);

    for (unsigned i = 0; i < GROUP_STREAMS_MAX; i++) {
        struct stream *stream = &group->streams[i];

        if (!stream->node)
            continue;
        if (now - stream->heard >= (uint64_t)SILENT_ELECTIONS * group->options.election_ms)
            stream_end(group, stream);
        else if (now - stream->sent >= group->options.election_ms)
            send_chunk(group, stream);
    }
}

void group_receive_chunk_result(struct group *group, uint64_t from, const struct message *message)
{
    struct stream *stream = stream_to(group, from);

    if (!stream || message->term != group->raft.current_term ||
        message->chunk_result.stream != stream->id)
        return;
    stream->heard = group_now_ms(group);
    if (message->chunk_result.refused) {
        stream_end(group, stream);
        return;
    }
    if (message->chunk_result.sequence != stream->sequence + 1)
        return;
    if (stream->last) {
        stream_end(group, stream);
        return;
    }
    stream->sequence++;
    next_chunk(group, stream);
}
