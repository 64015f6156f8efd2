/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sending threads, one CPU each: they run the program on live frames
 * (BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES), as many at a time as the rate wants.
 */
#ifndef CULVERT_PKTGEN_SENDER_H
#define CULVERT_PKTGEN_SENDER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/pktgen/options.h"
#include "dataplane/pktgen/queries.h"
#include "dataplane/pktgen/templates.h"

struct pktgen_bpf;

struct sender {
    struct senders *all;
    pthread_t thread;
    int cpu;
    uint64_t limit; /* packets to send; 0: no end */
    uint64_t end;   /* ns, when the thread had sent its last */
};

struct senders {
    struct sender *one; /* count of them */
    unsigned count, started;
    int program;
    uint32_t frame_bytes;
    double rate;          /* packets a second of one thread; 0: full speed */
    uint64_t duration_ns; /* 0: no end */
    uint64_t start, end;  /* ns, CLOCK_MONOTONIC; `end` once all have ended */
    atomic_bool stop;
    atomic_uint running;
    atomic_int failure; /* errno of a thread that could not send */
};

uint64_t sender_clock(void); /* ns, CLOCK_MONOTONIC, as bpf_ktime_get_ns() */

/* Chooses the CPUs and sets where each starts in flows and queries. An error has been told. */
int senders_open(struct senders *senders, const struct options *options, struct pktgen_bpf *bpf,
                 const struct templates *templates, const struct queries *queries);
int senders_start(struct senders *senders);
void senders_stop(struct senders *senders);
bool senders_are_running(struct senders *senders);
void senders_close(struct senders *senders);

#endif
