/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/xdp/sender.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "controlplane/base/error.h"
#include "dataplane/pktgen/clock.h"
#include "dataplane/pktgen/config.h"
#include "dataplane/pktgen/pace.h"
#include "dataplane/pktgen/xdp/pktgen.skel.h"
#include "dataplane/tool/options.h"

#define BATCH_FRAMES 64u
#define FULL_FRAMES 16384u /* of one run at full speed: some milliseconds */

static void sleep_until(uint64_t time)
{
    struct timespec at = {.tv_sec = (time_t)(time / PKTGEN_NS_PER_S),
                          .tv_nsec = (long)(time % PKTGEN_NS_PER_S)};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* ---- one thread ---- */

/* Sends `frames` frames. Returns an errno. */
static int run(const struct senders *senders, uint32_t frames)
{
    uint8_t frame[PKTGEN_FRAME_MAX] = {0};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = senders->frame_bytes,
                .repeat = (int)frames, .batch_size = frames < BATCH_FRAMES ? frames : BATCH_FRAMES,
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

    return bpf_prog_test_run_opts(senders->program, &options) ? errno : 0;
}

static void send_all(struct sender *sender)
{
    struct senders *senders = sender->all;
    struct pace *pace = &sender->pace;
    uint64_t sent = 0;

    while (!atomic_load_explicit(&senders->stop, memory_order_relaxed) && sent < pace->limit) {
        uint64_t now = pktgen_clock();
        uint32_t frames = pace_due(pace, now, sent, FULL_FRAMES);
        int error;

        if (now >= pace->end)
            break;
        if (!frames) {
            uint64_t next = pace_next(pace, sent);

            sleep_until(next < pace->end ? next : pace->end);
            continue;
        }
        error = run(senders, frames);
        if (error == EINTR)
            continue;
        if (error) {
            atomic_store(&senders->failure, error);
            break;
        }
        sent += frames;
    }
}

static void *sender_main(void *arg)
{
    struct sender *sender = arg;
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((unsigned)sender->cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
    send_all(sender);
    sender->end = pktgen_clock();
    atomic_fetch_sub(&sender->all->running, 1);
    return NULL;
}

/* ---- all of them ---- */

/* The CPUs that this process may use, the last one first: the first ones take most interrupts. */
static int choose_cpus(struct senders *senders)
{
    unsigned taken = 0;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set))
        return CULVERT_ESYSTEM;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0 && taken < senders->count; cpu--) {
        if (CPU_ISSET((unsigned)cpu, &set))
            senders->one[taken++].cpu = cpu;
    }
    if (taken < senders->count) {
        tool_say("--threads %u: only %u CPUs may be used", senders->count, taken);
        return CULVERT_EINVAL;
    }
    return 0;
}

static int set_starts(const struct senders *senders, struct pktgen_bpf *bpf)
{
    int cpus = libbpf_num_possible_cpus();
    struct pktgen_sender *each = calloc((size_t)cpus, sizeof(*each));
    uint32_t zero = 0;
    int error;

    if (!each)
        return CULVERT_ENOMEM;
    for (unsigned i = 0; i < senders->count; i++)
        sender_start(&each[senders->one[i].cpu], (const struct pktgen_config *)&bpf->rodata->config,
                     i, senders->count);
    error = bpf_map_update_elem(bpf_map__fd(bpf->maps.pktgen_senders), &zero, each, BPF_ANY);
    free(each);
    return error ? CULVERT_ESYSTEM : 0;
}

int senders_open(struct senders *senders, const struct options *options, struct pktgen_bpf *bpf)
{
    int error;

    senders->options = options;
    senders->count = options->threads;
    senders->one = calloc(senders->count, sizeof(*senders->one));
    if (!senders->one)
        return CULVERT_ENOMEM;
    for (unsigned i = 0; i < senders->count; i++)
        senders->one[i].all = senders;
    senders->program = bpf_program__fd(bpf->progs.pktgen);
    senders->frame_bytes = bpf->rodata->config.frame_bytes;
    error = choose_cpus(senders);
    return error ? error : set_starts(senders, bpf);
}

int senders_start(struct senders *senders)
{
    senders->start = pktgen_clock();
    for (unsigned i = 0; i < senders->count; i++) {
        pace_start(&senders->one[i].pace, senders->options, i, senders->count, senders->start);
        atomic_fetch_add(&senders->running, 1);
        if (pthread_create(&senders->one[i].thread, NULL, sender_main, &senders->one[i])) {
            atomic_fetch_sub(&senders->running, 1);
            senders_stop(senders);
            return CULVERT_ESYSTEM;
        }
        senders->started++;
    }
    return 0;
}

void senders_stop(struct senders *senders)
{
    atomic_store(&senders->stop, true);
    for (unsigned i = 0; i < senders->started; i++) {
        pthread_join(senders->one[i].thread, NULL);
        if (senders->one[i].end > senders->end)
            senders->end = senders->one[i].end;
    }
    senders->started = 0;
}

bool senders_are_running(struct senders *senders)
{
    return atomic_load(&senders->running) != 0;
}

void senders_close(struct senders *senders)
{
    free(senders->one);
    senders->one = NULL;
}
