/* SPDX-License-Identifier: Apache-2.0 */
/* The loaded programs: started, paced, stopped, and their counters summed. */
#ifndef CULVERT_PKTGEN_ENGINE_H
#define CULVERT_PKTGEN_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/pktgen/options.h"
#include "dataplane/pktgen/pktgen.h"
#include "dataplane/pktgen/queries.h"
#include "dataplane/pktgen/templates.h"

struct engine;

/* Loads the programs and attaches the one to the interface. `templates` and `queries`
 * may be NULL for --count-only, `queries` also without DNS; both may be freed after. An error has
 * been told on standard error. Ends with engine_close(). */
int engine_open(struct engine **out, const struct options *options, uint32_t ifindex,
                const struct templates *templates, const struct queries *queries);
/* Stops the threads, takes the program off the interface. */
void engine_close(struct engine *engine);

/* Descriptor of the program, and the bytes of the frames that it is run on, for tests. */
int engine_program(const struct engine *engine);
uint32_t engine_frame_bytes(const struct engine *engine);

/* True when the program runs in the kernel's generic mode. */
bool engine_is_generic(const struct engine *engine);
/* False when frames that the driver refuses can't be heard of: they count as sent then. */
bool engine_hears_refused(const struct engine *engine);

/* Starts the threads. They end by themselves after --count or --duration. */
int engine_start(struct engine *engine);
void engine_stop(struct engine *engine); /* waits for them */
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

struct engine_backend {
    struct pktgen_backend_key key;
    struct pktgen_backend sums;
};
/* Returns how many there are, at most `max`. */
size_t engine_backends(struct engine *engine, struct engine_backend *backends, size_t max);

#endif
