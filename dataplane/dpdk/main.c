/* SPDX-License-Identifier: Apache-2.0 */
/* culvert-dpdk: the DPDK data plane. */

#include <bpf/libbpf.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "dataplane/dpdk/driver.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/options.h"
#include "dataplane/dpdk/ports.h"
#include "dataplane/dpdk/settings.h"
#include "dataplane/dpdk/taps.h"
#include "dataplane/dpdk/worker.h"
#include "dataplane/kernel/addresses.h"
#include "dataplane/kernel/routes.h"
#include "dataplane/plane/grace.h"

#define PATH_BYTES 160

static int open_tables(const struct settings *settings, unsigned workers, struct tables **tables)
{
    size_t memory = (size_t)settings->value[SETTINGS_TABLE_MEMORY] << 20;
    struct tables_options of_tables = {
        .base = eal_tables_memory(memory, settings->value[SETTINGS_HUGEPAGES]),
        .size = memory,
        .cpus = workers,
        .grace = grace_wait,
    };
    int error;

    if (!of_tables.base)
        return CULVERT_ENOMEM;
    error = tables_open(tables, &of_tables);
    if (error)
        log_error("the tables can't be opened: %s", culvert_strerror(error));
    return error;
}

/* The settings to start with, and a plan for the cores. A running instance is not disturbed for
 * settings that can't be. */
static int settle(const struct options *options, struct settings_watch *watch,
                  struct eal_plan *plan)
{
    char why[SETTINGS_TEXT];
    int error;

    *watch = (struct settings_watch){
        .run_dir = options->common.run_dir,
        .given = options->given,
        .asked = options->settings,
        .runs = options->settings,
    };
    settings_await(watch->run_dir);
    error = settings_read(&watch->runs, watch->given, watch->run_dir, why);
    if (error && error != CULVERT_ENOTFOUND) {
        log_error("%s/" SETTINGS_FILE ": %s", watch->run_dir, why);
        return error;
    }
    error = eal_plan(&watch->runs, plan, why);
    if (error)
        log_error("%s", why);
    return error;
}

static int run(const struct options *options, const struct instance *instance)
{
    struct settings_watch watch;
    struct tables *tables = NULL;
    struct eal_plan plan;
    struct ports ports;
    int lock, error = settle(options, &watch, &plan);

    if (error)
        return error;
    lock = instance_take(instance);
    if (lock < 0)
        return lock;
    if (options->reserve)
        eal_reserve(&watch.runs);
    error = eal_start(instance->program, &watch.runs, &plan);
    if (error)
        goto out_lock;
    grace_use(workers_wait);
    error = open_tables(&watch.runs, plan.workers, &tables);
    if (error)
        goto out_eal;
    error =
        ports_open(&ports, watch.runs.value[SETTINGS_PACKET_BUFFERS], plan.workers, workers_wait);
    if (error)
        goto out_tables;
    error = driver_run(instance, &ports, tables, &watch, &plan);
    ports_close(&ports);
out_tables:
    tables_close(tables);
out_eal:
    eal_close();
out_lock:
    close(lock);
    return error;
}

/* Undoes all that this program leaves in the kernel. */
static int detach(const struct instance *instance)
{
    struct rtnl rtnl = {.fd = -1};
    int lock = instance_take(instance);
    int taps, addresses, neighbours;
    int error = lock < 0 ? lock : rtnl_open(&rtnl);

    if (error)
        goto out;
    addresses = addresses_remove_ours(&rtnl);
    neighbours = neighbour_drop_ours(&rtnl);
    taps = taps_remove(&rtnl);
    log_info("removed %d TAP devices, %d addresses and %d neighbours", taps > 0 ? taps : 0,
             addresses > 0 ? addresses : 0, neighbours > 0 ? neighbours : 0);
    error = taps < 0 ? taps : addresses < 0 ? addresses : neighbours < 0 ? neighbours : 0;
out:
    rtnl_close(&rtnl);
    if (lock >= 0)
        close(lock);
    return error;
}

int main(int argc, char **argv)
{
    char lock_dir[PATH_BYTES];
    struct instance instance = {
        .program = "culvert-dpdk", .socket = "dpdk.sock", .lock_dir = lock_dir};
    struct options options;
    int error;

    log_start("culvert-dpdk", LOG_LEVEL_INFO);
    if (options_parse(&options, argc, argv))
        return 2;
    if (options.common.action == ARGUMENTS_EXIT)
        return 0;
    log_set_level(options.common.log_level);
    instance.run_dir = options.common.run_dir;
    snprintf(lock_dir, sizeof(lock_dir), "%s/dpdk.lock", options.common.run_dir);
    if (options.common.action == ARGUMENTS_STATUS)
        return instance_print_status(&instance) ? 1 : 0;
    signal(SIGPIPE, SIG_IGN);
    libbpf_set_print(NULL); /* AF_XDP devices: what fails is told by their state */
    libxdp_set_print(NULL);
    if (geteuid() != 0) {
        log_error("root is needed, for the devices and their memory");
        return 1;
    }
    error = instance_make_dir(options.common.run_dir);
    if (!error)
        error = instance_make_dir(lock_dir);
    if (!error)
        error = options.common.action == ARGUMENTS_DETACH ? detach(&instance)
                                                          : run(&options, &instance);
    return error ? 1 : 0;
}
