/* SPDX-License-Identifier: Apache-2.0 */
/* What the running kernel says of XDP programs, in a network namespace of the test's own. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "controlplane/cli/nic.h"

#define SKIPPED 77 /* what meson takes for "skipped" */
#define LO 1       /* the number of a namespace's lo */

static struct nic_host host;
static char name[NIC_PROGRAM];

/* A program that passes everything, by that name. */
static int load(const char *as)
{
    const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, as, "GPL", pass, 2, NULL);

    assert_true(fd >= 0);
    return fd;
}

static void check_name(const char *as)
{
    int fd = load(as);

    assert_int_equal(bpf_xdp_attach(LO, fd, XDP_FLAGS_SKB_MODE, NULL), 0);
    close(fd);
    assert_true(host.has_xdp(&host, "lo", name));
    assert_string_equal(name, as);
    assert_int_equal(bpf_xdp_detach(LO, XDP_FLAGS_SKB_MODE, NULL), 0);
}

static void test_programs_have_names(void **state)
{
    (void)state;
    assert_false(host.has_xdp(&host, "lo", name));
    check_name("culvert_xdp");
    check_name("other_by_far15b");
    assert_false(host.has_xdp(&host, "lo", name));
    assert_string_equal(name, "");
    assert_false(host.has_xdp(&host, "eth7", name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_programs_have_names)};

    if (unshare(CLONE_NEWNET)) {
        fprintf(stderr, "a network namespace is needed: root\n");
        return SKIPPED;
    }
    nic_host_init(&host);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
