/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/engine.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "dataplane/pktgen/pktgen.skel.h"
#include "dataplane/pktgen/sender.h"
#include "dataplane/tool/attach.h"
#include "dataplane/tool/options.h"

#define FULL_SPEED 6400000u /* packets a second, about */
#define SAMPLES_PER_S 100000u

struct engine {
    struct pktgen_bpf *bpf;
    struct attachment attachment;
    int hearing[2]; /* links of the tracepoints; -1: none */
    struct senders senders;
    int cpus; /* of per-CPU maps */
};

/* ---- loading ---- */

static uint32_t common_factor(uint32_t a, uint32_t b)
{
    return b ? common_factor(b, a % b) : a;
}

/* A step near the golden section, so that flows that follow each other are far apart. */
static uint32_t flow_stride(uint32_t flows)
{
    uint32_t stride = (uint32_t)((double)flows * 0.6180339887);

    if (stride < 1)
        return 1 % flows;
    while (common_factor(stride, flows) != 1)
        stride++;
    return stride % flows;
}

/* Few enough samples that time stamps cost nothing. */
static uint32_t sample_mask(const struct options *options)
{
    uint64_t rate = options->rate > 0 ? (uint64_t)options->rate : FULL_SPEED;
    uint32_t mask = 0;

    while (rate / (mask + 1) > SAMPLES_PER_S)
        mask = mask << 1 | 1;
    return mask;
}

static void set_config(struct pktgen_config *config, const struct options *options,
                       uint32_t ifindex, const struct templates *templates,
                       const struct queries *queries)
{
    struct stat space = {0};

    config->ifindex = ifindex;
    config->port_low = options->port_low;
    config->port_high = options->port_high;
    config->count_only = options->count_only;
    config->drop = options->drop;
    if (!stat("/proc/self/ns/net", &space))
        config->namespace_id = (uint32_t)space.st_ino;
    if (!templates)
        return;
    config->schedule_length = templates->schedule_length;
    config->flows = templates->flows;
    config->stride = flow_stride(templates->flows);
    config->sample_mask = sample_mask(options);
    memcpy(config->source, templates->source, sizeof(config->source));
    memcpy(&config->first.a, options->target[0].address.bytes, 16);
    config->first.port = options->target[0].port;
    config->first.kinds = options->target[0].kinds;
    if (queries) {
        config->queries = queries->count;
        config->query_words = (queries->longest + 7u) / 8;
    }
    /* No longer than needed: the kernel fills it anew for each page that doesn't come back soon. */
    config->frame_bytes = templates->l4_farthest + PKTGEN_L4_ROOM(config->query_words);
    if (config->frame_bytes < templates->longest)
        config->frame_bytes = templates->longest;
    if (config->frame_bytes < PKTGEN_HEAD_BYTES)
        config->frame_bytes = PKTGEN_HEAD_BYTES;
}

static int fill_queries(struct pktgen_bpf *bpf, const struct queries *queries, uint32_t words)
{
    size_t stride = offsetof(struct pktgen_query, wire) + words * sizeof(uint64_t);
    size_t bytes = queries->count * stride;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                        bpf_map__fd(bpf->maps.pktgen_queries), 0);

    if (memory == MAP_FAILED)
        return CULVERT_ESYSTEM;
    queries_store(queries, memory, words);
    munmap(memory, bytes);
    return 0;
}

static int fill_targets(struct pktgen_bpf *bpf, const struct options *options)
{
    int map = bpf_map__fd(bpf->maps.pktgen_targets);

    for (size_t i = 0; i < options->target_count; i++) {
        const struct options_target *target = &options->target[i];
        struct pktgen_target_key key = {.port = target->port};
        uint32_t kinds = 0;

        memcpy(&key.a, target->address.bytes, 16);
        bpf_map_lookup_elem(map, &key, &kinds);
        kinds |= target->kinds;
        if (bpf_map_update_elem(map, &key, &kinds, BPF_ANY))
            return CULVERT_ESYSTEM;
    }
    return 0;
}

static int fill_maps(struct pktgen_bpf *bpf, const struct options *options,
                     const struct templates *templates, const struct queries *queries)
{
    int map = bpf_map__fd(bpf->maps.pktgen_templates);

    for (uint32_t i = 0; i < templates->count; i++) {
        if (bpf_map_update_elem(map, &i, &templates->all[i], BPF_ANY))
            return CULVERT_ESYSTEM;
    }
    map = bpf_map__fd(bpf->maps.pktgen_schedule);
    for (uint32_t i = 0; i < templates->schedule_length; i++) {
        if (bpf_map_update_elem(map, &i, &templates->schedule[i], BPF_ANY))
            return CULVERT_ESYSTEM;
    }
    if (queries && fill_queries(bpf, queries, (queries->longest + 7u) / 8))
        return CULVERT_ESYSTEM;
    return fill_targets(bpf, options);
}

static struct pktgen_bpf *load(const struct options *options, uint32_t ifindex,
                               const struct templates *templates, const struct queries *queries,
                               bool hear)
{
    struct pktgen_bpf *bpf = pktgen_bpf__open();

    if (!bpf)
        return NULL;
    set_config((struct pktgen_config *)&bpf->rodata->config, options, ifindex, templates, queries);
    if (templates) {
        bpf_map__set_max_entries(bpf->maps.pktgen_templates, templates->count);
        bpf_map__set_max_entries(bpf->maps.pktgen_schedule, templates->schedule_length);
    }
    if (queries) {
        uint32_t words = (queries->longest + 7u) / 8;

        bpf_map__set_max_entries(bpf->maps.pktgen_queries, queries->count);
        bpf_map__set_value_size(bpf->maps.pktgen_queries,
                                (uint32_t)offsetof(struct pktgen_query, wire) + words * 8);
    }
    bpf_program__set_autoload(bpf->progs.refused, hear);
    bpf_program__set_autoload(bpf->progs.unroutable, hear);
    if (!pktgen_bpf__load(bpf))
        return bpf;
    pktgen_bpf__destroy(bpf);
    return NULL;
}

static void hear_refused(struct engine *engine)
{
    struct bpf_program *programs[2] = {engine->bpf->progs.refused, engine->bpf->progs.unroutable};
    const char *const names[2] = {"xdp_devmap_xmit", "xdp_redirect_err"};

    for (int i = 0; i < 2; i++) {
        int program = bpf_program__fd(programs[i]);

        engine->hearing[i] = program >= 0 ? bpf_raw_tracepoint_open(names[i], program) : -1;
    }
}

int engine_open(struct engine **out, const struct options *options, uint32_t ifindex,
                const struct templates *templates, const struct queries *queries)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    char why[ATTACH_WHY_BYTES];
    int error;

    if (!engine)
        return CULVERT_ENOMEM;
    engine->attachment.link = engine->hearing[0] = engine->hearing[1] = -1;
    engine->cpus = libbpf_num_possible_cpus();
    /* Without tracepoints or type information all else works. */
    engine->bpf = load(options, ifindex, templates, queries, true);
    if (!engine->bpf)
        engine->bpf = load(options, ifindex, templates, queries, false);
    if (!engine->bpf || (templates && fill_maps(engine->bpf, options, templates, queries))) {
        tool_say("the programs can't be loaded: %s", attach_log_last());
        engine_close(engine);
        return CULVERT_ESYSTEM;
    }
    error = attach_program(bpf_program__fd(engine->bpf->progs.pktgen), ifindex, &engine->attachment,
                           why);
    if (error) {
        tool_say("%s: %s", options->interface, why);
        engine_close(engine);
        return error;
    }
    hear_refused(engine);
    if (templates)
        error = senders_open(&engine->senders, options, engine->bpf, templates, queries);
    if (error) {
        engine_close(engine);
        return error;
    }
    *out = engine;
    return 0;
}

void engine_close(struct engine *engine)
{
    engine_stop(engine);
    senders_close(&engine->senders);
    attach_end(&engine->attachment);
    for (int i = 0; i < 2; i++) {
        if (engine->hearing[i] >= 0)
            close(engine->hearing[i]);
    }
    pktgen_bpf__destroy(engine->bpf);
    free(engine);
}

int engine_program(const struct engine *engine)
{
    return bpf_program__fd(engine->bpf->progs.pktgen);
}

uint32_t engine_frame_bytes(const struct engine *engine)
{
    return engine->bpf->rodata->config.frame_bytes;
}

bool engine_is_generic(const struct engine *engine)
{
    return engine->attachment.generic;
}

bool engine_hears_refused(const struct engine *engine)
{
    return engine->hearing[0] >= 0 && engine->hearing[1] >= 0;
}

/* ---- running ---- */

int engine_start(struct engine *engine)
{
    return senders_start(&engine->senders);
}

void engine_stop(struct engine *engine)
{
    senders_stop(&engine->senders);
}

bool engine_is_running(struct engine *engine)
{
    return senders_are_running(&engine->senders);
}

int engine_failure(struct engine *engine)
{
    return engine->senders.failure;
}

uint64_t engine_start_time(const struct engine *engine)
{
    return engine->senders.start;
}

uint64_t engine_stop_time(struct engine *engine)
{
    return engine->senders.end;
}

/* ---- reading ---- */

static void add_counters(struct pktgen_counters *sum, const struct pktgen_counters *one)
{
    uint64_t low = sum->rtt_min, high = sum->rtt_max;
    const fp_u64 *from = (const fp_u64 *)one;
    fp_u64 *to = (fp_u64 *)sum;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
        to[i] += from[i];
    sum->rtt_min = !low || (one->rtt_min && one->rtt_min < low) ? one->rtt_min : low;
    sum->rtt_max = one->rtt_max > high ? one->rtt_max : high;
}

static int read_counters(struct engine *engine, struct engine_sums *sums)
{
    size_t cpus = (size_t)engine->cpus;
    struct pktgen_counters *each = calloc(cpus, sizeof(*each));
    uint32_t zero = 0;
    int error = CULVERT_ENOMEM;

    if (!each)
        return error;
    error = bpf_map_lookup_elem(bpf_map__fd(engine->bpf->maps.pktgen_counts), &zero, each);
    for (size_t cpu = 0; !error && cpu < cpus; cpu++)
        add_counters(&sums->counters, &each[cpu]);
    free(each);
    return error ? CULVERT_ESYSTEM : 0;
}

static int read_senders(struct engine *engine, struct engine_sums *sums)
{
    size_t cpus = (size_t)engine->cpus;
    struct pktgen_sender *each = calloc(cpus, sizeof(*each));
    uint32_t zero = 0;
    int error = CULVERT_ENOMEM;

    if (!each)
        return error;
    error = bpf_map_lookup_elem(bpf_map__fd(engine->bpf->maps.pktgen_senders), &zero, each);
    for (size_t cpu = 0; !error && cpu < cpus; cpu++) {
        for (unsigned kind = 0; kind < PKTGEN_KIND_COUNT; kind++)
            sums->made[kind] += each[cpu].sent[kind];
    }
    free(each);
    return error ? CULVERT_ESYSTEM : 0;
}

int engine_read(struct engine *engine, struct engine_sums *sums)
{
    int error;

    memset(sums, 0, sizeof(*sums));
    /* Replies first: so that there are never more of them than packets sent. */
    error = read_counters(engine, sums);
    if (!error)
        error = read_senders(engine, sums);
    sums->time = sender_clock();
    for (unsigned kind = 0; kind < PKTGEN_KIND_COUNT; kind++)
        sums->sent += sums->made[kind];
    sums->sent -= sums->counters.refused < sums->sent ? sums->counters.refused : sums->sent;
    return error;
}

size_t engine_backends(struct engine *engine, struct engine_backend *backends, size_t max)
{
    int map = bpf_map__fd(engine->bpf->maps.pktgen_backends);
    size_t cpus = (size_t)engine->cpus;
    struct pktgen_backend *each = calloc(cpus, sizeof(*each));
    struct pktgen_backend_key key, *at = NULL;
    size_t count = 0;

    while (each && count < max && !bpf_map_get_next_key(map, at, &key)) {
        struct engine_backend *backend = &backends[count];

        at = &key;
        memset(backend, 0, sizeof(*backend));
        backend->key = key;
        if (bpf_map_lookup_elem(map, &key, each))
            continue;
        for (size_t cpu = 0; cpu < cpus; cpu++) {
            backend->sums.packets += each[cpu].packets;
            backend->sums.bytes += each[cpu].bytes;
        }
        count++;
    }
    free(each);
    return count;
}
