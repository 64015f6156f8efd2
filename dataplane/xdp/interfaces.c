/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/xdp/interfaces.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/if_link.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "dataplane/xdp/pins.h"

static void set_state(struct interfaces *interfaces, struct interface *interface,
                      enum interface_state state, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Logs a state or reason only when it is news. */
static void set_state(struct interfaces *interfaces, struct interface *interface,
                      enum interface_state state, const char *format, ...)
{
    char reason[INTERFACE_REASON_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    if (interface->state == state && strcmp(interface->reason, reason) == 0)
        return;
    interface->state = state;
    memcpy(interface->reason, reason, sizeof(reason));
    interfaces->changed = true;
    if (state == INTERFACE_ATTACHED)
        log_info("%s: attached, %s%s%s", interface->name, interface->generic ? "generic" : "native",
                 reason[0] ? ": " : "", reason);
    else
        log_warn("%s: %s", interface->name, reason);
}

static struct interface *find_name(struct interfaces *interfaces, const char *name)
{
    for (size_t i = 0; i < interfaces->count; i++) {
        if (strcmp(interfaces->all[i].name, name) == 0)
            return &interfaces->all[i];
    }
    return NULL;
}

static struct interface *add(struct interfaces *interfaces, const char *name)
{
    struct interface *interface;

    if (interfaces->count == INTERFACES_MAX)
        return NULL;
    interface = &interfaces->all[interfaces->count++];
    memset(interface, 0, sizeof(*interface));
    snprintf(interface->name, sizeof(interface->name), "%s", name);
    interface->link = -1;
    interfaces->changed = true;
    return interface;
}

/* ---- links ---- */

/* The device that a link is on and its program; ifindex 0: the device is gone. */
static bool link_info(int link, uint32_t *ifindex, uint32_t *program_id)
{
    struct bpf_link_info info = {0};
    uint32_t length = sizeof(info);

    if (bpf_link_get_info_by_fd(link, &info, &length) || info.type != BPF_LINK_TYPE_XDP)
        return false;
    *ifindex = info.xdp.ifindex;
    *program_id = info.prog_id;
    return true;
}

static void drop_link(struct interfaces *interfaces, struct interface *interface)
{
    char path[PINS_PATH_BYTES];

    if (interface->link < 0)
        return;
    bpf_link_detach(interface->link); /* a device that is gone has done so already */
    pins_link_path(interfaces->pin_dir, interface->name, path);
    unlink(path);
    close(interface->link);
    interface->link = -1;
}

/* What is on the device, when it is not ours: writes a reason and returns true. */
static bool is_foreign(uint32_t ifindex, char *reason, size_t size)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, query);
    struct bpf_prog_info info = {0};
    uint32_t length = sizeof(info);
    int program;

    if (bpf_xdp_query((int)ifindex, 0, &query) || query.attach_mode == XDP_ATTACHED_NONE)
        return false;
    program = bpf_prog_get_fd_by_id(query.prog_id);
    if (program >= 0) {
        if (bpf_prog_get_info_by_fd(program, &info, &length))
            info.name[0] = '\0';
        close(program);
    }
    snprintf(reason, size,
             "another XDP program is on it (id %u%s%s): take that off, or leave this interface out "
             "of the site",
             query.prog_id, info.name[0] ? ", " : "", info.name);
    return true;
}

static int query_mode(uint32_t ifindex)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, query);

    return bpf_xdp_query((int)ifindex, 0, &query) ? XDP_ATTACHED_NONE : query.attach_mode;
}

/* bpf_link_create() gives a bare errno. Asking by netlink for the same gives the driver's own
 * words; should it succeed, it is taken back at once. */
static const char *ask_reason(struct interfaces *interfaces, uint32_t ifindex, uint32_t flags,
                              int errnum)
{
    struct ifinfomsg body = {.ifi_index = (int)ifindex};
    struct rtnl_request request;
    int none = -1;

    for (int round = 0; round < 2; round++) {
        uint32_t all = flags | (round ? 0 : XDP_FLAGS_UPDATE_IF_NOEXIST);
        size_t nest;
        int error;

        rtnl_begin(&request, RTM_SETLINK, 0, &body, sizeof(body));
        nest = rtnl_nest(&request, IFLA_XDP);
        rtnl_add(&request, IFLA_XDP_FD, round ? &none : &interfaces->program, sizeof(int));
        rtnl_add(&request, IFLA_XDP_FLAGS, &all, sizeof(all));
        rtnl_end(&request, nest);
        error = rtnl_talk(interfaces->rtnl, &request, NULL, NULL);
        if (!round && error)
            return interfaces->rtnl->text;
    }
    return strerror(errnum);
}

/* Attaches and pins. Returns 0, or CULVERT_ESYSTEM with a reason. */
static int attach(struct interfaces *interfaces, struct interface *interface, uint32_t ifindex,
                  bool generic, char *reason, size_t size)
{
    uint32_t flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
    char path[PINS_PATH_BYTES];
    int link = bpf_link_create(interfaces->program, (int)ifindex, BPF_XDP, &options);

    if (link < 0) {
        snprintf(reason, size, "%s", ask_reason(interfaces, ifindex, flags, errno));
        return CULVERT_ESYSTEM;
    }
    pins_link_path(interfaces->pin_dir, interface->name, path);
    unlink(path);
    if (bpf_obj_pin(link, path)) {
        snprintf(reason, size, "can't pin the link: %s", strerror(errno));
        close(link);
        return CULVERT_ESYSTEM;
    }
    interface->link = link;
    interface->generic = generic;
    return 0;
}

/* The numbers of struct fp_interface.mode. */
enum { MODE_AUTO = 0, MODE_NATIVE = 1, MODE_GENERIC = 2 };

static void attach_new(struct interfaces *interfaces, struct interface *interface, uint32_t ifindex)
{
    char native[160] = "";
    char generic[48] = "";

    if (is_foreign(ifindex, native, sizeof(native))) {
        set_state(interfaces, interface, INTERFACE_FOREIGN, "%s", native);
        return;
    }
    if (interface->mode != MODE_GENERIC &&
        attach(interfaces, interface, ifindex, false, native, sizeof(native)) == 0) {
        set_state(interfaces, interface, INTERFACE_ATTACHED, "%s", "");
        return;
    }
    if (interface->mode == MODE_NATIVE) {
        set_state(interfaces, interface, INTERFACE_FAILED, "no native mode: %s", native);
        return;
    }
    if (attach(interfaces, interface, ifindex, true, generic, sizeof(generic))) {
        set_state(interfaces, interface, INTERFACE_FAILED, "%s%s%s", native,
                  native[0] ? "; generic: " : "", generic);
        return;
    }
    set_state(interfaces, interface, INTERFACE_ATTACHED, "%s%s",
              native[0] ? "no native mode: " : "", native);
}

/* Keeps a link that is on the right device in an allowed mode, with our program in it. */
static bool keep_link(struct interfaces *interfaces, struct interface *interface,
                      const struct device *device)
{
    const char *before = "";
    uint32_t ifindex, program_id;
    bool generic;

    if (interface->link < 0 || !link_info(interface->link, &ifindex, &program_id) || !device ||
        ifindex != device->ifindex)
        return false;
    generic = query_mode(ifindex) == XDP_ATTACHED_SKB;
    if ((interface->mode == MODE_NATIVE && generic) ||
        (interface->mode == MODE_GENERIC && !generic))
        return false;
    interface->generic = generic;
    if (generic && interface->mode == MODE_AUTO)
        before = "no native mode when it was attached";
    if (program_id == interfaces->program_id) {
        if (interface->state != INTERFACE_ATTACHED)
            set_state(interfaces, interface, INTERFACE_ATTACHED, "%s", before);
        return true;
    }
    if (bpf_link_update(interface->link, interfaces->program, NULL))
        set_state(interfaces, interface, INTERFACE_ATTACHED,
                  "by an older program that can't be replaced: %s", strerror(errno));
    else
        set_state(interfaces, interface, INTERFACE_ATTACHED, "%s", before);
    return true;
}

static void settle(struct interfaces *interfaces, struct interface *interface)
{
    const struct device *device = device_by_name(interfaces->devices, interface->name);
    bool up = device && device_is_up(device);
    uint32_t ifindex = device ? device->ifindex : 0;
    uint32_t mtu = device ? device->mtu : 0;

    if (up != interface->up || ifindex != interface->ifindex || mtu != interface->mtu)
        interfaces->changed = true;
    interface->up = up;
    interface->ifindex = ifindex;
    interface->mtu = mtu;
    if (keep_link(interfaces, interface, device))
        return;
    drop_link(interfaces, interface);
    if (device)
        attach_new(interfaces, interface, device->ifindex);
    else
        set_state(interfaces, interface, INTERFACE_ABSENT, "no such interface");
}

/* ---- what the table wants ---- */

static int take_wanted(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    struct interfaces *interfaces = arg;
    const struct fp_interface *entry = body;
    struct interface *interface;
    char name[DEVICE_NAME_BYTES];

    (void)key;
    if (length < sizeof(*entry) || entry->driver != FP_DRIVER_XDP)
        return 0;
    memcpy(name, entry->name, sizeof(name));
    name[sizeof(name) - 1] = '\0';
    if (!name[0] || strchr(name, '/'))
        return 0;
    interface = find_name(interfaces, name);
    if (!interface)
        interface = add(interfaces, name);
    if (!interface) {
        log_error("%s: more than %d interfaces", name, INTERFACES_MAX);
        return 0;
    }
    interface->wanted = true;
    interface->mode = entry->mode;
    return 0;
}

void interfaces_sync(struct interfaces *interfaces, struct tables *tables)
{
    size_t kept = 0;

    for (size_t i = 0; i < interfaces->count; i++)
        interfaces->all[i].wanted = false;
    tables_each(tables, FP_KIND_INTERFACE, take_wanted, interfaces);
    for (size_t i = 0; i < interfaces->count; i++) {
        struct interface *interface = &interfaces->all[i];

        if (interface->wanted) {
            interfaces->all[kept++] = *interface;
            continue;
        }
        log_info("%s: no longer an interface of driver xdp, detached", interface->name);
        drop_link(interfaces, interface);
        interfaces->changed = true;
    }
    interfaces->count = kept;
    interfaces_retry(interfaces);
}

void interfaces_retry(struct interfaces *interfaces)
{
    for (size_t i = 0; i < interfaces->count; i++) {
        if (interfaces->all[i].wanted)
            settle(interfaces, &interfaces->all[i]);
    }
}

/* ---- life ---- */

static int open_pins(struct interfaces *interfaces)
{
    char path[PINS_PATH_BYTES];
    const struct dirent *entry;
    DIR *dir;

    pins_path(interfaces->pin_dir, "links", path);
    dir = opendir(path);
    if (!dir)
        return errno == ENOENT ? 0 : CULVERT_ESYSTEM;
    while ((entry = readdir(dir)) != NULL) {
        char name[DEVICE_NAME_BYTES];
        struct interface *interface;
        int link;

        if (!pins_link_name(entry->d_name, name, sizeof(name)))
            continue;
        pins_link_path(interfaces->pin_dir, name, path);
        link = bpf_obj_get(path);
        if (link < 0)
            continue;
        interface = add(interfaces, name);
        if (interface)
            interface->link = link;
        else
            close(link);
    }
    closedir(dir);
    return 0;
}

int interfaces_open(struct interfaces *interfaces, const char *pin_dir, int program,
                    struct rtnl *rtnl, const struct devices *devices)
{
    struct bpf_prog_info info = {0};
    uint32_t length = sizeof(info);

    memset(interfaces, 0, sizeof(*interfaces));
    interfaces->pin_dir = pin_dir;
    interfaces->program = program;
    interfaces->rtnl = rtnl;
    interfaces->devices = devices;
    if (program >= 0 && bpf_prog_get_info_by_fd(program, &info, &length))
        return CULVERT_ESYSTEM;
    interfaces->program_id = info.id;
    return open_pins(interfaces);
}

void interfaces_close(struct interfaces *interfaces)
{
    for (size_t i = 0; i < interfaces->count; i++) {
        if (interfaces->all[i].link >= 0)
            close(interfaces->all[i].link);
    }
    interfaces->count = 0;
}

int interfaces_detach_all(struct interfaces *interfaces)
{
    int count = 0;

    for (size_t i = 0; i < interfaces->count; i++) {
        count += interfaces->all[i].link >= 0;
        drop_link(interfaces, &interfaces->all[i]);
    }
    interfaces->count = 0;
    return count;
}

const struct interface *interface_find(const struct interfaces *interfaces, uint32_t ifindex)
{
    for (size_t i = 0; i < interfaces->count; i++) {
        const struct interface *interface = &interfaces->all[i];

        if (interface->state == INTERFACE_ATTACHED && (!ifindex || interface->ifindex == ifindex))
            return interface;
    }
    return NULL;
}

static const char *state_name(enum interface_state state)
{
    switch (state) {
    case INTERFACE_ATTACHED:
        return "attached";
    case INTERFACE_FOREIGN:
        return "foreign";
    case INTERFACE_FAILED:
        return "failed";
    case INTERFACE_ABSENT:
        break;
    }
    return "absent";
}

void interfaces_status(const struct interfaces *interfaces,
                       struct status_interface out[INTERFACES_MAX])
{
    for (size_t i = 0; i < interfaces->count; i++) {
        const struct interface *one = &interfaces->all[i];

        out[i] = (struct status_interface){
            .name = one->name,
            .ifindex = one->ifindex,
            .attached = one->state == INTERFACE_ATTACHED,
            .up = one->up,
            .state = state_name(one->state),
            .mode = one->generic ? "generic" : "native",
            .mtu = one->mtu,
            .reason = one->reason,
        };
    }
}
