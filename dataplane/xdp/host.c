/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/xdp/host.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/membarrier.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"
#include "dataplane/fastpath/env.h"
#include "dataplane/plane/grace.h"

static bool has_capability(const struct __user_cap_data_struct *data, unsigned capability)
{
    return data[capability / 32].effective & (1u << (capability % 32));
}

static bool is_privileged(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, data))
        return false;
    if (!has_capability(data, CAP_NET_ADMIN))
        return false;
    return has_capability(data, CAP_SYS_ADMIN) ||
           (has_capability(data, CAP_BPF) && has_capability(data, CAP_PERFMON));
}

static int check_arena(void)
{
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE,
                .map_extra = FP_ARENA_BASE);
    struct utsname name = {.release = "unknown"};
    int fd = bpf_map_create(BPF_MAP_TYPE_ARENA, "culvert_probe", 0, 0, 1, &options);

    if (fd >= 0) {
        close(fd);
        return 0;
    }
    uname(&name);
    if (errno == EPERM)
        log_error("the kernel does not let this process use BPF (%s)", strerror(errno));
    else
        log_error("Linux 6.12 or newer is needed, with BPF arenas: this is %s (%s)", name.release,
                  strerror(errno));
    return CULVERT_EUNSUPPORTED;
}

int host_check(void)
{
    if (!is_privileged()) {
        log_error("root is needed (or CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON)");
        return CULVERT_EACCES;
    }
    return check_arena();
}

/* ---- grace ---- */

static int outer_map = -1;
static int inner_map = -1;

static bool wait_by_membarrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
}

static bool wait_by_map(void)
{
    uint32_t zero = 0;

    return bpf_map_update_elem(outer_map, &zero, &inner_map, BPF_ANY) == 0;
}

static void wait_for_programs(void)
{
    bool waited = outer_map >= 0 ? wait_by_map() : wait_by_membarrier();

    if (waited)
        return;
    /* It worked at the start. A second is longer than any program may run, so memory stays safe. */
    log_error("waiting for running programs failed: %s", strerror(errno));
    sleep(1);
}

int grace_open(void)
{
    LIBBPF_OPTS(bpf_map_create_opts, options);

    grace_use(wait_for_programs);
    if (wait_by_membarrier()) /* refused where nohz_full= is in use */
        return 0;
    inner_map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "culvert_grace", 4, 4, 1, NULL);
    options.inner_map_fd = (uint32_t)inner_map;
    outer_map = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "culvert_graces", 4, 4, 1, &options);
    if (inner_map >= 0 && outer_map >= 0 && wait_by_map())
        return 0;
    log_error("neither membarrier nor a map of maps can wait for running programs: %s",
              strerror(errno));
    grace_close();
    return CULVERT_EUNSUPPORTED;
}

void grace_close(void)
{
    if (outer_map >= 0)
        close(outer_map);
    if (inner_map >= 0)
        close(inner_map);
    outer_map = inner_map = -1;
}
