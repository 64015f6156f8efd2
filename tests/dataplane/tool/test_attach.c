/* SPDX-License-Identifier: Apache-2.0 */
/* A program of two instructions on the loopback device of a namespace of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sched.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "dataplane/tool/attach.h"
#include "tests/dataplane/tool/refused.skel.h"

#define SKIPPED 77
#define LOOPBACK 1u

static int load_pass(void)
{
    const struct bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "Apache-2.0", pass, 2, NULL);

    assert_true(program >= 0);
    return program;
}

static void test_on_and_off(void **state)
{
    struct attachment attachment;
    char why[ATTACH_WHY_BYTES];
    int program = load_pass();

    (void)state;
    assert_int_equal(attach_find(LOOPBACK), 0);
    assert_int_equal(attach_program(program, LOOPBACK, &attachment, why), 0);
    assert_true(attachment.generic); /* the device has no native XDP */
    assert_int_not_equal(attach_find(LOOPBACK), 0);
    attach_end(&attachment);
    assert_int_equal(attachment.link, -1);
    assert_int_equal(attach_find(LOOPBACK), 0);
    attach_end(&attachment);
    close(program);
}

static void test_another_is_left_alone(void **state)
{
    struct attachment first, second;
    char why[ATTACH_WHY_BYTES];
    int program = load_pass();
    uint32_t there;

    (void)state;
    assert_int_equal(attach_program(program, LOOPBACK, &first, why), 0);
    there = attach_find(LOOPBACK);
    assert_int_equal(attach_program(program, LOOPBACK, &second, why), CULVERT_EBUSY);
    assert_non_null(strstr(why, "(\"pass\", id "));
    assert_int_equal(second.link, -1);
    attach_end(&second);
    assert_int_equal(attach_find(LOOPBACK), there);
    attach_end(&first);
    close(program);
}

static void test_refused(void **state)
{
    struct attachment attachment;
    char why[ATTACH_WHY_BYTES];
    int program = load_pass();

    (void)state;
    assert_int_equal(attach_program(program, 4242, &attachment, why), CULVERT_ESYSTEM);
    assert_non_null(strstr(why, "can't be attached"));
    attach_end(&attachment);
    close(program);
}

/* Of all that libbpf says, the line that tells what is wrong. */
static void test_reason(void **state)
{
    size_t size;
    const void *bytes = refused_bpf__elf_bytes(&size);
    struct bpf_object *object = bpf_object__open_mem(bytes, size, NULL);
    int error;

    (void)state;
    error = bpf_object__load(object);
    bpf_object__close(object);
    assert_int_not_equal(error, 0);
    assert_non_null(strstr(attach_log_last(), "R1 offset is outside of the packet"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_and_off),
        cmocka_unit_test(test_another_is_left_alone),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_reason),
    };

    if (attach_check_privilege() || unshare(CLONE_NEWNET)) {
        puts("skipped: root is needed to load BPF programs");
        return SKIPPED;
    }
    attach_log_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
