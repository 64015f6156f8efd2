/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/tls_stream.h"

#include <openssl/err.h>
#include <stdlib.h>

#include "controlplane/base/error.h"

#define RECORD_BYTES (16u << 10)

struct tls_stream {
    SSL *ssl;
    BIO *in, *out; /* memory, the SSL's */
};

static struct tls_stream *make(SSL_CTX *context)
{
    struct tls_stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return NULL;
    stream->ssl = SSL_new(context);
    stream->in = BIO_new(BIO_s_mem());
    stream->out = BIO_new(BIO_s_mem());
    if (!stream->ssl || !stream->in || !stream->out) {
        BIO_free(stream->in);
        BIO_free(stream->out);
        SSL_free(stream->ssl);
        free(stream);
        return NULL;
    }
    SSL_set_bio(stream->ssl, stream->in, stream->out);
    return stream;
}

struct tls_stream *tls_stream_new(SSL_CTX *context)
{
    struct tls_stream *stream = make(context);

    if (stream)
        SSL_set_accept_state(stream->ssl);
    return stream;
}

struct tls_stream *tls_stream_new_client(SSL_CTX *context)
{
    struct tls_stream *stream = make(context);

    if (stream)
        SSL_set_connect_state(stream->ssl);
    return stream;
}

void tls_stream_free(struct tls_stream *stream)
{
    if (!stream)
        return;
    SSL_free(stream->ssl);
    free(stream);
}

int tls_stream_input(struct tls_stream *stream, const void *data, size_t length,
                     struct buffer *plain)
{
    char bytes[RECORD_BYTES];
    int got, why;

    ERR_clear_error();
    if (BIO_write(stream->in, data, (int)length) != (int)length)
        return CULVERT_ENOMEM;
    while ((got = SSL_read(stream->ssl, bytes, sizeof(bytes))) > 0)
        buffer_add(plain, bytes, (size_t)got);
    why = SSL_get_error(stream->ssl, got);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : CULVERT_EPROTO;
}

int tls_stream_output(struct tls_stream *stream, const void *data, size_t length,
                      struct buffer *wire)
{
    size_t pending;
    void *room;

    ERR_clear_error();
    if (length && SSL_write(stream->ssl, data, (int)length) <= 0) {
        ERR_clear_error();
        return CULVERT_EPROTO;
    }
    pending = BIO_ctrl_pending(stream->out);
    if (!pending)
        return 0;
    room = buffer_room(wire, pending);
    if (!room)
        return CULVERT_ENOMEM;
    return BIO_read(stream->out, room, (int)pending) == (int)pending ? 0 : CULVERT_EPROTO;
}

void tls_stream_end(struct tls_stream *stream)
{
    ERR_clear_error();
    SSL_shutdown(stream->ssl);
    ERR_clear_error();
}

SSL *tls_stream_ssl(struct tls_stream *stream)
{
    return stream->ssl;
}
