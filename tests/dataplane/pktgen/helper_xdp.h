/* SPDX-License-Identifier: Apache-2.0 */
/* helper.h by the eBPF program: an engine on a veth of a network namespace of the test's own. */
#ifndef CULVERT_TESTS_PKTGEN_HELPER_XDP_H
#define CULVERT_TESTS_PKTGEN_HELPER_XDP_H

#include <bpf/bpf.h>
#include <sched.h>

#include <linux/bpf.h>

#include "dataplane/pktgen/xdp/xdp.h"
#include "dataplane/tool/attach.h"

#define HELPER_SKIPPED 77

struct helper {
    struct options options;
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
static inline void helper_prepare(void)
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

static inline void helper_start(struct helper *helper)
{
    assert_int_equal(engine_open(&helper->engine, &helper->options), 0);
}

static inline int helper_gateway(void *arg, const struct address *target, struct gateway *gateway)
{
    struct helper *helper = arg;

    return engine_gateway(helper->engine, target, gateway);
}

static inline void helper_load(struct helper *helper, const struct templates *templates,
                               const struct queries *queries)
{
    assert_int_equal(engine_load(helper->engine, templates, queries), 0);
}

static inline void helper_close(struct helper *helper)
{
    engine_close(helper->engine);
}

/* Runs the program on a frame; ifindex 0: as a live frame to be filled. Returns the XDP action. */
static inline uint32_t helper_run(struct helper *helper, uint32_t ifindex, const void *in,
                                  size_t length, uint8_t out[PKTGEN_FRAME_MAX],
                                  uint32_t *out_length)
{
    struct xdp_md context = {.data_end = (uint32_t)length, .ingress_ifindex = ifindex};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = in, .data_size_in = (uint32_t)length,
                .data_out = out, .data_size_out = PKTGEN_FRAME_MAX, .repeat = 1,
                .ctx_in = ifindex ? &context : NULL, .ctx_size_in = ifindex ? sizeof(context) : 0);

    assert_int_equal(bpf_prog_test_run_opts(xdp_program(helper->engine), &run), 0);
    *out_length = run.data_size_out;
    return run.retval;
}

static inline uint32_t helper_send(struct helper *helper, uint8_t frame[PKTGEN_FRAME_MAX])
{
    uint8_t dirt[PKTGEN_FRAME_MAX];
    uint32_t length;

    memcpy(dirt, frame, sizeof(dirt));
    assert_int_equal(helper_run(helper, 0, dirt, xdp_frame_bytes(helper->engine), frame, &length),
                     XDP_REDIRECT);
    return length;
}

static inline enum helper_action helper_receive(struct helper *helper, const uint8_t *frame,
                                                size_t length)
{
    uint8_t out[PKTGEN_FRAME_MAX];
    uint32_t out_length;
    uint32_t action =
        helper_run(helper, xdp_ifindex(helper->engine), frame, length, out, &out_length);

    assert_int_equal(out_length, length);
    assert_memory_equal(out, frame, length);
    assert_true(action == XDP_DROP || action == XDP_PASS);
    return action == XDP_DROP ? HELPER_DROP : HELPER_PASS;
}

static inline void helper_read(struct helper *helper, struct engine_sums *sums)
{
    assert_int_equal(engine_read(helper->engine, sums), 0);
}

static inline size_t helper_backends(struct helper *helper, struct engine_backend *backends,
                                     size_t max)
{
    return engine_backends(helper->engine, backends, max);
}

#endif
