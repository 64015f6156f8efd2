/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/plane/plane.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include <uv.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "dataplane/kernel/addresses.h"
#include "dataplane/kernel/nexthops.h"
#include "dataplane/plane/control.h"
#include "dataplane/plane/explain.h"
#include "dataplane/plane/reclaim.h"
#include "dataplane/plane/status.h"
#include "dataplane/tables/channel_apply.h"

#define NEXTHOP_BUDGET 256 /* backends a turn: about 2 ms of netlink */
#define EVENT_ROUNDS 16    /* buffers of notifications a turn */
#define STATUS_MS 20       /* changes within this time make one STATE */
#define RETRY_MS 1000      /* interfaces that could not be attached */
#define REFRESH_TICKS 60   /* retries between two full looks at the routes */
#define PORTS_TICKS 5      /* retries between two questions to all devices */

/* What events have touched, settled once a turn. */
enum {
    TOUCHED_INTERFACES = 1 << 0, /* tables */
    TOUCHED_BACKENDS = 1 << 1,
    TOUCHED_LISTENERS = 1 << 2,
    TOUCHED_DEVICES = 1 << 3, /* the kernel */
    TOUCHED_ADDRESSES = 1 << 4,
    TOUCHED_ROUTES = 1 << 5,
    TOUCHED_EVERYTHING = 1 << 6, /* notifications were lost */
    TOUCHED_CONNECTION = 1 << 7,
};

struct plane {
    const struct plane_options *options;
    const struct plane_driver *driver;
    struct tables *tables;
    struct rtnl rtnl, events;
    struct devices devices;
    struct addresses addresses;
    struct nexthops *nexthops;
    struct channel_apply *apply;
    struct control *control;
    struct instance_server *server;
    uv_loop_t loop;
    uv_poll_t events_poll;
    uv_prepare_t turn;
    uv_idle_t busy; /* active: the loop must not sleep */
    uv_timer_t status_timer, retry_timer, watchdog;
    uv_signal_t terminate, interrupt;
    struct reclaim reclaim;
    unsigned touched;
    unsigned ticks;
    bool filled; /* the region may be run: interfaces follow the tables */
    bool stopping;
};

/* ---- status ---- */

/* What the interfaces are told by is valid until the next call. */
static struct status_input status_input(const struct plane *plane)
{
    static struct status_interface interfaces[STATUS_INTERFACES_MAX];
    size_t count = plane->driver->status(plane->driver->arg, interfaces);
    struct status_settings settings = {0};

    if (plane->driver->settings)
        plane->driver->settings(plane->driver->arg, &settings);
    return (struct status_input){
        .name = plane->driver->name,
        .pin_dir = plane->options->instance->pin_dir,
        .connected = control_is_connected(plane->control),
        .filled = plane->filled,
        .settings = settings,
        .tables = plane->tables,
        .interfaces = interfaces,
        .interfaces_count = count,
        .nexthops = plane->nexthops,
        .addresses = &plane->addresses,
    };
}

static void on_status(uv_timer_t *timer)
{
    struct plane *plane = timer->data;
    struct status_input input = status_input(plane);
    char *json = status_json(&input);
    char line[160];

    status_line(&input, line, sizeof(line));
    sd_notifyf(0, "STATUS=%s", line);
    if (json)
        channel_apply_send(plane->apply, CHANNEL_STATE, json, strlen(json), NULL, 0);
    free(json);
    if (plane->control)
        control_flush(plane->control);
}

static char *answer_status(void *arg)
{
    struct status_input input = status_input(arg);
    char *json = status_json(&input);
    char *line = NULL;

    if (json && asprintf(&line, "%s\n", json) < 0)
        line = NULL;
    free(json);
    return line;
}

static void tell_soon(struct plane *plane)
{
    if (!uv_is_active((uv_handle_t *)&plane->status_timer))
        uv_timer_start(&plane->status_timer, on_status, STATUS_MS, 0);
}

/* ---- what culvertd says ---- */

static int note_kind(void *arg, const struct fp_key *key)
{
    struct plane *plane = arg;

    if (key->kind == FP_KIND_INTERFACE)
        plane->touched |= TOUCHED_INTERFACES;
    else if (key->kind == FP_KIND_BACKEND)
        plane->touched |= TOUCHED_BACKENDS;
    else if (key->kind == FP_KIND_ADDRESS)
        plane->touched |= TOUCHED_LISTENERS;
    return 0;
}

static void on_committed(void *arg, uint64_t generation, int error)
{
    struct plane *plane = arg;

    reclaim_note(&plane->reclaim);
    plane->touched |= TOUCHED_CONNECTION; /* memory figures are news too */
    if (error) {
        log_error("generation %llu was refused: %s", (unsigned long long)generation,
                  culvert_strerror(error));
        return;
    }
    log_debug("generation %llu", (unsigned long long)generation);
    tables_changes(plane->tables, note_kind, plane);
    if (plane->filled)
        return;
    plane->filled = true;
    plane->touched |= TOUCHED_INTERFACES | TOUCHED_BACKENDS | TOUCHED_LISTENERS;
}

static void on_explain(void *arg, uint32_t cookie, uint32_t ifindex, const void *frame,
                       size_t length)
{
    struct plane *plane = arg;
    uint32_t head[2] = {cookie, 0};
    char *json = explain_frame(plane->tables, &plane->rtnl, &plane->devices,
                               plane->driver->ifindex(plane->driver->arg, ifindex), frame, length);

    if (json)
        channel_apply_send(plane->apply, CHANNEL_EXPLAIN_REPLY, head, sizeof(head), json,
                           strlen(json));
    free(json);
}

static void on_connection(void *arg)
{
    struct plane *plane = arg;

    plane->touched |= TOUCHED_CONNECTION;
}

/* ---- what the kernel says ---- */

static int take_event(void *arg, const struct nlmsghdr *message)
{
    struct plane *plane = arg;
    struct device changed;

    if (plane->driver->kernel_changed)
        plane->driver->kernel_changed(plane->driver->arg);
    switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        if (devices_update(&plane->devices, message, &changed))
            plane->touched |= TOUCHED_DEVICES;
        break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
        plane->touched |= TOUCHED_ADDRESSES;
        break;
    case RTM_NEWRULE:
    case RTM_DELRULE:
    case RTM_NEWNEXTHOP:
    case RTM_DELNEXTHOP:
        plane->touched |= TOUCHED_ROUTES;
        break;
    default:
        nexthops_event(plane->nexthops, message);
        break;
    }
    return 0;
}

static void on_events(uv_poll_t *poll, int status, int events)
{
    struct plane *plane = poll->data;

    (void)status;
    (void)events;
    for (int round = 0; round < EVENT_ROUNDS; round++) {
        int count = rtnl_read_events(&plane->events, take_event, plane);

        if (count == CULVERT_EFULL)
            plane->touched |= TOUCHED_EVERYTHING;
        else if (count <= 0)
            break;
    }
}

/* ---- each turn of the loop ---- */

static void settle_ports(struct plane *plane)
{
    if (plane->driver->ports(plane->driver->arg))
        nexthops_refresh(plane->nexthops);
}

/* The ports come first: the driver must know them when an interface comes up. */
static void settle_interfaces(struct plane *plane, bool all)
{
    settle_ports(plane);
    if (all)
        plane->driver->sync(plane->driver->arg);
    else
        plane->driver->retry(plane->driver->arg);
    if (plane->driver->take_changed(plane->driver->arg)) {
        tell_soon(plane);
        settle_ports(plane);
    }
}

static void settle(struct plane *plane)
{
    unsigned touched = plane->touched;

    plane->touched = 0;
    if (touched & TOUCHED_EVERYTHING) {
        log_warn("the kernel dropped notifications: reading everything anew");
        devices_load(&plane->devices, &plane->rtnl);
        touched |= TOUCHED_DEVICES | TOUCHED_ADDRESSES | TOUCHED_ROUTES;
    }
    if (touched & TOUCHED_BACKENDS)
        nexthops_sync(plane->nexthops);
    if (touched & TOUCHED_LISTENERS)
        addresses_sync(&plane->addresses, plane->tables);
    if (plane->filled && (touched & (TOUCHED_LISTENERS | TOUCHED_ADDRESSES)))
        addresses_apply(&plane->addresses, &plane->rtnl);
    if (plane->filled && (touched & TOUCHED_INTERFACES))
        settle_interfaces(plane, true);
    else if (plane->filled && (touched & TOUCHED_DEVICES))
        settle_interfaces(plane, false);
    if (touched & (TOUCHED_DEVICES | TOUCHED_ADDRESSES | TOUCHED_ROUTES))
        nexthops_refresh(plane->nexthops);
    if (touched & TOUCHED_CONNECTION)
        tell_soon(plane);
}

static void on_busy(uv_idle_t *idle)
{
    (void)idle; /* being active is all: the loop turns without sleeping */
}

static void on_turn(uv_prepare_t *prepare)
{
    struct plane *plane = prepare->data;
    bool more = false;

    if (plane->stopping)
        return;
    settle(plane);
    if (!tables_is_open(plane->tables) && !nexthops_idle(plane->nexthops)) {
        more = nexthops_work(plane->nexthops, NEXTHOP_BUDGET);
        reclaim_note(&plane->reclaim);
    }
    if (nexthops_take_changed(plane->nexthops) || plane->addresses.changed)
        tell_soon(plane);
    plane->addresses.changed = false;
    if (plane->driver->take_changed(plane->driver->arg))
        tell_soon(plane);
    if (more)
        uv_idle_start(&plane->busy, on_busy);
    else
        uv_idle_stop(&plane->busy);
}

static void on_tick(uv_timer_t *timer)
{
    struct plane *plane = timer->data;

    if (plane->filled)
        plane->driver->retry(plane->driver->arg);
    if (plane->filled && plane->ticks % PORTS_TICKS == 0)
        settle_ports(plane);
    if (++plane->ticks % REFRESH_TICKS == 0)
        plane->touched |= TOUCHED_ROUTES | TOUCHED_ADDRESSES;
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    sd_notify(0, "WATCHDOG=1");
}

/* ---- start and end ---- */

static void stop(void *arg)
{
    struct plane *plane = arg;

    if (plane->stopping)
        return;
    plane->stopping = true;
    sd_notify(0, "STOPPING=1");
    control_close(plane->control);
    plane->control = NULL;
    instance_stop(plane->server);
    plane->server = NULL;
    if (plane->driver->leave)
        plane->driver->leave(plane->driver->arg);
    uv_close((uv_handle_t *)&plane->turn, NULL);
    uv_close((uv_handle_t *)&plane->busy, NULL);
    uv_close((uv_handle_t *)&plane->events_poll, NULL);
    uv_close((uv_handle_t *)&plane->status_timer, NULL);
    uv_close((uv_handle_t *)&plane->retry_timer, NULL);
    reclaim_stop(&plane->reclaim);
    uv_close((uv_handle_t *)&plane->watchdog, NULL);
    uv_close((uv_handle_t *)&plane->terminate, NULL);
    uv_close((uv_handle_t *)&plane->interrupt, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct plane *plane = handle->data;

    log_info("signal %d: leaving; %s", number, plane->options->leaving);
    stop(plane);
}

static void on_handover(void *arg)
{
    log_info("another instance takes over: leaving");
    stop(arg);
}

static int open_kernel(struct plane *plane)
{
    static const unsigned groups[] = {
        RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR,
        RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
        RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,  RTNLGRP_NEXTHOP,
    };
    int error = rtnl_open(&plane->rtnl);

    if (!error)
        error = rtnl_open_events(&plane->events, groups, sizeof(groups) / sizeof(groups[0]));
    if (!error)
        error = devices_load(&plane->devices, &plane->rtnl);
    if (error)
        log_error("can't talk to the kernel by rtnetlink: %s", culvert_strerror(error));
    return error;
}

static int open_parts(struct plane *plane)
{
    const struct channel_apply_hooks hooks = {
        .arg = plane,
        .committed = on_committed,
        .explain = on_explain,
    };
    int error =
        plane->driver->open(plane->driver->arg, plane->tables, &plane->rtnl, &plane->devices);

    if (!error)
        error = nexthops_new(&plane->nexthops, plane->tables, &plane->rtnl, &plane->devices);
    if (!error)
        error = channel_apply_new(&plane->apply, plane->tables, plane->driver->name, &hooks);
    if (error)
        log_error("can't start: %s", culvert_strerror(error));
    return error;
}

static void open_handles(struct plane *plane)
{
    uint64_t watchdog = 0;

    uv_prepare_init(&plane->loop, &plane->turn);
    uv_idle_init(&plane->loop, &plane->busy);
    uv_poll_init(&plane->loop, &plane->events_poll, plane->events.fd);
    uv_timer_init(&plane->loop, &plane->status_timer);
    uv_timer_init(&plane->loop, &plane->retry_timer);
    reclaim_start(&plane->reclaim, &plane->loop, plane->tables);
    uv_timer_init(&plane->loop, &plane->watchdog);
    uv_signal_init(&plane->loop, &plane->terminate);
    uv_signal_init(&plane->loop, &plane->interrupt);
    plane->turn.data = plane->busy.data = plane->events_poll.data = plane;
    plane->status_timer.data = plane->retry_timer.data = plane;
    plane->terminate.data = plane->interrupt.data = plane;
    uv_prepare_start(&plane->turn, on_turn);
    uv_poll_start(&plane->events_poll, UV_READABLE, on_events);
    uv_timer_start(&plane->retry_timer, on_tick, RETRY_MS, RETRY_MS);
    uv_signal_start(&plane->terminate, on_signal, SIGTERM);
    uv_signal_start(&plane->interrupt, on_signal, SIGINT);
    if (sd_watchdog_enabled(0, &watchdog) > 0)
        uv_timer_start(&plane->watchdog, on_watchdog, 0, watchdog / 2000 + 1);
}

static int open_sockets(struct plane *plane)
{
    const struct instance_hooks hooks = {
        .status = answer_status, .leave = on_handover, .arg = plane};
    const struct plane_driver *driver = plane->driver;
    int error = driver->enter ? driver->enter(driver->arg, &plane->loop) : 0;

    if (!error)
        error = instance_serve(&plane->server, &plane->loop, plane->options->instance, &hooks);
    if (!error)
        error = control_open(&plane->control, &plane->loop, plane->options->instance->run_dir,
                             plane->apply, on_connection, plane);
    return error;
}

static void close_parts(struct plane *plane)
{
    channel_apply_free(plane->apply);
    nexthops_free(plane->nexthops);
    plane->driver->close(plane->driver->arg);
    devices_free(&plane->devices);
    rtnl_close(&plane->events);
    rtnl_close(&plane->rtnl);
}

int plane_run(const struct plane_options *options)
{
    struct plane *plane = calloc(1, sizeof(*plane));
    int error;

    if (!plane)
        return CULVERT_ENOMEM;
    plane->options = options;
    plane->driver = options->driver;
    plane->tables = options->tables;
    plane->rtnl.fd = plane->events.fd = -1;
    plane->filled = options->filled;
    plane->touched = TOUCHED_INTERFACES | TOUCHED_BACKENDS | TOUCHED_LISTENERS;
    error = open_kernel(plane);
    if (!error)
        error = open_parts(plane);
    if (!error) {
        uv_loop_init(&plane->loop);
        open_handles(plane);
        error = open_sockets(plane);
        if (error)
            stop(plane);
        else
            sd_notify(0, "READY=1");
        uv_run(&plane->loop, UV_RUN_DEFAULT);
        uv_loop_close(&plane->loop);
    }
    close_parts(plane);
    free(plane);
    return error;
}
