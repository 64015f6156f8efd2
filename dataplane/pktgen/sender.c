/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/sender.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "controlplane/base/error.h"
#include "dataplane/pktgen/pktgen.skel.h"
#include "dataplane/tool/options.h"

#define NS_PER_S 1000000000ull
#define BATCH_FRAMES 64u
#define FULL_FRAMES 16384u /* of one run at full speed: some milliseconds */
#define TICK_NS 200000     /* a paced thread wakes this often, at most */
#define BEHIND_S 0.1       /* what a late thread catches up on, at most */

uint64_t sender_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t time)
{
    struct timespec at = {.tv_sec = (time_t)(time / NS_PER_S), .tv_nsec = (long)(time % NS_PER_S)};

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

/* How many frames are due now that `sent` have been sent. 0: none before `*next`. */
static uint32_t frames_due(const struct senders *senders, uint64_t *origin, uint64_t sent,
                           uint64_t *next)
{
    uint64_t now = sender_clock();
    double due, tick = senders->rate * TICK_NS / (double)NS_PER_S;

    if (senders->rate <= 0)
        return FULL_FRAMES;
    due = (double)(now - *origin) * senders->rate / (double)NS_PER_S - (double)sent;
    if (due > senders->rate * BEHIND_S && due > FULL_FRAMES) {
        /* Too far behind to catch up: the rate counts from here on. */
        *origin = now - (uint64_t)((double)sent / senders->rate * (double)NS_PER_S);
        due = FULL_FRAMES;
    }
    if (due >= 1)
        return due < FULL_FRAMES ? (uint32_t)due : FULL_FRAMES;
    *next = *origin +
            (uint64_t)(((double)sent + (tick > 1 ? tick : 1)) / senders->rate * (double)NS_PER_S) +
            1;
    return 0;
}

static void send_all(struct sender *sender)
{
    struct senders *senders = sender->all;
    uint64_t end = senders->duration_ns ? senders->start + senders->duration_ns : UINT64_MAX;
    uint64_t origin = senders->start;
    uint64_t sent = 0;

    while (!atomic_load_explicit(&senders->stop, memory_order_relaxed) &&
           (!sender->limit || sent < sender->limit)) {
        uint64_t next = 0;
        uint32_t frames = frames_due(senders, &origin, sent, &next);
        int error;

        if (sender_clock() >= end)
            break;
        if (!frames) {
            sleep_until(next < end ? next : end);
            continue;
        }
        if (sender->limit && sent + frames > sender->limit)
            frames = (uint32_t)(sender->limit - sent);
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
    sender->end = sender_clock();
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

static int set_starts(const struct senders *senders, struct pktgen_bpf *bpf,
                      const struct templates *templates, const struct queries *queries)
{
    int cpus = libbpf_num_possible_cpus();
    struct pktgen_sender *each = calloc((size_t)cpus, sizeof(*each));
    uint32_t zero = 0;
    int error;

    if (!each)
        return CULVERT_ENOMEM;
    for (uint64_t i = 0; i < senders->count; i++) {
        struct pktgen_sender *start = &each[senders->one[i].cpu];

        start->flow = (uint32_t)(i * templates->flows / senders->count);
        start->query = queries ? (uint32_t)(i * queries->count / senders->count) : 0;
        start->number = i << 28;
    }
    error = bpf_map_update_elem(bpf_map__fd(bpf->maps.pktgen_senders), &zero, each, BPF_ANY);
    free(each);
    return error ? CULVERT_ESYSTEM : 0;
}

/* Each thread's part of the packets: what --count says, or what the rate gives in the time. */
static void set_limits(struct senders *senders, const struct options *options)
{
    double timed = options->rate * (double)options->duration_ms / 1000;
    uint64_t total = options->count;

    if (options->rate > 0 && options->duration_ms && (!total || timed < (double)total))
        total = timed < 1 ? 1 : (uint64_t)timed;
    for (unsigned i = 0; i < senders->count; i++)
        senders->one[i].limit = total ? (total + i) / senders->count : 0;
}

int senders_open(struct senders *senders, const struct options *options, struct pktgen_bpf *bpf,
                 const struct templates *templates, const struct queries *queries)
{
    int error;

    senders->count = options->threads;
    if (options->count && options->count < senders->count)
        senders->count = (unsigned)options->count;
    senders->one = calloc(senders->count, sizeof(*senders->one));
    if (!senders->one)
        return CULVERT_ENOMEM;
    for (unsigned i = 0; i < senders->count; i++)
        senders->one[i].all = senders;
    senders->program = bpf_program__fd(bpf->progs.pktgen);
    senders->frame_bytes = bpf->rodata->config.frame_bytes;
    senders->rate = options->rate / senders->count;
    senders->duration_ns = options->duration_ms * 1000000;
    /* Paced packets end by their number; time only ends a rate that can't be reached. */
    if (senders->rate > 0 && senders->duration_ns)
        senders->duration_ns += NS_PER_S / 10 + (uint64_t)(NS_PER_S / senders->rate);
    set_limits(senders, options);
    error = choose_cpus(senders);
    return error ? error : set_starts(senders, bpf, templates, queries);
}

int senders_start(struct senders *senders)
{
    senders->start = sender_clock();
    for (unsigned i = 0; i < senders->count; i++) {
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
