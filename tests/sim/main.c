/* SPDX-License-Identifier: Apache-2.0 */
/*
 * culvert-sim: runs seeds of the simulator, several processes side by side. A seed with a finding
 * is run once more with its trace written out. Exit status: 0 nothing found, 1 a finding, 2 usage.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"

#define JOBS_MAX 64u

enum sim_bug sim_bug = SIM_BUG_NONE;
bool sim_store_only;

/* Between the processes. */
struct board {
    atomic_ulong next, end, done, undecided, finding; /* finding: a seed + 1 */
    atomic_ulong counts[8];
    atomic_ulong running[JOBS_MAX]; /* a seed + 1 */
};

struct options {
    unsigned long seeds, from;
    unsigned jobs;
    bool trace, hash;
    const char *command; /* as it was started */
};

static int usage(void)
{
    fputs("usage: culvert-sim [--seeds N] [--from K] [--jobs J] [--trace] [--hash] [--store]"
#ifdef SIM_BROKEN
          " --bug early-sync|stale-read|no-vote"
#endif
          "\n",
          stderr);
    return 2;
}

static struct sim *world(void)
{
    struct sim *sim = calloc(1, sizeof(*sim));

    if (!sim)
        abort();
    return sim;
}

static void work(struct board *board, unsigned job)
{
    struct sim *sim = world();
    unsigned long seed;

    while (!atomic_load(&board->finding) &&
           (seed = atomic_fetch_add(&board->next, 1)) < atomic_load(&board->end)) {
        atomic_store(&board->running[job], seed + 1);
        if (!sim_run(sim, seed, false))
            atomic_store(&board->finding, seed + 1);
        atomic_fetch_add(&board->done, 1);
        atomic_fetch_add(&board->undecided, sim->undecided);
        for (unsigned i = 0; i < 8; i++)
            atomic_fetch_add(&board->counts[i], sim->counts[i]);
        atomic_store(&board->running[job], 0);
    }
    free(sim);
}

static void progress(const struct board *board, const struct options *options, double seconds)
{
    fprintf(stderr, "\rsim: %lu of %lu seeds, %.0f s ", atomic_load(&board->done), options->seeds,
            seconds);
}

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
}

/* A job that ended badly was running the seed that is noted for it. */
static void wait_for(struct board *board, pid_t *pids, const struct options *options)
{
    struct timespec begin;
    sigset_t children;
    unsigned left = options->jobs;
    double last = 0;

    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (left) {
        int status;
        struct timespec wait = {.tv_nsec = 100000000};
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid < 0)
            break;
        for (unsigned i = 0; pid > 0 && i < options->jobs; i++)
            if (pids[i] == pid) {
                left--;
                if (status && atomic_load(&board->running[i]))
                    atomic_store(&board->finding, atomic_load(&board->running[i]));
            }
        if (isatty(STDERR_FILENO) || seconds_since(&begin) - last > 30) {
            last = seconds_since(&begin);
            progress(board, options, last);
        }
        if (!pid)
            sigtimedwait(&children, NULL, &wait);
    }
    progress(board, options, seconds_since(&begin));
    fputc('\n', stderr);
}

/* Runs the seed again with its trace, in a process of its own: it may crash. */
static void show(unsigned long seed, const struct options *options)
{
    pid_t pid;
    int status;

    fflush(NULL);
    pid = fork();
    if (!pid) {
        struct sim *sim = world();

        sim_run(sim, seed, true);
        free(sim);
        fflush(NULL);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (status)
        printf("FOUND: the process ended with status %#x\n", (unsigned)status);
    printf("replay: %s --from %lu --seeds 1 --trace%s\n", options->command, seed,
           sim_store_only ? " --store" : "");
}

static int run(const struct options *options)
{
    struct board *board =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[JOBS_MAX];
    unsigned long finding;

    if (board == MAP_FAILED)
        abort();
    atomic_store(&board->next, options->from);
    atomic_store(&board->end, options->from + options->seeds);
    fflush(NULL);
    for (unsigned i = 0; i < options->jobs; i++) {
        pids[i] = fork();
        if (pids[i] < 0)
            abort();
        if (!pids[i]) {
            work(board, i);
            _exit(0);
        }
    }
    wait_for(board, pids, options);
    finding = atomic_load(&board->finding);
    printf("sim: %lu seeds from %lu: %lu writes, %lu unknown, %lu reads; %lu crashes, %lu rebuilt, "
           "%lu snapshots loaded, %lu changes of members; %lu histories undecided; %s\n",
           atomic_load(&board->done), options->from, atomic_load(&board->counts[SIM_ACKED]),
           atomic_load(&board->counts[SIM_UNKNOWN]), atomic_load(&board->counts[SIM_READS]),
           atomic_load(&board->counts[SIM_CRASHES]), atomic_load(&board->counts[SIM_REBUILDS]),
           atomic_load(&board->counts[SIM_LOADS]), atomic_load(&board->counts[SIM_CHANGES]),
           atomic_load(&board->undecided), finding ? "a finding" : "nothing found");
    if (finding)
        show(finding - 1, options);
    return finding ? 1 : 0;
}

static int run_here(const struct options *options)
{
    struct sim *sim = world();
    int status = 0;

    for (unsigned long i = 0; i < options->seeds; i++) {
        if (!sim_run(sim, options->from + i, options->trace))
            status = 1;
        printf("seed %lu: trace %016lx, %s\n", options->from + i, (unsigned long)sim->trace_hash,
               status ? sim->finding : "nothing found");
    }
    free(sim);
    return status;
}

#ifdef SIM_BROKEN
static bool parse_bug(const char *text)
{
    static const char *const names[] = {"none", "early-sync", "stale-read", "no-vote"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strcmp(names[i], text)) {
            sim_bug = (enum sim_bug)i;
            return true;
        }
    return false;
}
#endif

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"seeds", required_argument, NULL, 's'},
                                          {"from", required_argument, NULL, 'f'},
                                          {"jobs", required_argument, NULL, 'j'},
                                          {"trace", no_argument, NULL, 't'},
                                          {"hash", no_argument, NULL, 'h'},
                                          {"command", required_argument, NULL, 'c'},
                                          {"store", no_argument, NULL, 'S'},
                                          {"bug", required_argument, NULL, 'b'},
                                          {0}};
    struct options options = {.seeds = 300, .jobs = 2, .command = argv[0]};
    int option;

    while ((option = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
        switch (option) {
        case 's':
            options.seeds = strtoul(optarg, NULL, 10);
            break;
        case 'f':
            options.from = strtoul(optarg, NULL, 10);
            break;
        case 'j':
            options.jobs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'c':
            options.command = optarg;
            break;
        case 't':
            options.trace = true;
            break;
        case 'h':
            options.hash = true;
            break;
        case 'S':
            sim_store_only = true;
            break;
#ifdef SIM_BROKEN
        case 'b':
            if (!parse_bug(optarg))
                return usage();
            break;
#endif
        default:
            return usage();
        }
    }
    if (optind != argc || !options.jobs || options.jobs > JOBS_MAX)
        return usage();
    return options.trace || options.hash ? run_here(&options) : run(&options);
}
