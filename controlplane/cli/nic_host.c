/* SPDX-License-Identifier: Apache-2.0 */
/* The running system, as `culvert nic` sees and changes it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/cli/nic.h"
#include "controlplane/cli/process.h"

#define ANCESTORS_MAX 32

static int write_file(struct nic_host *host, const char *path, const char *text)
{
    char full[PATH_MAX];
    size_t length = strlen(text);
    ssize_t written;
    int fd, error = 0;

    snprintf(full, sizeof(full), "%s/%s", host->sysfs, path);
    fd = open(full, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    written = write(fd, text, length);
    if (written < 0)
        error = -errno;
    else if ((size_t)written != length)
        error = -EIO;
    close(fd);
    return error;
}

static bool load_module(struct nic_host *host, const char *module)
{
    const char *const argv[] = {"modprobe", module, NULL};

    (void)host;
    return !process_run(argv);
}

static void pause_shortly(struct nic_host *host)
{
    const struct timespec tenth = {.tv_nsec = 100000000};

    (void)host;
    nanosleep(&tenth, NULL);
}

/* A vfio group is open to one process: another's open() is told EBUSY. */
static bool is_open(struct nic_host *host, const struct nic *nic)
{
    static const char *const prefixes[] = {"", "noiommu-"};
    char link[PATH_MAX], target[PATH_MAX], path[PATH_MAX];
    const char *group;
    ssize_t length;

    snprintf(link, sizeof(link), "%s/bus/pci/devices/%s/iommu_group", host->sysfs, nic->address);
    length = readlink(link, target, sizeof(target) - 1);
    if (length <= 0)
        return false;
    target[length] = '\0';
    group = strrchr(target, '/');
    for (size_t i = 0; group && i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        int fd;

        snprintf(path, sizeof(path), "/dev/vfio/%s%.32s", prefixes[i], group + 1);
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0 && errno == EBUSY)
            return true;
        if (fd >= 0)
            close(fd);
    }
    return false;
}

/* ---- XDP ---- */

/* What the kernel calls the program of that id; empty: not known. */
static void program_name(unsigned id, char name[NIC_PROGRAM])
{
    struct bpf_prog_info info = {0};
    union bpf_attr by_id = {.prog_id = id}, about = {0};
    int fd = (int)syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &by_id, sizeof(by_id));

    name[0] = '\0';
    if (fd < 0)
        return;
    about.info.bpf_fd = (unsigned)fd;
    about.info.info_len = sizeof(info);
    about.info.info = (uintptr_t)&info;
    if (!syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &about, sizeof(about)))
        snprintf(name, NIC_PROGRAM, "%s", info.name);
    close(fd);
}

/* What the attribute IFLA_XDP says. */
static bool read_xdp(const struct rtattr *nest, char name[NIC_PROGRAM])
{
    int left = (int)RTA_PAYLOAD(nest);
    bool attached = false;
    unsigned id = 0;

    for (const struct rtattr *x = RTA_DATA(nest); RTA_OK(x, left); x = RTA_NEXT(x, left)) {
        if (x->rta_type == IFLA_XDP_ATTACHED && RTA_PAYLOAD(x) >= 1)
            attached = *(const unsigned char *)RTA_DATA(x) != XDP_ATTACHED_NONE;
        else if (x->rta_type == IFLA_XDP_PROG_ID && RTA_PAYLOAD(x) >= sizeof(id))
            memcpy(&id, RTA_DATA(x), sizeof(id));
    }
    if (attached && id)
        program_name(id, name);
    return attached;
}

static bool link_has_xdp(const struct nlmsghdr *header, char name[NIC_PROGRAM])
{
    const struct ifinfomsg *info = NLMSG_DATA(header);
    int left = (int)IFLA_PAYLOAD(header);

    for (const struct rtattr *a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left))
        if ((a->rta_type & NLA_TYPE_MASK) == IFLA_XDP)
            return read_xdp(a, name);
    return false;
}

static bool has_xdp(struct nic_host *host, const char *interface, char name[NIC_PROGRAM])
{
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
    } request = {
        {.nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
        {.ifi_index = (int)if_nametoindex(interface)}};
    _Alignas(struct nlmsghdr) char answer[32768];
    const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    ssize_t length = -1;

    (void)host;
    name[0] = '\0';
    if (fd < 0)
        return false;
    if (send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request))
        length = recv(fd, answer, sizeof(answer), 0);
    close(fd);
    return length > 0 && NLMSG_OK(header, (size_t)length) && header->nlmsg_type == RTM_NEWLINK &&
           link_has_xdp(header, name);
}

/* ---- the session ---- */

/* The parent of a process; 0: none. */
static int parent_of(int pid)
{
    char path[64], line[128];
    int parent = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (!strncmp(line, "PPid:", 5))
            parent = (int)strtol(line + 5, NULL, 10);
    if (file)
        fclose(file);
    return parent;
}

static bool environment_of(int pid, const char *name, char *value, size_t size)
{
    char path[64], *line = NULL;
    size_t capacity = 0, length = strlen(name);
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/environ", pid);
    file = fopen(path, "re");
    while (file && !found && getdelim(&line, &capacity, '\0', file) > 0) {
        found = !strncmp(line, name, length) && line[length] == '=';
        if (found)
            snprintf(value, size, "%s", line + length + 1);
    }
    free(line);
    if (file)
        fclose(file);
    return found;
}

/* The server's address of the SSH session that this process is in. sudo clears the environment,
 * so the processes above are looked at too. */
static bool ssh_address(char address[INET6_ADDRSTRLEN])
{
    char value[256];
    int pid = getpid();

    for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++, pid = parent_of(pid)) {
        if (!environment_of(pid, "SSH_CONNECTION", value, sizeof(value)))
            continue;
        if (sscanf(value, "%*s %*s %45s", address) == 1) {
            address[strcspn(address, "%")] = '\0'; /* a link-local one's zone */
            return true;
        }
    }
    return false;
}

static bool is_address(const struct sockaddr *of, const char *text)
{
    struct in6_addr six;
    struct in_addr four;

    if (!of)
        return false;
    if (!strncasecmp(text, "::ffff:", 7) && strchr(text, '.'))
        text += 7;
    if (of->sa_family == AF_INET && inet_pton(AF_INET, text, &four) == 1)
        return ((const struct sockaddr_in *)of)->sin_addr.s_addr == four.s_addr;
    return of->sa_family == AF_INET6 && inet_pton(AF_INET6, text, &six) == 1 &&
           !memcmp(&((const struct sockaddr_in6 *)of)->sin6_addr, &six, sizeof(six));
}

static void add_ssh(struct nic_names *names)
{
    char address[INET6_ADDRSTRLEN];
    struct ifaddrs *list;

    if (!ssh_address(address) || getifaddrs(&list))
        return;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next)
        if (is_address(i->ifa_addr, address))
            nic_names_add(names, i->ifa_name);
    freeifaddrs(list);
}

static void add_routes(struct nic_names *names, const char *path, bool ipv6)
{
    FILE *file = fopen(path, "re");

    if (!file)
        return;
    nic_names_add_routes(names, file, ipv6);
    fclose(file);
}

void nic_host_init(struct nic_host *host)
{
    memset(host, 0, sizeof(*host));
    host->sysfs = "/sys";
    host->is_root = geteuid() == 0;
    host->write = write_file;
    host->load = load_module;
    host->has_xdp = has_xdp;
    host->is_open = is_open;
    host->pause = pause_shortly;
    add_ssh(&host->session);
    add_routes(&host->session, "/proc/net/route", false);
    add_routes(&host->session, "/proc/net/ipv6_route", true);
    nic_names_add_lower(&host->session, host->sysfs);
}
