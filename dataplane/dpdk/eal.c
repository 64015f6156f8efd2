/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/eal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"

#define HUGE_DIR "/sys/kernel/mm/hugepages"
#define HUGE_BYTES ((size_t)2 << 20)
#define ARGUMENTS_MAX 24
#define MBUF_BYTES 2560u /* of memory that one packet buffer takes, all in all */
#define MEMORY_FIXED 64u /* MiB: rings, device queues */

static char complaint[200];
static FILE *log_stream;
static char *argument[ARGUMENTS_MAX]; /* EAL may keep pointers to them: freed at the end */
static int argument_count;

/* ---- DPDK's log becomes ours ---- */

static ssize_t take_log(void *cookie, const char *text, size_t length)
{
    char line[sizeof(complaint)];
    size_t size = length < sizeof(line) - 1 ? length : sizeof(line) - 1;

    (void)cookie;
    memcpy(line, text, size);
    line[size] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (line[0]) {
        memcpy(complaint, line, sizeof(complaint));
        log_debug("DPDK: %s", line);
    }
    return (ssize_t)length;
}

static int open_log(void)
{
    static const cookie_io_functions_t functions = {.write = take_log};

    log_stream = fopencookie(NULL, "w", functions);
    if (!log_stream)
        return CULVERT_ENOMEM;
    setvbuf(log_stream, NULL, _IOLBF, BUFSIZ);
    return rte_openlog_stream(log_stream) ? CULVERT_ESYSTEM : 0;
}

const char *eal_complaint(void)
{
    return complaint;
}

void eal_complaint_clear(void)
{
    complaint[0] = '\0';
}

/* ---- what the machine has ---- */

/* Bytes in free hugepages of all sizes. */
static size_t huge_free(void)
{
    const struct dirent *entry;
    size_t total = 0;
    DIR *dir = opendir(HUGE_DIR);

    while (dir && (entry = readdir(dir)) != NULL) {
        unsigned long kilobytes, pages;
        char path[512];
        FILE *file;

        if (sscanf(entry->d_name, "hugepages-%lukB", &kilobytes) != 1)
            continue;
        snprintf(path, sizeof(path), HUGE_DIR "/%s/free_hugepages", entry->d_name);
        file = fopen(path, "r");
        if (file && fscanf(file, "%lu", &pages) == 1)
            total += (size_t)pages * kilobytes * 1024;
        if (file)
            fclose(file);
    }
    if (dir)
        closedir(dir);
    return total;
}

static int core_first(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set))
        return 0;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (CPU_ISSET(core, &set))
            return core;
    }
    return 0;
}

/* All cores that the process may use but one, as a list; false: there is no other. */
static bool cores_but(int main_core, char *list, size_t size)
{
    size_t length = 0;
    cpu_set_t set;

    list[0] = '\0';
    if (sched_getaffinity(0, sizeof(set), &set))
        return false;
    for (int core = 0; core < CPU_SETSIZE && length < size - 8; core++) {
        if (CPU_ISSET(core, &set) && core != main_core)
            length +=
                (size_t)snprintf(list + length, size - length, "%s%d", length ? "," : "", core);
    }
    return length > 0;
}

/* True when every core of the list is one that the process may use; else `bad` is the first that
 * isn't, or -1: not a list. EAL itself would answer with its whole usage. */
static bool cores_are_usable(const char *list, long *bad)
{
    const char *at = list;
    cpu_set_t set;
    char *end;

    *bad = -1;
    if (sched_getaffinity(0, sizeof(set), &set))
        return true;
    for (;;) {
        long first = strtol(at, &end, 10), last = first;

        if (end == at || first < 0)
            return false;
        at = end;
        if (*at == '-') {
            last = strtol(++at, &end, 10);
            if (end == at || last < first)
                return false;
            at = end;
        }
        for (long core = first; core <= last; core++) {
            *bad = core;
            if (core >= CPU_SETSIZE || !CPU_ISSET((size_t)core, &set))
                return false;
        }
        *bad = -1;
        if (!*at)
            return true;
        if (*at++ != ',')
            return false;
    }
}

/* ---- start ---- */

static unsigned memory_needed(const struct options *options)
{
    if (options->buffer_memory)
        return options->buffer_memory;
    return MEMORY_FIXED + (unsigned)((size_t)options->mbufs * MBUF_BYTES >> 20);
}

static int check_huge(const struct options *options)
{
    size_t need = (size_t)memory_needed(options) << 20, have = huge_free();

    if (options->no_huge || have >= need)
        return 0;
    log_error("hugepages of %zu MiB are needed, %zu MiB are free: reserve them "
              "(`sysctl vm.nr_hugepages=%zu`), ask for less (--mbufs), or give --no-huge",
              need >> 20, have >> 20, need / HUGE_BYTES + 1);
    return CULVERT_EUNSUPPORTED;
}

static void arguments_add(const char *text)
{
    assert(argument_count < ARGUMENTS_MAX - 1);
    argument[argument_count] = strdup(text);
    if (!argument[argument_count])
        abort();
    argument_count++;
}

static void arguments_free(void)
{
    while (argument_count)
        free(argument[--argument_count]);
    memset(argument, 0, sizeof(argument));
}

int eal_open(const struct options *options)
{
    char cores[256], main_core[24], memory[24], list[280];
    char *given[ARGUMENTS_MAX]; /* EAL changes their order */
    int first = options->main_core >= 0 ? options->main_core : core_first();
    int error = check_huge(options);
    long bad;

    if (!error)
        error = open_log();
    if (error)
        return error;
    if (options->cores) {
        snprintf(cores, sizeof(cores), "%s", options->cores);
    } else if (!cores_but(first, cores, sizeof(cores))) {
        log_error("two cores are needed: one polls, one does everything else");
        return CULVERT_EUNSUPPORTED;
    }
    snprintf(list, sizeof(list), "%d,%s", first, cores);
    if (!cores_are_usable(list, &bad)) {
        if (bad >= 0)
            log_error("core %ld is not one that this process may use (see `taskset -p $$`)", bad);
        else
            log_error("--cores %s: a list such as 1-3,5 is right", cores);
        return CULVERT_EINVAL;
    }
    snprintf(main_core, sizeof(main_core), "%d", first);
    snprintf(memory, sizeof(memory), "%u", memory_needed(options));
    arguments_add("culvert-dpdk");
    arguments_add("-l");
    arguments_add(list);
    arguments_add("--main-lcore");
    arguments_add(main_core);
    arguments_add("-m");
    arguments_add(memory);
    /* No files: neither hugepages nor settings are shared with another process. */
    arguments_add(options->no_huge ? "--no-huge" : "--in-memory");
    arguments_add("--no-shconf");
    arguments_add("--no-telemetry");
    arguments_add("--log-level");
    arguments_add("*:notice");
    arguments_add("-a");           /* a list of devices to take, with none that exists: */
    arguments_add("ffff:ff:1f.7"); /* the site names them, later */
    memcpy(given, argument, sizeof(given));
    error = rte_eal_init(argument_count, given);
    if (error < 0) {
        log_error("DPDK does not start with cores %s: %s (%s)", list, rte_strerror(rte_errno),
                  complaint[0] ? complaint : "it says no more");
        return CULVERT_ESYSTEM;
    }
    if (rte_lcore_count() < 2) {
        log_error("--cores %s: another core than the main one (%d) is needed", cores, first);
        rte_eal_cleanup();
        return CULVERT_EINVAL;
    }
    return (int)rte_lcore_count() - 1;
}

void eal_close(void)
{
    rte_eal_cleanup();
    arguments_free();
    rte_openlog_stream(NULL);
    if (log_stream)
        fclose(log_stream);
    log_stream = NULL;
}

void *eal_tables_memory(size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS, protection = PROT_READ | PROT_WRITE;
    void *base = mmap(NULL, size, protection, flags | MAP_HUGETLB, -1, 0);
    uintptr_t start;

    if (base != MAP_FAILED)
        return base;
    /* The kernel makes huge pages of aligned ones; the unaligned rest is a few pages of nothing. */
    base = mmap(NULL, size + HUGE_BYTES, protection, flags | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        log_error("no memory for the tables: %s", strerror(errno));
        return NULL;
    }
    start = ((uintptr_t)base + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
    madvise((void *)start, size, MADV_HUGEPAGE);
    return (void *)start;
}
