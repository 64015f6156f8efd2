/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of a TLS connection without any I/O: bytes of the wire in, plain ones out, and
 * the other way round. The caller owns the socket and bounds what it hands over.
 */
#ifndef CULVERT_BASE_TLS_STREAM_H
#define CULVERT_BASE_TLS_STREAM_H

#include <openssl/ssl.h>

#include "controlplane/base/buffer.h"

struct tls_stream;

/* The server's end, or the client's. The context may be freed before it. NULL: out of memory. */
struct tls_stream *tls_stream_new(SSL_CTX *context);
struct tls_stream *tls_stream_new_client(SSL_CTX *context);
void tls_stream_free(struct tls_stream *stream); /* NULL is allowed */

/* Takes bytes of the wire and appends the plain ones, at most as many. Afterwards there may be
 * something to send: tls_stream_output(). CULVERT_EPROTO: broken, or ended behind what was
 * appended; CULVERT_ENOMEM. */
int tls_stream_input(struct tls_stream *stream, const void *data, size_t length,
                     struct buffer *plain);
/* Appends what is to be sent to `wire`: `length` plain bytes (0: none), and before them what the
 * handshake has to say. CULVERT_EPROTO, CULVERT_ENOMEM. */
int tls_stream_output(struct tls_stream *stream, const void *data, size_t length,
                      struct buffer *wire);
/* Says that nothing follows (RFC 8446 section 6.1): an output of no bytes sends that. */
void tls_stream_end(struct tls_stream *stream);

/* For what only the library tells: the peer's certificate, the protocol. */
SSL *tls_stream_ssl(struct tls_stream *stream);

#endif
