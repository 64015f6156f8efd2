/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/driver.h"

#include "dataplane/dpdk/ways.h"
#include "dataplane/dpdk/worker.h"
#include "dataplane/plane/plane.h"

struct driver {
    struct ports *ports;
    struct tables *tables;
    struct ways *ways;
    struct settings_watch *watch;
    const struct eal_plan *plan;
    bool news; /* of the settings */
};

static int driver_open(void *arg, struct tables *tables, struct rtnl *rtnl, struct devices *devices)
{
    struct driver *driver = arg;

    driver->tables = tables;
    driver->ports->rtnl = rtnl;
    driver->ports->devices = devices;
    return ways_new(&driver->ways, rtnl, devices);
}

/* The workers start when the loop can answer them. */
static int driver_enter(void *arg, uv_loop_t *loop)
{
    struct driver *driver = arg;
    int error = ways_enter(driver->ways, loop);

    return error ? error : workers_start(driver->ports, tables_base(driver->tables), driver->ways);
}

static void driver_leave(void *arg)
{
    workers_stop();
    ways_leave(((struct driver *)arg)->ways);
}

static void driver_kernel_changed(void *arg)
{
    ways_forget(((struct driver *)arg)->ways);
}

static void driver_close(void *arg)
{
    ways_free(((struct driver *)arg)->ways);
}

static bool driver_ports(void *arg)
{
    return ports_mark(((struct driver *)arg)->ports);
}

static void driver_sync(void *arg)
{
    struct driver *driver = arg;

    ports_sync(driver->ports, driver->tables);
}

static void driver_retry(void *arg)
{
    struct driver *driver = arg;

    ports_retry(driver->ports);
    driver->news |= settings_look(driver->watch);
}

static bool driver_take_changed(void *arg)
{
    struct driver *driver = arg;
    bool changed = driver->ports->changed || driver->news;

    driver->ports->changed = driver->news = false;
    return changed;
}

static uint32_t driver_ifindex(void *arg, uint32_t ifindex)
{
    const struct port *port = port_find(((struct driver *)arg)->ports, ifindex);

    return port ? port->ifindex : ifindex;
}

static size_t driver_status(void *arg, struct status_interface out[STATUS_INTERFACES_MAX])
{
    return ports_status(((struct driver *)arg)->ports, out);
}

static void driver_settings(void *arg, struct status_settings *out)
{
    static struct status_worker workers[SETTINGS_CORES_MAX];
    static char text[SETTINGS_TEXT];
    const struct driver *driver = arg;
    unsigned count = driver->plan->workers;

    settings_text(&driver->watch->runs, text, sizeof(text));
    for (unsigned i = 0; i < count; i++)
        workers[i] = (struct status_worker){driver->plan->core[i], worker_frames(i)};
    *out = (struct status_settings){
        .runs = text,
        .error = driver->watch->error,
        .workers = workers,
        .workers_count = count,
    };
}

int driver_run(const struct instance *instance, struct ports *ports, struct tables *tables,
               struct settings_watch *watch, const struct eal_plan *plan)
{
    struct driver driver = {.ports = ports, .watch = watch, .plan = plan};
    const struct plane_driver hooks = {
        .name = "dpdk",
        .arg = &driver,
        .open = driver_open,
        .close = driver_close,
        .ports = driver_ports,
        .sync = driver_sync,
        .retry = driver_retry,
        .take_changed = driver_take_changed,
        .kernel_changed = driver_kernel_changed,
        .enter = driver_enter,
        .leave = driver_leave,
        .ifindex = driver_ifindex,
        .status = driver_status,
        .settings = driver_settings,
    };
    const struct plane_options options = {
        .driver = &hooks,
        .instance = instance,
        .tables = tables,
        .filled = false, /* the region is this process's: it starts empty */
        .leaving = "its interfaces carry nothing until the next one runs",
    };

    return plane_run(&options);
}
