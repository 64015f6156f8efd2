/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/wal_format.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/crc32c.h"
#include "controlplane/base/error.h"
#include "controlplane/core/wal.h"

static const char magic[8] = "CulvWAL\n";

struct disk_header {
    char magic[8];
    uint32_t version;
    uint32_t checksum; /* of all of the header, with this being 0 */
    uint64_t id, sequence, first, size, low;
};
_Static_assert(sizeof(struct disk_header) == WAL_HEADER_BYTES, "as it is on the disk");
_Static_assert(WAL_HEADER_BYTES <= WAL_FIRST, "the header's place");

struct disk_record {
    uint32_t checksum; /* of id, LSN and what follows up to the body */
    uint32_t body;     /* the checksum of the body with its padding */
    uint32_t length;
    uint8_t kind, flags, type, zero;
    uint64_t group, index, term;
};
_Static_assert(sizeof(struct disk_record) == WAL_RECORD_BYTES, "as it is on the disk");

void wal_name(uint64_t sequence, char name[WAL_NAME_BYTES])
{
    snprintf(name, WAL_NAME_BYTES, "wal-%016llx", (unsigned long long)sequence);
}

uint64_t wal_name_sequence(const char *name)
{
    char again[WAL_NAME_BYTES];
    uint64_t sequence;

    if (strncmp(name, "wal-", 4))
        return 0;
    sequence = strtoull(name + 4, NULL, 16);
    if (sequence > WAL_SEQUENCE_MAX)
        return 0;
    wal_name(sequence, again);
    return strcmp(name, again) ? 0 : sequence;
}

void wal_header_write(const struct wal_header *header, uint8_t to[WAL_HEADER_BYTES])
{
    struct disk_header disk = {
        .version = htole32(WAL_VERSION),
        .id = htole64(header->id),
        .sequence = htole64(header->sequence),
        .first = htole64(wal_lsn(header->sequence, WAL_FIRST)),
        .size = htole64(header->size),
        .low = htole64(header->low),
    };

    memcpy(disk.magic, magic, sizeof(magic));
    disk.checksum = htole32(crc32c(0, &disk, sizeof(disk)));
    memcpy(to, &disk, sizeof(disk));
}

int wal_header_read(struct wal_header *header, const uint8_t from[WAL_HEADER_BYTES])
{
    struct disk_header disk;
    uint32_t checksum;

    memcpy(&disk, from, sizeof(disk));
    checksum = le32toh(disk.checksum);
    disk.checksum = 0;
    if (memcmp(disk.magic, magic, sizeof(magic)) || crc32c(0, &disk, sizeof(disk)) != checksum)
        return CULVERT_ECORRUPT;
    if (le32toh(disk.version) != WAL_VERSION)
        return CULVERT_EUNSUPPORTED;
    *header = (struct wal_header){.id = le64toh(disk.id),
                                  .sequence = le64toh(disk.sequence),
                                  .size = le64toh(disk.size),
                                  .low = le64toh(disk.low)};
    if (!header->sequence || header->sequence > WAL_SEQUENCE_MAX ||
        le64toh(disk.first) != wal_lsn(header->sequence, WAL_FIRST) ||
        header->size < WAL_SEGMENT_MIN || header->size > WAL_SEGMENT_MAX || header->size % 8 ||
        !header->low || header->low > header->sequence)
        return CULVERT_ECORRUPT;
    return 0;
}

static uint32_t head_checksum(const struct disk_record *disk, uint64_t id, uint64_t lsn)
{
    uint64_t place[2] = {htole64(id), htole64(lsn)};

    return crc32c(crc32c(0, place, sizeof(place)), (const uint8_t *)disk + sizeof(disk->checksum),
                  sizeof(*disk) - sizeof(disk->checksum));
}

void wal_record_write(const struct wal_record *record, uint64_t id, uint64_t lsn, uint8_t *to)
{
    size_t padded = (size_t)wal_record_size(record->length) - WAL_RECORD_BYTES;
    struct disk_record disk = {.length = htole32(record->length),
                               .kind = record->kind,
                               .flags = record->flags,
                               .type = record->type,
                               .group = htole64(record->group),
                               .index = htole64(record->index),
                               .term = htole64(record->term)};

    if (record->length)
        memcpy(to + WAL_RECORD_BYTES, record->body, record->length);
    memset(to + WAL_RECORD_BYTES + record->length, 0, padded - record->length);
    disk.body = htole32(crc32c(0, to + WAL_RECORD_BYTES, padded));
    disk.checksum = htole32(head_checksum(&disk, id, lsn));
    memcpy(to, &disk, sizeof(disk));
}

/* The longest body of a kind of record; -1: there is no such kind. */
static int64_t body_most(uint8_t kind)
{
    switch (kind) {
    case WAL_ENTRY:
        return WAL_ENTRY_MAX;
    case WAL_SNAPSHOT:
        return WAL_SNAPSHOT_BYTES + WAL_META_MAX;
    case WAL_TERM:
    case WAL_SEAL:
    case WAL_LOW:
        return 0;
    default:
        return -1;
    }
}

bool wal_record_head(struct wal_record *record, uint64_t id, uint64_t lsn,
                     const uint8_t from[WAL_RECORD_BYTES])
{
    struct disk_record disk;
    uint32_t length;

    memcpy(&disk, from, sizeof(disk));
    length = le32toh(disk.length);
    if ((int64_t)length > body_most(disk.kind) || disk.zero ||
        (disk.kind == WAL_SNAPSHOT && length < WAL_SNAPSHOT_BYTES) ||
        head_checksum(&disk, id, lsn) != le32toh(disk.checksum))
        return false;
    *record = (struct wal_record){.group = le64toh(disk.group),
                                  .index = le64toh(disk.index),
                                  .term = le64toh(disk.term),
                                  .length = length,
                                  .kind = disk.kind,
                                  .flags = disk.flags,
                                  .type = disk.type};
    return true;
}

bool wal_record_read(struct wal_record *record, uint64_t id, uint64_t lsn, const uint8_t *from)
{
    struct disk_record disk;

    if (!wal_record_head(record, id, lsn, from))
        return false;
    memcpy(&disk, from, sizeof(disk));
    record->body = from + WAL_RECORD_BYTES;
    return crc32c(0, record->body, (size_t)wal_record_size(record->length) - WAL_RECORD_BYTES) ==
           le32toh(disk.body);
}
