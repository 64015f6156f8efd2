/* SPDX-License-Identifier: Apache-2.0 */
/* culvert-xdp: the user space of the XDP data plane. */

#include <bpf/libbpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "dataplane/kernel/addresses.h"
#include "dataplane/kernel/routes.h"
#include "dataplane/plane/grace.h"
#include "dataplane/plane/instance.h"
#include "dataplane/tables/tables.h"
#include "dataplane/xdp/driver.h"
#include "dataplane/xdp/host.h"
#include "dataplane/xdp/interfaces.h"
#include "dataplane/xdp/options.h"
#include "dataplane/xdp/pins.h"
#include "dataplane/xdp/program.h"

#define LIBBPF_LINES 40 /* of one message: the verifier tells the reason at its end */

/* libbpf's warnings hold the verifier's log, of any length: whoever wants it asks for debug. */
static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
    char *text = NULL;
    char *from;
    int lines = 0;

    if (level == LIBBPF_DEBUG || vasprintf(&text, format, args) < 0)
        return 0;
    for (from = text + strlen(text); from > text && lines <= LIBBPF_LINES; from--)
        lines += from[-1] == '\n';
    for (char *line = strtok(from, "\n"); line; line = strtok(NULL, "\n"))
        log_debug("%s", line);
    free(text);
    return 0;
}

static struct instance instance_of(const struct options *options)
{
    return (struct instance){
        .program = "culvert-xdp",
        .socket = "xdp.sock",
        .run_dir = options->common.run_dir,
        .lock_dir = options->pin_dir,
        .pin_dir = options->pin_dir,
    };
}

/* Takes the pin directory over, with a program that has been loaded beside the running one. */
static int take_over(const struct options *options, struct program *program, int *lock)
{
    const struct instance instance = instance_of(options);
    int error = program_load(program, options->pin_dir, options->common.memory, false);

    if (error)
        return error;
    *lock = instance_take(&instance);
    if (*lock < 0) {
        program_unload(program);
        return *lock;
    }
    if (program_is_current(program, options->pin_dir))
        return 0;
    program_unload(program);
    error = program_load(program, options->pin_dir, options->common.memory, false);
    if (error)
        close(*lock);
    return error;
}

static int open_tables(struct program *program, struct tables **tables)
{
    int cpus = libbpf_num_possible_cpus();
    struct tables_options options = {
        .base = program->base,
        .size = program->size,
        .cpus = cpus > 0 ? (unsigned)cpus : 1,
        .grace = grace_wait,
    };
    int error = tables_open(tables, &options);

    if (!error)
        log_info("%zu MiB of tables, %s", program->size >> 20,
                 options.recovered ? "taken over" : "new");
    return error;
}

/* The pinned region can't be used (damaged, or other numbers of CPUs or meters): beside it a new
 * one is filled, while the interfaces run on. */
static int open_tables_anew(const struct options *options, struct program *program,
                            struct tables **tables, int why)
{
    int error;

    log_warn("the pinned tables can't be taken over (%s): filling new ones", culvert_strerror(why));
    program_unload(program);
    error = program_load(program, options->pin_dir, options->common.memory, true);
    return error ? error : open_tables(program, tables);
}

static int run(const struct options *options)
{
    const struct instance instance = instance_of(options);
    struct tables *tables = NULL;
    struct program program;
    int lock = -1;
    int error = grace_open();

    if (error)
        return error;
    error = take_over(options, &program, &lock);
    if (error)
        goto out_grace;
    error = open_tables(&program, &tables);
    if (error && program.arena == PROGRAM_ARENA_REUSED)
        error = open_tables_anew(options, &program, &tables, error);
    if (error) {
        log_error("the tables can't be opened: %s", culvert_strerror(error));
        goto out_program;
    }
    error = program_pin(&program, options->pin_dir);
    if (!error)
        error = driver_run(&instance, &program, tables);
    if (error && program.arena == PROGRAM_ARENA_NEW) /* never run by anyone */
        pins_remove(options->pin_dir);
    tables_close(tables);
out_program:
    program_unload(&program);
    close(lock);
out_grace:
    grace_close();
    return error;
}

/* Undoes all that a driver leaves in the kernel. */
static int detach(const struct options *options)
{
    const struct instance instance = instance_of(options);
    struct rtnl rtnl = {.fd = -1};
    struct devices devices = {0};
    struct interfaces interfaces;
    int lock = instance_take(&instance);
    int links, addresses, neighbours;
    int error = lock < 0 ? lock : rtnl_open(&rtnl);

    if (error)
        goto out;
    error = interfaces_open(&interfaces, options->pin_dir, -1, &rtnl, &devices);
    if (error)
        goto out;
    links = interfaces_detach_all(&interfaces);
    pins_remove(options->pin_dir);
    addresses = addresses_remove_ours(&rtnl);
    neighbours = neighbour_drop_ours(&rtnl);
    log_info("detached %d interfaces, removed %d addresses and %d neighbours", links,
             addresses > 0 ? addresses : 0, neighbours > 0 ? neighbours : 0);
    error = addresses < 0 ? addresses : neighbours < 0 ? neighbours : 0;
out:
    rtnl_close(&rtnl);
    if (lock >= 0)
        close(lock);
    return error;
}

int main(int argc, char **argv)
{
    struct options options;
    int error;

    log_start("culvert-xdp", LOG_LEVEL_INFO);
    if (options_parse(&options, argc, argv))
        return 2;
    if (options.common.action == ARGUMENTS_EXIT)
        return 0;
    log_set_level(options.common.log_level);
    if (options.common.action == ARGUMENTS_STATUS) {
        const struct instance instance = instance_of(&options);

        return instance_print_status(&instance) ? 1 : 0;
    }
    signal(SIGPIPE, SIG_IGN);
    libbpf_set_print(print_libbpf);
    error = host_check();
    if (!error)
        error = pins_make(options.pin_dir);
    if (!error)
        error = instance_make_dir(options.common.run_dir);
    if (!error)
        error = options.common.action == ARGUMENTS_DETACH ? detach(&options) : run(&options);
    return error ? 1 : 0;
}
