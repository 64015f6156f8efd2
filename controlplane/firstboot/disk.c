/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/firstboot/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/digest.h"
#include "controlplane/base/error.h"
#include "controlplane/base/file.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256 /* Linux 5.10 */
#endif

static const struct {
    const char *label;
    bool openstack;
} labels[] = {{"cidata", false}, {"CIDATA", false}, {"config-2", true}, {"CONFIG-2", true}};

/* Read in this order; what comes later goes over what was before. */
static const struct part {
    const char *name, *path;
    seed_reader *read;
    bool openstack;
} parts[] = {
    {"meta-data", "meta-data", seed_read_meta_data, false},
    {"user-data", "user-data", seed_read_user_data, false},
    {"network-config", "network-config", seed_read_network, false},
    {"meta_data.json", "openstack/latest/meta_data.json", seed_read_openstack, true},
    {"user_data", "openstack/latest/user_data", seed_read_user_data, true},
    {"network_data.json", "openstack/latest/network_data.json", seed_read_openstack_network, true},
};

static int mount_device(const char *device, const char *where)
{
    static const char *const kinds[] = {"iso9660", "vfat"};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!mount(device, where, kinds[i],
                   MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOSYMFOLLOW, NULL))
            return 0;
    return CULVERT_ESYSTEM;
}

int disk_open(struct disk *disk, const char *where)
{
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        char device[64];
        int error;

        snprintf(device, sizeof(device), "/dev/disk/by-label/%s", labels[i].label);
        if (access(device, F_OK))
            continue;
        *disk = (struct disk){.label = labels[i].label, .openstack = labels[i].openstack};
        error = file_make_folder(where);
        if (!error)
            error = mount_device(device, where);
        if (error)
            return error;
        disk->folder = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (disk->folder >= 0)
            return 0;
        umount2(where, MNT_DETACH);
        return CULVERT_ESYSTEM;
    }
    return CULVERT_ENOTFOUND;
}

int disk_open_folder(struct disk *disk, const char *folder)
{
    *disk = (struct disk){.label = "seed"};
    disk->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->folder < 0)
        return file_error(errno);
    disk->openstack = !faccessat(disk->folder, "openstack", F_OK, 0);
    return 0;
}

void disk_close(struct disk *disk, const char *where)
{
    close(disk->folder);
    if (where)
        umount2(where, MNT_DETACH);
}

static int read_part(const struct disk *disk, const struct part *part, struct machine *machine,
                     struct digest *digest, struct seed_report *report)
{
    char name[64], problem[128], *text;
    size_t length;
    int error = file_read(disk->folder, part->path, SEED_SITE_BYTES_MAX, &text, &length);

    snprintf(name, sizeof(name), "%s:%s", disk->label, part->name);
    if (error == CULVERT_ENOTFOUND || error == CULVERT_ENOMEM)
        return error == CULVERT_ENOMEM ? error : 0;
    if (error) {
        snprintf(problem, sizeof(problem), "it can't be read: %s", culvert_strerror(error));
        site_errors_add(&report->errors, name, 0, 0, NULL, problem, NULL);
        return 0;
    }
    error = digest_add(digest, text, length);
    if (!error)
        error = part->read(machine, name, text, length, report);
    free(text);
    return error;
}

/* A seed that doesn't name its instance is known by what it says. */
int disk_read(const struct disk *disk, struct machine *machine, struct seed_report *report)
{
    struct digest *digest = digest_new();
    char text[DIGEST_TEXT];
    int error = digest ? 0 : CULVERT_ENOMEM;

    for (size_t i = 0; !error && i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i].openstack == disk->openstack)
            error = read_part(disk, &parts[i], machine, digest, report);
    if (error) {
        digest_free(digest);
        return error;
    }
    error = digest_end(digest, text);
    if (!error && !*machine->instance)
        memcpy(machine->instance, text, sizeof(text));
    return error;
}
