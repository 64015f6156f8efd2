/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/xdp/driver.h"

#include "dataplane/plane/plane.h"
#include "dataplane/xdp/interfaces.h"
#include "dataplane/xdp/ports.h"

struct driver {
    const struct instance *instance;
    struct program *program;
    struct tables *tables;
    struct devices *devices;
    struct interfaces interfaces;
};

static int driver_open(void *arg, struct tables *tables, struct rtnl *rtnl, struct devices *devices)
{
    struct driver *driver = arg;

    driver->tables = tables;
    driver->devices = devices;
    return interfaces_open(&driver->interfaces, driver->instance->pin_dir, driver->program->fd,
                           rtnl, devices);
}

static void driver_close(void *arg)
{
    interfaces_close(&((struct driver *)arg)->interfaces);
}

static bool driver_ports(void *arg)
{
    struct driver *driver = arg;

    return ports_update(driver->program->ports, driver->devices, &driver->interfaces);
}

static void driver_sync(void *arg)
{
    struct driver *driver = arg;

    interfaces_sync(&driver->interfaces, driver->tables);
    /* The links now run on the new tables: the old ones may go. */
    program_promote(driver->program, driver->instance->pin_dir);
}

static void driver_retry(void *arg)
{
    interfaces_retry(&((struct driver *)arg)->interfaces);
}

static bool driver_take_changed(void *arg)
{
    struct driver *driver = arg;
    bool changed = driver->interfaces.changed;

    driver->interfaces.changed = false;
    return changed;
}

static uint32_t driver_ifindex(void *arg, uint32_t ifindex)
{
    const struct driver *driver = arg;
    const struct interface *interface = interface_find(&driver->interfaces, ifindex);

    return interface ? interface->ifindex : ifindex;
}

static size_t driver_status(void *arg, struct status_interface out[STATUS_INTERFACES_MAX])
{
    const struct driver *driver = arg;

    interfaces_status(&driver->interfaces, out);
    return driver->interfaces.count;
}

int driver_run(const struct instance *instance, struct program *program, struct tables *tables)
{
    struct driver driver = {.instance = instance, .program = program};
    const struct plane_driver hooks = {
        .name = "xdp",
        .arg = &driver,
        .open = driver_open,
        .close = driver_close,
        .ports = driver_ports,
        .sync = driver_sync,
        .retry = driver_retry,
        .take_changed = driver_take_changed,
        .ifindex = driver_ifindex,
        .status = driver_status,
    };
    const struct plane_options options = {
        .driver = &hooks,
        .instance = instance,
        .tables = tables,
        .filled = program->arena != PROGRAM_ARENA_BESIDE,
        .leaving = "what is attached stays so",
    };

    return plane_run(&options);
}
