/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs and the latest revision, tables in plain memory, and an engine over both. */
#ifndef CULVERT_TESTS_SITE_HELPER_H
#define CULVERT_TESTS_SITE_HELPER_H

#include "controlplane/site/site.h"

#define RIG_BLOBS 4096u

struct rig {
    struct site_blobs blobs; /* first: the engine reads from here */
    struct site_blob blob[RIG_BLOBS];
    size_t blob_count;
    struct site_revision latest; /* number 0: none yet */
    void *region;
    size_t size;
    struct tables *tables;
    struct site_engine *engine;
    uint64_t generation;
    int64_t now;
    struct site_errors errors; /* of the last apply */
    struct site_changes changes;
    struct site_upload upload[8]; /* files that come along with every apply */
    size_t uploads;
};

/* Opens and closes everything. */
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);
/* Gives up the engine and the tables and loads the latest revision into new ones. */
void rig_restart(struct rig *rig);
/* Adopts the latest revision of another rig, stored here first. Returns the number of changes. */
size_t rig_adopt(struct rig *rig, struct rig *from);

/* The same by its patch only. 0, with `changes` set, or the error: nothing was done. */
int rig_patch(struct rig *rig, struct rig *from);

/* A file that comes along with later applies. */
void rig_file(struct rig *rig, const char *name, const char *text);
/* Prepares, stores and commits. 0 or the error. */
int rig_apply(struct rig *rig, const char *text);
/* The same, and it must be good. Returns the number of changes. */
size_t rig_good(struct rig *rig, const char *text);

/* A digest of all entries, for "the same tables". */
uint64_t rig_digest(const struct rig *rig);
/* Every entry of one is, byte for byte, in the other, and there are no others. */
void rig_check_equal(struct rig *rig, struct rig *follower);

/* Entries, NULL: none. */
const struct fp_vip *rig_vip(struct rig *rig, const char *address, unsigned protocol,
                             unsigned port);
const void *rig_entry(struct rig *rig, enum fp_kind kind, uint64_t a, uint64_t b, uint32_t c);
const void *rig_address(struct rig *rig, enum fp_kind kind, const char *address, uint32_t c);

/* Memory that holds a text; printf-like. */
char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
