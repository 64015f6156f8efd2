/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs: files that come before the apply that needs them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/base/digest.h"
#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/fronts/http/api.h"

#define UPLOADS_MAX 4u

/* ---- HEAD ---- */

void api_head_blob(struct http_exchange *exchange)
{
    struct daemon *daemon = exchange->app;
    struct history_view *view = NULL;
    int error;

    if (!digest_valid(exchange->param[0])) {
        http_respond_error(exchange, 404, "a blob's name is a SHA-256 in hexadecimal", NULL);
        return;
    }
    error = daemon->history ? history_view_open(&view, daemon->history) : CULVERT_EBUSY;
    if (!error)
        error = history_view_has(view, exchange->param[0]);
    history_view_close(view);
    if (error && error != CULVERT_ENOTFOUND)
        api_respond_error(exchange, error, daemon->store_problem);
    else
        http_respond(exchange, error ? 404 : 200, NULL, 0);
}

/* ---- PUT: into an unnamed file, checked by a worker, then into the store ---- */

struct upload {
    struct job job;
    struct http_exchange *exchange;
    int fd;
    size_t length;
    void *data; /* the file's, mapped */
    int error;
};

static unsigned uploads; /* under way; the loop's thread only */

static void upload_free(struct upload *upload)
{
    if (upload->data)
        munmap(upload->data, upload->length);
    close(upload->fd);
    free(upload);
    uploads--;
}

static void upload_abort(void *arg)
{
    upload_free(arg);
}

static int upload_write(void *arg, const char *data, size_t length)
{
    struct upload *upload = arg;

    while (length) {
        ssize_t count = write(upload->fd, data, length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            int error = file_error(errno);

            upload->exchange->sink_status = error == CULVERT_ENOSPC ? 507 : 500;
            upload->exchange->sink_problem = culvert_strerror(error);
            return error;
        }
        data += count;
        length -= (size_t)count;
        upload->length += (size_t)count;
    }
    return 0;
}

/* A file that is gone when it is closed, on the state folder's disk. */
static int open_unnamed(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char path[4096];

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    if (snprintf(path, sizeof(path), "%s/upload.XXXXXX", folder) >= (int)sizeof(path))
        return -1;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

void api_begin_blob(struct http_exchange *exchange)
{
    struct daemon *daemon = exchange->app;
    struct upload *upload;

    if (!digest_valid(exchange->param[0])) {
        http_respond_error(exchange, 404, "a blob's name is a SHA-256 in hexadecimal", NULL);
        return;
    }
    if (uploads == UPLOADS_MAX) {
        http_respond_error(exchange, 503, "too many uploads at once", "try again");
        return;
    }
    upload = calloc(1, sizeof(*upload));
    if (!upload) {
        api_respond_error(exchange, CULVERT_ENOMEM, NULL);
        return;
    }
    upload->fd = open_unnamed(daemon->options.state_dir);
    if (upload->fd < 0) {
        int error = file_error(errno);

        free(upload);
        api_respond_error(exchange, error == CULVERT_EACCES ? CULVERT_EIO : error,
                          error == CULVERT_EACCES ? "culvertd may not write its state folder"
                                                  : NULL);
        return;
    }
    uploads++;
    upload->exchange = exchange;
    exchange->sink = upload_write;
    exchange->sink_abort = upload_abort;
    exchange->sink_arg = upload;
}

static void upload_work(struct job *job)
{
    struct upload *upload = (struct upload *)job;
    char digest[DIGEST_TEXT];
    void *data = NULL;

    if (upload->length > HISTORY_BLOB_MAX) {
        upload->error = CULVERT_EFULL;
        return;
    }
    if (upload->length)
        data = mmap(NULL, upload->length, PROT_READ, MAP_PRIVATE, upload->fd, 0);
    if (data == MAP_FAILED) {
        upload->error = CULVERT_ENOMEM;
        return;
    }
    upload->data = data;
    upload->error = digest_text(data ? data : "", upload->length, digest);
    if (!upload->error && strcmp(digest, upload->exchange->param[0]) != 0)
        upload->error = CULVERT_EINVAL;
}

static void upload_end(void *arg, int status)
{
    struct upload *upload = arg;
    struct daemon *daemon = upload->exchange->app;

    if (status == CULVERT_EINVAL)
        http_respond_error(upload->exchange, 422, "the bytes don't have that digest",
                           "did the file change while it was sent?");
    else if (status && daemon->store_error)
        api_respond_error(upload->exchange, daemon->store_error, daemon->store_problem);
    else if (status)
        api_respond_error(upload->exchange, status, NULL);
    else
        http_respond(upload->exchange, 201, NULL, 0);
    upload_free(upload);
}

/* The worker is free for others while the store takes it in. */
static void upload_done(struct job *job)
{
    struct upload *upload = (struct upload *)job;
    struct daemon *daemon = upload->exchange->app;
    struct site_blob blob = {.data = upload->data, .length = upload->length};
    char problem[300];

    job_end(job);
    memcpy(blob.digest, upload->exchange->param[0], DIGEST_TEXT);
    if (!upload->error)
        upload->error = daemon_may_store(daemon, problem, sizeof(problem));
    if (!upload->error)
        upload->error =
            history_blob_put(daemon->history, &blob, daemon_clock_ms(), upload_end, upload);
    if (upload->error)
        upload_end(upload, upload->error);
}

void api_put_blob(struct http_exchange *exchange)
{
    struct upload *upload = exchange->sink_arg;
    int error;

    upload->job = (struct job){.work = upload_work, .done = upload_done};
    error = daemon_submit(exchange->app, &upload->job);
    if (error) {
        upload_free(upload);
        api_respond_error(exchange, error, NULL);
    }
}
