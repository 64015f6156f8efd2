/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells when a data plane's tables take a new generation, as its packets see it:
 *
 *     generations PIN-DIRECTORY
 *
 * Maps the pinned arena and prints a line "NANOSECONDS GENERATION" at each change, by the monotonic
 * clock, looking 5,000 times a second.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "dataplane/fastpath/env.h"

#define PAGE 4096u /* of the arena */
#define LOOK_NS 200000

static const struct fp_root *map_root(const char *directory)
{
    struct bpf_map_info info = {0};
    uint32_t length = sizeof(info);
    char path[PATH_MAX];
    void *base;
    int fd;

    snprintf(path, sizeof(path), "%s/arena", directory);
    fd = bpf_obj_get(path);
    if (fd < 0 || bpf_map_get_info_by_fd(fd, &info, &length))
        return NULL;
    base = mmap((void *)(uintptr_t)FP_ARENA_BASE, (size_t)info.max_entries * PAGE,
                PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    return base == MAP_FAILED ? NULL : base;
}

int main(int argc, char **argv)
{
    const struct fp_root *root = argc == 2 ? map_root(argv[1]) : NULL;
    struct itimerspec often = {{.tv_nsec = LOOK_NS}, {.tv_nsec = LOOK_NS}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    uint64_t before = UINT64_MAX, ticks;

    if (!root || timer < 0 || timerfd_settime(timer, 0, &often, NULL)) {
        fprintf(stderr, "generations: %s\n", argc == 2 ? strerror(errno) : "PIN-DIRECTORY");
        return 1;
    }
    while (read(timer, &ticks, sizeof(ticks)) == sizeof(ticks)) {
        uint64_t now = __atomic_load_n(&root->site_generation, __ATOMIC_ACQUIRE);
        struct timespec at;

        if (now != before) {
            clock_gettime(CLOCK_MONOTONIC, &at);
            printf("%" PRIu64 " %" PRIu64 "\n",
                   (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec, now);
            fflush(stdout);
            before = now;
        }
    }
    return 1;
}
