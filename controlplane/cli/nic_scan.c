/* SPDX-License-Identifier: Apache-2.0 */
/* What sysfs says about network devices. */
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/nic.h"

#define PCI_CLASS_NETWORK 0x02U

static void text_copy(char *to, size_t size, const char *from)
{
    size_t length = strnlen(from, size - 1);

    memcpy(to, from, length);
    to[length] = '\0';
}

/* The file's first line; false: not there. */
static bool read_line(const char *sysfs, const char *directory, const char *name, char *text,
                      size_t size)
{
    char path[PATH_MAX];
    FILE *file;
    bool read;

    snprintf(path, sizeof(path), "%s/%s/%s", sysfs, directory, name);
    file = fopen(path, "re");
    if (!file)
        return false;
    read = fgets(text, (int)size, file) != NULL;
    fclose(file);
    if (read)
        text[strcspn(text, "\n")] = '\0';
    return read;
}

static long read_number(const char *sysfs, const char *directory, const char *name, long absent)
{
    char text[32], *end;
    long value;

    if (!read_line(sysfs, directory, name, text, sizeof(text)))
        return absent;
    value = strtol(text, &end, 0);
    return end == text || value < INT_MIN || value > INT_MAX ? absent : value;
}

/* Where a link points to; false: no link. */
static bool read_link(const char *sysfs, const char *directory, const char *name,
                      char target[PATH_MAX])
{
    char path[PATH_MAX];
    ssize_t length;

    snprintf(path, sizeof(path), "%s/%s/%s", sysfs, directory, name);
    length = readlink(path, target, PATH_MAX - 1);
    if (length <= 0)
        return false;
    target[length] = '\0';
    return true;
}

static void read_driver(const char *sysfs, const char *directory, char *name, size_t size)
{
    char target[PATH_MAX];
    const char *slash;

    name[0] = '\0';
    if (!read_link(sysfs, directory, "driver", target))
        return;
    slash = strrchr(target, '/');
    text_copy(name, size, slash ? slash + 1 : target);
}

void nic_driver(const struct nic_host *host, const char *address, char *name, size_t size)
{
    char directory[64];

    snprintf(directory, sizeof(directory), "bus/pci/devices/%s", address);
    read_driver(host->sysfs, directory, name, size);
}

/* ---- PCI ---- */

static bool is_pci_address(const char *text, size_t length)
{
    static const char form[] = "xxxx:xx:xx.x";

    if (length != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < length; i++)
        if (form[i] == 'x' ? !strchr("0123456789abcdef", text[i]) : text[i] != form[i])
            return false;
    return true;
}

static bool has_no_iommu_mode(const char *sysfs)
{
    char mode[8];

    return read_line(sysfs, "module/vfio/parameters", "enable_unsafe_noiommu_mode", mode,
                     sizeof(mode)) &&
           mode[0] == 'Y';
}

static struct nic *add(struct nic_list *list)
{
    struct nic *nic = list->count < NIC_MAX ? &list->items[list->count++] : NULL;

    if (nic)
        nic->numa = -1;
    return nic;
}

static int add_pci(const char *sysfs, const char *address, struct nic_list *list)
{
    char directory[PATH_MAX], target[PATH_MAX];
    struct nic *nic;

    snprintf(directory, sizeof(directory), "bus/pci/devices/%s", address);
    if ((unsigned long)read_number(sysfs, directory, "class", 0) >> 16 != PCI_CLASS_NETWORK)
        return 0;
    nic = add(list);
    if (!nic)
        return CULVERT_EFULL;
    text_copy(nic->address, sizeof(nic->address), address);
    read_driver(sysfs, directory, nic->driver, sizeof(nic->driver));
    nic->vendor = (unsigned)read_number(sysfs, directory, "vendor", 0);
    nic->device = (unsigned)read_number(sysfs, directory, "device", 0);
    nic->numa = (int)read_number(sysfs, directory, "numa_node", -1);
    nic->iommu = read_link(sysfs, directory, "iommu_group", target);
    nic->no_iommu = has_no_iommu_mode(sysfs);
    return 0;
}

/* ---- interfaces ---- */

/* The device that an interface's place in sysfs names: the last PCI address in it. */
static struct nic *find_place(struct nic_list *list, const char *place)
{
    struct nic *found = NULL;

    for (const char *part = place; *part; part += strspn(part, "/")) {
        size_t length = strcspn(part, "/");

        for (size_t i = 0; is_pci_address(part, length) && i < list->count; i++)
            if (strlen(list->items[i].address) == length &&
                !memcmp(list->items[i].address, part, length))
                found = &list->items[i];
        part += length;
    }
    return found;
}

static int add_interface(const struct nic_host *host, const char *name, struct nic_list *list)
{
    char directory[PATH_MAX], place[PATH_MAX];
    struct nic *nic;

    if (!read_link(host->sysfs, "class/net", name, place) || strstr(place, "/devices/virtual/"))
        return 0;
    nic = find_place(list, place);
    if (!nic) {
        nic = add(list);
        if (!nic)
            return CULVERT_EFULL;
        snprintf(directory, sizeof(directory), "class/net/%s/device", name);
        read_driver(host->sysfs, directory, nic->driver, sizeof(nic->driver));
        nic->numa = (int)read_number(host->sysfs, directory, "numa_node", -1);
    }
    snprintf(directory, sizeof(directory), "class/net/%s", name);
    if (!nic->interface_count) {
        long speed = read_number(host->sysfs, directory, "speed", 0);

        nic->speed = speed > 0 ? (int)speed : 0; /* -1: no link */
        nic->up = read_number(host->sysfs, directory, "carrier", 0) == 1;
    }
    nic->session = nic->session || nic_names_has(&host->session, name);
    if (nic->interface_count < NIC_INTERFACES_MAX)
        text_copy(nic->interfaces[nic->interface_count++], IF_NAMESIZE, name);
    return 0;
}

/* The names in a directory, sorted; to free by scandir's rules. Negative: none. */
static int names_in(const char *sysfs, const char *directory, struct dirent ***names)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", sysfs, directory);
    return scandir(path, names, NULL, alphasort);
}

int nic_scan(const struct nic_host *host, struct nic_list *list)
{
    struct dirent **names;
    int count = names_in(host->sysfs, "bus/pci/devices", &names), error = 0;

    memset(list, 0, sizeof(*list));
    for (int i = 0; i < count; i++) { /* no PCI at all: a machine of virtio-mmio */
        if (!error && is_pci_address(names[i]->d_name, strlen(names[i]->d_name)))
            error = add_pci(host->sysfs, names[i]->d_name, list);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    count = names_in(host->sysfs, "class/net", &names);
    if (count < 0)
        return error ? error : CULVERT_ESYSTEM;
    for (int i = 0; i < count; i++) {
        if (!error && names[i]->d_name[0] != '.')
            error = add_interface(host, names[i]->d_name, list);
        free(names[i]);
    }
    free(names);
    return error;
}

const struct nic *nic_find(const struct nic_list *list, const char *name)
{
    char full[32];

    for (size_t i = 0; i < list->count; i++)
        for (size_t j = 0; j < list->items[i].interface_count; j++)
            if (!strcmp(list->items[i].interfaces[j], name))
                return &list->items[i];
    snprintf(full, sizeof(full), "0000:%.20s", name);
    for (size_t i = 0; i < list->count; i++) {
        const char *address = list->items[i].address;

        if (*address && (!strcasecmp(address, name) || !strcasecmp(address, full)))
            return &list->items[i];
    }
    return NULL;
}

static bool is_one_of(const char *name, const char *const *list)
{
    while (*list && strcmp(*list, name) != 0)
        list++;
    return *list != NULL;
}

bool nic_is_handed_over(const struct nic *nic)
{
    static const char *const drivers[] = {"vfio-pci", "uio_pci_generic", "igb_uio", NULL};

    return is_one_of(nic->driver, drivers);
}

bool nic_is_shared(const struct nic *nic)
{
    static const char *const drivers[] = {"mlx5_core", "mlx4_core", NULL};

    return is_one_of(nic->driver, drivers);
}
