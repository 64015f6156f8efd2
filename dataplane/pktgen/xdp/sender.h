/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sending threads, one CPU each: they run the program on live frames
 * (BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES), as many at a time as the rate wants.
 */
#ifndef CULVERT_PKTGEN_XDP_SENDER_H
#define CULVERT_PKTGEN_XDP_SENDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/pktgen/options.h"
#include "dataplane/pktgen/pace.h"

struct pktgen_bpf;

struct sender {
    struct senders *all;
    pthread_t thread;
    int cpu;
    struct pace pace;
    uint64_t end; /* ns, when the thread had sent its last */
};

struct senders {
    const struct options *options;
    struct sender *one; /* count of them */
    unsigned count, started;
    int program;
    uint32_t frame_bytes;
    uint64_t start, end; /* ns, CLOCK_MONOTONIC; `end` once all have ended */
    atomic_bool stop;
    atomic_uint running;
    atomic_int failure; /* errno of a thread that could not send */
};

/* Chooses the CPUs and sets where each starts in flows and queries; keeps `options`. An error has
 * been told. */
int senders_open(struct senders *senders, const struct options *options, struct pktgen_bpf *bpf);
int senders_start(struct senders *senders);
void senders_stop(struct senders *senders);
bool senders_are_running(struct senders *senders);
void senders_close(struct senders *senders);

#endif
