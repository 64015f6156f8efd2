/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run early at each start of an appliance: takes what a seed tells a new instance, keeps it, and
 * puts in force what is kept and what credentials say. Whatever is wrong is told and left out; the
 * appliance comes up all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/log.h"
#include "controlplane/firstboot/disk.h"
#include "controlplane/firstboot/store.h"

#define MOUNT_POINT "/run/culvert-system/seed"
#define ALARMS "culvert-system/alarms/first-boot" /* below the run folder */
#define CREDENTIAL_BYTES_MAX 4096u

struct options {
    const char *store, *run, *seed; /* seed NULL: a disk */
};

static const char help[] =
    "usage: culvert-firstboot [OPTION...]\n"
    "\n"
    "Takes what a seed (cloud-init's NoCloud, a config drive) tells a new instance of the "
    "appliance,\n"
    "and puts in force what is kept and what credentials say: name, network, time servers.\n"
    "\n"
    "  --store DIR  where it is kept (default: /var/lib/culvert-system)\n"
    "  --run DIR    where it counts (default: /run)\n"
    "  --seed DIR   a folder with the files of a seed (default: a disk labelled cidata or "
    "config-2)\n"
    "  --help       print this and end\n";

static const struct option long_options[] = {{"store", required_argument, NULL, 's'},
                                             {"run", required_argument, NULL, 'r'},
                                             {"seed", required_argument, NULL, 'S'},
                                             {"help", no_argument, NULL, 'h'},
                                             {NULL, 0, NULL, 0}};

/* Reads the command line. -1 to go on, else the exit code. */
static int parse_options(int argc, char **argv, struct options *options)
{
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 's':
            options->store = optarg;
            break;
        case 'r':
            options->run = optarg;
            break;
        case 'S':
            options->seed = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "culvert-firstboot: what is `%s` for?\n", argv[optind]);
    return 2;
}

/* ---- the seed ---- */

static int read_seed(const struct options *options, struct machine *machine,
                     struct seed_report *report)
{
    struct disk disk;
    int error =
        options->seed ? disk_open_folder(&disk, options->seed) : disk_open(&disk, MOUNT_POINT);

    if (error == CULVERT_ENOTFOUND && !options->seed)
        return error;
    if (error) {
        site_errors_add(&report->errors, options->seed ? options->seed : disk.label, 0, 0, NULL,
                        error == CULVERT_ESYSTEM ? strerror(errno) : culvert_strerror(error),
                        "the seed can't be read");
        return 0;
    }
    error = disk_read(&disk, machine, report);
    disk_close(&disk, options->seed ? NULL : MOUNT_POINT);
    return error;
}

/* Whether the kernel shows a NIC with this MAC address. */
static bool has_mac(const char *mac)
{
    glob_t found = {0};
    bool has = false;

    if (!glob("/sys/class/net/*/address", GLOB_NOSORT, NULL, &found))
        for (size_t i = 0; i < found.gl_pathc && !has; i++) {
            FILE *file = fopen(found.gl_pathv[i], "re");
            char text[32];

            has = file && fgets(text, sizeof(text), file) && !strncmp(text, mac, strlen(mac));
            if (file)
                fclose(file);
        }
    globfree(&found);
    return has;
}

/* A name or MAC address that no NIC has: each of those that are there asks for an address. */
static void check_nics(const struct machine *machine, struct seed_report *report)
{
    for (unsigned i = 0; i < machine->nic_count; i++) {
        const char *name = machine->nics[i].name, *mac = machine->nics[i].mac;
        char path[MACHINE_NAME + 32], problem[MACHINE_NAME + 32];

        snprintf(path, sizeof(path), "/sys/class/net/%s", name);
        if (*mac ? has_mac(mac) : !*name || strpbrk(name, "*?") || !access(path, F_OK))
            continue;
        snprintf(problem, sizeof(problem),
                 *mac ? "no NIC has the MAC address %s" : "no NIC is named %s", *mac ? mac : name);
        site_errors_add(&report->errors, "network", 0, 0, NULL, problem,
                        "`culvert nic list` shows them; match by MAC address");
    }
}

/* What was read counts also beside errors, and is read again until there are none. */
static int take_seed(const struct options *options, const struct store *store,
                     struct seed_report *report)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    int error = machine ? read_seed(options, machine, report) : CULVERT_ENOMEM;

    if (error == CULVERT_ENOTFOUND) {
        error = 0;
    } else if (!error && store_has(store, machine->instance)) {
        seed_report_free(report); /* told when it was taken */
    } else if (!error && machine->instance[0]) {
        error = store_keep(store, machine, !report->errors.count);
        check_nics(machine, report);
        if (!error)
            log_info("took the data of instance %s", machine->instance);
    }
    if (machine)
        machine_free(machine);
    free(machine);
    return error;
}

/* ---- credentials ---- */

/* The text of a credential without the newline at its end, to free(); NULL: not given. */
static char *credential(const char *name)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char path[512], *text;
    size_t length;

    if (!folder || (size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path) ||
        file_read(AT_FDCWD, path, CREDENTIAL_BYTES_MAX, &text, &length))
        return NULL;
    while (length && strchr(" \r\n", text[length - 1]))
        text[--length] = '\0';
    return text;
}

static void wrong(struct seed_report *report, const char *name, const char *problem)
{
    if (problem)
        site_errors_add(&report->errors, name, 0, 0, NULL, problem, NULL);
}

static void take_credentials(struct machine *given, struct seed_report *report)
{
    char *name = credential("culvert.hostname"), *servers = credential("culvert.time-servers");
    char *rest = servers;

    if (name)
        wrong(report, "culvert.hostname", machine_set_hostname(given, name));
    for (char *word; rest && (word = strsep(&rest, " ,\n"));)
        if (*word)
            wrong(report, "culvert.time-servers", machine_add_time_server(given, word));
    free(name);
    free(servers);
}

/* The kernel's command line has a name for the host, which systemd has set. */
static bool is_named(void)
{
    char line[4096] = " ";
    FILE *file = fopen("/proc/cmdline", "re");
    bool named =
        file && fgets(line + 1, sizeof(line) - 1, file) && strstr(line, " systemd.hostname=");

    if (file)
        fclose(file);
    return named;
}

/* ---- telling ---- */

static void tell(const struct site_errors *errors, enum log_level level)
{
    struct buffer text = {0};

    site_errors_text(errors, &text);
    for (char *line, *rest = text.data; rest && (line = strsep(&rest, "\n"));)
        if (*line)
            log_write(level, "first boot: %s", line);
    buffer_free(&text);
}

/* What culvertd shows among its alarms until the next start. */
static void raise_alarms(const struct store *store, const struct site_errors *errors)
{
    struct buffer text = {0};
    int error;

    for (size_t i = 0; i < errors->count; i++) {
        struct site_errors one = {.list = errors->list + i, .count = 1};

        buffer_text(&text, "first boot: ");
        site_errors_text(&one, &text);
    }
    if (!text.length)
        unlinkat(store->run, ALARMS, 0);
    error = text.length ? file_write(store->run, ALARMS, text.data, text.length) : text.error;
    if (!error && text.length && fchmodat(store->run, ALARMS, 0644, 0))
        error = file_error(errno);
    if (error)
        log_error("/run/" ALARMS ": %s", culvert_strerror(error));
    buffer_free(&text);
}

int main(int argc, char **argv)
{
    struct options options = {.store = "/var/lib/culvert-system", .run = "/run"};
    int code = parse_options(argc, argv, &options), error;
    static struct machine given;
    struct seed_report report = {0};
    struct store store;

    if (code >= 0)
        return code;
    umask(022);
    log_start("culvert-firstboot", LOG_LEVEL_INFO);
    error = store_open(&store, options.store, options.run);
    if (error) {
        log_error("%s: %s", options.store, culvert_strerror(error));
        return 1;
    }
    error = take_seed(&options, &store, &report);
    if (error)
        wrong(&report, options.store, culvert_strerror(error));
    take_credentials(&given, &report);
    error = store_apply(&store, &given, is_named());
    if (error)
        wrong(&report, options.store, culvert_strerror(error));
    tell(&report.warnings, LOG_LEVEL_WARN);
    tell(&report.errors, LOG_LEVEL_ERROR);
    raise_alarms(&store, &report.errors);
    machine_free(&given);
    seed_report_free(&report);
    store_close(&store);
    return 0;
}
