/* SPDX-License-Identifier: Apache-2.0 */
/* Replies to one DNS message: the fast path's answer, and what the fast path leaves to us. */
#ifndef CULVERT_DNS_MESSAGE_H
#define CULVERT_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_BYTES_MAX 65535u

/* Replies to the message in place, from a region (of plain memory, or an arena that is mapped).
 * `capacity` is the buffer's; MESSAGE_BYTES_MAX for `tcp`. Messages with records where queries
 * have none are answered without looking at them; a second OPT is FORMERR (RFC 6891 section
 * 6.1.1), TSIG NOTAUTH (RFC 8945 section 5.2: we have no key). Returns the reply's length, or 0:
 * none is due (a response, too short). `reason` (may be NULL): an enum fp_reason. */
size_t message_answer(const void *region, uint8_t *message, size_t length, size_t capacity,
                      bool tcp, unsigned *reason);

#endif
