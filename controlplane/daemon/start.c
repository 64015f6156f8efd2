/* SPDX-License-Identifier: Apache-2.0 */
/* Start in stages, and the same stages backwards. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/local_socket.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/fronts/http/api.h"

#define REGION_MAX ((size_t)4 << 30) /* address space; pages are used as tables grow */
#define REGION_MIN ((size_t)256 << 20)

/* ---- stages ---- */

static int open_folders(struct daemon *daemon)
{
    int error = file_make_folder(daemon->options.run_dir);

    if (error)
        log_error("%s: %s", daemon->options.run_dir, culvert_strerror(error));
    return error;
}

static void close_nothing(struct daemon *daemon)
{
    (void)daemon;
}

static void close_cluster(struct daemon *daemon)
{
    struct cluster *cluster = daemon->cluster;

    daemon->history = NULL;
    daemon->cluster = NULL;
    cluster_close(cluster);
}

static int open_tables(struct daemon *daemon)
{
    struct tables_options options = {0};
    int error;

    daemon->region = MAP_FAILED;
    for (daemon->region_size = REGION_MAX; daemon->region_size >= REGION_MIN;
         daemon->region_size /= 2) {
        daemon->region = mmap(NULL, daemon->region_size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (daemon->region != MAP_FAILED)
            break;
    }
    if (daemon->region == MAP_FAILED) {
        log_error("no memory for the tables: %s", strerror(errno));
        return CULVERT_ENOMEM;
    }
    options.base = daemon->region;
    options.size = daemon->region_size;
    error = tables_open(&daemon->tables, &options);
    if (error) {
        log_error("the tables: %s", culvert_strerror(error));
        munmap(daemon->region, daemon->region_size);
    }
    return error;
}

static void close_tables(struct daemon *daemon)
{
    tables_close(daemon->tables);
    munmap(daemon->region, daemon->region_size);
}

static int open_engine(struct daemon *daemon)
{
    int error = site_engine_new(&daemon->engine, daemon->tables);

    if (error)
        log_error("the site: %s", culvert_strerror(error));
    return error;
}

static void close_engine(struct daemon *daemon)
{
    site_engine_free(daemon->engine);
}

static void log_site_errors(const struct site_errors *errors)
{
    struct buffer text = {0};
    char *save = NULL;

    site_errors_text(errors, &text);
    for (char *line = text.data ? strtok_r(text.data, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        log_error("%s", line);
    buffer_free(&text);
}

static int load_latest(struct daemon *daemon, struct history_view *view, uint64_t number)
{
    struct site_revision *revision = NULL;
    struct site_errors errors = {0};
    int error = history_view_get(view, number, &revision);

    if (error) {
        log_error("revision %llu can't be read: %s; restore %s from a backup",
                  (unsigned long long)number, culvert_strerror(error), daemon->options.state_dir);
        return error;
    }
    daemon->revision = daemon->generation = number;
    error = site_load(daemon->engine, revision, history_view_blobs(view), daemon->generation,
                      daemon_clock_ms(), &errors);
    if (error) {
        log_site_errors(&errors);
        log_error("revision %llu does not compile: %s", (unsigned long long)number,
                  culvert_strerror(error));
    } else {
        log_info("revision %llu is loaded", (unsigned long long)number);
    }
    site_errors_free(&errors);
    history_revision_free(revision);
    return error;
}

static int load_site(struct daemon *daemon)
{
    struct history_view *view = NULL;
    uint64_t number = 0;
    int error = history_view_open(&view, daemon->history);

    if (!error)
        error = history_view_latest(view, &number);
    if (error)
        log_error("the store: %s", culvert_strerror(error));
    else if (number)
        error = load_latest(daemon, view, number);
    else
        log_info("no revision yet: `culvert apply FILE` makes the first");
    history_view_close(view);
    return error;
}

static int open_socket(struct daemon *daemon, const char *name, char path[108], int *fd)
{
    char problem[256];
    int error;

    if (snprintf(path, 108, "%s/%s", daemon->options.run_dir, name) >= 108) {
        log_error("%s/%s: longer than the 107 bytes of a socket's path", daemon->options.run_dir,
                  name);
        return CULVERT_EINVAL;
    }
    error = local_socket_listen(path, fd, problem, sizeof(problem));
    if (error)
        log_error("%s", problem);
    return error;
}

static int open_planes(struct daemon *daemon)
{
    struct planes_options options = {.tables = daemon->tables};
    int error;

    daemon_publish_settings(daemon); /* who finds the channel finds them too */
    error = open_socket(daemon, "channel.sock", daemon->channel_path, &options.fd);
    if (error)
        return error;
    error = planes_new(&daemon->planes, &daemon->loop, &options);
    if (error)
        local_socket_close(daemon->channel_path, options.fd);
    return error;
}

static void on_part_closed(void *arg)
{
    struct daemon *daemon = arg;

    daemon->open_parts--;
}

/* Lets the loop go on until a part has closed. */
static void wait_closed(struct daemon *daemon)
{
    while (daemon->open_parts)
        uv_run(&daemon->loop, UV_RUN_ONCE);
}

static void close_planes(struct daemon *daemon)
{
    daemon->open_parts++;
    planes_close(daemon->planes, on_part_closed, daemon);
    wait_closed(daemon);
    unlink(daemon->channel_path);
}

static int open_dns(struct daemon *daemon)
{
    struct dns_server_options options = {.region = daemon->region};
    int error = dns_server_new(&daemon->dns, &daemon->loop, &options);

    if (error)
        log_error("the DNS server: %s", culvert_strerror(error));
    return error;
}

static void close_dns(struct daemon *daemon)
{
    daemon->open_parts++;
    dns_server_close(daemon->dns, on_part_closed, daemon);
    wait_closed(daemon);
}

static int open_api(struct daemon *daemon)
{
    struct http_server_options options = {
        .app = daemon, .gate = api_gate, .answered = api_answered};
    int fd, error = open_socket(daemon, "api.sock", daemon->api_path, &fd);

    if (error)
        return error;
    options.routes = api_routes(&options.route_count);
    error = http_server_new(&daemon->http, &daemon->loop, &options);
    if (!error) {
        error = http_server_listen(daemon->http, fd, NULL);
        if (error)
            http_server_close(daemon->http, NULL, NULL);
    }
    if (error)
        local_socket_close(daemon->api_path, fd);
    return error;
}

/* Waits for what was asked before: jobs end, answers go out. */
static void close_api(struct daemon *daemon)
{
    unlink(daemon->api_path);
    daemon->open_parts++;
    http_server_close(daemon->http, on_part_closed, daemon);
    wait_closed(daemon);
    while (daemon->running || daemon->jobs)
        uv_run(&daemon->loop, UV_RUN_ONCE);
    uv_timer_stop(&daemon->tick);
    uv_timer_stop(&daemon->listen);
    uv_timer_stop(&daemon->collect);
    uv_timer_stop(&daemon->follow);
    uv_timer_stop(&daemon->expire);
    uv_timer_stop(&daemon->reopen);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct daemon *daemon = signal->data;

    log_info("%s: ending", number == SIGTERM ? "SIGTERM" : "SIGINT");
    daemon->ending = true;
    uv_stop(signal->loop);
}

#define DAEMON_TIMERS(daemon)                                                                      \
    &(daemon)->tick, &(daemon)->listen, &(daemon)->watchdog, &(daemon)->collect,                   \
        &(daemon)->settle, &(daemon)->follow, &(daemon)->expire, &(daemon)->reopen

static int open_timers(struct daemon *daemon)
{
    uv_timer_t *const timers[] = {DAEMON_TIMERS(daemon)};

    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        uv_timer_init(&daemon->loop, timers[i]);
        timers[i]->data = daemon;
    }
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&daemon->loop, &daemon->signals[i]);
        daemon->signals[i].data = daemon;
        uv_signal_start(&daemon->signals[i], on_signal, i ? SIGINT : SIGTERM);
    }
    daemon_collect_start(daemon);
    return daemon_watchdog_start(daemon);
}

static void close_timers(struct daemon *daemon)
{
    uv_timer_t *const timers[] = {DAEMON_TIMERS(daemon)};

    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
        uv_close((uv_handle_t *)timers[i], NULL);
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&daemon->signals[i], NULL);
}

static int open_loop(struct daemon *daemon)
{
    daemon->jobs_end = &daemon->jobs;
    if (gethostname(daemon->host, sizeof(daemon->host) - 1))
        strcpy(daemon->host, "localhost");
    if (daemon->options.addresses.name)
        snprintf(daemon->host, sizeof(daemon->host), "%s", daemon->options.addresses.name);
    return uv_loop_init(&daemon->loop) ? CULVERT_ENOMEM : 0;
}

static void close_loop(struct daemon *daemon)
{
    uv_run(&daemon->loop, UV_RUN_DEFAULT);
    uv_loop_close(&daemon->loop);
}

static const struct stage {
    int (*open)(struct daemon *daemon);
    void (*close)(struct daemon *daemon);
} stages[] = {
    {open_loop, close_loop},
    {open_folders, close_nothing},
    {daemon_open_cluster, close_cluster},
    {open_tables, close_tables},
    {open_engine, close_engine},
    {load_site, close_nothing},
    {open_timers, close_timers},
    {open_planes, close_planes},
    {open_dns, close_dns},
    {open_api, close_api},
    {remote_open, remote_close},
};
#define STAGES (sizeof(stages) / sizeof(stages[0]))

static void daemon_stop(struct daemon *daemon, size_t count)
{
    daemon->stopping = daemon->ending = true;
    while (count)
        stages[--count].close(daemon);
}

int daemon_start(struct daemon *daemon, const struct daemon_options *options)
{
    memset(daemon, 0, sizeof(*daemon));
    daemon->options = *options;
    for (size_t i = 0; i < STAGES; i++) {
        int error = stages[i].open(daemon);

        if (error) {
            daemon_stop(daemon, i);
            return error;
        }
    }
    daemon_after_commit(daemon);
    daemon_follow(daemon);
    return 0;
}

int daemon_run(struct daemon *daemon)
{
    log_info("ready: API at %s", daemon->api_path);
    daemon_notify("READY=1");
    while (!daemon->ending) {
        uv_run(&daemon->loop, UV_RUN_DEFAULT);
        daemon_reopen_due(daemon);
    }
    daemon_notify("STOPPING=1");
    daemon_stop(daemon, STAGES);
    return daemon->removed ? DAEMON_REMOVED : 0;
}
