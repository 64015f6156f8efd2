/* SPDX-License-Identifier: Apache-2.0 */
/* An engine on a veth of a network namespace of the test's own; frames by test-run. */
#ifndef CULVERT_TESTS_PKTGEN_HELPER_H
#define CULVERT_TESTS_PKTGEN_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "dataplane/fastpath/build.h"
#include "dataplane/pktgen/engine.h"
#include "dataplane/pktgen/gateway.h"
#include "dataplane/pktgen/queries.h"
#include "dataplane/pktgen/templates.h"
#include "dataplane/tool/attach.h"

#define HELPER_SKIPPED 77
#define HELPER_ARGS 24
#define HELPER_GATEWAY "02:00:00:00:00:99"

struct helper {
    struct options options;
    struct gateways gateways;
    struct templates templates;
    struct queries queries;
    struct engine *engine;
};

/* Runs `ip` with words parted by blanks; ends the test when that fails. */
static inline void helper_ip(const char *line)
{
    char copy[128];
    char *words[HELPER_ARGS + 1] = {NULL};
    int count = 0, status = 1;
    pid_t child;

    snprintf(copy, sizeof(copy), "ip %s", line);
    for (char *word = strtok(copy, " "); word && count < HELPER_ARGS; word = strtok(NULL, " "))
        words[count++] = word;
    child = fork();
    if (!child) {
        execvp("ip", words);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status) {
        fprintf(stderr, "failed: ip %s\n", line);
        exit(1);
    }
}

/* Moves the test to a namespace with a veth pair; it goes with the process. */
static inline void helper_namespace(void)
{
    if (attach_check_privilege() || unshare(CLONE_NEWNET)) {
        puts("skipped: root is needed to load BPF programs");
        exit(HELPER_SKIPPED);
    }
    attach_log_quiet();
    helper_ip("link add v0 type veth peer name v1");
    helper_ip("link set v0 up");
    helper_ip("link set v1 up");
}

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

static inline void helper_open(struct helper *helper, const char *line)
{
    bool dns;

    memset(helper, 0, sizeof(*helper));
    assert_int_equal(helper_parse(&helper->options, line), 0);
    assert_int_equal(gateways_open(&helper->gateways, helper->options.interface), 0);
    dns = helper->options.weight[PKTGEN_DNS] != 0;
    if (dns)
        assert_int_equal(
            queries_read(&helper->queries, helper->options.queries, helper->options.edns), 0);
    assert_int_equal(templates_make(&helper->templates, &helper->options, &helper->gateways), 0);
    assert_int_equal(engine_open(&helper->engine, &helper->options, helper->gateways.ifindex,
                                 &helper->templates, dns ? &helper->queries : NULL),
                     0);
}

static inline void helper_close(struct helper *helper)
{
    engine_close(helper->engine);
    templates_free(&helper->templates);
    queries_free(&helper->queries);
    gateways_close(&helper->gateways);
}

/* Runs the program on a frame; ifindex 0: as a live frame to be filled. Returns the action. */
static inline uint32_t helper_run(struct helper *helper, uint32_t ifindex, const void *in,
                                  size_t length, uint8_t out[PKTGEN_FRAME_MAX],
                                  uint32_t *out_length)
{
    struct xdp_md context = {.data_end = (uint32_t)length, .ingress_ifindex = ifindex};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = in, .data_size_in = (uint32_t)length,
                .data_out = out, .data_size_out = PKTGEN_FRAME_MAX, .repeat = 1,
                .ctx_in = ifindex ? &context : NULL, .ctx_size_in = ifindex ? sizeof(context) : 0);

    assert_int_equal(bpf_prog_test_run_opts(engine_program(helper->engine), &run), 0);
    *out_length = run.data_size_out;
    return run.retval;
}

/* The next frame that would be sent. */
static inline uint32_t helper_frame(struct helper *helper, uint8_t frame[PKTGEN_FRAME_MAX])
{
    static uint8_t dirt[PKTGEN_FRAME_MAX];
    uint32_t length;

    /* As the kernel hands frames out: with what their last user left in them. */
    memset(dirt, 0xa5, sizeof(dirt));
    assert_int_equal(
        helper_run(helper, 0, dirt, engine_frame_bytes(helper->engine), frame, &length),
        XDP_REDIRECT);
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
