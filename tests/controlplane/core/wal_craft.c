/* SPDX-License-Identifier: Apache-2.0 */
#include "wal_craft.h"

#include <stdlib.h>

void craft_bytes(struct craft *craft, uint64_t offset, const void *bytes, size_t length)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct env_write write = {
        .file = craft->file, .offset = offset, .parts = &part, .count = 1, .sync = true};

    if (offset > craft->header.size)
        return;
    if (part.iov_len > craft->header.size - offset)
        part.iov_len = (size_t)(craft->header.size - offset);
    sim_disk_write_begin(craft->disk, &write);
    if (sim_disk_write_end(craft->disk, &write))
        abort();
}

void craft_begin(struct craft *craft, struct sim_disk *disk, const struct wal_header *header)
{
    uint8_t bytes[WAL_HEADER_BYTES];
    char name[WAL_NAME_BYTES];

    *craft = (struct craft){.disk = disk, .header = *header, .offset = WAL_FIRST};
    wal_name(header->sequence, name);
    if (sim_disk_open(disk, name, ENV_FILE_CREATE, &craft->file) ||
        sim_disk_allocate(disk, craft->file, header->size))
        abort();
    wal_header_write(header, bytes);
    craft_bytes(craft, 0, bytes, sizeof(bytes));
}

void craft_record(struct craft *craft, const struct wal_record *record)
{
    size_t size = (size_t)wal_record_size(record->length);
    uint8_t *bytes;

    if (craft->offset + size > craft->header.size)
        return;
    bytes = malloc(size);
    if (!bytes)
        abort();
    wal_record_write(record, craft->header.id, wal_lsn(craft->header.sequence, craft->offset),
                     bytes);
    craft_bytes(craft, craft->offset, bytes, size);
    free(bytes);
    craft->offset += size;
}

void craft_end(struct craft *craft)
{
    sim_disk_close(craft->disk, craft->file);
}
