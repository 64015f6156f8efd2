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
#define HUGE_SIZE "hugepages-2048kB"
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

/* A number of pages of one size: `name` is its folder, "hugepages-2048kB". */
static size_t huge_pages(const char *name, const char *which)
{
    char path[512], text[32] = "";
    FILE *file;

    snprintf(path, sizeof(path), HUGE_DIR "/%s/%s", name, which);
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
            total += huge_pages(entry->d_name, "free_hugepages") * 1024 *
                     strtoul(entry->d_name + sizeof(prefix) - 1, NULL, 10);
    }
    if (dir)
        closedir(dir);
    return total;
}

/* The cores that the process may use: as it was before EAL gave its threads one each. */
static const cpu_set_t *usable(void)
{
    static cpu_set_t set;
    static bool known;

    if (!known && sched_getaffinity(0, sizeof(set), &set))
        CPU_SET(0, &set);
    known = true;
    return &set;
}

static bool polls(const struct settings *settings, unsigned core)
{
    for (uint32_t i = 0; i < settings->cores; i++) {
        if (settings->core[i] == core)
            return true;
    }
    return false;
}

/* The first core that doesn't poll; if there is none and that is allowed, the first. -1: none. */
static int main_first(const struct settings *settings)
{
    int first = -1;

    for (int core = CPU_SETSIZE - 1; core >= 0; core--) {
        if (CPU_ISSET(core, usable()) && !polls(settings, (unsigned)core))
            first = core;
    }
    for (int core = 0; core < CPU_SETSIZE && first < 0; core++) {
        if (settings->value[SETTINGS_SHARE_MAIN_CORE] && CPU_ISSET(core, usable()))
            first = core;
    }
    return first;
}

/* Adds a core to the map. False: the process may not use that core. */
static bool map_add(struct eal_plan *plan, unsigned lcore, unsigned core, char why[EAL_WHY])
{
    size_t length = strlen(plan->map);

    if (core >= CPU_SETSIZE || !CPU_ISSET(core, usable())) {
        snprintf(why, EAL_WHY, "core %u is not one that this process may use (see `taskset -p $$`)",
                 core);
        return false;
    }
    snprintf(plan->map + length, sizeof(plan->map) - length, "%s%u@%u", length ? "," : "", lcore,
             core);
    return true;
}

/* Those that the process may use but the main one. */
static void cores_but(struct settings *settings, unsigned main_core, unsigned most)
{
    if (!most || most > SETTINGS_CORES_MAX)
        most = SETTINGS_CORES_MAX;
    for (unsigned core = 0; core < CPU_SETSIZE && settings->cores < most; core++) {
        if (CPU_ISSET(core, usable()) && core != main_core)
            settings->core[settings->cores++] = (uint16_t)core;
    }
}

/* The plan; of cores that nobody lists it takes just `most`, 0: all. */
static int plan_cores(const struct settings *given, unsigned most, struct eal_plan *plan,
                      char why[EAL_WHY])
{
    struct settings settings = *given;
    uint32_t wanted = settings.value[SETTINGS_MAIN_CORE];
    int main_core = wanted == SETTINGS_NONE ? main_first(&settings) : (int)wanted;

    plan->map[0] = '\0';
    if (main_core < 0) {
        snprintf(why, EAL_WHY,
                 "no core is left for everything else: take one out of the cores that "
                 "poll, or say share-main-core: true");
        return CULVERT_EINVAL;
    }
    if (polls(&settings, (unsigned)main_core) && !settings.value[SETTINGS_SHARE_MAIN_CORE]) {
        snprintf(why, EAL_WHY,
                 "core %d is to poll and to be the main one: take another for one of "
                 "them, or say share-main-core: true",
                 main_core);
        return CULVERT_EINVAL;
    }
    if (!settings.cores)
        cores_but(&settings, (unsigned)main_core, most);
    if (!settings.cores) {
        snprintf(why, EAL_WHY,
                 "two cores are needed, one to poll and one for everything else; or "
                 "share the one there is, with --cores %d",
                 main_core);
        return CULVERT_EUNSUPPORTED;
    }
    if (settings.cores < most && !given->cores) {
        snprintf(why, EAL_WHY, "%u polling cores are wanted and %u may be used beside core %d",
                 most, settings.cores, main_core);
        return CULVERT_EUNSUPPORTED;
    }
    if (!map_add(plan, 0, (unsigned)main_core, why))
        return CULVERT_EINVAL;
    for (uint32_t i = 0; i < settings.cores; i++) {
        plan->core[i] = settings.core[i];
        if (!map_add(plan, i + 1, settings.core[i], why))
            return CULVERT_EINVAL;
    }
    plan->workers = settings.cores;
    return 0;
}

int eal_plan(const struct settings *given, struct eal_plan *plan, char why[EAL_WHY])
{
    return plan_cores(given, 0, plan, why);
}

/* ---- start ---- */

static unsigned memory_needed(const struct settings *settings)
{
    size_t mbuf = settings->value[SETTINGS_HUGEPAGES] ? MBUF_BYTES : MBUF_BYTES_SMALL;

    if (settings->value[SETTINGS_BUFFER_MEMORY] != SETTINGS_NONE)
        return settings->value[SETTINGS_BUFFER_MEMORY];
    return MEMORY_FIXED + (unsigned)(settings->value[SETTINGS_PACKET_BUFFERS] * mbuf >> 20);
}

void eal_reserve(const struct settings *settings)
{
    size_t need = (size_t)memory_needed(settings) << 20, have = huge_free(), pages;
    FILE *file;

    if (!settings->value[SETTINGS_HUGEPAGES] || have >= need)
        return;
    pages = huge_pages(HUGE_SIZE, "nr_hugepages") + (need - have + HUGE_BYTES - 1) / HUGE_BYTES;
    file = fopen(HUGE_DIR "/" HUGE_SIZE "/nr_hugepages", "we");
    if (!file || fprintf(file, "%zu", pages) < 0)
        log_error(HUGE_DIR "/" HUGE_SIZE "/nr_hugepages: %s", strerror(errno));
    if (file && fclose(file))
        log_error(HUGE_DIR "/" HUGE_SIZE "/nr_hugepages: %s", strerror(errno));
    have = huge_free();
    if (have >= need)
        log_info("made hugepages: %zu MiB are free", have >> 20);
}

static int check_huge(const struct settings *settings)
{
    size_t need = (size_t)memory_needed(settings) << 20, have = huge_free();

    if (!settings->value[SETTINGS_HUGEPAGES] || have >= need)
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

int eal_start(const char *program, const struct settings *settings, const struct eal_plan *plan)
{
    char *given[ARGUMENTS_MAX]; /* EAL changes their order */
    char memory[24];
    int error = check_huge(settings);

    if (!error)
        error = open_log();
    if (error)
        return error;
    snprintf(memory, sizeof(memory), "%u", memory_needed(settings));
    arguments_add(program);
    arguments_add("--lcores");
    arguments_add(plan->map);
    arguments_add("--main-lcore");
    arguments_add("0");
    arguments_add("-m");
    arguments_add(memory);
    /* No files: neither hugepages nor settings are shared with another process. */
    arguments_add(settings->value[SETTINGS_HUGEPAGES] ? "--in-memory" : "--no-huge");
    arguments_add("--no-shconf");
    arguments_add("--no-telemetry");
    arguments_add("--log-level");
    arguments_add("*:notice");
    arguments_add("-a");           /* a list of devices to take, with none that exists: */
    arguments_add("ffff:ff:1f.7"); /* they are named later */
    memcpy(given, argument, sizeof(given));
    error = rte_eal_init(argument_count, given);
    if (error < 0) {
        log_error("DPDK does not start on cores %s: %s (%s)", plan->map, rte_strerror(rte_errno),
                  complaint[0] ? complaint : "it says no more");
        return CULVERT_ESYSTEM;
    }
    return 0;
}

int eal_open(const struct eal_options *options)
{
    struct settings settings;
    struct eal_plan plan;
    char why[EAL_WHY];
    int error;

    settings_default(&settings);
    if (!settings_take_options(&settings, options)) {
        log_error("--cores %s: a list such as 1-3,5 is right", options->cores);
        return CULVERT_EINVAL;
    }
    error = plan_cores(&settings, options->most, &plan, why);
    if (error)
        log_error("%s", why);
    else
        error = eal_start(options->program, &settings, &plan);
    return error ? error : (int)plan.workers;
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

void *eal_tables_memory(size_t size, bool hugepages)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS, protection = PROT_READ | PROT_WRITE;
    void *base = MAP_FAILED;
    uintptr_t start;

    if (hugepages)
        base = mmap(NULL, size, protection, flags | MAP_HUGETLB, -1, 0);
    if (base != MAP_FAILED)
        return base;
    if (hugepages)
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
