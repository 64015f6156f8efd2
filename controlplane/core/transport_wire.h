/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two nodes say to each other inside TLS, without I/O. A frame is its payload's length in 32
 * bits (little-endian, as all numbers), a kind in 8, and the payload. First each side sends its
 * hello, then, if it takes the other's, `ready`; messages go once both have been ready. A bulk
 * message travels in pieces, between which others go.
 */
#ifndef CULVERT_CORE_TRANSPORT_WIRE_H
#define CULVERT_CORE_TRANSPORT_WIRE_H

#include "controlplane/base/buffer.h"
#include "controlplane/base/env.h"
#include "controlplane/identity/certificate.h"

#define WIRE_HEADER 5u
#define WIRE_SOFTWARE_MAX 64u /* bytes of a software version, with the NUL */
#define WIRE_SMALL_MAX 256u   /* bytes of the payload of hello and refuse */
#define WIRE_PIECE_MAX 16000u /* bytes of a bulk piece: with its header one TLS record */
#define WIRE_TEXT_MAX 128u    /* bytes of a refusal's text, with the NUL */
#define WIRE_REPORT_MAX 1024u /* bytes of a report, without its time */
#define WIRE_REPORTS 2u       /* the first version that has them */

enum wire_kind {
    WIRE_HELLO = 1,
    WIRE_READY,
    WIRE_REFUSE, /* why not, and the end */
    WIRE_PING,
    WIRE_PONG,
    WIRE_MESSAGE,
    WIRE_BULK_FIRST, /* the whole message's length in 32 bits, then its first piece */
    WIRE_BULK_MORE,
    WIRE_REPORT, /* the sender's clock and what its owner reports of itself */
};

struct wire_hello {
    uint16_t version_min, version_max; /* of this protocol */
    char site[SITE_ID_TEXT];
    uint64_t node;
    uint64_t life; /* random, another one after each start of the process */
    char software[WIRE_SOFTWARE_MAX];
};

struct wire_refuse {
    uint16_t reason; /* enum transport_reason of who refuses */
    char text[WIRE_TEXT_MAX];
};

/* The header of a frame; frames without payload are just that. */
void wire_put_header(struct buffer *out, enum wire_kind kind, size_t length);
void wire_put_hello(struct buffer *out, const struct wire_hello *hello);
void wire_put_refuse(struct buffer *out, uint16_t reason, const char *text);
void wire_put_time(struct buffer *out, enum wire_kind kind, uint64_t time); /* ping, pong */
/* `time` in ms since 1970; at most WIRE_REPORT_MAX bytes. */
void wire_put_report(struct buffer *out, uint64_t time, const void *report, size_t length);

/* The highest version that both can, 0: there is none. */
uint16_t wire_version(const struct wire_hello *ours, const struct wire_hello *theirs);

/* The receiving side of a connection. Zeroed before the first use. */
struct wire_reader {
    enum { WIRE_AT_HELLO, WIRE_AT_READY, WIRE_UP } at;
    struct buffer bulk; /* of the message that comes in pieces */
    size_t bulk_length; /* of the whole, 0: none */
    struct wire_hello hello;
    struct wire_refuse refuse;
    uint64_t time;          /* of a ping, pong or report */
    const uint8_t *message; /* valid until the next call */
    size_t length;
};

enum wire_event {
    WIRE_EVENT_MORE,  /* there is no whole frame */
    WIRE_EVENT_NONE,  /* a frame that tells nothing yet */
    WIRE_EVENT_HELLO, /* in `hello` */
    WIRE_EVENT_READY,
    WIRE_EVENT_REFUSE, /* in `refuse` */
    WIRE_EVENT_PING,   /* in `time`, likewise */
    WIRE_EVENT_PONG,
    WIRE_EVENT_MESSAGE, /* in `message` and `length` */
    WIRE_EVENT_REPORT,  /* in these and `time` */
    WIRE_EVENT_BAD,     /* not this protocol, or a bound was broken */
    WIRE_EVENT_NOMEM,
};

/* Reads one frame from the front of the bytes; *used tells how many it was. */
enum wire_event wire_read(struct wire_reader *reader, const uint8_t *data, size_t length,
                          size_t *used);
void wire_reader_free(struct wire_reader *reader);

#endif
