/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The back end: what sends the frames and receives what comes back. There are two, by XDP on an
 * interface (xdp/, culvert-pktgen) and by a DPDK device (dpdk/, culvert-pktgen-dpdk); a program
 * is linked with one of them. What frames look like and what replies are is not their business:
 * send.h, receive.h.
 */
#ifndef CULVERT_PKTGEN_ENGINE_H
#define CULVERT_PKTGEN_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/pktgen/gateway.h"
#include "dataplane/pktgen/options.h"
#include "dataplane/pktgen/pktgen.h"
#include "dataplane/pktgen/queries.h"
#include "dataplane/pktgen/templates.h"

struct engine;

/* The name of the program with this back end. */
extern const char engine_program[];

/* Opens the interface or device; keeps `options`. An error has been told on standard error.
 * Ends with engine_close(). */
int engine_open(struct engine **out, const struct options *options);
/* Stops everything and leaves nothing behind. NULL is allowed. */
void engine_close(struct engine *engine);

/* The way to a target, as the kernel's routes and neighbours or the options say. `arg` is the
 * engine. */
int engine_gateway(void *arg, const struct address *target, struct gateway *gateway);

/* Takes what is to be sent, and receives from now on. `templates` and `queries` may be NULL for
 * --count-only, `queries` also without DNS; both may be freed after. An error has been told on
 * standard error. */
int engine_load(struct engine *engine, const struct templates *templates,
                const struct queries *queries);

/* How frames are sent, for the report: "native", "generic", "dpdk". */
const char *engine_mode(const struct engine *engine);
/* False when frames that the driver refuses can't be heard of: they count as sent then. */
bool engine_hears_refused(const struct engine *engine);
/* Frames that came and that we were too slow for: they count as lost. False: can't be known. */
bool engine_missed(const struct engine *engine, uint64_t *frames);

/* Starts sending. It ends by itself after --count or --duration. */
int engine_start(struct engine *engine);
void engine_stop(struct engine *engine); /* waits for the end of sending; receiving goes on */
bool engine_is_running(struct engine *engine);
/* The error of a thread that could not send, an errno; 0: none. */
int engine_failure(struct engine *engine);

/* Sums since the start, over all CPUs. */
struct engine_sums {
    uint64_t time;                  /* ns, CLOCK_MONOTONIC */
    fp_u64 made[PKTGEN_KIND_COUNT]; /* frames given to the interface, by kind */
    uint64_t sent;                  /* of them, those that it took */
    struct pktgen_counters counters;
};
int engine_read(struct engine *engine, struct engine_sums *sums);
uint64_t engine_start_time(const struct engine *engine);
uint64_t engine_stop_time(struct engine *engine); /* when the last thread ended */

/* For engine_read(): adds one CPU's, and sets what follows from the sums. */
void sums_add_counters(struct engine_sums *sums, const struct pktgen_counters *one);
void sums_add_sender(struct engine_sums *sums, const struct pktgen_sender *one);
void sums_finish(struct engine_sums *sums);

struct engine_backend {
    struct pktgen_backend_key key;
    struct pktgen_backend sums;
};
/* Returns how many there are, at most `max`. */
size_t engine_backends(struct engine *engine, struct engine_backend *backends, size_t max);

#endif
