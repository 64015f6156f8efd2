/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tool/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/if_link.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "controlplane/base/error.h"

#define VERIFIER_LOG "-- BEGIN PROG LOAD LOG --\n"

static struct {
    char text[256];
    bool of_verifier;
} last_log;

static void keep_line(const char *line, size_t length)
{
    snprintf(last_log.text, sizeof(last_log.text), "%.*s", (int)length, line);
}

/* The verifier's reason is the last line of its log before the statistics. */
static void keep_reason(const char *log)
{
    const char *end = strstr(log, "\nprocessed ");
    const char *line;

    if (!end)
        end = strstr(log, "\n-- END");
    if (!end)
        end = log + strlen(log);
    for (line = end; line > log && line[-1] != '\n';)
        line--;
    keep_line(line, (size_t)(end - line));
}

/* The warnings that follow the verifier's log only say that it was so. */
static int keep_log(enum libbpf_print_level level, const char *format, va_list args)
{
    const char *log;
    char *text;

    if (level != LIBBPF_WARN || vasprintf(&text, format, args) < 0)
        return 0;
    log = strstr(text, VERIFIER_LOG);
    if (log) {
        keep_reason(log + strlen(VERIFIER_LOG));
        last_log.of_verifier = true;
    } else if (!last_log.of_verifier || !strstr(text, "failed to load")) {
        keep_line(text, strcspn(text, "\n"));
        last_log.of_verifier = false;
    }
    free(text);
    return 0;
}

void attach_log_quiet(void)
{
    libbpf_set_print(keep_log);
}

const char *attach_log_last(void)
{
    static char text[sizeof(last_log.text) + sizeof(struct utsname)];
    struct utsname name = {.release = "?"};

    uname(&name);
    snprintf(text, sizeof(text), "refused by Linux %s: %s", name.release, last_log.text);
    return text;
}

int attach_check_privilege(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    uint32_t low = 1u << CAP_NET_ADMIN, high = 1u << (CAP_BPF - 32);

    if (syscall(SYS_capget, &header, data))
        return CULVERT_EACCES;
    if (data[0].effective & (1u << CAP_SYS_ADMIN))
        return 0;
    return (data[0].effective & low) && (data[1].effective & high) ? 0 : CULVERT_EACCES;
}

uint32_t attach_find(uint32_t ifindex)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, query);

    if (bpf_xdp_query((int)ifindex, 0, &query))
        return 0;
    if (query.prog_id)
        return query.prog_id;
    return query.drv_prog_id ? query.drv_prog_id : query.skb_prog_id;
}

static void tell_busy(uint32_t program_id, char why[ATTACH_WHY_BYTES])
{
    struct bpf_prog_info info = {0};
    uint32_t length = sizeof(info);
    int program = bpf_prog_get_fd_by_id(program_id);

    if (program >= 0) {
        bpf_prog_get_info_by_fd(program, &info, &length);
        close(program);
    }
    snprintf(why, ATTACH_WHY_BYTES, "an XDP program is on it already (\"%s\", id %u)", info.name,
             program_id);
}

static int link_create(int program, uint32_t ifindex, uint32_t flags)
{
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);

    return bpf_link_create(program, (int)ifindex, BPF_XDP, &options);
}

int attach_program(int program, uint32_t ifindex, struct attachment *attachment,
                   char why[ATTACH_WHY_BYTES])
{
    uint32_t present = attach_find(ifindex);

    attachment->link = -1;
    attachment->generic = false;
    if (present) {
        tell_busy(present, why);
        return CULVERT_EBUSY;
    }
    attachment->link = link_create(program, ifindex, XDP_FLAGS_DRV_MODE);
    if (attachment->link >= 0)
        return 0;
    if (errno != EPERM && errno != EBUSY && errno != ENODEV) {
        attachment->generic = true;
        attachment->link = link_create(program, ifindex, XDP_FLAGS_SKB_MODE);
        if (attachment->link >= 0)
            return 0;
    }
    snprintf(why, ATTACH_WHY_BYTES, "the XDP program can't be attached: %s", strerror(errno));
    return errno == EBUSY ? CULVERT_EBUSY : CULVERT_ESYSTEM;
}

void attach_end(struct attachment *attachment)
{
    if (attachment->link < 0)
        return;
    bpf_link_detach(attachment->link);
    close(attachment->link);
    attachment->link = -1;
}
