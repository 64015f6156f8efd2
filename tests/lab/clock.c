/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a process of the lab: its time of day is as many seconds off as the file that
 * LAB_CLOCK names says, a number of 64 bits that may change at any time. Monotonic clocks are not
 * touched.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;

__attribute__((constructor)) static void map_offset(void)
{
    const char *path = getenv("LAB_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED)
        abort();
    close(fd);
    offset = map;
}

/* They stand for the C library's by their names in the object alone. */
int lab_clock_gettime(clockid_t clock, struct timespec *now) __asm__("clock_gettime");
int lab_gettimeofday(struct timeval *restrict now, void *restrict zone) __asm__("gettimeofday");
time_t lab_time(time_t *now) __asm__("time");

int lab_clock_gettime(clockid_t clock, struct timespec *now)
{
    int status = (int)syscall(SYS_clock_gettime, clock, now);

    if (!status && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) && offset)
        now->tv_sec += *offset;
    return status;
}

int lab_gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;

    (void)zone;
    lab_clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
    return 0;
}

time_t lab_time(time_t *now)
{
    struct timespec exact;

    lab_clock_gettime(CLOCK_REALTIME, &exact);
    if (now)
        *now = exact.tv_sec;
    return exact.tv_sec;
}
