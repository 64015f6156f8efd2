/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The eBPF program and its arena. The arena that is pinned is used on when its layout and size
 * fit (counters, meters, flows and tables live on); else a new one stands beside it until it is
 * filled and takes its place.
 */
#ifndef CULVERT_XDP_PROGRAM_H
#define CULVERT_XDP_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum program_arena {
    PROGRAM_ARENA_NEW,    /* nothing was pinned: ours will be */
    PROGRAM_ARENA_REUSED, /* the pinned one */
    PROGRAM_ARENA_BESIDE, /* the pinned one doesn't fit: ours takes its place when filled */
};

struct bpf_object;
struct bpf_map;

struct program {
    struct bpf_object *object;
    struct bpf_map *map; /* the arena; of the object */
    enum program_arena arena;
    uint32_t arena_id; /* of the pinned one that was found; 0: none */
    void *base;        /* FP_ARENA_BASE */
    size_t size;       /* bytes of the arena */
    int fd;            /* of the program to attach; of the object */
    int ports;         /* of the map of devices that it may redirect to; likewise */
};

/* Loads the program (the verifier's verdict included) without a change to what runs. `memory` 0:
 * as the pinned arena, else MEMORY_DEFAULT. `anew`: never use the pinned arena. Errors are
 * logged. Ends with program_unload(). */
int program_load(struct program *program, const char *pin_dir, size_t memory, bool anew);
void program_unload(struct program *program); /* what is pinned or attached stays */

/* False when the pinned arena is another one than program_load() found. */
bool program_is_current(const struct program *program, const char *pin_dir);

/* Pins a new arena: as PIN/arena, or beside it as PIN/arena_next. Logs errors. */
int program_pin(struct program *program, const char *pin_dir);

/* The arena beside is filled and the links run on it: it becomes PIN/arena. */
int program_promote(struct program *program, const char *pin_dir);

#endif
