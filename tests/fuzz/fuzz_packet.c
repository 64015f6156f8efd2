/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet path over a region with a service of each kind. Input: frames, each after two bytes of
 * its length (little-endian), so that one input can be a SYN and what follows, or a packet's
 * fragments. Whatever comes: no memory error, a known reason, and right IPv4 checksums on what
 * leaves.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/dataplane/fastpath/site.h"

#define FRAMES_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct fp_result *result, const struct fp_host_frame *frame)
{
    const uint8_t *bytes = frame->room + frame->start;
    size_t l3 = 14;

    if (result->verdict != fp_verdict_of(result->reason))
        abort();
    if (result->verdict == FP_VERDICT_DROP || result->verdict == FP_VERDICT_PASS)
        return;
    while (l3 < 22 && bytes[l3 - 2] == 0x81 && bytes[l3 - 1] == 0)
        l3 += 4;
    if (bytes[l3 - 2] == 8 && bytes[l3 - 1] == 0 &&
        (frame->length < l3 + 20 ||
         fp_sum_fold(fp_build_sum(bytes + l3, (bytes[l3] & 15u) * 4)) != 0xffff))
        abort();
}

static void run(struct tables *tables, const uint8_t *bytes, size_t length, uint64_t now)
{
    size_t size = FP_HOST_ROOM + length + FP_HOST_ROOM;
    struct fp_env env = site_env(tables);
    uint8_t *room = malloc(size);
    struct fp_host_frame frame;
    struct fp_result result;

    if (!room || fp_host_load(&frame, room, size, bytes, length))
        abort();
    env.now = now;
    result = fp_host_run(&env, &frame, SITE_IFINDEX);
    check(&result, &frame);
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tables *tables;
    uint64_t now = SITE_NOW;

    if (!tables)
        tables = site_open();
    for (int i = 0; i < FRAMES_MAX && size >= 2; i++) {
        size_t length = data[0] | (size_t)data[1] << 8;

        data += 2;
        size -= 2;
        if (length > size)
            length = size;
        run(tables, data, length, now);
        now += 1000000ull << FP_TIME_SHIFT;
        data += length;
        size -= length;
    }
    return 0;
}
