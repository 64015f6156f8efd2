/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The burst rig: what one packet costs fp_process_burst() (fastpath/burst.h), without a driver.
 * Frames are copied from memory to buffers, as DPDK's pcap device does, and go through in bursts;
 * the copying alone is timed too, and subtracted. Prints one JSON object.
 *
 *     burst lb|dns|nxdomain|drop|access SIZE [ROUNDS]
 *
 * Both are timed in turn, round by round. What else the machine does only ever adds, so it is the
 * lowest of each that count.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "dataplane/fastpath/burst.h"
#include "tests/bench/fill.h"
#include "tests/bench/template.h"

#define REGION_BYTES (1ull << 30)
#define ROOM 128u /* before a frame, as an mbuf has */
#define BUFFER_BYTES 2496u
#define RUN_FRAMES (1u << 14) /* shorter than what a scheduler gives */

struct rig {
    struct tables *tables;
    struct fp_env env;
    uint8_t *frames; /* SHIM_FRAME_BYTES each */
    uint8_t *buffers;
    unsigned size;
    unsigned next;
};

static struct fp_straight straight;
static struct fp_packet packets[FP_BURST_MAX];
static struct fp_result results[FP_BURST_MAX];

static void *memory(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);

    if (at == MAP_FAILED)
        fill_die("memory");
    madvise(at, bytes, MADV_HUGEPAGE);
    return at;
}

/* Frame of flow or name n, as the shim varies it (shim.bpf.c); `alone`: each of a client of its
 * own. */
static void make_frame(uint8_t *to, const struct shim_config *config, unsigned n, bool alone)
{
    unsigned client = config->kind == SHIM_NAME ? 7 : alone ? n : n >> 6;
    uint32_t source = fp_htonl(0x0a800000u | client);
    uint8_t *ip = to + FP_ETH_BYTES;
    char digits[9];

    memcpy(to, config->frame, SHIM_FRAME_BYTES);
    fp_store32(ip + 12, source);
    fp_store16(ip + 10, fp_sum_finish((fp_u64)config->sum + source));
    fp_store16(ip + FP_IPV4_BYTES, fp_htons(1024 + (n & 63)));
    if (config->kind == SHIM_NAME) {
        snprintf(digits, sizeof(digits), "%06x", n);
        memcpy(to + SHIM_NAME_AT + 3, digits, 6);
    }
}

static void rig_open(struct rig *rig, const char *kind)
{
    struct tables_options options = {
        .base = memory(REGION_BYTES), .size = REGION_BYTES, .cpus = 1, .meters_log2 = 18};
    struct shim_config config;

    if (tables_open(&rig->tables, &options))
        fill_die("tables");
    fill_tables(rig->tables, kind, rig->size);
    rig->env.base = options.base;
    rig->env.now = 1ull << 60;
    rig->frames = memory((size_t)rig->size * SHIM_FRAME_BYTES);
    rig->buffers = memory(FP_BURST_MAX * BUFFER_BYTES);
    template_make(&config, kind, 80, rig->size);
    for (unsigned i = 0; i < rig->size; i++)
        make_frame(rig->frames + (size_t)i * SHIM_FRAME_BYTES, &config,
                   i * 2654435761u & (rig->size - 1), !strcmp(kind, "access"));
}

/* The next frames, into their buffers. */
static void receive(struct rig *rig)
{
    for (unsigned i = 0; i < FP_BURST_MAX; i++) {
        uint8_t *buffer = rig->buffers + (size_t)i * BUFFER_BYTES;
        struct fp_packet *packet = &packets[i];

        memcpy(buffer + ROOM, rig->frames + (size_t)rig->next * SHIM_FRAME_BYTES, SHIM_FRAME_BYTES);
        rig->next = (rig->next + 1) & (rig->size - 1);
        packet->head = buffer;
        packet->limit = buffer + BUFFER_BYTES;
        packet->data = buffer + ROOM;
        packet->end = packet->data + SHIM_FRAME_BYTES;
        packet->ifindex = 1;
    }
}

/* ns a frame of one run. */
static double run(struct rig *rig, bool process)
{
    struct timespec begin, end;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned i = 0; i < RUN_FRAMES; i += FP_BURST_MAX) {
        receive(rig);
        if (process)
            fp_process_burst(&rig->env, &straight, packets, FP_BURST_MAX, results);
        __asm__ volatile("" : : : "memory");
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
           RUN_FRAMES;
}

/* All frames of the last burst must have ended as the kind wants. */
static void check(const char *kind)
{
    uint8_t wanted = !strcmp(kind, "lb")         ? FP_LB_IPIP
                     : !strcmp(kind, "dns")      ? FP_DNS_ANSWER
                     : !strcmp(kind, "nxdomain") ? FP_DNS_NXDOMAIN
                     : !strcmp(kind, "drop")     ? FP_DROP_LIMIT
                                                 : FP_DROP_ACCESS;

    for (unsigned i = 0; i < FP_BURST_MAX; i++)
        if (results[i].reason != wanted) {
            fprintf(stderr, "burst: %s: a frame ended by reason %u, not %u\n", kind,
                    results[i].reason, wanted);
            exit(1);
        }
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    struct rig rig = {.size = argc > 2 ? (unsigned)atoi(argv[2]) : 0};
    unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 500;
    double alone = 1e9, with = 1e9;

    if (argc < 3 || !template_known(kind) || rig.size < FP_BURST_MAX || rig.size & (rig.size - 1)) {
        fprintf(stderr,
                "usage: burst lb|dns|nxdomain|drop|access SIZE (a power of two) [ROUNDS]\n");
        return 2;
    }
    rig_open(&rig, kind);
    for (unsigned done = 0; done < rig.size || !done; done += RUN_FRAMES)
        run(&rig, true); /* warm up */
    check(kind);
    for (unsigned i = 0; i < rounds; i++) {
        double ns = run(&rig, false);

        alone = ns < alone ? ns : alone;
        ns = run(&rig, true);
        with = ns < with ? ns : with;
    }
    printf("{\"kind\": \"%s\", \"size\": %u, \"ns\": %.1f, \"copy_ns\": %.1f}\n", kind, rig.size,
           with - alone, alone);
    tables_close(rig.tables);
    return 0;
}
