/* SPDX-License-Identifier: Apache-2.0 */
/* Moving a PCI device between drivers (Linux, Documentation/ABI/testing/sysfs-bus-pci). */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/nic.h"

#define OUR_PROGRAM "culvert_xdp" /* bpf/culvert.bpf.c */
#define NO_OVERRIDE "\n"
#define REFUSE(...) (snprintf(why, NIC_WHY, __VA_ARGS__), CULVERT_EREJECTED)

/* ---- what is allowed ---- */

static int check_any(struct nic_host *host, const struct nic *nic, const char *name,
                     char why[NIC_WHY])
{
    if (!host->is_root)
        return REFUSE("this needs root: run it with sudo");
    if (!nic)
        return REFUSE("no network device `%.40s`: see `culvert nic list`", name);
    if (!*nic->address)
        return REFUSE("%s is not a PCI device, DPDK can't have it: use `driver: xdp`", name);
    if (nic_is_handed_over(nic) && host->is_open(host, nic))
        return REFUSE("%s is in use by a process: stop culvert-dpdk first", nic->address);
    return 0;
}

static int check_session(const struct nic *nic, bool force, char why[NIC_WHY])
{
    if (!nic->session || force)
        return 0;
    return REFUSE("%s (%s) carries your session or the default route: take another, or add "
                  "--force on a console",
                  nic->address, nic->interface_count ? nic->interfaces[0] : "no interface");
}

/* The program goes with the interface: ours is the site's, any other somebody's. */
static int check_xdp(struct nic_host *host, const char *interface, char why[NIC_WHY])
{
    char name[NIC_PROGRAM];

    if (!host->has_xdp(host, interface, name))
        return 0;
    if (!strcmp(name, OUR_PROGRAM))
        return REFUSE(
            "%s carries culvert-xdp's packets: take it out of the site's `interfaces` and "
            "apply (with no culvert-xdp running: `culvert-xdp --detach`)",
            interface);
    return REFUSE(
        "%s has an XDP program that is not culvert-xdp's%s%s: end what has attached it, or "
        "`ip link set %s xdp off`",
        interface, *name ? ", " : "", name, interface);
}

int nic_check_attach(struct nic_host *host, const struct nic *nic, const char *name,
                     const struct nic_request *request, char why[NIC_WHY])
{
    int error = check_any(host, nic, name, why);

    if (error)
        return error;
    if (nic_is_shared(nic))
        return REFUSE("%s stays with %s, DPDK uses it beside the kernel: just name it in the site",
                      nic->address, nic->driver);
    if (!strcmp(request->driver, "vfio-pci") && !nic->iommu && !nic->no_iommu)
        return REFUSE("%s has no IOMMU: switch it on in the firmware (and intel_iommu=on on the "
                      "kernel's command line), or, without protection, `modprobe vfio "
                      "enable_unsafe_noiommu_mode=1` or `--driver uio_pci_generic`",
                      nic->address);
    error = check_session(nic, request->force, why);
    for (size_t i = 0; !error && i < nic->interface_count; i++)
        error = check_xdp(host, nic->interfaces[i], why);
    return error;
}

int nic_check_detach(struct nic_host *host, const struct nic *nic, const char *name,
                     char why[NIC_WHY])
{
    int error = check_any(host, nic, name, why);

    if (!error && *nic->driver && !nic_is_handed_over(nic))
        return REFUSE("%s is with the kernel's driver %s already", nic->address, nic->driver);
    return error;
}

/* ---- moving ---- */

static int write_to(struct nic_host *host, const char *directory, const char *name,
                    const char *text)
{
    char path[192];

    snprintf(path, sizeof(path), "%s%s%s", directory, *name ? "/" : "", name);
    return host->write(host, path, text);
}

static int set_override(struct nic_host *host, const struct nic *nic, const char *driver)
{
    char directory[64];

    snprintf(directory, sizeof(directory), "bus/pci/devices/%s", nic->address);
    return write_to(host, directory, "driver_override", driver);
}

static int unbind(struct nic_host *host, const struct nic *nic)
{
    char driver[32], directory[96];

    nic_driver(host, nic->address, driver, sizeof(driver));
    if (!*driver)
        return 0;
    snprintf(directory, sizeof(directory), "bus/pci/drivers/%s", driver);
    return write_to(host, directory, "unbind", nic->address);
}

/* Lets the driver take the device that the override names, or else the one that fits. Each step's
 * error ends it, for what follows would do something else. */
static int move(struct nic_host *host, const struct nic *nic, const char *override)
{
    int error = set_override(host, nic, override);

    if (!error)
        error = unbind(host, nic);
    if (!error)
        error = write_to(host, "bus/pci/drivers_probe", "", nic->address);
    return error;
}

static bool has_driver(const struct nic_host *host, const struct nic *nic, const char *driver)
{
    char name[32];

    nic_driver(host, nic->address, name, sizeof(name));
    return !strcmp(name, driver);
}

/* Gives the device to the driver that had it. Whether it has it. */
static bool move_back(struct nic_host *host, const struct nic *nic)
{
    char directory[96];

    if (has_driver(host, nic, nic->driver)) /* it was never let go */
        return set_override(host, nic, nic_is_handed_over(nic) ? nic->driver : NO_OVERRIDE) == 0;
    if (!*nic->driver)
        return set_override(host, nic, NO_OVERRIDE) == 0 && unbind(host, nic) == 0;
    move(host, nic, nic_is_handed_over(nic) ? nic->driver : NO_OVERRIDE);
    if (!has_driver(host, nic, nic->driver)) {
        snprintf(directory, sizeof(directory), "bus/pci/drivers/%s", nic->driver);
        write_to(host, directory, "bind", nic->address);
    }
    return has_driver(host, nic, nic->driver);
}

static bool is_loaded(const struct nic_host *host, const char *driver)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/bus/pci/drivers/%s", host->sysfs, driver);
    return access(path, F_OK) == 0;
}

int nic_attach(struct nic_host *host, const struct nic *nic, const char *driver, char why[NIC_WHY])
{
    bool back;
    int error;

    if (!strcmp(nic->driver, driver))
        return 0;
    if (!is_loaded(host, driver) && (!host->load(host, driver) || !is_loaded(host, driver)))
        return REFUSE("`modprobe %s` failed: the kernel lacks the module (Debian's cloud kernels "
                      "do: install linux-image-amd64), or loading is locked; nothing was changed",
                      driver);
    error = move(host, nic, driver);
    if (!error && has_driver(host, nic, driver))
        return 0;
    back = move_back(host, nic);
    snprintf(why, NIC_WHY, "%s did not take %s (%s; `dmesg` says more): %s %s", driver,
             nic->address, error ? strerror(-error) : "no error given",
             !back          ? "NOT given back, try `culvert nic detach`; it was with"
             : *nic->driver ? "given back to"
                            : "left as it was, with",
             *nic->driver ? nic->driver : "no driver");
    return CULVERT_ESYSTEM;
}

int nic_detach(struct nic_host *host, const struct nic *nic, char why[NIC_WHY])
{
    char driver[32];
    int error = move(host, nic, NO_OVERRIDE);

    nic_driver(host, nic->address, driver, sizeof(driver));
    if (!error && *driver && strcmp(driver, nic->driver) != 0)
        return 0;
    snprintf(why, NIC_WHY,
             "%s is not back with the kernel (%s), it is with %s: is the module of "
             "its driver there? See `lspci -k -s %s`",
             nic->address, error ? strerror(-error) : "no driver took it",
             *driver ? driver : "no driver", nic->address);
    return CULVERT_ESYSTEM;
}
