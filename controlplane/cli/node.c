/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert node VERB`: the site's nodes. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/units.h"
#include "controlplane/cli/command.h"
#include "controlplane/cli/show.h"
#include "controlplane/cli/table.h"

#define JOIN_SECONDS 600 /* that joining is watched */

/* ---- token ---- */

static int run_token(struct cli *cli)
{
    const char *life = cli_option(cli, "expires");
    struct buffer body = {0};
    uint64_t ms = 3600 * 1000;
    yyjson_doc *doc;
    int code;

    if (life && units_parse_time(life, &ms)) {
        cli_error("--expires takes a time such as 30m or 24h, not `%s`", life);
        return CLI_USAGE;
    }
    buffer_format(&body, "{\"life\":%llu,\"multiple\":%s}", (unsigned long long)(ms / 1000),
                  cli_option(cli, "multiple") ? "true" : "false");
    code = cli_post(cli, "/v1/node/token", &body, &doc);
    return code ? code : cli_print_member(cli, doc, "", "token", "");
}

/* ---- list ---- */

static bool is_true(yyjson_val *object, const char *name)
{
    return yyjson_get_bool(yyjson_obj_get(object, name));
}

static const char *state_of(yyjson_val *node)
{
    if (is_true(node, "leaving"))
        return "leaving";
    if (!strcmp(cli_text(node, "role"), "joining"))
        return "joining";
    if (is_true(node, "leader"))
        return "leader";
    return is_true(node, "connected") ? "up" : "not connected";
}

static void lag_cell(struct table *table, yyjson_val *node)
{
    yyjson_val *lag = yyjson_obj_get(node, "lag");

    if (yyjson_is_null(lag))
        table_cell(table, "-");
    else
        table_cell(table, "%llu", (unsigned long long)yyjson_get_uint(lag));
}

static void expiry_cell(struct table *table, yyjson_val *node)
{
    time_t expires = (time_t)cli_number(node, "expires");
    char text[32] = "-";
    struct tm when;

    if (expires && localtime_r(&expires, &when))
        strftime(text, sizeof(text), "%Y-%m-%d", &when);
    table_cell(table, "%s", text);
}

/* How far another CA has come, and which nodes it waits for. */
static void show_rotation(yyjson_val *cluster, struct buffer *out)
{
    const char *step = cli_text(cluster, "ca_step");
    const char *separator = "; waits for ";
    yyjson_val *node;
    size_t i, count;

    if (!*step || !strcmp(step, "done"))
        return;
    buffer_format(out, "the CA is being changed to %s: %s", cli_text(cluster, "ca"),
                  !strcmp(step, "spread") ? "step 1 of 2, all nodes are to believe it"
                                          : "step 2 of 2, all nodes are to get its certificates");
    yyjson_arr_foreach (yyjson_obj_get(cluster, "nodes"), i, count, node) {
        const char *name = cli_text(node, "name");

        if (!is_true(node, "behind"))
            continue;
        buffer_text(out, separator);
        show_clean(*name ? name : cli_text(node, "address"), out);
        if (!is_true(node, "connected"))
            buffer_text(out, " (not connected)");
        separator = ", ";
    }
    buffer_char(out, '\n');
}

/* Nodes of several versions: what all of them can. */
static void show_versions(yyjson_val *cluster, struct buffer *out)
{
    uint64_t all = cli_number(cluster, "protocol");
    bool mixed = false;
    yyjson_val *node;
    size_t i, count;

    yyjson_arr_foreach (yyjson_obj_get(cluster, "nodes"), i, count, node)
        mixed = mixed || cli_number(node, "protocol") != all;
    if (mixed)
        buffer_format(out,
                      "nodes of several versions: the site keeps to protocol %llu until all are "
                      "upgraded\n",
                      (unsigned long long)all);
}

void cli_show_nodes(yyjson_val *cluster, bool color, struct buffer *out)
{
    static const struct table_column columns[] = {
        {"ID", TABLE_LEFT},      {"NAME", TABLE_LEFT},
        {"ADDRESS", TABLE_LEFT}, {"ROLE", TABLE_LEFT},
        {"STATE", TABLE_LEFT},   {"LAG", TABLE_RIGHT},
        {"VERSION", TABLE_LEFT}, {"CERTIFICATE UNTIL", TABLE_LEFT},
        {"OF CA", TABLE_LEFT}};
    yyjson_val *node;
    struct table table;
    size_t i, count;

    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
    yyjson_arr_foreach (yyjson_obj_get(cluster, "nodes"), i, count, node) {
        const char *name = cli_text(node, "name"), *version = cli_text(node, "version");
        const char *ca = cli_text(node, "ca");

        table_cell(&table, "%s", cli_text(node, "id"));
        table_cell(&table, "%s%s", *name ? name : "-", is_true(node, "self") ? " (this)" : "");
        table_cell(&table, "%s", cli_text(node, "address"));
        table_cell(&table, "%s", cli_text(node, "role"));
        table_cell(&table, "%s", state_of(node));
        lag_cell(&table, node);
        table_cell(&table, "%s", *version ? version : "-");
        expiry_cell(&table, node);
        table_cell(&table, "%s", *ca ? ca : "-");
    }
    table_print(&table, color, out);
    table_free(&table);
    show_rotation(cluster, out);
    show_versions(cluster, out);
}

static int run_list(struct cli *cli)
{
    struct buffer out = {0};
    yyjson_doc *doc;
    int code = cli_call(cli, "GET", "/v1/nodes", NULL, 0, &doc);

    if (code)
        return code;
    if (!cli_print_json(cli, doc)) {
        yyjson_val *root = yyjson_doc_get_root(doc);

        cli_show_nodes(root, cli->color, &out);
        if (!is_true(root, "quorum"))
            buffer_text(&out, "no node leads the site: most of its voters must be connected\n");
    }
    yyjson_doc_free(doc);
    return cli_print(&out);
}

/* ---- join ---- */

/* HOST:PORT with the host's address. */
static bool resolve(const char *text, char out[UNITS_TEXT])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    struct endpoint endpoint;
    char host[256];
    const char *colon = strrchr(text, ':');

    if (!units_parse_endpoint(text, &endpoint)) {
        units_write_endpoint(&endpoint, out);
        return true;
    }
    if (!colon || (size_t)(colon - text) >= sizeof(host)) {
        cli_error("give a node's address and port such as 10.0.0.2:7480, not `%s`", text);
        return false;
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    if (getaddrinfo(host, colon + 1, &hints, &found)) {
        cli_error("%s: no such host is known", host);
        return false;
    }
    endpoint_from_socket((const struct sockaddr_storage *)found->ai_addr, &endpoint);
    freeaddrinfo(found);
    units_write_endpoint(&endpoint, out);
    return true;
}

/* What this node is in the list: "" while it is in none. */
static void own_state(yyjson_val *root, char text[64])
{
    yyjson_val *node;
    size_t i, count;

    snprintf(text, 64, "joining");
    yyjson_arr_foreach (yyjson_obj_get(root, "nodes"), i, count, node)
        if (is_true(node, "self"))
            snprintf(text, 64, "%s", cli_text(node, "role"));
}

static unsigned voters_wanted(yyjson_val *root)
{
    return (unsigned)cli_number(root, "voters");
}

/* Says what the node becomes until it has its place. */
static int watch_joining(struct cli *cli)
{
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    char last[64] = "", now[64];

    for (unsigned i = 0; i < JOIN_SECONDS * 10; i++) {
        struct answer answer;
        yyjson_doc *doc;
        bool done;

        nanosleep(&pause, NULL);
        if (client_call(&cli->client, "GET", "/v1/nodes", NULL, 0, &answer))
            continue;
        doc = answer.status == 200 ? yyjson_read(answer.body, answer.length, 0) : NULL;
        free(answer.body);
        own_state(yyjson_doc_get_root(doc), now);
        done = doc && (!strcmp(now, "voter") ||
                       (!strcmp(now, "standby") && voters_wanted(yyjson_doc_get_root(doc)) >= 3));
        yyjson_doc_free(doc);
        if (doc && strcmp(now, last) != 0 && !cli->json) {
            puts(now);
            fflush(stdout);
        }
        memcpy(last, now, sizeof(last));
        if (done)
            return CLI_OK;
    }
    cli_error("the node is not yet in its place: look at `culvert node list`");
    return CLI_FAILED;
}

static int run_join(struct cli *cli)
{
    struct buffer body = {0};
    char address[UNITS_TEXT];
    yyjson_doc *doc;
    int code;

    if (!resolve(cli->arguments[2], address))
        return CLI_USAGE;
    buffer_text(&body, "{\"token\":");
    buffer_json_text(&body, cli->arguments[1]);
    buffer_format(&body, ",\"address\":\"%s\"}", address);
    code = cli_post(cli, "/v1/node/join", &body, &doc);
    if (code)
        return code;
    if (!cli_print_json(cli, doc)) {
        printf("node %s of site %s\n", cli_text(yyjson_doc_get_root(doc), "node"),
               cli_text(yyjson_doc_get_root(doc), "site"));
        fflush(stdout);
    }
    yyjson_doc_free(doc);
    return watch_joining(cli);
}

/* ---- remove, promote, recover ---- */

static int run_change(struct cli *cli, const char *target, const char *done)
{
    struct buffer body = {0};
    yyjson_doc *doc;
    int code;

    buffer_text(&body, "{\"node\":");
    buffer_json_text(&body, cli->arguments[1]);
    buffer_char(&body, '}');
    code = cli_post(cli, target, &body, &doc);
    return code ? code : cli_print_member(cli, doc, "node ", "id", done);
}

static int run_remove(struct cli *cli)
{
    return run_change(cli, "/v1/node/remove", " is no longer a member of the site");
}

static int run_promote(struct cli *cli)
{
    return run_change(cli, "/v1/node/promote", " is a voter");
}

static int run_rotate_ca(struct cli *cli)
{
    bool force = cli_option(cli, "force");
    const char *body = force ? "{\"force\":true}" : "{\"force\":false}";
    yyjson_doc *doc;
    int code = cli_call(cli, "POST", "/v1/node/rotate-ca", body, strlen(body), &doc);

    return code ? code
                : cli_print_member(
                      cli, doc, "all nodes have certificates of CA ", "ca",
                      ", and no other one is believed: join tokens from before are void");
}

static int run_recover(struct cli *cli)
{
    yyjson_doc *doc;
    int code;

    if (!cli_option(cli, "yes")) {
        cli_error("this makes the site go on with this node alone. Only when most of its voters "
                  "are lost for good: writes that this node has not heard of are lost, and a node "
                  "that comes back as it is would be a second site. If that is so, add --yes");
        return CLI_USAGE;
    }
    code = cli_call(cli, "POST", "/v1/node/recover", "{\"yes\":true}", 12, &doc);
    if (code)
        return code;
    if (!cli_print_json(cli, doc))
        puts("this node is the only one of its site now: let others join it anew");
    yyjson_doc_free(doc);
    return CLI_OK;
}

/* ---- rebuild: without culvertd ---- */

static bool move_aside(int folder, const char *name)
{
    char to[64];

    snprintf(to, sizeof(to), "aside/%s", name);
    return !renameat(folder, name, folder, to) || faccessat(folder, name, F_OK, 0);
}

static int set_aside(int folder, const char *state_dir)
{
    static const char *const names[] = {"identity", "log", "db", "identity.new", "recover"};
    struct stat status;
    int waits;

    if (mkdirat(folder, "aside", 0700)) {
        cli_error("%s/aside: it is there already, or can't be made: move it away first", state_dir);
        return CLI_FAILED;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!move_aside(folder, names[i])) {
            cli_error("%s/%s can't be moved", state_dir, names[i]);
            return CLI_FAILED;
        }
    /* Clients that knew this node are not to find it empty. */
    waits = openat(folder, "waits", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (waits < 0 || fstat(folder, &status) || fchown(waits, status.st_uid, status.st_gid) ||
        fsync(folder)) {
        cli_error("%s/waits: %s", state_dir, strerror(errno));
        return CLI_FAILED;
    }
    close(waits);
    printf("what the node had is in %s/aside; start culvertd, then `culvert node join`\n",
           state_dir);
    return CLI_OK;
}

static int run_rebuild(struct cli *cli)
{
    const char *state_dir = cli_option(cli, "state-dir");
    int folder, lock, code = CLI_FAILED;

    if (!state_dir)
        state_dir = "/var/lib/culvert";
    folder = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    lock = folder < 0 ? -1 : openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        cli_error("%s: it can't be opened", state_dir);
    else if (flock(lock, LOCK_EX | LOCK_NB))
        cli_error("%s is in use: stop culvertd first", state_dir);
    else
        code = set_aside(folder, state_dir);
    if (lock >= 0)
        close(lock);
    if (folder >= 0)
        close(folder);
    return code;
}

/* ---- the verbs ---- */

const struct cli_verb cli_node_verbs[] = {
    {"token", "", 0, run_token},
    {"join", "TOKEN HOST:PORT", 2, run_join},
    {"list", "", 0, run_list},
    {"remove", "NODE", 1, run_remove},
    {"promote", "NODE", 1, run_promote},
    {"rotate-ca", "[--force]", 0, run_rotate_ca},
    {"recover", "--yes", 0, run_recover},
    {"rebuild", "[--state-dir DIR]", 0, run_rebuild},
    {NULL, NULL, 0, NULL},
};

int command_node(struct cli *cli)
{
    return cli_run_verb(cli, cli_node_verbs);
}
