/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/site/site.h"

#define CHUNK ((size_t)1 << 16)

void bundle_free(struct bundle *bundle)
{
    for (size_t i = 0; i < bundle->file_count; i++)
        free(bundle->files[i]);
    free(bundle->files);
    free(bundle->digests);
    free(bundle->problems);
    free(bundle->text);
    *bundle = (struct bundle){0};
}

static int read_stdin(struct bundle *bundle)
{
    struct buffer buffer = {.bound = SITE_TEXT_MAX + 1};
    ssize_t count = 1;

    bundle->name = "<stdin>";
    while (count > 0) {
        static char chunk[CHUNK];

        count = read(STDIN_FILENO, chunk, sizeof(chunk));
        if (count > 0)
            buffer_add(&buffer, chunk, (size_t)count);
    }
    if (count < 0 || buffer.error) {
        cli_error("<stdin>: %s", count < 0 ? strerror(errno) : culvert_strerror(buffer.error));
        buffer_free(&buffer);
        return CLI_FAILED;
    }
    buffer_add(&buffer, "", 0);
    bundle->length = buffer.length;
    bundle->text = buffer.length ? buffer_take(&buffer) : strdup("");
    return bundle->text ? CLI_OK : CLI_FAILED;
}

int bundle_read(const char *path, struct bundle *bundle)
{
    int error;

    if (!strcmp(path, "-"))
        return read_stdin(bundle);
    bundle->name = bundle->beside = path;
    error = file_read(AT_FDCWD, path, SITE_TEXT_MAX, &bundle->text, &bundle->length);
    if (!error)
        return CLI_OK;
    cli_error("%s: %s", path,
              error == CULVERT_ENOTFOUND ? "no such file"
              : error == CULVERT_EFULL   ? "longer than 64 MiB: put records into zone files"
                                         : culvert_strerror(error));
    return CLI_FAILED;
}

/* Opens a zone file, relative to the site file's folder. */
static int open_zone(const struct bundle *bundle, const char *name)
{
    const char *slash = bundle->beside ? strrchr(bundle->beside, '/') : NULL;
    struct buffer path = {0};
    int fd;

    if (name[0] != '/' && slash)
        buffer_add(&path, bundle->beside, (size_t)(slash - bundle->beside + 1));
    buffer_text(&path, name);
    fd = path.error ? -1 : open(path.data, O_RDONLY | O_CLOEXEC);
    buffer_free(&path);
    return fd;
}

static int digest_file(int fd, char text[DIGEST_TEXT], uint64_t *length)
{
    static char chunk[CHUNK];
    struct digest *digest = digest_new();
    ssize_t count = 1;
    int error = digest ? 0 : CULVERT_ENOMEM;

    *length = 0;
    while (!error && count) {
        count = read(fd, chunk, sizeof(chunk));
        if (count < 0 && errno != EINTR)
            error = CULVERT_EIO;
        else if (count > 0)
            error = digest_add(digest, chunk, (size_t)count);
        *length += count > 0 ? (uint64_t)count : 0;
    }
    if (error) {
        digest_free(digest);
        return error;
    }
    return digest_end(digest, text);
}

/* Makes sure that culvertd has a file's bytes. */
static int upload(struct cli *cli, int fd, const char *digest, uint64_t length)
{
    char target[DIGEST_TEXT + 16];
    struct answer answer;
    int code = CLI_OK;

    snprintf(target, sizeof(target), "/v1/blobs/%s", digest);
    if (client_call(&cli->client, "HEAD", target, NULL, 0, &answer)) {
        cli_error("%s", cli->client.problem);
        return CLI_FAILED;
    }
    free(answer.body);
    if (answer.status == 200)
        return CLI_OK;
    if (lseek(fd, 0, SEEK_SET) ||
        client_send_file(&cli->client, "PUT", target, fd, length, &answer)) {
        cli_error("%s", cli->client.problem);
        return CLI_FAILED;
    }
    if (answer.status / 100 != 2) {
        cli_print_errors(&answer, stderr);
        code = CLI_FAILED;
    }
    free(answer.body);
    return code;
}

/* Uploads one zone file. One that can't be read is left out, to be told with the other errors. */
static int bring_zone(struct cli *cli, struct bundle *bundle, size_t i)
{
    struct stat status;
    uint64_t length = 0;
    yyjson_val *known = yyjson_obj_get(bundle->known, bundle->files[i]);
    int code = CLI_OK, fd = known ? -1 : open_zone(bundle, bundle->files[i]);
    const char *problem = NULL;

    if (known)
        snprintf(bundle->digests[i], sizeof(*bundle->digests), "%s", yyjson_get_str(known));
    else if (fd < 0)
        problem = strerror(errno);
    else if (fstat(fd, &status) || !S_ISREG(status.st_mode))
        problem = "is not a regular file";
    else if (digest_file(fd, bundle->digests[i], &length))
        problem = "can't be read";
    if (problem) {
        bundle->missing = true;
        bundle->digests[i][0] = 0;
        bundle->problems[i] = problem;
    } else if (!known) {
        code = upload(cli, fd, bundle->digests[i], length);
    }
    if (fd >= 0)
        close(fd);
    return code;
}

static int bring_zones(struct cli *cli, struct bundle *bundle)
{
    /* A text that can't be taken apart here is refused by culvertd, with every error's place. */
    if (site_files(bundle->text, bundle->length, &bundle->files, &bundle->file_count)) {
        bundle->files = NULL;
        bundle->file_count = 0;
        return CLI_OK;
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): bundle_free() frees it on every way out */
    bundle->digests = calloc(bundle->file_count + 1, sizeof(*bundle->digests));
    bundle->problems = calloc(bundle->file_count + 1, sizeof(*bundle->problems));
    if (!bundle->digests || !bundle->problems)
        return CLI_FAILED;
    for (size_t i = 0; i < bundle->file_count; i++) {
        int code = bring_zone(cli, bundle, i);

        if (code)
            return code;
    }
    return CLI_OK;
}

static void write_request(const struct bundle *bundle, const struct bundle_request *request,
                          struct buffer *body)
{
    bool first = true;

    buffer_text(body, "{\"name\":");
    buffer_json_text(body, bundle->name);
    buffer_text(body, ",\"text\":");
    buffer_json(body, bundle->text, bundle->length);
    buffer_text(body, ",\"files\":{");
    for (size_t i = 0; i < bundle->file_count; i++) {
        if (!bundle->digests[i][0])
            continue;
        buffer_text(body, first ? "" : ",");
        buffer_json_text(body, bundle->files[i]);
        buffer_format(body, ":\"%s\"", bundle->digests[i]);
        first = false;
    }
    buffer_char(body, '}');
    cli_add_member(body, "author", request->author);
    cli_add_member(body, "comment", request->comment);
    cli_add_member(body, "confirm", request->confirm);
    if (request->if_revision)
        buffer_format(body, ",\"if_revision\":%s", request->if_revision);
    if (request->dry_run || bundle->missing)
        buffer_text(body, ",\"dry_run\":true");
    buffer_char(body, '}');
}

static void write_problem(const char *file, const char *problem, struct buffer *text)
{
    buffer_format(text, "zone file %s: %s (names are relative to the site file's folder)", file,
                  problem);
}

/* Tells why the file of an error didn't come; false: the error is another one. */
static bool print_missing(struct bundle *bundle, yyjson_val *error)
{
    for (size_t i = 0; i < bundle->file_count; i++) {
        struct buffer quoted = {0}, text = {0};
        bool same;

        if (bundle->digests[i][0])
            continue;
        buffer_format(&quoted, "the file \"%s\" did not come", bundle->files[i]);
        same = quoted.data && !strncmp(cli_text(error, "message"), quoted.data, quoted.length);
        buffer_free(&quoted);
        if (!same)
            continue;
        if (bundle->problems[i])
            write_problem(bundle->files[i], bundle->problems[i], &text);
        cli_print_error(error, text.data, stderr);
        buffer_free(&text);
        bundle->problems[i] = NULL;
        return true;
    }
    return false;
}

/* Posts what can't be applied for lack of a file, for the errors that there are besides. */
static int post_incomplete(struct cli *cli, struct bundle *bundle, const char *target,
                           const struct buffer *body)
{
    struct answer answer;
    yyjson_val *error;
    yyjson_doc *doc;
    size_t i, count;

    if (client_call(&cli->client, "POST", target, body->data, body->length, &answer)) {
        cli_error("%s", cli->client.problem);
        return CLI_FAILED;
    }
    doc = yyjson_read(answer.body, answer.length, 0);
    yyjson_arr_foreach (yyjson_obj_get(yyjson_doc_get_root(doc), "errors"), i, count, error)
        if (!print_missing(bundle, error))
            cli_print_error(error, NULL, stderr);
    yyjson_doc_free(doc);
    free(answer.body);
    for (i = 0; i < bundle->file_count; i++) {
        struct buffer text = {0};

        if (!bundle->problems[i])
            continue;
        write_problem(bundle->files[i], bundle->problems[i], &text);
        fprintf(stderr, "%s: %s\n", bundle->name, text.data ? text.data : "");
        buffer_free(&text);
    }
    return CLI_FAILED;
}

int bundle_post(struct cli *cli, struct bundle *bundle, const struct bundle_request *request,
                yyjson_doc **doc)
{
    struct buffer body = {0};
    int code = bring_zones(cli, bundle);

    *doc = NULL;
    if (!code) {
        write_request(bundle, request, &body);
        if (body.error)
            cli_error("%s", culvert_strerror(body.error));
        code = body.error ? CLI_FAILED
               : bundle->missing
                   ? post_incomplete(cli, bundle, request->target, &body)
                   : cli_call(cli, "POST", request->target, body.data, body.length, doc);
    }
    if (code) {
        yyjson_doc_free(*doc);
        *doc = NULL;
    }
    buffer_free(&body);
    return code;
}
