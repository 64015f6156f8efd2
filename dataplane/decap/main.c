/* SPDX-License-Identifier: Apache-2.0 */
/*
 * culvert-decap: the loader of decap.bpf.c. Stays in the foreground and takes everything off at
 * its end, or pins and exits.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "controlplane/base/buffer.h"
#include "controlplane/base/error.h"
#include "dataplane/decap/decap.skel.h"
#include "dataplane/decap/host.h"
#include "dataplane/decap/program.h"
#include "dataplane/tool/options.h"

/* What is on, to be taken off in reverse. */
struct decap_run {
    const struct options *options;
    uint32_t ifindex;
    struct decap_bpf *program;
    struct attachment attachment;
    struct rtnl rtnl;
    struct host_arp arp;
    bool gone; /* the interface */
};

static int sync_locals(struct decap_run *run)
{
    struct address addresses[DECAP_ADDRESSES_MAX];
    int count;

    if (run->options->local_count)
        return 0;
    count = host_addresses(addresses, DECAP_ADDRESSES_MAX);
    if (count < 0) {
        tool_say("this host's addresses: %s", culvert_strerror(count));
        return count;
    }
    return program_set_locals(run->program, addresses, (size_t)count);
}

static int add_vips(struct decap_run *run)
{
    const struct options *options = run->options;
    bool any_v4 = false;

    for (size_t i = 0; i < options->vip_count; i++) {
        char text[UNITS_TEXT];
        bool added;

        any_v4 |= address_is_v4(&options->vip[i]);
        if (host_vip_add(&run->rtnl, &options->vip[i], &added)) {
            units_write_address(&options->vip[i], text);
            tool_say("--vip %s can't be put on lo: %s", text, run->rtnl.text);
            return CULVERT_ESYSTEM;
        }
        program_add_vip(run->program, &options->vip[i], added ? DECAP_VIP_ADDED : DECAP_VIP_FOUND);
    }
    if (any_v4 && host_arp_quiet(options->interface, &run->arp))
        tool_say(
            "warning: arp_ignore and arp_announce of %s can't be set (%s): this host may answer "
            "ARP for the virtual IPs",
            options->interface, strerror(errno));
    return 0;
}

static void drop_vip(void *arg, const struct address *vip, uint32_t state)
{
    struct rtnl *rtnl = arg;

    if (state == DECAP_VIP_ADDED)
        host_vip_drop(rtnl, vip);
}

static void take_off(struct decap_run *run)
{
    attach_end(&run->attachment);
    if (run->program) {
        program_each_vip(bpf_map__fd(run->program->maps.decap_vips), drop_vip, &run->rtnl);
        program_close(run->program);
    }
    host_arp_restore(run->options->interface, &run->arp);
}

static int put_on(struct decap_run *run)
{
    char why[ATTACH_WHY_BYTES];
    int error = program_open(&run->program, run->options);

    if (error) {
        tool_say("the program can't be loaded: %s", attach_log_last());
        return error;
    }
    error = sync_locals(run);
    if (!error)
        error = add_vips(run);
    if (error)
        return error;
    error = attach_program(bpf_program__fd(run->program->progs.decap), run->ifindex,
                           &run->attachment, why);
    if (error)
        tool_say("%s: %s", run->options->interface, why);
    return error;
}

static void tell_ready(const struct decap_run *run)
{
    printf("culvert-decap: ready on %s (%s)%s\n", run->options->interface,
           run->attachment.generic ? "generic: the driver has no native XDP" : "native",
           run->arp.before[0] >= 0 || run->arp.before[1] >= 0
               ? "; arp_ignore=1 and arp_announce=2 set on it"
               : "");
    fflush(stdout);
    sd_notify(0, "READY=1");
}

static int take_event(void *arg, const struct nlmsghdr *message)
{
    struct decap_run *run = arg;
    const struct ifinfomsg *link = NLMSG_DATA(message);

    if (message->nlmsg_type == RTM_DELLINK && message->nlmsg_len >= NLMSG_LENGTH(sizeof(*link)) &&
        (uint32_t)link->ifi_index == run->ifindex && link->ifi_family == AF_UNSPEC)
        run->gone = true;
    return 0;
}

static int stay(struct decap_run *run, int signals, struct rtnl *events)
{
    struct pollfd wait[2] = {{.fd = signals, .events = POLLIN},
                             {.fd = events->fd, .events = POLLIN}};

    for (;;) {
        if (poll(wait, 2, -1) < 0 && errno != EINTR)
            return CULVERT_ESYSTEM;
        if (wait[0].revents)
            return 0;
        if (!wait[1].revents)
            continue;
        while (rtnl_read_events(events, take_event, run) > 0)
            ;
        if (run->gone) {
            tool_say("%s: the interface is gone", run->options->interface);
            return CULVERT_ENOTFOUND;
        }
        sync_locals(run); /* an error was told; the addresses known so far stay */
    }
}

static int run_foreground(struct decap_run *run)
{
    static const unsigned groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR};
    struct rtnl events;
    sigset_t set;
    int signals, error;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0)
        return CULVERT_ESYSTEM;
    /* Listening starts first, so that no change of addresses falls between. */
    error = rtnl_open_events(&events, groups, sizeof(groups) / sizeof(groups[0]));
    if (!error) {
        error = put_on(run);
        if (!error) {
            tell_ready(run);
            error = stay(run, signals, &events);
        }
        take_off(run);
        rtnl_close(&events);
    }
    close(signals);
    return error;
}

static int run_pinned(struct decap_run *run)
{
    int error = put_on(run);

    if (!error) {
        error = program_pin(run->attachment.link, run->options);
        if (error)
            tool_say("%s: the program can't be pinned there: %s", run->options->pin_dir,
                     strerror(errno));
    }
    if (error) {
        take_off(run);
        return error;
    }
    tell_ready(run);
    close(run->attachment.link);
    program_close(run->program);
    return 0;
}

static int run_detach(struct decap_run *run)
{
    int vips = run->ifindex ? program_find_map(run->ifindex, "decap_vips") : CULVERT_ENOTFOUND;
    int error = program_unpin(run->options);

    if (error == CULVERT_ENOTFOUND)
        tool_say("%s: no pinned program under %s", run->options->interface, run->options->pin_dir);
    else if (error)
        tool_say("%s: %s", run->options->pin_dir, strerror(errno));
    if (!error && vips >= 0)
        program_each_vip(vips, drop_vip, &run->rtnl);
    if (vips >= 0)
        close(vips);
    return error;
}

static int run_stats(const struct decap_run *run)
{
    static const char *const names[] = {
#define X(name, number, json, text) json,
        DECAP_RESULTS(X)
#undef X
    };
    struct decap_count counts[DECAP_RESULT_COUNT];
    struct buffer out = {0};
    int map = program_find_map(run->ifindex, "decap_counters");
    int error = map < 0 ? map : program_counts(map, counts);

    if (error) {
        tool_say("%s: no culvert-decap runs on it", run->options->interface);
        return error;
    }
    close(map);
    buffer_text(&out, "{\"interface\": ");
    buffer_json_text(&out, run->options->interface);
    for (unsigned i = 0; i < DECAP_RESULT_COUNT; i++) {
        buffer_format(&out, ", \"%s\": {\"packets\": %llu, \"bytes\": %llu}", names[i],
                      (unsigned long long)counts[i].packets, (unsigned long long)counts[i].bytes);
        if (!run->options->json)
            printf("%-18s %14llu packets %16llu bytes\n", names[i],
                   (unsigned long long)counts[i].packets, (unsigned long long)counts[i].bytes);
    }
    if (run->options->json && out.data)
        printf("%s}\n", out.data);
    buffer_free(&out);
    return 0;
}

static int act(struct decap_run *run)
{
    switch (run->options->action) {
    case ACTION_PIN:
        return run_pinned(run);
    case ACTION_DETACH:
        return run_detach(run);
    case ACTION_STATS:
        return run_stats(run);
    default:
        return run_foreground(run);
    }
}

int main(int argc, char **argv)
{
    struct options options;
    struct decap_run run = {
        .options = &options,
        .attachment = {.link = -1},
        .arp = {.before = {-1, -1}},
    };
    int error = options_parse(&options, argc, argv);

    if (error)
        return error > 0 ? 0 : 2;
    if (tool_prepare())
        return 1;
    run.ifindex = if_nametoindex(options.interface);
    if (!run.ifindex && options.action != ACTION_DETACH) {
        tool_say("%s: no such interface", options.interface);
        return 1;
    }
    if (rtnl_open(&run.rtnl)) {
        tool_say("rtnetlink: %s", run.rtnl.text);
        return 1;
    }
    error = act(&run);
    rtnl_close(&run.rtnl);
    return error ? 1 : 0;
}
