/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a site file may hold: one table (schema.c) names every field with its type, bounds and
 * default. Checking, printing, comparing and completion all read it.
 */
#ifndef CULVERT_SITE_SCHEMA_H
#define CULVERT_SITE_SCHEMA_H

#include "controlplane/site/node.h"

enum schema_type {
    SCHEMA_NAME, /* 1..63 letters, digits, - _ . */
    SCHEMA_BOOL,
    SCHEMA_NUMBER,  /* least..most */
    SCHEMA_SIZE,    /* a number that may take k, M, G */
    SCHEMA_RATE,    /* per second */
    SCHEMA_TIME,    /* in ms */
    SCHEMA_SECONDS, /* a number of seconds, or a time */
    SCHEMA_ADDRESS,
    SCHEMA_ENDPOINT, /* an address, also that of all, and a port */
    SCHEMA_PREFIX,
    SCHEMA_SOURCE,    /* source/LENGTH, number: the length; or a word, number: 256 + its place */
    SCHEMA_SECRET,    /* 32 hexadecimal digits */
    SCHEMA_DEVICE,    /* of DPDK: a PCI address, or a virtual device; most: bytes */
    SCHEMA_DOMAIN,    /* a domain name, absolute or not */
    SCHEMA_WORD,      /* one of `words`; number: its place */
    SCHEMA_REFERENCE, /* name of a resource of the section `target` */
    SCHEMA_FILE,      /* name of an uploaded file */
    SCHEMA_TEXT,      /* a record's data: any scalar */
    SCHEMA_TEXTS,     /* one or a list of them */
    SCHEMA_OBJECT,    /* fields */
    SCHEMA_NAMED,     /* a map from names to elements */
    SCHEMA_LIST,      /* of elements; least..most of them; or one of `words` */
    SCHEMA_RECORDS,   /* an object that also takes record types as keys (element: SCHEMA_TEXTS) */
};

struct schema {
    const char *key;
    enum schema_type type;
    bool required;
    const char *initial; /* default, as it would be written; NULL: none */
    const char *only;    /* the word of the object's first field that it goes with; NULL: any */
    uint64_t least, most;
    const char *const *words; /* NULL-terminated */
    const char *const *later; /* words, or keys of an object, of a later release */
    const struct schema *fields;
    unsigned field_count;
    const struct schema *element;
    int names;  /* SCHEMA_NAMED: enum schema_names */
    int target; /* SCHEMA_REFERENCE: enum root_field */
};

enum schema_names { NAMES_PLAIN, NAMES_INTERFACE, NAMES_ZONE, NAMES_OWNER };

/* The fields of each object, in the canonical order. */
enum root_field {
    ROOT_SITE,
    ROOT_INTERFACES,
    ROOT_DPDK,
    ROOT_POOLS,
    ROOT_VIPS,
    ROOT_LIMITS,
    ROOT_ACCESS,
    ROOT_DNS,
    ROOT_ZONES,
    ROOT_API,
    ROOT_FIELDS
};
enum interface_field {
    INTERFACE_DRIVER,
    INTERFACE_MODE,
    INTERFACE_DEVICE,
    INTERFACE_QUEUES,
    INTERFACE_FIELDS
};
enum dpdk_field {
    DPDK_CORES,
    DPDK_MAIN_CORE,
    DPDK_SHARE_MAIN_CORE,
    DPDK_HUGEPAGES,
    DPDK_PACKET_BUFFERS,
    DPDK_BUFFER_MEMORY,
    DPDK_TABLE_MEMORY,
    DPDK_FIELDS
};
enum pool_field { POOL_POLICY, POOL_BUCKETS, POOL_DRAIN, POOL_BACKENDS, POOL_FIELDS };
enum backend_field { BACKEND_ADDRESS, BACKEND_WEIGHT, BACKEND_DRAIN, BACKEND_FIELDS };
enum vip_field {
    VIP_ADDRESS,
    VIP_PROTOCOL,
    VIP_PORTS,
    VIP_MODE,
    VIP_POOL,
    VIP_PORT,
    VIP_LIMITS,
    VIP_FIELDS
};
enum limit_field {
    LIMIT_PER,
    LIMIT_PER6,
    LIMIT_PACKETS,
    LIMIT_BURST,
    LIMIT_BYTES,
    LIMIT_BURST_BYTES,
    LIMIT_FIELDS
};
enum access_field { ACCESS_ALLOW, ACCESS_DENY, ACCESS_FIELDS };
enum dns_field { DNS_LISTEN, DNS_LIMITS, DNS_UDP_SIZE, DNS_KEY, DNS_FIELDS };
enum api_field { API_LISTEN, API_FIELDS };
enum zone_field { ZONE_FILE, ZONE_TTL, ZONE_SOA, ZONE_RECORDS, ZONE_FIELDS };
enum soa_field {
    SOA_MNAME,
    SOA_RNAME,
    SOA_SERIAL,
    SOA_REFRESH,
    SOA_RETRY,
    SOA_EXPIRE,
    SOA_MINIMUM,
    SOA_FIELDS
};
enum record_field { RECORD_POOL, RECORD_TTL, RECORD_FIELDS }; /* then the record types, sorted */

enum driver_word { DRIVER_XDP, DRIVER_DPDK };
enum protocol_word { PROTOCOL_TCP, PROTOCOL_UDP };
enum mode_word { MODE_DSR_IPIP, MODE_DSR_L2, MODE_NAT };
#define SOURCE_VIP 256u /* "vip" in a SCHEMA_SOURCE field */

extern const struct schema schema_root;

/* What an object's, a record set's or a map's schema has at a key; NULL: it takes no such key. */
const struct schema *schema_child(const struct schema *schema, const char *key);

/* The section whose resources have that schema; NULL: none. */
const struct schema *schema_section(const struct schema *schema);

/* The `count` fields of an object's schema, its own key, and so on are in the struct; this is the
 * text of what a type takes, for hints: "a time such as 500ms, 60s or 5m". */
const char *schema_expects(const struct schema *schema);

/* Types a tree in place. Returns 0, CULVERT_EREJECTED when there were errors (the tree is typed as
 * far as it is good), CULVERT_ENOMEM. */
int schema_check(struct site *site, const struct site_source *source, struct site_errors *errors);

/* The same of one part (parts.h): a resource or a field of the root. */
int part_check(struct arena *arena, struct site_node *part, const struct schema *schema,
               const struct site_source *source, struct site_errors *errors);

/* Reads one scalar; the parts of schema_check() that look into texts (scalar.c). False: an error
 * was reported. */
bool scalar_check(const struct site_report *report, struct site_node *node);
/* Whether a device that is right is a PCI address; then its canonical text (0000:03:00.0). */
bool device_write_pci(const char *device, char text[UNITS_TEXT]);
bool name_check(const struct site_report *report, struct arena *arena, struct site_node *node,
                enum schema_names names);

/* What no single field tells: references, duplicates, what goes together, capacities. */
int rules_check(struct site *site, struct site_errors *errors);

/* As site_parse, but rejected documents are also given, as far as they could be typed; *out is NULL
 * when nothing could. */
int document_read(struct site **out, const struct site_source *source, struct site_errors *errors);

/* Of the access list: a rule's prefix; the rule of the same prefix in a canonical list, or NULL. */
const struct site_node *access_prefix(const struct site_node *rule);
const struct site_node *access_find(const struct site_node *access, const struct site_node *rule);

/* The child at a field, NULL when not given, filled in or bad. */
static inline const struct site_node *node_field(const struct site_node *object, unsigned field)
{
    return object && field < object->count ? object->child[field] : NULL;
}

/* The resource that a reference (or NULL) of a typed document names; NULL: there is none. */
static inline const struct site_node *reference_target(const struct site_node *root,
                                                       const struct site_node *reference)
{
    return reference ? node_find_sorted(node_field(root, (unsigned)reference->schema->target),
                                        reference->text)
                     : NULL;
}

/* The children of a list or a map of names, none of which is NULL; `list` may be. */
static inline const struct site_node *const *node_first(const struct site_node *list)
{
    return list ? (const struct site_node *const *)list->child : NULL;
}
static inline const struct site_node *const *node_end(const struct site_node *list)
{
    return list && list->count ? node_first(list) + list->count : node_first(list);
}
#define NODE_EACH(child, list)                                                                     \
    for (const struct site_node *const *child##_at = node_first(list), *child;                     \
         child##_at < node_end(list) && (child = *child##_at, true); child##_at++)

#endif
