/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert backup FILE`, `culvert restore FILE`: the whole store as a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/command.h"
#include "controlplane/cli/table.h"
#include "controlplane/core/kv/dump_file.h"

/* Appends the next piece to the file: its length, 0 at the end, or -1 with the error printed. */
static int64_t fetch(struct cli *cli, const char *target, int fd)
{
    struct answer answer;
    int64_t length = -1;
    size_t at = 0;

    if (client_call(&cli->client, "GET", target, NULL, 0, &answer)) {
        cli_error("%s", cli->client.problem);
        return -1;
    }
    if (answer.status != 200) {
        cli_print_errors(&answer, stderr);
    } else {
        while (at < answer.length) {
            ssize_t count = write(fd, answer.body + at, answer.length - at);

            if (count < 0)
                break;
            at += (size_t)count;
        }
        if (at < answer.length)
            cli_error("the backup can't be written: %s", strerror(errno));
        else
            length = (int64_t)answer.length;
    }
    free(answer.body);
    return length;
}

static int fetch_all(struct cli *cli, const char *id, int fd, uint64_t *size)
{
    char target[64];
    int64_t length;

    snprintf(target, sizeof(target), "/v1/backup/%s", id);
    *size = 0;
    do {
        length = fetch(cli, target, fd);
        *size += length > 0 ? (uint64_t)length : 0;
    } while (length > 0);
    return length < 0 ? CLI_FAILED : CLI_OK;
}

/* The file takes its name when it is whole and checked. */
static int finish(const char *file, const char *part, int fd)
{
    int error = fsync(fd) ? CULVERT_EIO : kv_dump_check(fd);

    if (error) {
        cli_error("%s: the backup is not whole: %s", file, culvert_strerror(error));
        return CLI_FAILED;
    }
    if (rename(part, file)) {
        cli_error("%s: %s", file, strerror(errno));
        return CLI_FAILED;
    }
    return CLI_OK;
}

int command_backup(struct cli *cli)
{
    const char *file = cli->arguments[0];
    struct buffer part = {0};
    char text[TEXT_NUMBER];
    yyjson_doc *doc = NULL;
    uint64_t size = 0;
    int code, fd;

    buffer_format(&part, "%s.part", file);
    fd = part.error ? -1 : open(part.data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        cli_error("%s.part: %s", file, strerror(errno));
        buffer_free(&part);
        return CLI_FAILED;
    }
    code = cli_call(cli, "POST", cli_option(cli, "stale") ? "/v1/backup?stale=true" : "/v1/backup",
                    NULL, 0, &doc);
    if (!code)
        code = fetch_all(cli, cli_text(yyjson_doc_get_root(doc), "id"), fd, &size);
    yyjson_doc_free(doc);
    if (!code)
        code = finish(file, part.data, fd);
    if (code)
        unlink(part.data);
    close(fd);
    buffer_free(&part);
    text_bytes((double)size, text);
    if (!code)
        printf("%s: %s, checked\n", file, text);
    return code;
}

int command_restore(struct cli *cli)
{
    const char *file = cli->arguments[0];
    int fd = open(file, O_RDONLY | O_CLOEXEC), error, code = CLI_FAILED;
    struct answer answer;
    struct stat status;

    if (fd < 0 || fstat(fd, &status)) {
        cli_error("%s: %s", file, strerror(errno));
        if (fd >= 0)
            close(fd);
        return CLI_FAILED;
    }
    error = kv_dump_check(fd);
    if (error) {
        cli_error("%s is not a whole backup: %s", file, culvert_strerror(error));
    } else if (lseek(fd, 0, SEEK_SET) || client_send_file(&cli->client, "PUT", "/v1/restore", fd,
                                                          (uint64_t)status.st_size, &answer)) {
        cli_error("%s", cli->client.problem);
    } else {
        if (answer.status == 200) {
            puts("restored, as a new site");
            code = CLI_OK;
        } else {
            cli_print_errors(&answer, stderr);
        }
        free(answer.body);
    }
    close(fd);
    return code;
}
