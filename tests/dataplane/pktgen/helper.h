/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in, frames out, by either back end's code: the eBPF program, on a veth of a network
 * namespace of the test's own and by test-run, or (HELPER_HOST) that text compiled for the host.
 */
#ifndef CULVERT_TESTS_PKTGEN_HELPER_H
#define CULVERT_TESTS_PKTGEN_HELPER_H

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/fastpath/build.h"
#include "dataplane/pktgen/engine.h"
#include "dataplane/pktgen/queries.h"
#include "dataplane/pktgen/templates.h"

#define HELPER_ARGS 24
#define HELPER_GATEWAY "02:00:00:00:00:99"

enum helper_action { HELPER_SEND, HELPER_DROP, HELPER_PASS };

/* Reads a command line, words parted by blanks. Returns what options_parse() does. */
static inline int helper_parse(struct options *options, const char *line)
{
    static char copy[600];
    char *args[HELPER_ARGS + 1] = {NULL};
    int count = 0;

    snprintf(copy, sizeof(copy), "culvert-pktgen %s", line);
    for (char *word = strtok(copy, " "); word && count < HELPER_ARGS; word = strtok(NULL, " "))
        args[count++] = word;
    optind = 0;
    return options_parse(options, count, args);
}

#ifdef HELPER_HOST
#include "tests/dataplane/pktgen/helper_host.h"
#else
#include "tests/dataplane/pktgen/helper_xdp.h"
#endif

static inline void helper_open(struct helper *helper, const char *line)
{
    struct templates templates;
    struct queries queries = {0};
    bool dns;

    memset(helper, 0, sizeof(*helper));
    assert_int_equal(helper_parse(&helper->options, line), 0);
    helper_start(helper);
    dns = helper->options.weight[PKTGEN_DNS] != 0;
    if (dns)
        assert_int_equal(queries_read(&queries, helper->options.queries, helper->options.edns), 0);
    assert_int_equal(templates_make(&templates, &helper->options, helper_gateway, helper), 0);
    helper_load(helper, &templates, dns ? &queries : NULL);
    templates_free(&templates);
    queries_free(&queries);
}

/* The next frame that would be sent. */
static inline uint32_t helper_frame(struct helper *helper, uint8_t frame[PKTGEN_FRAME_MAX])
{
    uint32_t length;

    /* As frames are handed out: with what their last user left in them. */
    memset(frame, 0xa5, PKTGEN_FRAME_MAX);
    length = helper_send(helper, frame);
    assert_true(length > 0);
    return length;
}

/* Reads a frame's headers and checks its checksums. */
static inline void helper_check(uint8_t *frame, uint32_t length, struct fp_parsed *parsed)
{
    struct fp_packet packet = {
        .data = frame, .end = frame + length, .head = frame, .limit = frame + PKTGEN_FRAME_MAX};
    uint32_t l4_bytes;

    memset(parsed, 0, sizeof(*parsed));
    assert_int_equal(fp_parse(&packet, parsed), FP_GO_ON);
    assert_int_equal(parsed->problem, 0);
    l4_bytes = parsed->l3 + parsed->bytes - parsed->l4;
    assert_int_equal(fp_sum_fold(fp_sum_pseudo(parsed, parsed->protocol, l4_bytes) +
                                 fp_build_sum(frame + parsed->l4, l4_bytes)),
                     0xffff);
}

#endif
