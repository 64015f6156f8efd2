/* SPDX-License-Identifier: Apache-2.0 */
/* culvert-pktgen: reads what to send, sends it, tells what came back. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "dataplane/pktgen/clock.h"
#include "dataplane/pktgen/engine.h"
#include "dataplane/pktgen/queries.h"
#include "dataplane/pktgen/report.h"
#include "dataplane/pktgen/templates.h"
#include "dataplane/tool/options.h"

#define NS_PER_S PKTGEN_NS_PER_S
#define POLL_NS 20000000     /* how soon the end of the threads is seen */
#define QUIET_NS 100000000   /* no reply for so long: none will come */
#define STRAGGLE_NS NS_PER_S /* and never wait longer than that */

/* Waits for a signal to end, for a while. */
static bool interrupted(const sigset_t *set, uint64_t ns)
{
    struct timespec wait = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

    return sigtimedwait(set, NULL, &wait) > 0;
}

/* Until the threads end, the time is over (--count-only) or a signal comes. */
static void watch(struct report *report, const sigset_t *set)
{
    const struct options *options = report->options;
    uint64_t start = pktgen_clock();
    uint64_t line = start + NS_PER_S;
    uint64_t end = options->duration_ms ? start + options->duration_ms * 1000000 : UINT64_MAX;

    while (!interrupted(set, POLL_NS)) {
        uint64_t now = pktgen_clock();
        struct engine_sums sums;

        if (options->count_only ? now >= end : !engine_is_running(report->engine))
            return;
        if (now < line || options->json || engine_read(report->engine, &sums))
            continue;
        report_line(report, &sums, stdout);
        line += NS_PER_S;
    }
}

/* Replies that are still on their way. */
static void wait_stragglers(struct report *report, const sigset_t *set, struct engine_sums *sums)
{
    uint64_t start = pktgen_clock(), last = start;
    uint64_t received = 0;

    while (!engine_read(report->engine, sums)) {
        uint64_t now = pktgen_clock();

        if (sums->counters.received != received) {
            received = sums->counters.received;
            last = now;
        }
        if (received >= sums->sent || now - last > QUIET_NS || now - start > STRAGGLE_NS ||
            interrupted(set, POLL_NS / 4))
            return;
    }
}

static int run(const struct options *options, struct engine *engine, const sigset_t *set)
{
    struct report report = {.options = options, .engine = engine};
    uint64_t start = pktgen_clock(), end;
    struct engine_sums sums;
    double seconds;

    report.last.time = start;
    if (!options->count_only && engine_start(engine)) {
        tool_say("the sending threads can't be started");
        return CULVERT_ESYSTEM;
    }
    watch(&report, set);
    engine_stop(engine);
    end = options->count_only ? pktgen_clock() : engine_stop_time(engine);
    if (options->count_only)
        engine_read(engine, &sums);
    else
        wait_stragglers(&report, set, &sums);
    seconds = (double)(end - (options->count_only ? start : engine_start_time(engine))) / 1e9;
    if (engine_failure(engine)) {
        tool_say("sending failed: %s", strerror(engine_failure(engine)));
        return CULVERT_ESYSTEM;
    }
    if (options->json) {
        struct buffer out = {0};

        report_json(&report, &sums, seconds, &out);
        if (out.data)
            fputs(out.data, stdout);
        buffer_free(&out);
    } else {
        report_text(&report, &sums, seconds, stdout);
    }
    return 0;
}

/* The program whose back end the options want. */
static const char *program_of(const struct options *options)
{
    return options->device ? "culvert-pktgen-dpdk" : "culvert-pktgen";
}

/* Becomes a program of the same folder. Returns only if that can't be. */
static void become(const char *program, char **argv)
{
    char self[PATH_MAX], path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (length > 0) {
        self[length] = '\0';
        if (snprintf(path, sizeof(path), "%s/%s", dirname(self), program) < (int)sizeof(path))
            execv(path, argv);
    }
    tool_say("%s is needed beside this program: %s", program, strerror(errno));
}

/* Everything that is needed to send; freed once the back end has it. */
static int load_sending(const struct options *options, struct engine *engine)
{
    struct templates templates;
    struct queries queries = {0};
    bool dns = options->weight[PKTGEN_DNS] != 0;
    int error = dns ? queries_read(&queries, options->queries, options->edns) : 0;

    if (error)
        return error;
    error = templates_make(&templates, options, engine_gateway, engine);
    if (!error) {
        error = engine_load(engine, &templates, dns ? &queries : NULL);
        templates_free(&templates);
    }
    queries_free(&queries);
    return error;
}

int main(int argc, char **argv)
{
    static struct options options;
    struct engine *engine = NULL;
    sigset_t set;
    int error = options_parse(&options, argc, argv);

    if (error)
        return error > 0 ? 0 : 2;
    if (strcmp(engine_program, program_of(&options)) != 0) {
        become(program_of(&options), argv);
        return 1;
    }
    if (tool_prepare())
        return 1;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    error = engine_open(&engine, &options);
    if (!error && options.count_only)
        error = engine_load(engine, NULL, NULL);
    else if (!error)
        error = load_sending(&options, engine);
    if (!error)
        error = run(&options, engine, &set);
    engine_close(engine);
    return error ? 1 : 0;
}
