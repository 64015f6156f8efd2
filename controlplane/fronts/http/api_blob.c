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

struct head_job {
    struct job job;
    struct http_exchange *exchange;
    bool found;
};

static void head_work(struct job *job)
{
    struct head_job *head = (struct head_job *)job;
    struct daemon *daemon = head->exchange->app;

    head->found = store_blob_has(daemon->store, head->exchange->param[0]);
}

static void head_done(struct job *job)
{
    struct head_job *head = (struct head_job *)job;

    http_respond(head->exchange, head->found ? 200 : 404, NULL, 0);
    free(head);
}

void api_head_blob(struct http_exchange *exchange)
{
    struct head_job *head;
    int error;

    if (!digest_valid(exchange->param[0])) {
        http_respond_error(exchange, 404, "a blob's name is a SHA-256 in hexadecimal", NULL);
        return;
    }
    head = calloc(1, sizeof(*head));
    if (head) {
        head->job = (struct job){.work = head_work, .done = head_done};
        head->exchange = exchange;
    }
    error = head ? daemon_submit(exchange->app, &head->job) : CULVERT_ENOMEM;
    if (error) {
        free(head);
        api_respond_error(exchange, error, NULL);
    }
}

/* ---- PUT: into an unnamed file, then to the store by a worker ---- */

struct upload {
    struct job job;
    struct http_exchange *exchange;
    int fd;
    size_t length;
    int error;
    char problem[256];
};

static unsigned uploads; /* under way; the loop's thread only */

static void upload_free(struct upload *upload)
{
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
    struct daemon *daemon = upload->exchange->app;
    void *data = NULL;

    if (upload->length)
        data = mmap(NULL, upload->length, PROT_READ, MAP_PRIVATE, upload->fd, 0);
    if (data == MAP_FAILED) {
        upload->error = CULVERT_ENOMEM;
        return;
    }
    upload->error =
        store_blob_put(daemon->store, upload->exchange->param[0], data ? data : "", upload->length);
    if (upload->error)
        snprintf(upload->problem, sizeof(upload->problem), "%s", store_problem(daemon->store));
    if (data)
        munmap(data, upload->length);
}

static void upload_done(struct job *job)
{
    struct upload *upload = (struct upload *)job;

    if (upload->error == CULVERT_EINVAL)
        http_respond_error(upload->exchange, 422, "the bytes don't have that digest",
                           "did the file change while it was sent?");
    else if (upload->error)
        api_respond_error(upload->exchange, upload->error, upload->problem);
    else
        http_respond(upload->exchange, 201, NULL, 0);
    upload_free(upload);
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
