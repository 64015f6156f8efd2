/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps, and what user space sets before they are loaded. */
#ifndef CULVERT_PKTGEN_MAPS_H
#define CULVERT_PKTGEN_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "dataplane/pktgen/pktgen.h"

const volatile struct pktgen_config config;

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

#endif
