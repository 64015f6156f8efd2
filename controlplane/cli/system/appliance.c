/* SPDX-License-Identifier: Apache-2.0 */
/* Which machine this is, and its two slots. The entries are in appliance_boot.c. */
#include "controlplane/cli/system/appliance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"

#define UUID_OFFSET 16 /* in dm-verity's superblock (cryptsetup, "DMVerity"), 16 bytes */
#define RESET_VARIABLE "CulvertFactoryReset-5ad8f3a3-5f6e-4a5e-9c6b-0d0f2b6f7c11"

static int unsupported(char why[SYSTEM_WHY])
{
    snprintf(why, SYSTEM_WHY, "this machine is no appliance: its system is not Culvert's image");
    return CULVERT_EUNSUPPORTED;
}

static int broken(char why[SYSTEM_WHY], const char *what)
{
    snprintf(why, SYSTEM_WHY, "%s", what);
    return CULVERT_ESYSTEM;
}

/* The value of NAME=VALUE in a file, quotes taken off; "" when there is none or it is too long. Of
 * files in sysfs the length is not known before, so it is read by lines. */
static void read_value(const char *path, const char *name, char *value, size_t size)
{
    FILE *file = fopen(path, "re");
    size_t prefix = strlen(name);
    char line[256];

    *value = 0;
    while (file && fgets(line, sizeof(line), file)) {
        char *at = line + prefix + 1;
        size_t end;

        if (strncmp(line, name, prefix) != 0 || line[prefix] != '=')
            continue;
        at += *at == '"';
        end = strcspn(at, "\"\n");
        if (end < size) {
            memcpy(value, at, end);
            value[end] = 0;
        }
    }
    if (file)
        fclose(file);
}

/* ---- slots ---- */

/* "root-a": the slot's device of that kind. NULL: a partition that is no slot's. */
static char *slot_device(struct appliance *appliance, const char *label)
{
    size_t length = strlen(label);
    char letter = length == 6 ? label[length - 1] : '\0';
    struct slot *slot;

    if (letter < 'a' || letter >= 'a' + SLOTS)
        return NULL;
    slot = &appliance->slots[letter - 'a'];
    if (!strncmp(label, "root-", 5))
        return slot->root;
    return strncmp(label, "hash-", 5) ? NULL : slot->hash;
}

/* The label of the partition whose sysfs folder is given. */
static void partition_label(const char *folder, const char *name, char *label, size_t size)
{
    char path[PATH_MAX];

    *label = 0;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s/uevent", folder, name) < sizeof(path))
        read_value(path, "PARTNAME", label, size);
}

/* Notes the slots' devices among a disk's partitions. */
static void read_partitions(struct appliance *appliance, const char *disk)
{
    DIR *folder = opendir(disk);
    struct dirent *item;

    while (folder && (item = readdir(folder))) {
        char label[DEVICE_NAME], *device;

        if (*item->d_name == '.' || strlen(item->d_name) >= DEVICE_NAME)
            continue;
        partition_label(disk, item->d_name, label, sizeof(label));
        device = slot_device(appliance, label);
        if (device)
            memcpy(device, item->d_name, strlen(item->d_name) + 1);
    }
    if (folder)
        closedir(folder);
}

/* A device below the root's mapping: its disk's partitions, and which slot it is of. */
static bool read_lower(struct appliance *appliance, const char *lower)
{
    char link[PATH_MAX], real[PATH_MAX], label[DEVICE_NAME], *slash;

    snprintf(link, sizeof(link), "%s/sys/class/block/%s", appliance->folder, lower);
    if (!realpath(link, real) || !(slash = strrchr(real, '/')))
        return false;
    *slash = 0;
    partition_label(real, slash + 1, label, sizeof(label));
    if (!slot_device(appliance, label))
        return false;
    appliance->running = (unsigned)(label[5] - 'a');
    read_partitions(appliance, real);
    return true;
}

static bool is_root_mapping(const struct appliance *appliance, const char *name)
{
    char path[PATH_MAX], text[8] = "";
    FILE *file;

    if (strncmp(name, "dm-", 3) != 0)
        return false;
    snprintf(path, sizeof(path), "%s/sys/class/block/%s/dm/name", appliance->folder, name);
    file = fopen(path, "re");
    if (!file)
        return false;
    if (!fgets(text, sizeof(text), file))
        *text = 0;
    fclose(file);
    return !strcmp(text, "root\n");
}

/* The first of the devices that a mapping is made of. */
static bool read_mapping(struct appliance *appliance, const char *name)
{
    char path[PATH_MAX];
    struct dirent *item;
    bool found = false;
    DIR *folder;

    snprintf(path, sizeof(path), "%s/sys/class/block/%s/slaves", appliance->folder, name);
    folder = opendir(path);
    while (folder && !found && (item = readdir(folder)))
        found = *item->d_name != '.' && read_lower(appliance, item->d_name);
    if (folder)
        closedir(folder);
    return found;
}

static bool read_slots(struct appliance *appliance)
{
    char path[PATH_MAX];
    struct dirent *item;
    bool found = false;
    DIR *folder;

    snprintf(path, sizeof(path), "%s/sys/class/block", appliance->folder);
    folder = opendir(path);
    while (folder && !found && (item = readdir(folder)))
        found = is_root_mapping(appliance, item->d_name) && read_mapping(appliance, item->d_name);
    if (folder)
        closedir(folder);
    return found;
}

int appliance_open(struct appliance *appliance, const char *folder, char why[SYSTEM_WHY])
{
    char path[PATH_MAX], product[16];

    memset(appliance, 0, sizeof(*appliance));
    appliance->folder = folder;
    snprintf(path, sizeof(path), "%s/usr/lib/os-release", folder);
    read_value(path, "IMAGE_ID", product, sizeof(product));
    read_value(path, "IMAGE_VERSION", appliance->version, sizeof(appliance->version));
    read_value(path, "VARIANT_ID", appliance->flavour, sizeof(appliance->flavour));
    if (!*appliance->flavour)
        snprintf(appliance->flavour, SYSTEM_FLAVOUR, "%s", SYSTEM_FLAVOUR_DEFAULT);
    if (strcmp(product, "culvert") != 0 || !version_valid(appliance->version))
        return unsupported(why);
    if (!read_slots(appliance))
        return broken(why, "the system that runs is in none of the disk's slots: was it started "
                           "from another medium?");
    for (unsigned i = 0; i < SLOTS; i++)
        if (!*appliance->slots[i].root || !*appliance->slots[i].hash)
            return broken(why, "there is no other slot: the disk lacks its partitions");
    return 0;
}

unsigned appliance_other(const struct appliance *appliance)
{
    return 1 - appliance->running;
}

char appliance_slot_letter(unsigned slot)
{
    return (char)('a' + (char)slot);
}

int appliance_open_device(const struct appliance *appliance, const char *device, bool exclusive)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/dev/%s", appliance->folder, device);
    return open(path, O_CLOEXEC | (exclusive ? O_WRONLY | O_EXCL : O_RDONLY));
}

bool appliance_slot_has(const struct appliance *appliance, unsigned slot, const char *root_hash)
{
    int file = appliance_open_device(appliance, appliance->slots[slot].hash, false);
    uint8_t head[UUID_OFFSET + 16] = {0};
    char text[2 * 16 + 1];
    bool whole;

    if (file < 0)
        return false;
    whole = pread(file, head, sizeof(head), 0) == sizeof(head);
    close(file);
    for (unsigned i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", head[UUID_OFFSET + i]);
    return whole && !memcmp(head, "verity\0", 8) && !strncmp(text, root_hash, 32);
}

/* ---- factory reset ---- */

/* An EFI variable: it is there whole or not at all, and costs a start nothing to look for. Four
 * bytes of attributes are before its value: non-volatile, for boot and runtime. */
int appliance_request_reset(const struct appliance *appliance, char why[SYSTEM_WHY])
{
    static const uint8_t value[] = {7, 0, 0, 0, 1};
    char path[PATH_MAX];
    int file, error = 0;

    snprintf(path, sizeof(path), "%s/sys/firmware/efi/efivars/" RESET_VARIABLE, appliance->folder);
    if (!access(path, F_OK))
        return 0;
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || write(file, value, sizeof(value)) != sizeof(value)) {
        snprintf(why, SYSTEM_WHY, "the firmware doesn't keep the request: %s", strerror(errno));
        error = CULVERT_ESYSTEM;
    }
    if (file >= 0)
        close(file);
    return error;
}
