/* SPDX-License-Identifier: Apache-2.0 */
/* A small tool's command line: the options that every one has, and how it speaks. */
#ifndef CULVERT_TOOL_OPTIONS_H
#define CULVERT_TOOL_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>

#include "controlplane/base/error.h"
#include "controlplane/base/units.h"

enum { TOOL_OPTION_VERSION = 1024, TOOL_OPTION_HELP }; /* a tool's own numbers are below */

/* The end of a tool's table of options: those that every tool has. */
#define TOOL_OPTIONS_END                                                                           \
    {"output", required_argument, NULL, 'o'}, {"version", no_argument, NULL, TOOL_OPTION_VERSION}, \
        {"help", no_argument, NULL, TOOL_OPTION_HELP}, {NULL, 0, NULL, 0}

struct tool_options {
    const char *name;           /* of the program */
    const char *help;           /* what --help prints */
    const struct option *known; /* ends with TOOL_OPTIONS_END */
    /* Takes one of the tool's own options. Returns 0 or CULVERT_EINVAL after one line. */
    int (*take)(void *arg, int option, char *argument);
};

/* Reads a command line; `json` gets what -o says. Returns 0: go on; 1: all is done (help, version);
 * CULVERT_EINVAL, or another error of `take`, after one line to stderr. `tool` stays. */
int tool_options_parse(const struct tool_options *tool, int argc, char **argv, void *arg,
                       bool *json);

/* The prefix that an option takes; `example` is an IPv4 one. CULVERT_EINVAL after one line. */
int tool_take_prefix(const char *option, const char *text, const char *example,
                     struct address *address, unsigned *length);

/* One line to standard error, behind the program's name. */
void tool_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define tool_fail(...) (tool_say(__VA_ARGS__), CULVERT_EINVAL)

/* What a tool needs before it loads a program: rights, and libbpf kept from printing.
 * CULVERT_EACCES after one line. */
int tool_prepare(void);

#endif
