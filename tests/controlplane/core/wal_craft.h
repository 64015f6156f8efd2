/* SPDX-License-Identifier: Apache-2.0 */
/* Segment files made by hand, as a log would write them or not. */
#ifndef CULVERT_TEST_WAL_CRAFT_H
#define CULVERT_TEST_WAL_CRAFT_H

#include "controlplane/core/wal_format.h"
#include "tests/sim/disk.h"

struct craft {
    struct sim_disk *disk;
    struct env_file *file;
    struct wal_header header;
    uint64_t offset; /* of the next record */
};

/* Begins a segment's file with its header. */
void craft_begin(struct craft *craft, struct sim_disk *disk, const struct wal_header *header);
/* Writes a record; where it doesn't fit, nothing. */
void craft_record(struct craft *craft, const struct wal_record *record);
/* Writes bytes anywhere in the file, as far as they fit. */
void craft_bytes(struct craft *craft, uint64_t offset, const void *bytes, size_t length);
void craft_end(struct craft *craft);

#endif
