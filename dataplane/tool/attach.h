/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One XDP program on one interface by a bpf_link, for the small tools: it goes with the last
 * descriptor (or pin), however the process ends. culvert-xdp has its own, for many interfaces.
 */
#ifndef CULVERT_TOOL_ATTACH_H
#define CULVERT_TOOL_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

#define ATTACH_WHY_BYTES 160

struct attachment {
    int link;     /* descriptor; -1: none */
    bool generic; /* in the kernel's generic mode: the driver does not take the program */
};

/* Attaches natively, else in generic mode. CULVERT_EBUSY: there is a program on the interface,
 * which is left alone. CULVERT_ESYSTEM: the kernel refuses. `why` has one line without the
 * interface's name. */
int attach_program(int program, uint32_t ifindex, struct attachment *attachment,
                   char why[ATTACH_WHY_BYTES]);

/* Takes the program off at once (also with a pin left). Safe on a link that is gone. */
void attach_end(struct attachment *attachment);

/* The id of the program on the interface; 0: none. */
uint32_t attach_find(uint32_t ifindex);

/* Keeps libbpf from printing: errors are told in one line of ours. attach_log_last() gives
 * the verifier's reason, or else the last warning's text, after the kernel's release, for it tells
 * what an old one can't do. */
void attach_log_quiet(void);
const char *attach_log_last(void);

/* What a tool that loads BPF programs may do: 0, or CULVERT_EACCES. */
int attach_check_privilege(void);

#endif
