/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document as a tree. node_read() makes it of YAML, untyped; schema_check() then types it in
 * place by the schema: values parsed, defaults filled in, names sorted, an object's children put
 * where the schema numbers its fields.
 */
#ifndef CULVERT_SITE_NODE_H
#define CULVERT_SITE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#include "controlplane/base/arena.h"
#include "controlplane/base/units.h"
#include "controlplane/site/site.h"

#define NODE_DEPTH_MAX 16u
#define NODE_COUNT_MAX 8000000u

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct schema;

struct site_node {
    const char *key;  /* in maps; NULL in lists */
    const char *text; /* of a scalar, as written (escapes resolved); "" else */
    struct site_node *parent;
    struct site_node **child;      /* typed objects: by field number, NULL: not given */
    const struct schema *schema;   /* once typed */
    uint32_t count;                /* children */
    uint32_t line, column;         /* of the value, from 1; 0: filled in */
    uint32_t key_line, key_column; /* of the key */
    uint8_t kind;                  /* enum node_kind */
    bool quoted;                   /* a scalar in quotes */
    bool bad;                      /* it has errors of its own */
    bool settled;                  /* `content` is the digest of all below */
    bool counted;                  /* a part in a block of its own (parts.h) */
    uint8_t length;                /* of a prefix, in its own family's bits */
    union {
        uint64_t number; /* numbers, times (ms), rates, booleans, the place of an enum's word */
        struct address address;
        uint8_t secret[16];
        uint8_t content[16]; /* of parts: the start of their canonical JSON's SHA-256 */
        const char *digest;  /* of a file's blob */
    };
};

struct site {
    size_t refs;
    struct site *base; /* the one that was read whole, whose parts are shared; NULL: it is whole */
    struct arena arena;
    struct site_node *root;
    const char *file; /* the site file's name */
};

/* Reads one YAML document. CULVERT_EREJECTED with errors (*root may then be NULL, or a tree to be
 * checked for more of them), CULVERT_ENOMEM. */
int node_read(struct arena *arena, const char *file, const char *text, size_t length,
              struct site_node **root, struct site_errors *errors);

/* The same of what site_get() wrote: nodes have no places. CULVERT_ECORRUPT: it is not that. */
int node_read_json(struct arena *arena, const char *text, size_t length, struct site_node **root);

/* A value of it, yyjson's numbers raw. */
int node_from_json(struct arena *arena, yyjson_val *value, struct site_node **node);

/* An empty node of a parent; NULL: out of memory. */
struct site_node *node_new(struct arena *arena, struct site_node *parent, enum node_kind kind);

/* A map's child by key before it is typed, or a sorted map's after; NULL: none. */
struct site_node *node_find(const struct site_node *map, const char *key);
struct site_node *node_find_sorted(const struct site_node *map, const char *key);

/* Sorts a map's children by key. */
void node_sort(struct site_node *map);

/* The path of a node, e.g. "vips.web.ports[1]". */
void node_path(const struct site_node *node, struct buffer *path);

/* Adds an error about a node: at its value, or at its key. The formatted text is the message. */
struct site_report {
    const char *file;
    struct site_errors *errors;
};
void node_error(const struct site_report *report, const struct site_node *node, const char *hint,
                const char *format, ...) __attribute__((format(printf, 4, 5)));
void node_error_at_key(const struct site_report *report, const struct site_node *node,
                       const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Typed nodes (or NULL) of one schema mean the same. */
bool node_equal(const struct site_node *x, const struct site_node *y);

/* Two sorted maps (or NULL) have the same keys. */
bool node_names_equal(const struct site_node *x, const struct site_node *y);

/* The canonical JSON of a typed node. */
void node_print(const struct site_node *node, struct buffer *json);

#endif
