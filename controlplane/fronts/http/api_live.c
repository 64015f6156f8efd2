/* SPDX-License-Identifier: Apache-2.0 */
/* What is going on: status and counters. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/daemon/system_alarms.h"
#include "controlplane/fronts/http/api.h"
#include "dataplane/fastpath/reasons.h"

#define SYSTEM_FILE "system.json" /* in the run directory; `culvert system` leaves it there */
#define SYSTEM_BYTES 4096

/* ---- status ---- */

/* The data planes of the site's interfaces, by the name that each says and its program ends in. */
enum plane_driver { PLANE_XDP, PLANE_DPDK, PLANE_DRIVERS };
static const struct {
    const char *name;
    const char *without; /* what becomes of packets when it is gone */
} plane_drivers[PLANE_DRIVERS] = {
    [PLANE_XDP] = {"xdp", "packets flow by its last tables as long as its program is attached"},
    [PLANE_DPDK] = {"dpdk", "no packet passes its interfaces"},
};

struct list {
    struct buffer *json;
    struct buffer *alarms;
    bool some;
    bool has[PLANE_DRIVERS]; /* data planes, connected or remembered, by enum plane_driver */
};

static void separate(struct list *list)
{
    if (list->some)
        buffer_char(list->json, ',');
    list->some = true;
}

static void add_alarm(struct buffer *alarms, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_alarm(struct buffer *alarms, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (alarms->length)
        buffer_char(alarms, ',');
    buffer_json_text(alarms, text);
}

static const char *text_of(yyjson_val *object, const char *name)
{
    return yyjson_get_str(yyjson_obj_get(object, name));
}

/* Alarms of a data plane's own state: settings, interfaces and addresses that have errors. */
static void state_alarms(const char *plane, yyjson_val *state, struct buffer *alarms)
{
    yyjson_val *item;
    size_t i, count;

    item = yyjson_obj_get(state, "settings");
    if (text_of(item, "error"))
        add_alarm(alarms, "%s: %s", plane, text_of(item, "error"));
    yyjson_arr_foreach (yyjson_obj_get(state, "interfaces"), i, count, item)
        if (text_of(item, "error"))
            add_alarm(alarms, "%s: %s: %s", plane, text_of(item, "name"), text_of(item, "error"));
    yyjson_arr_foreach (yyjson_obj_get(state, "addresses"), i, count, item)
        if (text_of(item, "error"))
            add_alarm(alarms, "%s: %s: %s", plane, text_of(item, "address"),
                      text_of(item, "error"));
    yyjson_arr_foreach (yyjson_obj_get(yyjson_obj_get(state, "nexthops"), "unresolved"), i, count,
                        item)
        add_alarm(alarms, "%s: no way to %s: no neighbour answers", plane,
                  yyjson_is_str(item) ? yyjson_get_str(item) : "?");
}

/* One that was connected once. */
static void gone_alarm(struct list *list, const char *name)
{
    for (unsigned i = 0; i < PLANE_DRIVERS; i++) {
        if (strcmp(name, plane_drivers[i].name) != 0)
            continue;
        add_alarm(list->alarms, "%s: the data plane is not connected; %s: start culvert-%s", name,
                  plane_drivers[i].without, name);
        return;
    }
    add_alarm(list->alarms, "%s: the data plane is not connected", name);
}

/* Interfaces whose data plane never came. */
static void absent_alarms(const struct site_counts *counts, const struct list *list)
{
    size_t used[PLANE_DRIVERS] = {[PLANE_XDP] = counts->interfaces - counts->dpdk_interfaces,
                                  [PLANE_DPDK] = counts->dpdk_interfaces};

    if (!counts->interfaces && !list->some)
        add_alarm(list->alarms, "no data plane is connected: start culvert-xdp");
    for (unsigned i = 0; i < PLANE_DRIVERS; i++)
        if (used[i] && !list->has[i])
            add_alarm(list->alarms, "no data plane is connected for driver %s: start culvert-%s",
                      plane_drivers[i].name, plane_drivers[i].name);
}

static void write_plane(void *arg, const struct plane_info *info)
{
    struct list *list = arg;
    yyjson_doc *state = info->state ? yyjson_read(info->state, strlen(info->state), 0) : NULL;

    separate(list);
    buffer_text(list->json, "{\"name\":");
    buffer_json_text(list->json, info->name);
    buffer_format(list->json, ",\"pid\":%u,\"connected\":%s,\"in_sync\":%s,\"generation\":%llu,",
                  info->pid, info->connected ? "true" : "false", info->in_sync ? "true" : "false",
                  (unsigned long long)info->generation);
    buffer_text(list->json, "\"error\":");
    buffer_json_text(list->json, info->error);
    buffer_text(list->json, ",\"state\":");
    buffer_text(list->json, state ? info->state : "null");
    buffer_char(list->json, '}');
    for (unsigned i = 0; i < PLANE_DRIVERS; i++)
        list->has[i] |= !strcmp(info->name, plane_drivers[i].name);
    if (!info->connected)
        gone_alarm(list, info->name);
    if (info->silent_ms)
        add_alarm(list->alarms,
                  "%s: the data plane (pid %u) has not answered for %llu s: packets flow by its "
                  "last tables; it catches up when it goes on, or kill it and start a new one",
                  info->name, info->pid, (unsigned long long)(info->silent_ms / 1000));
    if (info->error)
        add_alarm(list->alarms, "%s: refused the last change: %s", info->name, info->error);
    if (info->connected)
        state_alarms(info->name, yyjson_doc_get_root(state), list->alarms);
    yyjson_doc_free(state);
}

static void write_listener(void *arg, const struct dns_listener_state *state)
{
    struct list *list = arg;

    separate(list);
    buffer_text(list->json, "{\"address\":");
    buffer_json_text(list->json, state->address);
    buffer_format(list->json,
                  ",\"port\":%u,\"protocol\":\"%s\",\"listening\":%s,\"error\":", state->port,
                  state->protocol, state->listening ? "true" : "false");
    buffer_json_text(list->json, state->error);
    buffer_char(list->json, '}');
    if (state->error)
        add_alarm(list->alarms, "DNS: %s port %u/%s: %s", state->address, state->port,
                  state->protocol, state->error);
}

static void write_api(void *arg, const char *address, bool listens, const char *problem)
{
    struct list *list = arg;

    separate(list);
    buffer_format(list->json, "{\"address\":\"%s\",\"listening\":%s,\"error\":", address,
                  listens ? "true" : "false");
    buffer_json_text(list->json, problem);
    buffer_char(list->json, '}');
    if (problem)
        add_alarm(list->alarms, "%s", problem);
}

static void write_counts(const struct site_counts *counts, struct buffer *json)
{
    buffer_format(json,
                  "\"resources\":{\"interfaces\":%zu,\"pools\":%zu,\"backends\":%zu,\"vips\":%zu,"
                  "\"limits\":%zu,\"access\":%zu,\"zones\":%zu,\"names\":%zu}",
                  counts->interfaces, counts->pools, counts->backends, counts->vips, counts->limits,
                  counts->access, counts->zones, counts->names);
}

static void write_head(const struct daemon *daemon, struct buffer *json)
{
    const struct site *site = site_engine_site(daemon->engine);

    buffer_text(json, "{\"node\":");
    buffer_json_text(json, daemon->host);
    buffer_text(json, ",\"version\":\"" CULVERT_VERSION "\",\"site\":");
    buffer_json_text(json, site ? site_name(site) : NULL);
    buffer_format(json, ",\"revision\":%llu,\"generation\":%llu,\"planes\":[",
                  (unsigned long long)daemon->revision, (unsigned long long)daemon->generation);
}

static void store_alarms(const struct daemon *daemon, struct buffer *alarms)
{
    const struct history_pending *pending =
        daemon->history ? history_pending(daemon->history) : NULL;
    int64_t left;

    if (daemon->store_error)
        add_alarm(alarms, "nothing can be stored: %s", daemon->store_problem);
    if (!pending || !pending->revision)
        return;
    left = (pending->deadline_ms - daemon_clock_ms()) / 1000;
    add_alarm(alarms,
              "revision %llu waits for `culvert confirm`; revision %llu comes back in %lld s",
              (unsigned long long)pending->revision, (unsigned long long)pending->back,
              (long long)(left > 0 ? left : 0));
}

static void text_alarm(void *arg, const char *text)
{
    add_alarm(arg, "%s", text);
}

/* On an appliance: the system that runs, the other slot, what came of the last update. */
static void write_system(const struct daemon *daemon, struct buffer *json, struct buffer *alarms)
{
    char path[PATH_MAX], *text = NULL;
    yyjson_doc *doc = NULL;
    size_t length;

    snprintf(path, sizeof(path), "%s/" SYSTEM_FILE, daemon->options.run_dir);
    if (!file_read(AT_FDCWD, path, SYSTEM_BYTES, &text, &length))
        doc = yyjson_read(text, length, 0);
    buffer_text(json, ",\"system\":");
    buffer_text(json, doc ? text : "null");
    if (text_of(yyjson_doc_get_root(doc), "alarm"))
        add_alarm(alarms, "%s", text_of(yyjson_doc_get_root(doc), "alarm"));
    yyjson_doc_free(doc);
    free(text);
}

static void respond_status(void *arg, uint64_t time_ns)
{
    struct http_exchange *exchange = arg;
    struct daemon *daemon = exchange->app;
    struct buffer json = {0}, alarms = {0};
    struct list list = {.json = &json, .alarms = &alarms};

    (void)time_ns;
    write_head(daemon, &json);
    planes_each(daemon->planes, write_plane, &list);
    if (daemon->revision)
        absent_alarms(&daemon->counts, &list);
    list.some = false;
    buffer_text(&json, "],\"listeners\":[");
    dns_server_listeners(daemon->dns, write_listener, &list);
    list.some = false;
    buffer_text(&json, "],\"api\":{\"listeners\":[");
    remote_each(daemon, write_api, &list);
    buffer_format(&json, "],\"refused\":%llu},", (unsigned long long)daemon->remote.refusals.total);
    write_counts(&daemon->counts, &json);
    if (daemon->problem[0])
        add_alarm(&alarms, "%s", daemon->problem);
    store_alarms(daemon, &alarms);
    system_alarms(daemon->options.alarms_dir, text_alarm, &alarms);
    if (daemon->cluster) {
        cluster_alarms(daemon->cluster, text_alarm, &alarms);
        buffer_text(&json, ",\"cluster\":");
        api_write_cluster(daemon->cluster, &json);
    }
    write_system(daemon, &json, &alarms);
    buffer_text(&json, ",\"alarms\":[");
    buffer_text(&json, alarms.data ? alarms.data : "");
    buffer_text(&json, "]}");
    if (alarms.error)
        json.error = alarms.error;
    buffer_free(&alarms);
    api_respond(exchange, 200, &json);
}

/* The data planes are asked first, for only their silence tells one that hangs. */
void api_status(struct http_exchange *exchange)
{
    struct daemon *daemon = exchange->app;

    if (daemon_is_written(daemon) || planes_ask_stats(daemon->planes, respond_status, exchange))
        respond_status(exchange, 0);
}

/* ---- counters ---- */

static void write_counter(struct buffer *json, const struct fp_counter *counter)
{
    buffer_format(json, "\"packets\":%llu,\"bytes\":%llu}", (unsigned long long)counter->packets,
                  (unsigned long long)counter->bytes);
}

static void write_reasons(struct daemon *daemon, struct buffer *json)
{
    static const struct {
        unsigned number;
        const char *verdict, *name, *text;
    } reasons[] = {
#define X(name, number, verdict, label, text) {number, #verdict, label, text},
        FP_REASONS(X)
#undef X
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        struct fp_counter counter =
            planes_counter(daemon->planes, CHANNEL_STAT_REASON, reasons[i].number);

        buffer_text(json, i ? ",{\"name\":" : "{\"name\":");
        buffer_json_text(json, reasons[i].name);
        buffer_text(json, ",\"verdict\":\"");
        for (const char *c = reasons[i].verdict; *c; c++)
            buffer_char(json, (char)(*c | 0x20));
        buffer_text(json, "\",\"text\":");
        buffer_json_text(json, reasons[i].text);
        buffer_char(json, ',');
        write_counter(json, &counter);
    }
}

static void write_named(struct daemon *daemon, enum channel_stat_kind stat, enum fp_kind kind,
                        const char *title, struct buffer *json)
{
    unsigned end = site_number_end(daemon->engine, kind);
    bool some = false;

    buffer_format(json, "],\"%s\":[", title);
    for (unsigned number = 0; number < end; number++) {
        const char *pool = NULL;
        const char *name = site_number_name(daemon->engine, kind, number, &pool);
        struct fp_counter counter = planes_counter(daemon->planes, stat, number);

        if (!name)
            continue;
        buffer_text(json, some ? ",{" : "{");
        some = true;
        if (kind == FP_KIND_BACKEND) {
            buffer_text(json, "\"pool\":");
            buffer_json_text(json, pool ? pool : "");
            buffer_char(json, ',');
        }
        buffer_text(json, "\"name\":");
        buffer_json_text(json, name);
        buffer_char(json, ',');
        write_counter(json, &counter);
    }
}

static void counters_ready(void *arg, uint64_t time_ns)
{
    struct http_exchange *exchange = arg;
    struct daemon *daemon = exchange->app;
    struct buffer json = {0};

    buffer_format(&json, "{\"time_ns\":%llu,\"reasons\":[", (unsigned long long)time_ns);
    write_reasons(daemon, &json);
    write_named(daemon, CHANNEL_STAT_VIP, FP_KIND_VIP, "vips", &json);
    write_named(daemon, CHANNEL_STAT_BACKEND, FP_KIND_BACKEND, "backends", &json);
    write_named(daemon, CHANNEL_STAT_ZONE, FP_KIND_ZONE, "zones", &json);
    write_named(daemon, CHANNEL_STAT_LIMIT, FP_KIND_LIMIT, "limits", &json);
    buffer_text(&json, "]}");
    api_respond(exchange, 200, &json);
}

void api_counters(struct http_exchange *exchange)
{
    struct daemon *daemon = exchange->app;
    int error = planes_ask_stats(daemon->planes, counters_ready, exchange);

    if (error)
        api_respond_error(exchange, error, "too many ask for counters at once");
}
