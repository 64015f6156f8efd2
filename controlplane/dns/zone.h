/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles a zone to the DNS entries of the tables (fastpath/dns_layout.h): pure, deterministic,
 * no I/O. Zone text is RFC 1035 master format as ldns reads it; inline records are rdata text.
 *
 * How zones fit together: every node of every zone is one entry, keyed by its name. A zone's
 * entries depend on the zone's own input and on the apexes of other zones strictly below it (they
 * hide what the zone holds there). So a zone is compiled again when one of these changes, and
 * zone_hollows_compile(), which is cheap, is run over all apexes whenever the list of zones does.
 * The two together never emit one key twice.
 */
#ifndef CULVERT_DNS_ZONE_H
#define CULVERT_DNS_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/error.h"
#include "dataplane/fastpath/region.h"

#define ZONE_ERRORS_MAX 100 /* reported one by one; the last report says how many more there are */

/* One inline record. The strings belong to the caller. */
struct zone_record {
    const char *owner; /* relative to the apex; "@" is the apex, a final dot makes it absolute */
    const char *type;  /* mnemonic or TYPEnnn */
    const char *rdata; /* presentation format; relative names are completed by the apex */
    bool has_ttl;
    uint32_t ttl;          /* seconds; counts when has_ttl */
    const char *field;     /* for errors: the path in the site file, or NULL */
    unsigned line, column; /* for errors: where it stands in the site file; 0: unknown */
};

struct zone_source {
    const char *name;  /* the apex, e.g. "example.com" (a final dot is optional) */
    const char *field; /* for errors that have no other place, e.g. "zones.example.com"; or NULL */
    unsigned line, column; /* the same */
    uint32_t number;       /* key of its ZONE entry */
    uint32_t ttl;          /* of records that name none and follow no $TTL, seconds */
    uint64_t dns_key[2];   /* the name hash's key, as in struct fp_config */

    const char *file; /* the zone file's name for errors; NULL: no zone file */
    const char *text; /* its content, not NUL-terminated */
    size_t length;    /* bytes of it */

    const char *site_file; /* the site file's name for errors of inline records; or NULL */
    const struct zone_record *records;
    size_t records_count;

    const char *const *apexes; /* of all zones of the site, this one may be among them; any order */
    size_t apexes_count;
};

/* What is wrong, where, and what would be right. Strings are valid during the call. */
struct zone_error {
    const char *file;      /* the zone file's or the site file's name; or NULL */
    unsigned line, column; /* 0: unknown */
    const char *field;     /* owner and type, or the inline record's field; or NULL */
    const char *message;
    const char *hint; /* what would be right; or NULL */
};

/* What was compiled. */
struct zone_stats {
    size_t names;        /* nodes, empty ones included */
    size_t records;      /* resource records */
    size_t entries;      /* emitted */
    size_t bytes;        /* of the emitted bodies */
    unsigned max_labels; /* of the deepest node; fp_config.dns_max_labels is the largest of all */
    uint32_t serial;     /* of the SOA */
};

/* Takes one entry; the body is valid during the call. A negative return stops the compile and is
 * returned by it. Entries come in a deterministic order (canonical order of names, RFC 4034
 * section 6.1; the ZONE entry first). */
typedef int (*zone_emit_fn)(void *arg, const struct fp_key *key, const void *body, size_t length);
typedef void (*zone_error_fn)(void *arg, const struct zone_error *error);

/* Parses and checks all of the source, and emits its entries when nothing is wrong with it (so
 * nothing is emitted of a source with errors). Either callback may be NULL; `emit` NULL only
 * checks. Returns 0; CULVERT_EREJECTED when errors were reported; CULVERT_ENOMEM; or what `emit`
 * returned. */
int zone_compile(const struct zone_source *source, zone_emit_fn emit, zone_error_fn error,
                 void *arg, struct zone_stats *stats);

/* Emits the nodes above the apexes that are in no zone ("com" for "example.com"): a search for the
 * closest encloser needs them. An apex that is no domain name, or occurs twice, is skipped here:
 * zone_compile reports it. Returns as zone_compile. */
int zone_hollows_compile(const char *const *apexes, size_t apexes_count, const uint64_t dns_key[2],
                         zone_emit_fn emit, void *arg);

#endif
