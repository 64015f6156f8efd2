/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert system update FILE|URL`. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/process.h"
#include "controlplane/cli/show.h"
#include "controlplane/cli/system.h"
#include "controlplane/cli/system/update.h"

#define DRAIN_READS 64

/* ---- whether the site can do without this node ---- */

/* The first other voter that is not connected; "" when all are. */
static void missing_voter(yyjson_val *root, struct buffer *name)
{
    yyjson_val *node;
    size_t i, count;

    yyjson_arr_foreach (yyjson_obj_get(root, "nodes"), i, count, node) {
        bool there = yyjson_get_bool(yyjson_obj_get(node, "self")) ||
                     yyjson_get_bool(yyjson_obj_get(node, "connected"));

        if (there || strcmp(cli_text(node, "role"), "voter") != 0 || name->length)
            continue;
        show_clean(*cli_text(node, "name") ? cli_text(node, "name") : cli_text(node, "address"),
                   name);
    }
}

int system_may_leave(struct cli *cli)
{
    struct buffer name = {0};
    yyjson_doc *doc;
    int code = CLI_OK;

    if (cli_option(cli, "force"))
        return CLI_OK;
    if (cli_call(cli, "GET", "/v1/nodes", NULL, 0, &doc)) {
        cli_error("so it is not known whether the site can do without this node: --force does it "
                  "nevertheless");
        return CLI_FAILED;
    }
    missing_voter(yyjson_doc_get_root(doc), &name);
    if (name.error || name.length) {
        cli_error("the site can't do without this node now: node %s is not connected "
                  "(`culvert node list`); --force does it nevertheless",
                  name.data ? name.data : "?");
        code = CLI_FAILED;
    }
    buffer_free(&name);
    yyjson_doc_free(doc);
    return code;
}

/* ---- where the update comes from ---- */

static bool is_url(const char *source)
{
    return !strncmp(source, "http://", 7) || !strncmp(source, "https://", 8);
}

/* What curl fetches, as a pipe. It gives up on less than 1 kB/s for a minute. */
static int fetch(const char *url, pid_t *child)
{
    const char *const argv[] = {"curl",
                                "--fail",
                                "--location",
                                "--silent",
                                "--show-error",
                                "--proto",
                                "=http,https",
                                "--connect-timeout",
                                "30",
                                "--speed-limit",
                                "1000",
                                "--speed-time",
                                "60",
                                "--",
                                url,
                                NULL};
    posix_spawn_file_actions_t actions;
    int ends[2], error;

    if (pipe2(ends, O_CLOEXEC))
        return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    error = posix_spawnp(child, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (!error)
        return ends[0];
    close(ends[0]);
    *child = 0;
    errno = error;
    return -1;
}

/* Opens FILE, - or URL; *child is the process that fetches it, 0: none. -1 with the error
 * printed. */
static int open_source(const char *source, pid_t *child)
{
    int fd;

    *child = 0;
    if (!strcmp(source, "-"))
        return STDIN_FILENO;
    if (is_url(source)) {
        fd = fetch(source, child);
        if (fd < 0)
            cli_error("curl can't be run: %s", strerror(errno));
        return fd;
    }
    fd = open(source, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        cli_error("%s: %s", source, strerror(errno));
    return fd;
}

/* Ends reading. Whether the source itself failed; curl has said why then. A child that still sends
 * what is no longer wanted is ended: its complaint would say nothing. */
static bool close_source(const char *source, int fd, pid_t child, bool wanted)
{
    int status;

    if (child && !wanted)
        kill(child, SIGTERM);
    if (fd != STDIN_FILENO)
        close(fd);
    if (!child)
        return false;
    status = process_wait(child);
    if (!wanted || !status)
        return false;
    cli_error("%s can't be fetched", source);
    return true;
}

/* ---- the update ---- */

static int take(struct cli *cli, const struct appliance *appliance, int fd, struct update *update,
                char why[SYSTEM_WHY])
{
    bool forced = cli_option(cli, "force");
    int error = update_open(update, appliance, fd, forced, why);

    if (error)
        return error;
    *why = 0; /* the site's answer is printed where it is asked for */
    if (system_may_leave(cli))
        return CULVERT_EREJECTED;
    system_check_efi();
    return update_write(update, why);
}

/* Reads the end of the archive, zeros: curl must not find the pipe closed. */
static void drain(int fd)
{
    char bytes[4096];

    for (unsigned i = 0; i < DRAIN_READS && read(fd, bytes, sizeof(bytes)) > 0; i++) {
    }
}

/* Restarts into the update. Writing it has taken a while: another node may have gone meanwhile, or
 * be restarting itself. */
static int restart(struct cli *cli)
{
    if (!system_may_leave(cli))
        return system_restart();
    cli_error("it was not restarted: the update is tried at the next start, `reboot`");
    return CLI_FAILED;
}

static int report(struct cli *cli, const struct appliance *appliance, const char *version)
{
    char slot = appliance_slot_letter(appliance_other(appliance));
    bool now = cli_option(cli, "restart");

    if (cli->json)
        printf("{\"version\":\"%s\",\"slot\":\"%c\"}\n", version, slot);
    else
        printf("%s is in slot %c, and is tried at the next start%s\n", version, slot,
               now ? "" : ": `reboot`");
    fflush(stdout);
    return now ? restart(cli) : CLI_OK;
}

int system_update(struct cli *cli)
{
    const char *source = cli->arguments[1];
    struct appliance appliance;
    struct update update;
    char why[SYSTEM_WHY];
    int error, fd, code = system_open(cli, &appliance);
    bool source_failed;
    pid_t child;

    if (code)
        return code;
    fd = open_source(source, &child);
    if (fd < 0)
        return CLI_FAILED;
    error = take(cli, &appliance, fd, &update, why);
    if (!error)
        drain(fd);
    source_failed = close_source(source, fd, child, !error || error == CULVERT_EIO);
    system_publish(&appliance);
    if (!error)
        return report(cli, &appliance, update.manifest.version);
    if (!source_failed && *why)
        cli_error("%s: %s; the system that runs is as it was", source, why);
    return CLI_FAILED;
}
