/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The region: every packet table in one stretch of memory, found by offset, the same bytes for
 * eBPF (a BPF arena, shared with culvert-xdp by mmap), for the host and for DPDK.
 *
 * - A *record* holds one table entry: header, key, body. Once published it is never changed but
 *   for `prev`. A *ref* is a record's byte offset in the region; 0 is "none".
 * - Entries with a key are found through the *index* (hash buckets of one cache line each);
 *   entries with a small number through a *slot* array.
 * - A transaction publishes records of generation G+1 (each naming the version it replaces in
 *   `prev`), then stores G+1 to root->generation. A reader loads the generation once per packet
 *   and follows `prev` when a record is newer: it sees a transaction whole or not at all. After a
 *   grace period the writer (dataplane/tables) clears `prev` and reuses what was replaced.
 * - Deleting publishes a record with FP_REC_DEAD.
 *
 * One writer (dataplane/tables); readers never write but to counters, meters and flows.
 */
#ifndef CULVERT_FASTPATH_REGION_H
#define CULVERT_FASTPATH_REGION_H

#include "dataplane/fastpath/base.h"

#define FP_REGION_MAGIC 0x544c5643u /* "CVLT" */
#define FP_REGION_LAYOUT 3u         /* raise with any change of this file's layouts */
#define FP_CACHE_LINE 64u

/* Every kind of table entry. `slot` kinds are keyed by a number below their capacity, in key.a.
 *   X(NAME, number, slot capacity or 0 for index kinds, what the key is) */
#define FP_KINDS(X)                                                                                \
    X(CONFIG, 0, 1, "always 0")                                                                    \
    X(INTERFACE, 1, 64, "number; body: name, driver")                                              \
    X(LIMIT, 2, 1024, "limit number")                                                              \
    X(POOL, 3, 16384, "pool number")                                                               \
    X(BACKEND, 4, 65536, "backend number; 0 is never used")                                        \
    X(NEXTHOP, 5, 65536, "backend number; local to the data plane, never on the channel")          \
    X(ZONE, 6, 16384, "zone number")                                                               \
    X(ACCESS, 7, 0, "a,b: masked source address; c: prefix length 0..128")                         \
    X(ADDRESS, 8, 0, "a,b: a service address of ours (virtual IP or DNS listener)")                \
    X(VIP, 9, 0, "a,b: address; c: protocol << 16 | port (port 0: any)")                           \
    X(NATBACK, 10, 0, "a,b: backend address; c: protocol << 16 | port, of mode nat")               \
    X(DNS, 11, 0, "a,b: keyed hash of the lower-cased name (dns_hash.h)")

enum fp_kind {
#define X(name, number, slots, text) FP_KIND_##name = number,
    FP_KINDS(X)
#undef X
        FP_KIND_COUNT = 12,
};

/* Numbers of a slot kind: 0..FP_SLOTS_name - 1. */
enum fp_slots {
#define X(name, number, slots, text) FP_SLOTS_##name = slots,
    FP_KINDS(X)
#undef X
};

/* Addresses in keys: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d; loaded as two u64. */
struct fp_key {
    fp_u64 a, b;
    fp_u32 c;
    fp_u32 kind; /* enum fp_kind */
};

#define FP_REC_DEAD 0x80u /* in fp_rec.kind: this generation has no such entry */

struct fp_rec {
    fp_u32 gen;    /* first generation that sees this record; compare as (s32)(gen - G) <= 0 */
    fp_u32 prev;   /* ref of the version before, for readers of an older generation */
    fp_u32 size;   /* bytes allocated for this record, header included; multiple of 16 */
    fp_u8 kind;    /* enum fp_kind, | FP_REC_DEAD */
    fp_u8 pad[3];  /* 0 */
    fp_u32 c;      /* the key */
    fp_u32 length; /* bytes of the body that follows the header */
    fp_u64 a, b;
};
FP_STATIC_ASSERT(sizeof(struct fp_rec) == 40, "layout");

/* One cache line. A tag is the upper half of the key's hash, never 0; 0 is a free place. `spilled`
 * counts the entries that belong here and stand in a later bucket: 0 ends a search. */
#define FP_BUCKET_WAYS 7
struct fp_bucket {
    fp_u32 tag[FP_BUCKET_WAYS];
    fp_u32 spilled;
    fp_u32 ref[FP_BUCKET_WAYS];
    fp_u32 pad;
};
FP_STATIC_ASSERT(sizeof(struct fp_bucket) == FP_CACHE_LINE, "layout");
#define FP_PROBE_MAX 8 /* buckets in a row that a search may visit; the writer grows before */

/* ---- bodies: what follows struct fp_rec (the DNS kinds' are in dns_layout.h) ---- */

struct fp_config {
    fp_u64 dns_key[2];     /* key of the name hash */
    fp_u64 flow_seed;      /* seed of the 5-tuple hash; the same on every appliance of the site */
    fp_u16 dns_udp_max;    /* largest DNS message sent over UDP, bytes (default 1232) */
    fp_u16 dns_max_labels; /* most labels of any DNS node, the root not counted */
    fp_u32 flags;
};

enum fp_driver { FP_DRIVER_XDP = 0, FP_DRIVER_DPDK = 1 };
struct fp_interface {
    char name[16]; /* NUL-terminated */
    fp_u8 driver;  /* enum fp_driver */
    fp_u8 mode;    /* xdp: 0 native, else generic; 1 native only; 2 generic only */
    fp_u8 queues;  /* dpdk: receive queues, 1..16 */
    fp_u8 pad[5];
    char device[104]; /* dpdk: PCI address or arguments of a virtual device; NUL-terminated */
};
FP_STATIC_ASSERT(sizeof(struct fp_interface) == 128, "layout");

/* GCRA (ITU-T I.371): times in 1/256 ns; a rate of 0 means no limit on that unit. */
#define FP_TIME_SHIFT 8
enum fp_limit_per { FP_PER_SOURCE = 0, FP_PER_VIP = 1 };
struct fp_limit {
    fp_u64 packet_cost;  /* time one packet takes */
    fp_u64 packet_burst; /* how far ahead of now the bucket may be */
    fp_u64 byte_cost;    /* time one byte (of the L3 packet) takes */
    fp_u64 byte_burst;
    fp_u8 per;  /* enum fp_limit_per */
    fp_u8 len4; /* source prefix length for IPv4, 0..32 */
    fp_u8 len6; /* for IPv6, 0..128 */
    fp_u8 pad[5];
};

/* Each bucket: low half the backend, high half the previous one while the bucket moves, else 0.
 * 0 as the backend: none. */
struct fp_pool {
    fp_u32 log2; /* 1 << log2 buckets follow */
    fp_u32 flags;
    fp_u32 bucket[];
};

struct fp_backend {
    fp_u8 address[16];
    fp_u32 flags;
    fp_u32 pad;
};

/* Filled by the driver from the kernel's routes and neighbours; gen 0. */
#define FP_NEXTHOP_ONLINK 1u /* no gateway between: mode dsr-l2 may be used */
struct fp_nexthop {
    fp_u32 ifindex; /* of the physical device */
    fp_u8 dmac[6];
    fp_u8 smac[6];
    fp_u16 vlan; /* 0: untagged; else 0x1000 | VLAN id */
    fp_u16 mtu;
    fp_u32 flags;
    fp_u8 source[16]; /* our address on that path: the outer source when encapsulating */
};

enum fp_mode { FP_MODE_DSR_IPIP = 0, FP_MODE_DSR_L2 = 1, FP_MODE_NAT = 2 };
#define FP_LIMITS_MAX 4
struct fp_vip {
    fp_u32 id;   /* counter number */
    fp_u32 pool; /* pool number */
    fp_u8 mode;  /* enum fp_mode */
    fp_u8 nlimits;
    fp_u16 port;                 /* nat: the backends' port, 0: the same as asked */
    fp_u16 limit[FP_LIMITS_MAX]; /* limit numbers */
    fp_u32 pad;
};

struct fp_natback {
    fp_u8 address[16]; /* of the virtual IP that answers are rewritten to */
    fp_u32 vip;        /* counter number */
    fp_u16 port;       /* of the virtual IP, 0: as the backend's */
    fp_u16 pad;
};

#define FP_ADDRESS_VIP 1u
#define FP_ADDRESS_DNS 2u
struct fp_address {
    fp_u32 flags;
    fp_u8 nlimits; /* of the DNS listener */
    fp_u8 pad[3];
    fp_u16 limit[FP_LIMITS_MAX];
};

#define FP_ACCESS_ALLOW 0u
#define FP_ACCESS_DENY 1u
struct fp_access {
    fp_u32 action;
    fp_u32 pad;
};

/* ---- counters: per CPU, written by readers, no atomics ---- */

struct fp_counter {
    fp_u64 packets, bytes;
};
#define FP_COUNT_REASONS 128u
#define FP_COUNT_VIPS 16384u
#define FP_COUNT_BACKENDS 65536u
#define FP_COUNT_ZONES 16384u
#define FP_COUNT_LIMITS 1024u
struct fp_counters {
    struct fp_counter reason[FP_COUNT_REASONS];
    struct fp_counter vip[FP_COUNT_VIPS];
    struct fp_counter backend[FP_COUNT_BACKENDS];
    struct fp_counter zone[FP_COUNT_ZONES];
    struct fp_counter limit[FP_COUNT_LIMITS]; /* packets refused */
};

/* ---- meters: 4-way lines; an entry whose time is past is idle and equals a fresh one ---- */

struct fp_meter {
    fp_u64 key;  /* 0: free */
    fp_u64 time; /* theoretical arrival time, 1/256 ns */
};
#define FP_METER_WAYS 4
struct fp_meter_line {
    struct fp_meter way[FP_METER_WAYS];
};
FP_STATIC_ASSERT(sizeof(struct fp_meter_line) == FP_CACHE_LINE, "layout");

/* ---- flows: 8-way lines of one u64 each: tag << 32 | backend << 16 | seconds (wraps) ----
 * SYNs of moving buckets, and first fragments. */
#define FP_FLOW_WAYS 8
struct fp_flow_line {
    fp_u64 way[FP_FLOW_WAYS];
};
FP_STATIC_ASSERT(sizeof(struct fp_flow_line) == FP_CACHE_LINE, "layout");

/* Which prefix lengths exist under the first 16 bits of an address: a filter that spares probes;
 * a set bit may be stale, a clear bit never lies. v6 is indexed by fp_filter_line6() (access.h).
 * Bit n of word n / 64: a prefix of length n (IPv4 lengths counted 0..32) may match. */
#define FP_FILTER_LINES 65536u
struct fp_access_filter {
    fp_u64 v4[FP_FILTER_LINES];    /* bits 0..32 */
    fp_u64 v6[FP_FILTER_LINES][3]; /* bits 0..128 */
};

/* One cache line of the IPv4 entries of the access list, a word each (access4.h); 0 is a free
 * place. */
#define FP_ACCESS4_WORDS 16u
struct fp_access4_line {
    fp_u32 word[FP_ACCESS4_WORDS];
};
FP_STATIC_ASSERT(sizeof(struct fp_access4_line) == FP_CACHE_LINE, "layout");

/* ---- the root: offset 0 ---- */

struct fp_root {
    fp_u32 magic, layout;
    fp_u64 size;            /* bytes of the region */
    fp_u32 generation;      /* the committed one; atomic */
    fp_u32 locals;          /* counts the changes of local entries, each after it is seen; atomic */
    fp_u64 index;           /* buckets' offset | log2(buckets) << 32: one atomic store to grow */
    fp_u64 index_seed;      /* of fp_key_hash, fp_meter and fp_flow hashes; random, secret */
    fp_u64 site_generation; /* the control plane's number of the last commit */
    fp_u64 access4;         /* lines' offset | log2(lines) | the generation that they hold << 32:
                             * one atomic store to change all */
    fp_u32 slots[FP_KIND_COUNT]; /* offset of each slot array (u32 refs); 0 for index kinds */
    fp_u32 counters;             /* offset of struct fp_counters [cpus] */
    fp_u32 cpus;
    fp_u32 meters, meters_log2; /* offset and log2 of the lines */
    fp_u32 flows, flows_log2;
    fp_u32 access_filter;
    fp_u32 access_count;   /* entries of kind ACCESS; 0 spares the look-up */
    fp_u32 heap, heap_end; /* records and index; heap_end is how far it has grown */
};

#endif
