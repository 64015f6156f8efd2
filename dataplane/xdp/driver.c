/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/xdp/driver.h"

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
#include "dataplane/xdp/instance.h"
#include "dataplane/xdp/interfaces.h"
#include "dataplane/xdp/ports.h"

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

struct driver {
    const struct options *options;
    struct program *program;
    struct tables *tables;
    struct rtnl rtnl, events;
    struct devices devices;
    struct interfaces interfaces;
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
static struct status_input status_input(const struct driver *driver)
{
    static struct status_interface interfaces[INTERFACES_MAX];

    interfaces_status(&driver->interfaces, interfaces);
    return (struct status_input){
        .name = "xdp",
        .pin_dir = driver->options->pin_dir,
        .connected = control_is_connected(driver->control),
        .filled = driver->filled,
        .tables = driver->tables,
        .interfaces = interfaces,
        .interfaces_count = driver->interfaces.count,
        .nexthops = driver->nexthops,
        .addresses = &driver->addresses,
    };
}

static void on_status(uv_timer_t *timer)
{
    struct driver *driver = timer->data;
    struct status_input input = status_input(driver);
    char *json = status_json(&input);
    char line[160];

    status_line(&input, line, sizeof(line));
    sd_notifyf(0, "STATUS=%s", line);
    if (json)
        channel_apply_send(driver->apply, CHANNEL_STATE, json, strlen(json), NULL, 0);
    free(json);
    if (driver->control)
        control_flush(driver->control);
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

static void tell_soon(struct driver *driver)
{
    if (!uv_is_active((uv_handle_t *)&driver->status_timer))
        uv_timer_start(&driver->status_timer, on_status, STATUS_MS, 0);
}

/* ---- what culvertd says ---- */

static int note_kind(void *arg, const struct fp_key *key)
{
    struct driver *driver = arg;

    if (key->kind == FP_KIND_INTERFACE)
        driver->touched |= TOUCHED_INTERFACES;
    else if (key->kind == FP_KIND_BACKEND)
        driver->touched |= TOUCHED_BACKENDS;
    else if (key->kind == FP_KIND_ADDRESS)
        driver->touched |= TOUCHED_LISTENERS;
    return 0;
}

static void on_committed(void *arg, uint64_t generation, int error)
{
    struct driver *driver = arg;

    reclaim_note(&driver->reclaim);
    driver->touched |= TOUCHED_CONNECTION; /* memory figures are news too */
    if (error) {
        log_error("generation %llu was refused: %s", (unsigned long long)generation,
                  culvert_strerror(error));
        return;
    }
    log_debug("generation %llu", (unsigned long long)generation);
    tables_changes(driver->tables, note_kind, driver);
    if (driver->filled)
        return;
    driver->filled = true;
    driver->touched |= TOUCHED_INTERFACES | TOUCHED_BACKENDS | TOUCHED_LISTENERS;
}

static void on_explain(void *arg, uint32_t cookie, uint32_t ifindex, const void *frame,
                       size_t length)
{
    struct driver *driver = arg;
    const struct interface *interface = interface_find(&driver->interfaces, ifindex);
    uint32_t head[2] = {cookie, 0};
    char *json = explain_frame(driver->tables, &driver->rtnl, &driver->devices,
                               interface ? interface->ifindex : ifindex, frame, length);

    if (json)
        channel_apply_send(driver->apply, CHANNEL_EXPLAIN_REPLY, head, sizeof(head), json,
                           strlen(json));
    free(json);
}

static void on_connection(void *arg)
{
    struct driver *driver = arg;

    driver->touched |= TOUCHED_CONNECTION;
}

/* ---- what the kernel says ---- */

static int take_event(void *arg, const struct nlmsghdr *message)
{
    struct driver *driver = arg;
    struct device changed;

    switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        if (devices_update(&driver->devices, message, &changed))
            driver->touched |= TOUCHED_DEVICES;
        break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
        driver->touched |= TOUCHED_ADDRESSES;
        break;
    case RTM_NEWRULE:
    case RTM_DELRULE:
    case RTM_NEWNEXTHOP:
    case RTM_DELNEXTHOP:
        driver->touched |= TOUCHED_ROUTES;
        break;
    default:
        nexthops_event(driver->nexthops, message);
        break;
    }
    return 0;
}

static void on_events(uv_poll_t *poll, int status, int events)
{
    struct driver *driver = poll->data;

    (void)status;
    (void)events;
    for (int round = 0; round < EVENT_ROUNDS; round++) {
        int count = rtnl_read_events(&driver->events, take_event, driver);

        if (count == CULVERT_EFULL)
            driver->touched |= TOUCHED_EVERYTHING;
        else if (count <= 0)
            break;
    }
}

/* ---- each turn of the loop ---- */

static void settle_ports(struct driver *driver)
{
    if (ports_update(driver->program->ports, &driver->devices, &driver->interfaces))
        nexthops_refresh(driver->nexthops);
}

/* The ports come first: the program must know them when a link changes to it. */
static void settle_interfaces(struct driver *driver, bool all)
{
    settle_ports(driver);
    if (all)
        interfaces_sync(&driver->interfaces, driver->tables);
    else
        interfaces_retry(&driver->interfaces);
    if (driver->interfaces.changed)
        settle_ports(driver);
    if (all) /* the links now run on the new tables: the old ones may go */
        program_promote(driver->program, driver->options->pin_dir);
}

static void settle(struct driver *driver)
{
    unsigned touched = driver->touched;

    driver->touched = 0;
    if (touched & TOUCHED_EVERYTHING) {
        log_warn("the kernel dropped notifications: reading everything anew");
        devices_load(&driver->devices, &driver->rtnl);
        touched |= TOUCHED_DEVICES | TOUCHED_ADDRESSES | TOUCHED_ROUTES;
    }
    if (touched & TOUCHED_BACKENDS)
        nexthops_sync(driver->nexthops);
    if (touched & TOUCHED_LISTENERS)
        addresses_sync(&driver->addresses, driver->tables);
    if (driver->filled && (touched & (TOUCHED_LISTENERS | TOUCHED_ADDRESSES)))
        addresses_apply(&driver->addresses, &driver->rtnl);
    if (driver->filled && (touched & TOUCHED_INTERFACES))
        settle_interfaces(driver, true);
    else if (driver->filled && (touched & TOUCHED_DEVICES))
        settle_interfaces(driver, false);
    if (touched & (TOUCHED_DEVICES | TOUCHED_ADDRESSES | TOUCHED_ROUTES))
        nexthops_refresh(driver->nexthops);
    if (touched & TOUCHED_CONNECTION)
        tell_soon(driver);
}

static void on_busy(uv_idle_t *idle)
{
    (void)idle; /* being active is all: the loop turns without sleeping */
}

static void on_turn(uv_prepare_t *prepare)
{
    struct driver *driver = prepare->data;
    bool more = false;

    if (driver->stopping)
        return;
    settle(driver);
    if (!tables_is_open(driver->tables) && !nexthops_idle(driver->nexthops)) {
        more = nexthops_work(driver->nexthops, NEXTHOP_BUDGET);
        reclaim_note(&driver->reclaim);
    }
    if (nexthops_take_changed(driver->nexthops) || driver->interfaces.changed ||
        driver->addresses.changed) {
        driver->interfaces.changed = driver->addresses.changed = false;
        tell_soon(driver);
    }
    if (more)
        uv_idle_start(&driver->busy, on_busy);
    else
        uv_idle_stop(&driver->busy);
}

static void on_tick(uv_timer_t *timer)
{
    struct driver *driver = timer->data;

    if (driver->filled)
        interfaces_retry(&driver->interfaces);
    if (driver->filled && driver->ticks % PORTS_TICKS == 0)
        settle_ports(driver);
    if (++driver->ticks % REFRESH_TICKS == 0)
        driver->touched |= TOUCHED_ROUTES | TOUCHED_ADDRESSES;
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    sd_notify(0, "WATCHDOG=1");
}

/* ---- start and end ---- */

static void stop(void *arg)
{
    struct driver *driver = arg;

    if (driver->stopping)
        return;
    driver->stopping = true;
    sd_notify(0, "STOPPING=1");
    control_close(driver->control);
    driver->control = NULL;
    instance_stop(driver->server);
    driver->server = NULL;
    uv_close((uv_handle_t *)&driver->turn, NULL);
    uv_close((uv_handle_t *)&driver->busy, NULL);
    uv_close((uv_handle_t *)&driver->events_poll, NULL);
    uv_close((uv_handle_t *)&driver->status_timer, NULL);
    uv_close((uv_handle_t *)&driver->retry_timer, NULL);
    reclaim_stop(&driver->reclaim);
    uv_close((uv_handle_t *)&driver->watchdog, NULL);
    uv_close((uv_handle_t *)&driver->terminate, NULL);
    uv_close((uv_handle_t *)&driver->interrupt, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    log_info("signal %d: leaving; what is attached stays so", number);
    stop(handle->data);
}

static void on_handover(void *arg)
{
    log_info("another instance takes over: leaving");
    stop(arg);
}

static int open_kernel(struct driver *driver)
{
    static const unsigned groups[] = {
        RTNLGRP_LINK,        RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR,
        RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
        RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,  RTNLGRP_NEXTHOP,
    };
    int error = rtnl_open(&driver->rtnl);

    if (!error)
        error = rtnl_open_events(&driver->events, groups, sizeof(groups) / sizeof(groups[0]));
    if (!error)
        error = devices_load(&driver->devices, &driver->rtnl);
    if (error)
        log_error("can't talk to the kernel by rtnetlink: %s", culvert_strerror(error));
    return error;
}

static int open_parts(struct driver *driver)
{
    const struct channel_apply_hooks hooks = {
        .arg = driver,
        .committed = on_committed,
        .explain = on_explain,
    };
    int error = interfaces_open(&driver->interfaces, driver->options->pin_dir, driver->program->fd,
                                &driver->rtnl, &driver->devices);

    if (!error)
        error = nexthops_new(&driver->nexthops, driver->tables, &driver->rtnl, &driver->devices);
    if (!error)
        error = channel_apply_new(&driver->apply, driver->tables, "xdp", &hooks);
    if (error)
        log_error("can't start: %s", culvert_strerror(error));
    return error;
}

static void open_handles(struct driver *driver)
{
    uint64_t watchdog = 0;

    uv_prepare_init(&driver->loop, &driver->turn);
    uv_idle_init(&driver->loop, &driver->busy);
    uv_poll_init(&driver->loop, &driver->events_poll, driver->events.fd);
    uv_timer_init(&driver->loop, &driver->status_timer);
    uv_timer_init(&driver->loop, &driver->retry_timer);
    reclaim_start(&driver->reclaim, &driver->loop, driver->tables);
    uv_timer_init(&driver->loop, &driver->watchdog);
    uv_signal_init(&driver->loop, &driver->terminate);
    uv_signal_init(&driver->loop, &driver->interrupt);
    driver->turn.data = driver->busy.data = driver->events_poll.data = driver;
    driver->status_timer.data = driver->retry_timer.data = driver;
    driver->terminate.data = driver->interrupt.data = driver;
    uv_prepare_start(&driver->turn, on_turn);
    uv_poll_start(&driver->events_poll, UV_READABLE, on_events);
    uv_timer_start(&driver->retry_timer, on_tick, RETRY_MS, RETRY_MS);
    uv_signal_start(&driver->terminate, on_signal, SIGTERM);
    uv_signal_start(&driver->interrupt, on_signal, SIGINT);
    if (sd_watchdog_enabled(0, &watchdog) > 0)
        uv_timer_start(&driver->watchdog, on_watchdog, 0, watchdog / 2000 + 1);
}

static int open_sockets(struct driver *driver)
{
    const struct instance_hooks hooks = {
        .status = answer_status, .leave = on_handover, .arg = driver};
    int error = instance_serve(&driver->server, &driver->loop, driver->options->run_dir,
                               driver->options->pin_dir, &hooks);

    if (!error)
        error = control_open(&driver->control, &driver->loop, driver->options->run_dir,
                             driver->apply, on_connection, driver);
    return error;
}

static void close_parts(struct driver *driver)
{
    channel_apply_free(driver->apply);
    nexthops_free(driver->nexthops);
    interfaces_close(&driver->interfaces);
    devices_free(&driver->devices);
    rtnl_close(&driver->events);
    rtnl_close(&driver->rtnl);
}

int driver_run(const struct options *options, struct program *program, struct tables *tables)
{
    struct driver *driver = calloc(1, sizeof(*driver));
    int error;

    if (!driver)
        return CULVERT_ENOMEM;
    driver->options = options;
    driver->program = program;
    driver->tables = tables;
    driver->rtnl.fd = driver->events.fd = -1;
    driver->filled = program->arena != PROGRAM_ARENA_BESIDE;
    driver->touched = TOUCHED_INTERFACES | TOUCHED_BACKENDS | TOUCHED_LISTENERS;
    error = open_kernel(driver);
    if (!error)
        error = open_parts(driver);
    if (!error) {
        uv_loop_init(&driver->loop);
        open_handles(driver);
        error = open_sockets(driver);
        if (error)
            stop(driver);
        else
            sd_notify(0, "READY=1");
        uv_run(&driver->loop, UV_RUN_DEFAULT);
        uv_loop_close(&driver->loop);
    }
    close_parts(driver);
    free(driver);
    return error;
}
