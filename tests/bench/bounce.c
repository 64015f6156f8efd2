/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XDP bounce rig's near end: live frames, made and varied in the kernel (shim.bpf.c), go into
 * an interface as fast as one core makes them; what comes back is counted and dropped. Prints JSON.
 *
 *     bounce KIND SIZE PORT INTERFACE MILLISECONDS
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "tests/bench/template.h"

#include "shim.skel.h"

/* Frames a call: many, for a call begins and ends with waits for RCU of tens of milliseconds. */
#define CHUNK (1 << 22)

static void die(const char *what)
{
    fprintf(stderr, "bounce: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void send_frames(struct shim *shim, int count)
{
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = shim->bss->shim_config.frame,
                .data_size_in = SHIM_FRAME_BYTES, .repeat = count,
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);

    if (bpf_prog_test_run_opts(bpf_program__fd(shim->progs.generate), &options))
        die("live frames");
}

int main(int argc, char **argv)
{
    unsigned size = argc > 2 ? (unsigned)atoi(argv[2]) : 0, interface;
    double begin, end, seconds;
    struct shim *shim;
    uint64_t sent = 0, before;

    if (argc != 6 || !template_known(argv[1]) || size < 2 || size & (size - 1)) {
        fprintf(stderr, "usage: bounce lb|dns|nxdomain|drop SIZE PORT INTERFACE MILLISECONDS\n");
        return 2;
    }
    interface = if_nametoindex(argv[4]);
    if (!interface)
        die(argv[4]);
    shim = shim__open_and_load();
    if (!shim)
        die("loading");
    template_make(&shim->bss->shim_config, argv[1], (uint16_t)atoi(argv[3]), size);
    shim->bss->shim_config.interface = interface;
    if (bpf_xdp_attach((int)interface, bpf_program__fd(shim->progs.count), XDP_FLAGS_DRV_MODE,
                       NULL))
        die("attaching");
    send_frames(shim, CHUNK / 8); /* warm up */
    before = shim->bss->counted;
    begin = now();
    seconds = atoi(argv[5]) / 1000.0;
    do {
        send_frames(shim, CHUNK);
        sent += CHUNK;
        end = now();
    } while (end - begin < seconds);
    printf("{\"sent\": %llu, \"received\": %llu, \"seconds\": %.4f}\n", (unsigned long long)sent,
           (unsigned long long)(shim->bss->counted - before), end - begin);
    bpf_xdp_detach((int)interface, XDP_FLAGS_DRV_MODE, NULL);
    shim__destroy(shim);
    return 0;
}
