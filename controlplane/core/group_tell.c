/* SPDX-License-Identifier: Apache-2.0 */
/* What the owner of a group's machine says to its like on other members. */
#include "controlplane/core/group_private.h"

void group_listen(struct group *group, const struct group_listener *listener)
{
    group->listener = *listener;
}

bool group_tell(struct group *group, uint64_t node, const void *bytes, size_t length)
{
    struct message message = {.kind = MESSAGE_TOLD, .term = group->raft.current_term};

    if (length > MESSAGE_TOLD_MAX)
        return false;
    message.told.data = bytes;
    message.told.length = (uint32_t)length;
    return group_send(group, node, &message);
}
