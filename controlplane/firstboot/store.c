/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/firstboot/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/log.h"

#define FILE_BYTES_MAX 65536u
#define FILES_MAX 64u /* of the network */
/* Behind what systemd's credentials usually have, before its `ip=` (70) gives way. */
#define NIC_PREFIX "75-seed-"
#define NETWORK_RUN "systemd/network"
#define TIME_RUN "systemd/timesyncd.conf.d"

static int make_folder(int in, const char *name, mode_t mode)
{
    return mkdirat(in, name, mode) && errno != EEXIST ? file_error(errno) : 0;
}

int store_open(struct store *store, const char *folder, const char *run)
{
    int error = file_make_folder(folder);

    store->folder = store->run = -1;
    if (!error)
        error = file_make_folder(run);
    if (!error) {
        store->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        store->run = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (store->folder < 0 || store->run < 0)
            error = file_error(errno);
    }
    if (!error)
        error = make_folder(store->folder, "network", 0700);
    for (const char *const *name = (const char *const[]){"systemd", NETWORK_RUN, TIME_RUN, NULL};
         !error && *name; name++)
        error = make_folder(store->run, *name, 0755);
    if (error)
        store_close(store);
    return error;
}

void store_close(struct store *store)
{
    if (store->folder >= 0)
        close(store->folder);
    if (store->run >= 0)
        close(store->run);
    store->folder = store->run = -1;
}

bool store_has(const struct store *store, const char *instance)
{
    size_t length;
    char *text;
    bool has;

    if (file_read(store->folder, "instance", FILE_BYTES_MAX, &text, &length))
        return false;
    has = !strcmp(text, instance);
    free(text);
    return has;
}

/* ---- keeping ---- */

/* Whether a name is one that systemd-networkd reads, and no temporary file. */
static int is_network_file(const struct dirent *entry)
{
    static const char *const ends[] = {".network", ".netdev", ".link"};
    const char *dot = strrchr(entry->d_name, '.');

    for (size_t i = 0; dot && i < sizeof(ends) / sizeof(ends[0]); i++)
        if (!strcmp(dot, ends[i]) && dot != entry->d_name)
            return 1;
    return 0;
}

static int remove_nics(const struct store *store)
{
    struct dirent **list;
    int count = scandirat(store->folder, "network", &list, is_network_file, alphasort);
    int error = count < 0 ? file_error(errno) : 0;

    for (int i = 0; i < count; i++) {
        char path[NAME_MAX + 16];

        snprintf(path, sizeof(path), "network/%s", list[i]->d_name);
        if (!strncmp(list[i]->d_name, NIC_PREFIX, strlen(NIC_PREFIX)) &&
            unlinkat(store->folder, path, 0))
            error = file_error(errno);
        free(list[i]);
    }
    if (count >= 0)
        free(list);
    return error;
}

static int keep_nics(const struct store *store, const struct machine *machine)
{
    int error = remove_nics(store);

    for (unsigned i = 0; !error && i < machine->nic_count; i++) {
        struct buffer text = {0};
        char name[64];

        snprintf(name, sizeof(name), "network/" NIC_PREFIX "%u.network", i + 1);
        buffer_text(&text, "# As the seed says it; another instance's replaces it.\n");
        machine_write_nic(machine, &machine->nics[i], &text);
        error = text.error ? text.error
                           : file_write_secret(store->folder, name, text.data, text.length);
        buffer_free(&text);
    }
    return error;
}

static int keep(const struct store *store, const char *name, const struct buffer *text)
{
    return text->length ? file_write_secret(store->folder, name, text->data, text->length) : 0;
}

static void write_time(const struct machine *machine, struct buffer *text)
{
    if (machine->time_servers.length)
        buffer_format(text, "[Time]\nNTP=%s\n", machine->time_servers.data + 1);
}

int store_keep(const struct store *store, const struct machine *machine, bool whole)
{
    struct buffer name = {0}, times = {0};
    int error;

    if (*machine->hostname)
        buffer_format(&name, "%s\n", machine->hostname);
    write_time(machine, &times);
    error = name.error ? name.error : times.error;
    if (!error)
        error = keep(store, "hostname", &name);
    if (!error)
        error = keep(store, "timesyncd.conf", &times);
    if (!error)
        error = keep(store, "authorized_keys", &machine->keys);
    if (!error)
        error = keep(store, "site", &machine->site);
    if (!error)
        error = keep(store, "join", &machine->join);
    if (!error && machine->nic_count)
        error = keep_nics(store, machine);
    if (!error && whole)
        error = file_write_secret(store->folder, "instance", machine->instance,
                                  strlen(machine->instance));
    buffer_free(&name);
    buffer_free(&times);
    return error;
}

/* ---- putting in force ---- */

static int publish_text(const struct store *store, const char *name, const char *text,
                        size_t length)
{
    int error = file_write(store->run, name, text, length);

    /* systemd's programs run as users of their own. */
    if (!error && fchmodat(store->run, name, 0644, 0))
        error = file_error(errno);
    if (error)
        log_error("/run/%s: %s", name, culvert_strerror(error));
    return error;
}

/* A copy, for what is kept is root's alone to read. Nothing when it isn't there. */
static int publish(const struct store *store, const char *from, const char *to)
{
    size_t length;
    char *text;
    int error = file_read(store->folder, from, FILE_BYTES_MAX, &text, &length);

    if (error == CULVERT_ENOTFOUND)
        return 0;
    if (error) {
        log_error("%s can't be read: %s", from, culvert_strerror(error));
        return error;
    }
    error = publish_text(store, to, text, length);
    free(text);
    return error;
}

static int apply_network(const struct store *store)
{
    struct dirent **list;
    int count = scandirat(store->folder, "network", &list, is_network_file, alphasort);
    int result = count < 0 ? file_error(errno) : 0;

    for (int i = 0; i < count; i++) {
        char from[NAME_MAX + 16], to[NAME_MAX + 32];
        int error;

        snprintf(from, sizeof(from), "network/%s", list[i]->d_name);
        snprintf(to, sizeof(to), NETWORK_RUN "/%s", list[i]->d_name);
        error = i < (int)FILES_MAX ? publish(store, from, to) : CULVERT_EFULL;
        if (error)
            result = error;
        free(list[i]);
    }
    if (count >= 0)
        free(list);
    return result;
}

static int apply_time(const struct store *store, const struct machine *given)
{
    struct buffer text = {0};
    int error;

    write_time(given, &text);
    if (!text.length && !text.error)
        return publish(store, "timesyncd.conf", TIME_RUN "/culvert.conf");
    error = text.error ? text.error
                       : publish_text(store, TIME_RUN "/culvert.conf", text.data, text.length);
    buffer_free(&text);
    return error;
}

/* A name that somebody wrote there by hand is checked like any other. */
static int apply_hostname(const struct store *store, const struct machine *given)
{
    struct machine kept = {0};
    const char *problem = NULL;
    size_t length;
    char *text;

    if (*given->hostname) {
        memcpy(kept.hostname, given->hostname, sizeof(kept.hostname));
    } else if (!file_read(store->folder, "hostname", FILE_BYTES_MAX, &text, &length)) {
        text[strcspn(text, "\r\n")] = '\0';
        problem = machine_set_hostname(&kept, text);
        free(text);
    }
    if (problem) {
        log_error("hostname: %s", problem);
        return CULVERT_EINVAL;
    }
    if (*kept.hostname && sethostname(kept.hostname, strlen(kept.hostname))) {
        log_error("the host's name can't be set: %s", strerror(errno));
        return file_error(errno);
    }
    return 0;
}

int store_apply(const struct store *store, const struct machine *given, bool named)
{
    int result = apply_network(store), error = apply_time(store, given);

    result = error ? error : result;
    error = named ? 0 : apply_hostname(store, given);
    return error ? error : result;
}
