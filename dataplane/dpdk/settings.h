/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How culvert-dpdk starts: cores and memory. The command line says it, else the site (culvertd
 * leaves it in the run directory: settings_file.h), else there are defaults. A process keeps its
 * cores and memory; when the site changes its mind meanwhile, the status says so.
 */
#ifndef CULVERT_DPDK_SETTINGS_H
#define CULVERT_DPDK_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "dataplane/dpdk/eal_options.h"
#include "dataplane/dpdk/settings_file.h"

enum settings_field {
    SETTINGS_MAIN_CORE,       /* of the event loop; SETTINGS_NONE: the first that doesn't poll */
    SETTINGS_SHARE_MAIN_CORE, /* 1: it may be one that polls */
    SETTINGS_HUGEPAGES,       /* 0: without */
    SETTINGS_PACKET_BUFFERS,
    SETTINGS_BUFFER_MEMORY, /* MiB for EAL: buffers and rings; SETTINGS_NONE: as they need */
    SETTINGS_TABLE_MEMORY,  /* MiB */
    SETTINGS_CORES,         /* the list below: not among the numbers */
    SETTINGS_FIELDS
};
#define SETTINGS_NONE UINT32_MAX
#define SETTINGS_TEXT 1024

struct settings {
    uint32_t value[SETTINGS_CORES];
    uint16_t core[SETTINGS_CORES_MAX]; /* that poll, each once */
    uint32_t cores;                    /* 0: all but the main one */
};

/* What holds when nobody says anything. */
void settings_default(struct settings *settings);

/* Takes a number where it is in the field's bounds; false: it isn't. */
bool settings_take(struct settings *settings, enum settings_field field, uint64_t number);

/* Takes a list of cores such as 1-3,5. False: it is none, or names one twice or too many. */
bool settings_take_cores(struct settings *settings, const char *list);

/* Takes what a command line says of them. False: its list of cores is none. */
bool settings_take_options(struct settings *settings, const struct eal_options *options);

/* The list of the cores as text. */
void settings_cores_text(const struct settings *settings, char *text, size_t size);

/* Takes from the run directory's file what is not among the fields of `given` (a set of bits).
 * Returns 0, CULVERT_ENOTFOUND: there is no file, or CULVERT_EINVAL and why. */
int settings_read(struct settings *settings, unsigned given, const char *run_dir,
                  char why[SETTINGS_TEXT]);

/* Waits for the file, for ten seconds at most and only while culvertd has never been there: until
 * it comes there is nothing to do for a data plane anyway. */
void settings_await(const char *run_dir);

/* ---- while running ---- */

struct settings_watch {
    const char *run_dir;
    unsigned given;            /* by the command line */
    struct settings asked;     /* the command line over the defaults */
    struct settings runs;      /* what the process was started with */
    struct timespec looked;    /* the file's time at the last look */
    uint64_t inode;            /* of the file then */
    char error[SETTINGS_TEXT]; /* what the site says otherwise, and what to do; empty: nothing */
};

/* Looks whether the site says what the process runs with. True: `error` has changed. */
bool settings_look(struct settings_watch *watch);

/* What it runs with, in words. */
void settings_text(const struct settings *settings, char *text, size_t size);

#endif
