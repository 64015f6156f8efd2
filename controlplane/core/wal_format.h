/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's bytes on the disk. A segment is a file wal-NNNNNNNNNNNNNNNN (its sequence number in
 * hexadecimal digits): a header in a page of its own, then records, each at a multiple of 8. What
 * lies behind the last record is left from the file's former use, or zero.
 *
 * A record's place (LSN) is the segment's number in the upper 32 bits and the offset in the lower.
 * Its checksum starts with the segment's random id and the LSN, so that no bytes of another
 * segment or place are ever taken for it. All numbers are little-endian.
 */
#ifndef CULVERT_CORE_WAL_FORMAT_H
#define CULVERT_CORE_WAL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_VERSION 1u
#define WAL_FIRST 4096u                     /* offset of a segment's first record */
#define WAL_SEGMENT_MIN ((uint64_t)8192)    /* bytes */
#define WAL_SEGMENT_MAX ((uint64_t)1 << 30) /* bytes */
#define WAL_HEADER_BYTES 56u                /* of a segment's header */
#define WAL_RECORD_BYTES 40u                /* of a record before its body */
#define WAL_SNAPSHOT_BYTES 8u               /* of a snapshot mark's body before its meta data */
#define WAL_NAME_BYTES 24u                  /* of a segment's file name with its NUL */
#define WAL_SEQUENCE_MAX ((uint64_t)UINT32_MAX)
#define WAL_SPARE "wal.spare" /* a segment in the making; worth nothing after a crash */

enum wal_kind {
    WAL_TERM = 1, /* term; index: the vote */
    WAL_ENTRY,    /* index, term, type; the body is the data */
    WAL_SNAPSHOT, /* index, term; the body: first entry held (8 bytes), then the meta data */
    WAL_SEAL,     /* the segment's last; index: the next segment */
    WAL_LOW,      /* index: segments before that one are not needed any more */
};

/* The first record of a write. A write begins after the one before it is on the disk: who finds
 * this record knows that everything before it was, too. */
#define WAL_FLAG_FIRST 1u
#define WAL_FLAG_RESET 2u /* of WAL_SNAPSHOT: no entry is kept */

struct wal_record {
    uint64_t group, index, term;
    uint32_t length; /* of the body */
    uint8_t kind, flags, type;
    const uint8_t *body;
};

struct wal_header {
    uint64_t id;
    uint64_t sequence;
    uint64_t size; /* bytes of the file */
    uint64_t low;  /* WAL_LOW as it was when this segment was made */
};

static inline uint64_t wal_lsn(uint64_t sequence, uint64_t offset)
{
    return sequence << 32 | offset;
}

static inline uint64_t wal_lsn_sequence(uint64_t lsn)
{
    return lsn >> 32;
}

static inline uint64_t wal_lsn_offset(uint64_t lsn)
{
    return lsn & UINT32_MAX;
}

/* Bytes of a record with a body of that length. */
static inline uint64_t wal_record_size(uint64_t length)
{
    return WAL_RECORD_BYTES + ((length + 7) & ~(uint64_t)7);
}

/* The file name of a segment. */
void wal_name(uint64_t sequence, char name[WAL_NAME_BYTES]);
/* The sequence number in a file's name; 0: it is not a segment's. */
uint64_t wal_name_sequence(const char *name);

/* A segment's header to and from its bytes. Reading: CULVERT_ECORRUPT; CULVERT_EUNSUPPORTED: whole,
 * but of another version. */
void wal_header_write(const struct wal_header *header, uint8_t to[WAL_HEADER_BYTES]);
int wal_header_read(struct wal_header *header, const uint8_t from[WAL_HEADER_BYTES]);

/* Writes all wal_record_size() bytes. */
void wal_record_write(const struct wal_record *record, uint64_t id, uint64_t lsn, uint8_t *to);
/* Reads what stands before the body (record->body is NULL after); false: it is no record. */
bool wal_record_head(struct wal_record *record, uint64_t id, uint64_t lsn,
                     const uint8_t from[WAL_RECORD_BYTES]);
/* Checks a record of which all bytes are there; record->body is set into them. */
bool wal_record_read(struct wal_record *record, uint64_t id, uint64_t lsn, const uint8_t *from);

#endif
