/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this culvertd says of itself to other nodes. In a file of its own: the lab builds culvertd
 * with other versions, to see nodes of several in one site.
 */
#ifndef CULVERT_DAEMON_PROTOCOL_H
#define CULVERT_DAEMON_PROTOCOL_H

#include <stdint.h>

/* Version 2 added reports with the ping, and the record of the site's CA. */
struct protocol {
    uint16_t min, max; /* versions of the transport's protocol */
    const char *software;
};
extern const struct protocol protocol_own;

#endif
