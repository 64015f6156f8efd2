/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* store.h for eBPF: the maps, and what user space sets before they are loaded. */
#ifndef CULVERT_PKTGEN_XDP_MAPS_H
#define CULVERT_PKTGEN_XDP_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/fastpath/bytes.h"
#include "dataplane/pktgen/pktgen.h"

/* Volatile: its value is not the one that the compiler sees. */
typedef const volatile struct pktgen_config pktgen_settings;

const volatile struct pktgen_config config; /* written out: for the skeleton */

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1); /* set to what is needed */
    __type(key, __u32);
    __type(value, struct pktgen_template);
} pktgen_templates SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1); /* set to what is needed */
    __type(key, __u32);
    __type(value, __u32);
} pktgen_schedule SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* set to what is needed, the value's size too */
    __type(key, __u32);
    __type(value, struct pktgen_query);
} pktgen_queries SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pktgen_sender);
} pktgen_senders SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, PKTGEN_STAMPS);
    __type(key, __u32);
    __type(value, struct pktgen_dns_stamp);
} pktgen_stamps SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pktgen_counters);
} pktgen_counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PKTGEN_TARGETS_MAX);
    __type(key, struct pktgen_target_key);
    __type(value, __u32);
} pktgen_targets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, PKTGEN_BACKENDS_MAX);
    __type(key, struct pktgen_backend_key);
    __type(value, struct pktgen_backend);
} pktgen_backends SEC(".maps");

/* There is one store, in the maps: what points to it is NULL. */
struct pktgen_store;

static fp_inline pktgen_settings *store_settings(const struct pktgen_store *store)
{
    return &config;
}

static fp_inline const struct pktgen_template *store_template(const struct pktgen_store *store,
                                                              fp_u32 at)
{
    return bpf_map_lookup_elem(&pktgen_templates, &at);
}

static fp_inline const fp_u32 *store_schedule(const struct pktgen_store *store, fp_u32 at)
{
    return bpf_map_lookup_elem(&pktgen_schedule, &at);
}

static fp_inline const struct pktgen_query *store_query(const struct pktgen_store *store, fp_u32 at)
{
    return bpf_map_lookup_elem(&pktgen_queries, &at);
}

static fp_inline struct pktgen_dns_stamp *store_stamp(const struct pktgen_store *store, fp_u32 slot)
{
    return bpf_map_lookup_elem(&pktgen_stamps, &slot);
}

static fp_inline fp_u32 store_target(const struct pktgen_store *store,
                                     const struct pktgen_target_key *key)
{
    fp_u32 *kinds = bpf_map_lookup_elem(&pktgen_targets, key);

    return kinds ? *kinds : 0;
}

static fp_inline struct pktgen_backend *store_backend(const struct pktgen_store *store,
                                                      const struct pktgen_backend_key *key)
{
    struct pktgen_backend *backend = bpf_map_lookup_elem(&pktgen_backends, key);
    struct pktgen_backend none = {0};

    if (backend)
        return backend;
    bpf_map_update_elem(&pktgen_backends, key, &none, BPF_NOEXIST);
    return bpf_map_lookup_elem(&pktgen_backends, key);
}

static fp_inline fp_u64 store_now(void)
{
    return bpf_ktime_get_ns();
}

static fp_inline void store_copy_template(struct fp_packet *packet,
                                          const struct pktgen_template *template)
{
    fp_u64 rest = template->length;

    for (fp_u32 i = 0; i < PKTGEN_HEAD_BYTES; i += 8)
        fp_store64(packet->data + i, fp_load64(template->frame + i));
    if (rest <= PKTGEN_HEAD_BYTES)
        return;
    rest -= PKTGEN_HEAD_BYTES;
    /* The compiler would make one comparison of both bounds, of a copy: Linux 6.12 doesn't see
     * that it bounds `rest` too. */
    fp_barrier(rest);
    if (rest <= PKTGEN_FRAME_MAX - PKTGEN_HEAD_BYTES)
        bpf_xdp_store_bytes(packet->ctx, PKTGEN_HEAD_BYTES,
                            (void *)(template->frame + PKTGEN_HEAD_BYTES), (fp_u32)rest);
}

#endif
