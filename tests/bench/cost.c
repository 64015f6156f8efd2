/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XDP cost rig: what one packet costs the program, without the driver. The real program runs in
 * the kernel over a region of the asked size; a shim (shim.bpf.c) restores and varies the frame and
 * is subtracted. Prints one JSON object.
 *
 *     cost lb|dns|nxdomain|drop|access SIZE [--rounds N] [--runs N]
 *
 * Programs alone and with the shim are timed in turn, round by round; medians are compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bench/fill.h"
#include "tests/bench/shim.h"
#include "tests/bench/template.h"

#include "culvert.skel.h"
#include "shim.skel.h"

#define ROUNDS_MAX 99

struct rig {
    struct culvert *culvert;
    struct shim *shim;
    struct tables *tables;
    const char *kind;
    unsigned size;
};

static void rig_open(struct rig *rig)
{
    struct tables_options options = {.size = 1ull << 30, .meters_log2 = 18};

    libbpf_set_print(NULL);
    rig->culvert = culvert__open();
    if (!rig->culvert ||
        bpf_map__set_max_entries(rig->culvert->maps.arena, (uint32_t)(options.size / 4096)) ||
        culvert__load(rig->culvert))
        fill_die("loading the program (root and Linux 6.12 are needed)");
    rig->shim = shim__open_and_load();
    if (!rig->shim)
        fill_die("loading the shim");
    options.base = bpf_map__initial_value(rig->culvert->maps.arena, &(size_t){0});
    options.cpus = (unsigned)libbpf_num_possible_cpus();
    if (tables_open(&rig->tables, &options))
        fill_die("tables");
    fill_tables(rig->tables, rig->kind, rig->size);
    template_make(&rig->shim->bss->shim_config, rig->kind, 80, rig->size);
}

/* One timing: ns for a run of the shim followed by the given program. */
static double run(struct rig *rig, int program, unsigned runs, int expected)
{
    uint8_t frame[SHIM_FRAME_BYTES];
    struct timespec begin, end;
    uint32_t zero = 0;
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame),
                .repeat = (int)runs);

    memcpy(frame, rig->shim->bss->shim_config.frame, sizeof(frame));
    if (bpf_map_update_elem(bpf_map__fd(rig->shim->maps.under_test), &zero, &program, BPF_ANY))
        fill_die("tail call");
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (bpf_prog_test_run_opts(bpf_program__fd(rig->shim->progs.shim), &options))
        fill_die("test-run");
    clock_gettime(CLOCK_MONOTONIC, &end);
    if ((int)options.retval != expected) {
        fprintf(stderr, "cost: %s: the program returned %u, not %d\n", rig->kind, options.retval,
                expected);
        exit(1);
    }
    /* options.duration is in whole nanoseconds: too coarse for a difference. */
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
           runs;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct rig rig = {.kind = argc > 1 ? argv[1] : "",
                      .size = argc > 2 ? (unsigned)atoi(argv[2]) : 0};
    unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 7, runs = 4u << 20;
    double with[ROUNDS_MAX], alone[ROUNDS_MAX];
    int expected;

    if (argc < 3 || !template_known(rig.kind) || rig.size < 2 || rig.size & (rig.size - 1) ||
        rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: cost lb|dns|nxdomain|drop|access SIZE (a power of two) [ROUNDS]\n");
        return 2;
    }
    expected = !strcmp(rig.kind, "drop") || !strcmp(rig.kind, "access") ? XDP_DROP : XDP_TX;
    rig_open(&rig);
    run(&rig, bpf_program__fd(rig.culvert->progs.culvert_xdp), rig.size * 2,
        expected); /* warm up */
    for (unsigned i = 0; i < rounds; i++) {
        alone[i] = run(&rig, bpf_program__fd(rig.shim->progs.empty), runs, XDP_TX);
        with[i] = run(&rig, bpf_program__fd(rig.culvert->progs.culvert_xdp), runs, expected);
    }
    qsort(alone, rounds, sizeof(*alone), compare);
    qsort(with, rounds, sizeof(*with), compare);
    printf("{\"kind\": \"%s\", \"size\": %u, \"ns\": %.1f, \"shim_ns\": %.1f, \"min\": %.1f, "
           "\"max\": %.1f}\n",
           rig.kind, rig.size, with[rounds / 2] - alone[rounds / 2], alone[rounds / 2],
           with[0] - alone[rounds / 2], with[rounds - 1] - alone[rounds / 2]);
    tables_close(rig.tables);
    return 0;
}
