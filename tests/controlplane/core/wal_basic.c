/* SPDX-License-Identifier: Apache-2.0 */
#include "wal_basic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/core/wal_format.h"

static struct wal_host *counted;
static struct env_ops counting;
static const struct env_ops *real;

static void file_write_count(struct env *env, struct env_write *write)
{
    counted->syncs += write->sync;
    real->file_write(env, write);
}

void wal_host_init(struct wal_host *host, struct env *env)
{
    host->env = env;
    counted = host;
    real = env->ops;
    counting = *real;
    counting.file_write = file_write_count;
    env->ops = &counting;
}

void wal_host_close(struct wal_host *host)
{
    wal_close(host->wal);
    host->wal = NULL;
    host->run(host);
}

void wal_host_open(struct wal_host *host)
{
    char *problem = NULL;
    int error;

    wal_host_close(host);
    error = wal_open(&host->wal, host->env, &host->options, &problem);
    if (error)
        print_message("%s\n", problem);
    assert_int_equal(error, 0);
}

static void synced(struct wal_sync *sync, int status)
{
    *(int *)sync->arg = status;
}

static void sync_now(struct wal_host *host)
{
    int status = 1;
    struct wal_sync sync = {.done = synced, .arg = &status};

    wal_sync(host->wal, &sync);
    assert_int_equal(status, 1); /* never inside the call */
    host->run(host);
    assert_int_equal(status, 0);
}

/* Appends an entry of so many bytes, made of its index. */
static void append(struct wal_host *host, uint64_t group, uint64_t index, uint64_t term,
                   size_t length)
{
    uint8_t *bytes = malloc(length + 1);
    struct wal_entry entry = {.term = term, .type = 7, .data = bytes, .length = length};

    memset(bytes, (int)(index * 7 + group), length + 1);
    assert_int_equal(wal_append(host->wal, group, index, &entry, 1), 0);
    free(bytes);
}

static void check_entry(struct wal_host *host, uint64_t group, uint64_t index, uint64_t term,
                        size_t length)
{
    uint8_t *bytes = malloc(length + 1);
    struct wal_entry entry;
    void *memory;

    assert_int_equal(wal_read(host->wal, group, index, 1, 0, &entry, &memory), 1);
    assert_int_equal(entry.term, term);
    assert_int_equal(entry.type, 7);
    assert_int_equal(entry.length, length);
    memset(bytes, (int)(index * 7 + group), length + 1);
    assert_memory_equal(entry.data, bytes, length);
    free(memory);
    free(bytes);
}

static struct wal_group group_of(struct wal_host *host, uint64_t id)
{
    struct wal_group group;

    assert_int_equal(wal_group(host->wal, id, &group), 0);
    assert_int_equal(group.id, id);
    return group;
}

static int group_count(void *arg, const struct wal_group *group)
{
    (void)group;
    return ++*(int *)arg == 2 ? 42 : 0;
}

void wal_basic_restart(void **state)
{
    struct wal_host *host = *state;
    struct wal_group group;
    int count = 0;

    wal_host_open(host);
    assert_int_equal(wal_group(host->wal, 3, &group), CULVERT_ENOTFOUND);
    assert_int_equal(wal_set_term(host->wal, 3, 5, 2), 0);
    assert_int_equal(wal_set_term(host->wal, 4, 1, 0), 0);
    append(host, 3, 1, 5, 0);
    append(host, 3, 2, 5, 13);
    append(host, 3, 3, 6, 256);
    sync_now(host);
    for (int round = 0; round < 3; round++) {
        group = group_of(host, 3);
        assert_true(group.term == 5 && group.vote == 2 && group.first == 1 && group.last == 3);
        assert_true(!group.snapshot_index && !group.meta_length);
        group = group_of(host, 4);
        assert_true(group.term == 1 && group.last < group.first);
        check_entry(host, 3, 1, 5, 0);
        check_entry(host, 3, 2, 5, 13);
        check_entry(host, 3, 3, 6, 256);
        assert_int_equal(wal_term_at(host->wal, 3, 0), 0);
        assert_int_equal(wal_term_at(host->wal, 3, 2), 5);
        assert_int_equal(wal_term_at(host->wal, 3, 3), 6);
        assert_int_equal(wal_term_at(host->wal, 3, 4), 0);
        wal_host_open(host);
    }
    assert_int_equal(wal_groups(host->wal, group_count, &count), 42);
    append(host, 3, 4, 6, 1);
    sync_now(host);
    wal_host_open(host);
    check_entry(host, 3, 3, 6, 256);
    check_entry(host, 3, 4, 6, 1);
}

void wal_basic_replace(void **state)
{
    struct wal_host *host = *state;
    struct wal_entry out[9];
    void *memory;

    wal_host_open(host);
    for (uint64_t i = 1; i <= 9; i++)
        append(host, 1, i, i < 6 ? 1 : i, 20);
    sync_now(host);
    append(host, 1, 4, 2, 30);
    append(host, 1, 5, 3, 40);
    append(host, 1, 6, 3, 50);
    append(host, 1, 6, 3, 60);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(group_of(host, 1).last, 6);
        assert_int_equal(wal_term_at(host->wal, 1, 3), 1);
        assert_int_equal(wal_term_at(host->wal, 1, 4), 2);
        assert_int_equal(wal_term_at(host->wal, 1, 5), 3);
        assert_int_equal(wal_term_at(host->wal, 1, 6), 3);
        assert_int_equal(wal_term_at(host->wal, 1, 7), 0);
        assert_int_equal(wal_read(host->wal, 1, 1, 9, 1000, out, &memory), 6);
        assert_true(out[3].term == 2 && out[3].length == 30 && out[5].length == 60);
        free(memory);
        assert_int_equal(wal_read(host->wal, 1, 1, 9, 70, out, &memory), 3); /* by the bound */
        free(memory);
        assert_int_equal(wal_read(host->wal, 1, 7, 9, 70, out, &memory), CULVERT_ENOTFOUND);
        sync_now(host);
        wal_host_open(host);
    }
}

void wal_basic_snapshot(void **state)
{
    struct wal_host *host = *state;
    struct wal_group group;
    struct wal_entry out;
    void *memory;

    wal_host_open(host);
    for (uint64_t i = 1; i <= 20; i++)
        append(host, 1, i, 1 + i / 8, 20);
    assert_int_equal(wal_snapshot(host->wal, 1, 15, 2, 5, "members", 7), 0);
    sync_now(host);
    for (int round = 0; round < 2; round++) {
        group = group_of(host, 1);
        assert_true(group.first == 11 && group.last == 20);
        assert_true(group.snapshot_index == 15 && group.snapshot_term == 2);
        assert_int_equal(group.meta_length, 7);
        assert_memory_equal(group.meta, "members", 7);
        assert_int_equal(wal_term_at(host->wal, 1, 10), 0);
        assert_int_equal(wal_term_at(host->wal, 1, 11), 2);
        check_entry(host, 1, 11, 2, 20);
        assert_int_equal(wal_read(host->wal, 1, 10, 1, 99, &out, &memory), CULVERT_ENOTFOUND);
        wal_host_open(host);
    }
    assert_int_equal(wal_snapshot(host->wal, 1, 20, 3, 0, NULL, 0), 0);
    group = group_of(host, 1);
    assert_true(group.first == 21 && group.last == 20 && !group.meta_length);
    append(host, 1, 21, 3, 5);
    sync_now(host);
    wal_host_open(host);
    check_entry(host, 1, 21, 3, 5);
    assert_int_equal(wal_term_at(host->wal, 1, 20), 3);
}

/* A snapshot of another node, ahead of the log or at odds with it. */
void wal_basic_install(void **state)
{
    struct wal_host *host = *state;
    struct wal_group group;

    wal_host_open(host);
    for (uint64_t i = 1; i <= 5; i++) {
        append(host, 1, i, 1, 20);
        append(host, 2, i, 1, 20);
    }
    assert_int_equal(wal_snapshot(host->wal, 1, 100, 4, 50, "m", 1), 0);
    assert_int_equal(wal_snapshot(host->wal, 2, 3, 9, 50, "m", 1), 0);
    assert_int_equal(wal_snapshot(host->wal, 3, 7, 2, 0, "m", 1), 0);
    sync_now(host);
    for (int round = 0; round < 2; round++) {
        group = group_of(host, 1);
        assert_true(group.first == 101 && group.last == 100);
        assert_int_equal(wal_term_at(host->wal, 1, 100), 4);
        group = group_of(host, 2);
        assert_true(group.first == 4 && group.last == 3);
        group = group_of(host, 3);
        assert_true(group.first == 8 && group.last == 7 && group.snapshot_index == 7);
        wal_host_open(host);
    }
    append(host, 1, 101, 4, 9);
    append(host, 2, 4, 9, 9);
    sync_now(host);
    wal_host_open(host);
    check_entry(host, 1, 101, 4, 9);
    check_entry(host, 2, 4, 9, 9);
}

/* However many ask while a write is under way: it and one more are all. */
void wal_basic_group_commit(void **state)
{
    struct wal_host *host = *state;
    struct wal_sync syncs[64];
    int status[64];
    unsigned before;

    wal_host_open(host);
    append(host, 0, 1, 1, 256);
    sync_now(host);
    before = host->syncs;
    for (unsigned i = 0; i < 64; i++) {
        append(host, i % 16, i / 16 + 1 + !(i % 16), 1, 256);
        status[i] = 1;
        syncs[i] = (struct wal_sync){.done = synced, .arg = &status[i]};
        wal_sync(host->wal, &syncs[i]);
    }
    host->run(host);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(status[i], 0);
    assert_in_range(host->syncs - before, 1, 2);
    before = host->syncs;
    sync_now(host); /* nothing to write */
    assert_int_equal(host->syncs, before);
}

static int segment_count(void *arg, const char *name)
{
    *(unsigned *)arg += wal_name_sequence(name) != 0;
    return 0;
}

static unsigned segments(struct wal_host *host)
{
    unsigned count = 0;

    assert_int_equal(host->env->ops->file_list(host->env, segment_count, &count), 0);
    return count;
}

/* A busy group's segments go; what a quiet one left in them stays. */
void wal_basic_segments(void **state)
{
    struct wal_host *host = *state;
    struct wal_group group;

    host->options.segment = 16384;
    wal_host_open(host);
    assert_int_equal(wal_set_term(host->wal, 9, 77, 3), 0);
    assert_int_equal(wal_snapshot(host->wal, 9, 1000, 70, 0, "quiet", 5), 0);
    for (uint64_t i = 1; i <= 2000; i++) {
        append(host, 1, i, 1, 200);
        if (i % 50)
            continue;
        assert_int_equal(wal_snapshot(host->wal, 1, i, 1, 10, NULL, 0), 0);
        sync_now(host);
        assert_in_range(segments(host), 1, 6);
    }
    for (int round = 0; round < 2; round++) {
        group = group_of(host, 9);
        assert_true(group.term == 77 && group.vote == 3 && group.snapshot_index == 1000);
        assert_memory_equal(group.meta, "quiet", 5);
        assert_int_equal(group_of(host, 1).first, 1991);
        check_entry(host, 1, 1991, 1, 200);
        check_entry(host, 1, 2000, 1, 200);
        wal_host_open(host);
        assert_in_range(segments(host), 1, 6);
    }
}

/* Entries kept for others' sake don't hold the log; entries in no snapshot do, and it is said. */
void wal_basic_trailing(void **state)
{
    struct wal_host *host = *state;
    uint64_t pinned;

    host->options.segment = 8192;
    wal_host_open(host);
    append(host, 5, 1, 1, 100);
    append(host, 5, 2, 1, 100);
    assert_int_equal(wal_snapshot(host->wal, 5, 2, 1, 2, NULL, 0), 0);
    append(host, 6, 1, 1, 100);
    assert_int_equal(wal_pinned(host->wal, &pinned), CULVERT_ENOTFOUND);
    for (uint64_t i = 1; i <= 600; i++) {
        append(host, 1, i, 1, 200);
        assert_int_equal(wal_snapshot(host->wal, 1, i, 1, 0, NULL, 0), 0);
        if (i % 10 == 0)
            sync_now(host);
    }
    assert_true(segments(host) > 16);
    assert_int_equal(wal_pinned(host->wal, &pinned), 0);
    assert_int_equal(pinned, 6);
    assert_int_equal(wal_snapshot(host->wal, 6, 1, 1, 0, NULL, 0), 0);
    sync_now(host);
    assert_true(segments(host) <= 4);
    assert_int_equal(wal_pinned(host->wal, &pinned), CULVERT_ENOTFOUND);
    for (int round = 0; round < 2; round++) {
        assert_true(group_of(host, 5).first == 3 && group_of(host, 5).last == 2);
        assert_int_equal(group_of(host, 5).snapshot_index, 2);
        wal_host_open(host);
    }
}

void wal_basic_big(void **state)
{
    struct wal_host *host = *state;

    host->options.segment = 0;
    wal_host_open(host);
    for (uint64_t i = 1; i <= 12; i++) {
        append(host, 1, i, 1, WAL_ENTRY_MAX - i % 3);
        if (i % 3 == 0)
            sync_now(host);
    }
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 1; i <= 12; i++)
            check_entry(host, 1, i, 1, WAL_ENTRY_MAX - i % 3);
        wal_host_open(host);
    }
    assert_int_equal(segments(host), 3); /* one is made ahead */
}

/* Entries that memory has forgotten come from the files. */
void wal_basic_old(void **state)
{
    struct wal_host *host = *state;
    struct wal_entry out[100];
    void *memory;

    host->options.segment = 1 << 20;
    wal_host_open(host);
    for (uint64_t i = 1; i <= 12000; i++) {
        append(host, i % 2, (i + 1) / 2, 1, 1000);
        if (i % 500 == 0)
            sync_now(host);
    }
    for (uint64_t i = 1; i <= 6000; i += 100) {
        assert_int_equal(wal_read(host->wal, 1, i, 100, 1 << 20, out, &memory), 100);
        for (unsigned j = 0; j < 100; j++)
            assert_true(out[j].length == 1000 &&
                        *(const uint8_t *)out[j].data == (uint8_t)((i + j) * 7 + 1));
        free(memory);
    }
    /* What was read of the file before it grew is not what it has now. */
    wal_host_open(host);
    check_entry(host, 1, 6000, 1, 1000);
    append(host, 1, 6001, 1, 1000);
    for (uint64_t i = 6001; i < 15000; i++) {
        append(host, 0, i, 1, 1000);
        if (i % 500 == 0)
            sync_now(host);
    }
    check_entry(host, 1, 6001, 1, 1000);
}

void wal_basic_invalid(void **state)
{
    struct wal_host *host = *state;
    struct wal_entry entry = {.term = 1, .type = 1, .data = "x", .length = 1};
    struct wal_options odd = {.segment = 100};
    struct wal_group group;
    struct wal *wal;

    assert_int_equal(wal_open(&wal, host->env, &odd, NULL), CULVERT_EINVAL);
    host->options.segment = 8192;
    wal_host_open(host);
    assert_int_equal(wal_append(host->wal, 1, 2, &entry, 1), CULVERT_EINVAL);
    assert_int_equal(wal_append(host->wal, 1, 0, &entry, 1), CULVERT_EINVAL);
    assert_int_equal(wal_group(host->wal, 1, &group), CULVERT_ENOTFOUND);
    entry.length = 8192;
    assert_int_equal(wal_append(host->wal, 1, 1, &entry, 1), CULVERT_EINVAL);
    entry = (struct wal_entry){.term = 1, .data = "x", .length = 1};
    assert_int_equal(wal_append(host->wal, 1, 1, &entry, 1), CULVERT_EINVAL);
    assert_int_equal(wal_snapshot(host->wal, 1, 0, 1, 0, NULL, 0), CULVERT_EINVAL);
    assert_int_equal(wal_snapshot(host->wal, 1, 5, 1, 0, NULL, 0), 0);
    entry.type = 1;
    assert_int_equal(wal_append(host->wal, 1, 5, &entry, 1), CULVERT_EINVAL);
    assert_int_equal(wal_snapshot(host->wal, 1, 4, 1, 0, NULL, 0), CULVERT_EINVAL);
    assert_int_equal(wal_append(host->wal, 1, 6, &entry, 1), 0);
    for (uint64_t i = 2; i <= WAL_GROUPS_MAX; i++)
        assert_int_equal(wal_set_term(host->wal, i, 1, 1), 0);
    assert_int_equal(wal_set_term(host->wal, WAL_GROUPS_MAX + 1, 1, 1), CULVERT_EFULL);
    sync_now(host);
    wal_host_open(host);
    assert_int_equal(group_of(host, WAL_GROUPS_MAX).term, 1);
}
