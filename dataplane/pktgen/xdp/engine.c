/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/engine.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "dataplane/pktgen/config.h"
#include "dataplane/pktgen/xdp/gateways.h"
#include "dataplane/pktgen/xdp/pktgen.skel.h"
#include "dataplane/pktgen/xdp/sender.h"
#include "dataplane/pktgen/xdp/xdp.h"
#include "dataplane/tool/attach.h"
#include "dataplane/tool/options.h"

const char engine_program[] = "culvert-pktgen";

struct engine {
    const struct options *options;
    struct gateways gateways;
    struct pktgen_bpf *bpf;
    struct attachment attachment;
    int hearing[2]; /* links of the tracepoints; -1: none */
    struct senders senders;
    int cpus; /* of per-CPU maps */
};

/* ---- loading ---- */

static void set_config(struct pktgen_config *config, const struct options *options,
                       uint32_t ifindex, const struct templates *templates,
                       const struct queries *queries)
{
    struct stat space = {0};

    config_set(config, options, templates, queries);
    config->ifindex = ifindex;
    if (!stat("/proc/self/ns/net", &space))
        config->namespace_id = (uint32_t)space.st_ino;
}

static int fill_queries(struct pktgen_bpf *bpf, const struct queries *queries)
{
    size_t bytes = queries->count * queries_stride(queries);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                        bpf_map__fd(bpf->maps.pktgen_queries), 0);

    if (memory == MAP_FAILED)
        return CULVERT_ESYSTEM;
    queries_store(queries, memory);
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
    if (queries && fill_queries(bpf, queries))
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
        bpf_map__set_max_entries(bpf->maps.pktgen_queries, queries->count);
        bpf_map__set_value_size(bpf->maps.pktgen_queries, (uint32_t)queries_stride(queries));
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

int engine_open(struct engine **out, const struct options *options)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    int error;

    if (!engine)
        return CULVERT_ENOMEM;
    engine->options = options;
    engine->attachment.link = engine->hearing[0] = engine->hearing[1] = -1;
    engine->cpus = libbpf_num_possible_cpus();
    error = gateways_open(&engine->gateways, options);
    if (error) {
        free(engine);
        return error;
    }
    *out = engine;
    return 0;
}

int engine_gateway(void *arg, const struct address *target, struct gateway *gateway)
{
    struct engine *engine = arg;

    return gateways_find(&engine->gateways, target, gateway);
}

int engine_load(struct engine *engine, const struct templates *templates,
                const struct queries *queries)
{
    const struct options *options = engine->options;
    uint32_t ifindex = engine->gateways.ifindex;
    char why[ATTACH_WHY_BYTES];
    int error;

    /* Without tracepoints or type information all else works. */
    engine->bpf = load(options, ifindex, templates, queries, true);
    if (!engine->bpf)
        engine->bpf = load(options, ifindex, templates, queries, false);
    if (!engine->bpf || (templates && fill_maps(engine->bpf, options, templates, queries))) {
        tool_say("the programs can't be loaded: %s", attach_log_last());
        return CULVERT_ESYSTEM;
    }
    error = attach_program(bpf_program__fd(engine->bpf->progs.pktgen), ifindex, &engine->attachment,
                           why);
    if (error) {
        tool_say("%s: %s", options->interface, why);
        return error;
    }
    hear_refused(engine);
    return templates ? senders_open(&engine->senders, options, engine->bpf) : 0;
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    engine_stop(engine);
    senders_close(&engine->senders);
    attach_end(&engine->attachment);
    for (int i = 0; i < 2; i++) {
        if (engine->hearing[i] >= 0)
            close(engine->hearing[i]);
    }
    pktgen_bpf__destroy(engine->bpf);
    gateways_close(&engine->gateways);
    free(engine);
}

int xdp_program(const struct engine *engine)
{
    return bpf_program__fd(engine->bpf->progs.pktgen);
}

uint32_t xdp_ifindex(const struct engine *engine)
{
    return engine->gateways.ifindex;
}

uint32_t xdp_frame_bytes(const struct engine *engine)
{
    return engine->bpf->rodata->config.frame_bytes;
}

const char *engine_mode(const struct engine *engine)
{
    return engine->attachment.generic ? "generic" : "native";
}

bool engine_hears_refused(const struct engine *engine)
{
    return engine->hearing[0] >= 0 && engine->hearing[1] >= 0;
}

bool engine_missed(const struct engine *engine, uint64_t *frames)
{
    return false; /* each driver counts that elsewhere */
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
        sums_add_counters(sums, &each[cpu]);
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
    for (size_t cpu = 0; !error && cpu < cpus; cpu++)
        sums_add_sender(sums, &each[cpu]);
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
    sums_finish(sums);
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
