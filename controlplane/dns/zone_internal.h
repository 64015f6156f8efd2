/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the zone compile share: parse -> tree -> answers -> entries. */
#ifndef CULVERT_DNS_ZONE_INTERNAL_H
#define CULVERT_DNS_ZONE_INTERNAL_H

#include <ldns/rdata.h>
#include <string.h>

#include "controlplane/base/buffer.h"
#include "controlplane/dns/name.h"
#include "controlplane/dns/zone.h"
#include "dataplane/fastpath/dns_layout.h"

#define ZONE_RECORDS_MAX (16u << 20)
#define ZONE_CHAIN_MAX 16 /* CNAME records in a row */

/* Record types that the compile knows by name (IANA DNS parameters). */
enum {
    TYPE_A = 1,
    TYPE_NS = 2,
    TYPE_MD = 3,
    TYPE_MF = 4,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    TYPE_MB = 7,
    TYPE_MG = 8,
    TYPE_MR = 9,
    TYPE_PTR = 12,
    TYPE_MINFO = 14,
    TYPE_MX = 15,
    TYPE_SIG = 24,
    TYPE_KEY = 25,
    TYPE_AAAA = 28,
    TYPE_SRV = 33,
    TYPE_DNAME = 39,
    TYPE_DS = 43,
    TYPE_RRSIG = 46,
    TYPE_NSEC = 47,
    TYPE_NSEC3 = 50,
    TYPE_CHILD = 0, /* not a record: another zone's apex */
};

/* Growing memory with offsets below 4 GiB. */
struct pool {
    uint8_t *data;
    uint32_t length, capacity;
};

/* Reserves bytes; their offset, or 0 when there is no memory (offset 0 is never given). */
uint32_t pool_take(struct pool *pool, uint32_t bytes);

/* A name whose bytes lie in the pool. */
struct pool_name {
    uint32_t wire, key; /* offsets */
    uint16_t key_length;
    uint8_t length, labels; /* as in struct name */
};

/* One record. `line` is a line of the zone file, or the number of an inline record. */
struct rr {
    struct pool_name name;
    uint32_t rdata; /* offset in the pool */
    uint32_t ttl;
    uint32_t line;
    uint16_t type;
    uint16_t rdlen;
    bool is_inline;
};

enum {
    NODE_APEX = 1,
    NODE_CUT = 2,       /* delegated here */
    NODE_BELOW = 4,     /* below a cut */
    NODE_CHILD = 8,     /* another zone's apex */
    NODE_HIDDEN = 16,   /* below another zone's apex */
    NODE_WILDCARD = 32, /* has a child "*" */
    NODE_KEPT = 64,     /* below a cut, but above another zone's apex: an entry nevertheless */
    NODE_DNAME = 128,
};

/* One name that exists in the zone. Nodes stand in canonical order, parents before children. */
struct node {
    struct pool_name name;
    uint32_t first, count; /* its records in the sorted array */
    uint32_t parent;       /* index; the apex's is itself */
    uint32_t cut;          /* index of the cut at or above; UINT32_MAX: none */
    uint8_t flags;
};

struct zone {
    const struct zone_source *source;
    zone_error_fn error;
    void *arg;
    size_t errors;
    struct name_buffer apex;
    struct pool pool;
    struct rr *rrs;
    uint32_t rrs_count, rrs_capacity;
    struct node *nodes;
    uint32_t nodes_count, nodes_capacity;
    uint32_t negative_ttl;
    struct rr *soa;
};

/* A run of a node's records of one type. */
struct rrset {
    const struct rr *rr;
    uint32_t count;
};

static inline struct name zone_name(const struct zone *zone, const struct pool_name *name)
{
    return (struct name){.wire = zone->pool.data + name->wire,
                         .key = zone->pool.data + name->key,
                         .key_length = name->key_length,
                         .length = name->length,
                         .labels = name->labels};
}

static inline const uint8_t *rr_rdata(const struct zone *zone, const struct rr *rr)
{
    return zone->pool.data + rr->rdata;
}

/* Reports an error at a record (NULL: of the zone as a whole). */
void zone_report(struct zone *zone, const struct rr *rr, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void zone_report_at(struct zone *zone, const char *file, unsigned line, unsigned column,
                    const char *field, const char *message, const char *hint);

/* zone_parse.c: the source's records into zone->rrs. 0 or CULVERT_ENOMEM. */
int zone_parse(struct zone *zone);
/* Adds a record of class IN whose name is not in the pool yet. */
int zone_add(struct zone *zone, const struct name *owner, const struct rr *rr,
             const uint8_t *rdata);

/* rdata.c: which names the data of a record holds, and where. */
struct rdata_names {
    unsigned count;
    uint16_t offset[2];
    bool compress; /* RFC 3597 section 4: only types of RFC 1035 may */
};
/* False: the data is not what the type asks for. */
bool rdata_names(uint16_t type, const uint8_t *rdata, uint16_t length, struct rdata_names *names);
/* The name that a client asks next, whose addresses are additional data (NS, MX, SRV), or the
 * target of a CNAME; false: there is none. */
bool rdata_target(const struct zone *zone, const struct rr *rr, struct name_buffer *target);

/* rdata_text.c: a record's text whose data ldns had better not read. 1: `to` has the same record
 * with its data as bytes; 0: it is none of these; CULVERT_EREJECTED: it should have the `form`;
 * CULVERT_ENOMEM. Names are relative to the origin. */
int rdata_rewrite(const char *text, const ldns_rdf *origin, struct buffer *to, const char **form);

/* zone_tree.c: sorts the records, finds the nodes, checks. 0 or CULVERT_ENOMEM. */
int zone_build(struct zone *zone);
struct rrset node_rrset(const struct zone *zone, const struct node *node, uint16_t type);
struct rrset node_next_rrset(const struct zone *zone, const struct node *node,
                             const struct rrset *previous);

/* What there is at a name, as seen from inside the zone. */
enum seek {
    SEEK_OUTSIDE, /* not in this zone, or in a child zone, or delegated */
    SEEK_NODE,
    SEEK_WILDCARD, /* the node is the wildcard that stands for it */
    SEEK_NOTHING,
};
enum seek zone_seek(const struct zone *zone, const struct name *name, const struct node **node);
/* The node of exactly that name, occluded or not; or NULL. */
const struct node *zone_node(const struct zone *zone, const struct name *name);

/* The deepest node at or above a name inside the zone. */
const struct node *zone_closest(const struct zone *zone, const struct name *name);

/* zone_check.c: what the finished tree must hold. */
int zone_check(struct zone *zone); /* 0 or CULVERT_ENOMEM */

/* zone_emit.c: the entries of a zone without errors. */
int zone_emit(struct zone *zone, zone_emit_fn emit, void *arg, struct zone_stats *stats);
/* 0, CULVERT_EFULL when a node's entry would be too large, or CULVERT_ENOMEM. */
int zone_node_size(struct zone *zone, const struct node *node);

#endif
