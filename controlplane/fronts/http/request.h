/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP/1.1 connection's requests (RFC 9112): bytes in, requests out. I/O-free and bounded.
 *
 * The caller feeds what it read; the reader stops after a request's header and again after its
 * last byte, and says how much it took. What follows belongs to the next request (pipelining): the
 * caller keeps it until the answer is out.
 */
#ifndef CULVERT_FRONTS_HTTP_REQUEST_H
#define CULVERT_FRONTS_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_TARGET_MAX 4096u           /* bytes of the request target */
#define HTTP_AUTHORIZATION_MAX 511u     /* bytes of that header field that are kept */
#define HTTP_HEADER_MAX (16u << 10)     /* bytes of the target and all header fields */
#define HTTP_BODY_MAX (64ull << 20)     /* of a body held in memory */
#define HTTP_STREAM_MAX (1024ull << 20) /* of a body that a sink takes, unless it says else */

enum http_method {
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_PUT,
    HTTP_METHOD_POST,
    HTTP_METHOD_OTHER,
};

struct http_request {
    enum http_method method;
    bool keep_alive;                 /* the client allows more requests after this one */
    bool expect_continue;            /* the client waits for 100 before it sends the body */
    bool has_length;                 /* the header says how long the body is */
    uint64_t length;                 /* if so */
    char path[HTTP_TARGET_MAX + 1];  /* percent-decoded, no NUL inside */
    char query[HTTP_TARGET_MAX + 1]; /* what follows `?`, still encoded; may be empty */
    char authorization[HTTP_AUTHORIZATION_MAX + 1]; /* "" also when it is too long */
    char *body; /* NUL-terminated, owned by the reader; NULL with a sink */
    size_t body_length;
};

enum http_event {
    HTTP_EVENT_MORE,    /* everything was taken: feed more */
    HTTP_EVENT_HEADER,  /* the header is there: call http_reader_accept() or give up */
    HTTP_EVENT_REQUEST, /* the request is whole */
    HTTP_EVENT_BAD,     /* answer http_reader_status(), then close */
};

struct http_reader;

/* Takes bytes of a body. Returns 0 or an error, which ends the request with status 500. */
typedef int (*http_sink_fn)(void *arg, const char *data, size_t length);

/* NULL: out of memory. */
struct http_reader *http_reader_new(void);
void http_reader_free(struct http_reader *reader);

/* Takes bytes; `used` tells how many. After HTTP_EVENT_REQUEST the next feed begins the next one
 * (and frees this one's body). */
enum http_event http_reader_feed(struct http_reader *reader, const char *data, size_t length,
                                 size_t *used);

/* Before that: the sink of this request takes so many bytes. */
void http_reader_limit(struct http_reader *reader, uint64_t bytes);

/* After HTTP_EVENT_HEADER: lets the body in, into memory (sink NULL) or to a sink. Returns 0 or the
 * status to refuse with: 411 no length where one is due, 413 too long. */
int http_reader_accept(struct http_reader *reader, http_sink_fn sink, void *arg);

/* The request so far; valid until the next feed after HTTP_EVENT_REQUEST. */
struct http_request *http_reader_request(struct http_reader *reader);

/* Whether a request has begun and isn't whole. */
bool http_reader_busy(const struct http_reader *reader);

/* The status and one-line reason after HTTP_EVENT_BAD. */
int http_reader_status(const struct http_reader *reader);
const char *http_reader_reason(const struct http_reader *reader);

/* The decoded value of `name` in a query string, to `to` (NUL-terminated). False: absent, too long
 * or badly encoded. */
bool http_query_get(const char *query, const char *name, char *to, size_t size);

#endif
