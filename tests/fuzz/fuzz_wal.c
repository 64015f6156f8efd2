/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile bytes as segments of the log. The input is a list of commands, each a byte and what it
 * takes: records with right checksums and any content, raw bytes over what was written, the next
 * segment. The log is opened; if it is taken, everything in it is read, something is appended, and
 * it must open again with that in it.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "wal_craft.h"
#include "wal_rig.h"

#define SEGMENT 16384u
#define GROUP 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t take(struct input *input)
{
    if (!input->size)
        return 0;
    input->size--;
    return *input->data++;
}

/* Small numbers mostly, and some at the end of the range. */
static uint64_t number(struct input *input)
{
    uint64_t value = take(input);

    return value < 0xf0 ? value : UINT64_MAX - (value & 15);
}

static void craft_one(struct craft *craft, struct input *input, uint8_t command)
{
    struct wal_record record = {.kind = command % 8,
                                .flags = command >> 3 & 3,
                                .type = take(input),
                                .group = number(input) % 8,
                                .index = number(input),
                                .term = number(input)};
    size_t length = record.kind == WAL_ENTRY || record.kind == WAL_SNAPSHOT ? take(input) : 0;

    record.length = (uint32_t)(length < input->size ? length : input->size);
    record.body = input->data;
    input->data += record.length;
    input->size -= record.length;
    craft_record(craft, &record);
}

static void craft_all(struct rig *rig, struct input *input)
{
    struct wal_header header = {.id = 1, .sequence = 1, .size = SEGMENT, .low = 1};
    struct craft craft;

    craft_begin(&craft, rig->disk, &header);
    while (input->size) {
        uint8_t command = take(input);
        size_t length;

        switch (command >> 5) {
        case 7: /* the next segment */
            craft_end(&craft);
            header.sequence += 1 + (command & 1);
            header.id++;
            header.low += header.sequence > 3 && command & 2;
            craft_begin(&craft, rig->disk, &header);
            break;
        case 6: /* raw bytes, anywhere */
            length = take(input);
            length = length < input->size ? length : input->size;
            craft_bytes(&craft, (uint64_t)(command & 31) * 256 + (length & 3), input->data, length);
            input->data += length;
            input->size -= length;
            break;
        case 5: /* a gap */
            craft.offset += (uint64_t)(command & 31) * 8;
            break;
        default:
            craft_one(&craft, input, command);
        }
    }
    craft_end(&craft);
}

static int group_read(void *arg, const struct wal_group *group)
{
    struct wal *wal = *(struct wal **)arg;

    for (uint64_t index = group->first; index <= group->last;) {
        struct wal_entry entries[16];
        void *memory;
        int count = wal_read(wal, group->id, index, 16, 1024, entries, &memory);

        if (count <= 0)
            abort(); /* it was whole when the log was opened */
        free(memory);
        if (wal_term_at(wal, group->id, index) !=
            (index == group->snapshot_index ? group->snapshot_term : entries[0].term))
            abort();
        index += (uint64_t)count;
    }
    return 0;
}

static void done(struct wal_sync *sync, int status)
{
    if (status)
        abort();
}

static struct wal *log_open(struct rig *rig)
{
    struct wal_options options = {.segment = SEGMENT};
    struct wal *wal = NULL;
    char *problem;
    int error = wal_open(&wal, &rig->env, &options, &problem);

    if (error && (!problem || !*problem))
        abort();
    free(problem);
    return wal;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .size = size};
    struct wal_sync sync = {.done = done};
    struct wal_group group = {0};
    struct wal *wal;
    struct rig rig;

    rig_open(&rig, 1);
    craft_all(&rig, &input);
    wal = log_open(&rig);
    if (wal) {
        wal_groups(wal, group_read, &wal);
        if (wal_set_term(wal, GROUP, 1234567, 89))
            abort();
        wal_sync(wal, &sync);
        rig_run(&rig);
        wal_close(wal);
        rig_run(&rig);
        wal = log_open(&rig);
        if (!wal || wal_group(wal, GROUP, &group) || group.term != 1234567)
            abort();
        wal_groups(wal, group_read, &wal);
        wal_close(wal);
        rig_run(&rig);
    }
    rig_close(&rig);
    return 0;
}
