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
#include <rte_mbuf.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"

#define HUGE_DIR "/sys/kernel/mm/hugepages"
#define HUGE_BYTES ((size_t)2 << 20)
#define ARGUMENTS_MAX 24
#define MBUF_CACHE 256
#define MBUF_BYTES 2560u       /* of hugepages that one packet buffer takes, all in all */
#define MBUF_BYTES_SMALL 4096u /* without them: no buffer lies across two pages */
#define MEMORY_FIXED 64u       /* MiB: rings, device queues */

static char complaint[200], first_complaint[200];
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
        /* What comes first is the cause, but for drivers that miss a second process of ours. */
        if (!first_complaint[0] && !strstr(line, "mp action"))
            memcpy(first_complaint, line, sizeof(first_complaint));
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
    return first_complaint;
}

void eal_complaint_clear(void)
{
    first_complaint[0] = '\0';
}

/* ---- what the machine has ---- */

/* Free pages of one size; `name` is its folder, "hugepages-2048kB". */
static size_t huge_pages_free(const char *name)
{
    char path[512], text[32] = "";
    FILE *file;

    snprintf(path, sizeof(path), HUGE_DIR "/%s/free_hugepages", name);
    file = fopen(path, "r");
    if (!file)
        return 0;
    if (!fgets(text, sizeof(text), file))
        text[0] = '\0';
    fclose(file);
    return strtoul(text, NULL, 10);
}

/* Bytes in free hugepages of all sizes. */
static size_t huge_free(void)
{
    const struct dirent *entry;
    size_t total = 0;
    DIR *dir = opendir(HUGE_DIR);

    while (dir && (entry = readdir(dir)) != NULL) {
        static const char prefix[] = "hugepages-";

        if (strncmp(entry->d_name, prefix, sizeof(prefix) - 1) == 0)
            total += huge_pages_free(entry->d_name) * 1024 *
                     strtoul(entry->d_name + sizeof(prefix) - 1, NULL, 10);
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

/* The cores that the process may use but one, at most `most` of them (0: no bound), as a list.
 * Returns how many. */
static unsigned cores_but(int main_core, unsigned most, char *list, size_t size)
{
    size_t length = 0;
    unsigned count = 0;
    cpu_set_t set;

    list[0] = '\0';
    if (sched_getaffinity(0, sizeof(set), &set))
        return false;
    for (int core = 0; core < CPU_SETSIZE && length < size - 8; core++) {
        if (!CPU_ISSET((size_t)core, &set) || core == main_core || (most && count == most))
            continue;
        length += (size_t)snprintf(list + length, size - length, "%s%d", length ? "," : "", core);
        count++;
    }
    return count;
}

/* Adds a core to a map of lcores as EAL's --lcores takes it: lcore 0 is the main one, those after
 * it poll. False: the process may not use that core (logged). */
static bool map_add(char *map, size_t size, unsigned lcore, long core)
{
    size_t length = strlen(map);
    cpu_set_t set;

    if (core >= CPU_SETSIZE ||
        (sched_getaffinity(0, sizeof(set), &set) == 0 && !CPU_ISSET((size_t)core, &set))) {
        log_error("core %ld is not one that this process may use (see `taskset -p $$`)", core);
        return false;
    }
    snprintf(map + length, size - length, "%s%u@%ld", length ? "," : "", lcore, core);
    return length + 16 < size;
}

/* Adds the cores of a list such as 1-3,5. Returns how many, or an error (logged). */
static int map_add_list(char *map, size_t size, const char *list)
{
    const char *at = list;
    int count = 0;
    char *end;

    for (;;) {
        long first = strtol(at, &end, 10), last = first;
        bool good = end != at && first >= 0;

        at = end;
        if (good && *at == '-') {
            last = strtol(++at, &end, 10);
            good = end != at && last >= first;
            at = end;
        }
        if (!good || (*at && *at != ',')) {
            log_error("--cores %s: a list such as 1-3,5 is right", list);
            return CULVERT_EINVAL;
        }
        for (long core = first; core <= last; core++) {
            if (!map_add(map, size, (unsigned)++count, core))
                return CULVERT_EINVAL;
        }
        if (!*at++)
            return count;
    }
}

/* ---- start ---- */

static unsigned memory_needed(const struct eal_options *options)
{
    if (options->buffer_memory)
        return options->buffer_memory;
    return MEMORY_FIXED +
           (unsigned)((size_t)options->mbufs * (options->no_huge ? MBUF_BYTES_SMALL : MBUF_BYTES) >>
                      20);
}

static int check_huge(const struct eal_options *options)
{
    size_t need = (size_t)memory_needed(options) << 20, have = huge_free();

    if (options->no_huge || have >= need)
        return 0;
    log_error("hugepages of %zu MiB are needed, %zu MiB are free: reserve them "
              "(`sysctl vm.nr_hugepages=%zu`), ask for less (--mbufs), or give --no-huge",
              need >> 20, have >> 20, need / HUGE_BYTES + 1);
    return CULVERT_EUNSUPPORTED;
}

/* Returns the number of polling cores, or an error (logged). */
static int map_cores(const struct eal_options *options, char *map, size_t size)
{
    int first = options->main_core >= 0 ? options->main_core : core_first();
    char others[256];
    unsigned count;

    map[0] = '\0';
    if (!map_add(map, size, 0, first))
        return CULVERT_EINVAL;
    if (options->cores)
        return map_add_list(map, size, options->cores);
    count = cores_but(first, options->most, others, sizeof(others));
    if (count && count >= options->most)
        return map_add_list(map, size, others);
    if (count) {
        log_error("%u polling cores are wanted and %u may be used beside core %d", options->most,
                  count, first);
        return CULVERT_EUNSUPPORTED;
    }
    log_error("two cores are needed, one to poll and one for everything else; or share the one "
              "there is, with --cores %d",
              first);
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

int eal_open(const struct eal_options *options)
{
    char *given[ARGUMENTS_MAX]; /* EAL changes their order */
    char map[1024], memory[24];
    int workers, error = check_huge(options);

    if (!error)
        error = open_log();
    if (error)
        return error;
    workers = map_cores(options, map, sizeof(map));
    if (workers < 0)
        return workers;
    snprintf(memory, sizeof(memory), "%u", memory_needed(options));
    arguments_add(options->program);
    arguments_add("--lcores");
    arguments_add(map);
    arguments_add("--main-lcore");
    arguments_add("0");
    arguments_add("-m");
    arguments_add(memory);
    /* No files: neither hugepages nor settings are shared with another process. */
    arguments_add(options->no_huge ? "--no-huge" : "--in-memory");
    arguments_add("--no-shconf");
    arguments_add("--no-telemetry");
    arguments_add("--log-level");
    arguments_add("*:notice");
    arguments_add("-a");           /* a list of devices to take, with none that exists: */
    arguments_add("ffff:ff:1f.7"); /* they are named later */
    memcpy(given, argument, sizeof(given));
    error = rte_eal_init(argument_count, given);
    if (error < 0) {
        log_error("DPDK does not start on cores %s: %s (%s)", map, rte_strerror(rte_errno),
                  complaint[0] ? complaint : "it says no more");
        return CULVERT_ESYSTEM;
    }
    return workers;
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

struct rte_mempool *eal_buffers(unsigned mbufs)
{
    struct rte_mempool *pool = rte_pktmbuf_pool_create(
        "frames", mbufs, MBUF_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, (int)rte_socket_id());

    if (!pool)
        log_error("no memory for %u packet buffers (%s): lower --mbufs, or raise --buffer-memory",
                  mbufs, rte_strerror(rte_errno));
    return pool;
}

void *eal_tables_memory(size_t size, bool no_huge)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS, protection = PROT_READ | PROT_WRITE;
    void *base = MAP_FAILED;
    uintptr_t start;

    if (!no_huge)
        base = mmap(NULL, size, protection, flags | MAP_HUGETLB, -1, 0);
    if (base != MAP_FAILED)
        return base;
    if (!no_huge)
        log_info("no hugepages are left for the tables (%zu MiB): the kernel may make some of "
                 "ordinary memory",
                 size >> 20);
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
