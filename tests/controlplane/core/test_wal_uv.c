/* SPDX-License-Identifier: Apache-2.0 */
/* The log in the real environment, and what that promises by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/env_uv.h"
#include "controlplane/base/error.h"
#include "wal_basic.h"

static uv_loop_t loop;
static char folder[64];
static struct env_uv *uv;
static struct wal_host host;

static void host_run(struct wal_host *which)
{
    (void)which;
    uv_run(&loop, UV_RUN_DEFAULT);
}

static int setup(void **state)
{
    strcpy(folder, "/tmp/culvert-wal-XXXXXX");
    if (!mkdtemp(folder) || uv_loop_init(&loop) || env_uv_open(&uv, &loop, folder, NULL))
        return -1;
    host = (struct wal_host){.run = host_run};
    wal_host_init(&host, env_uv_env(uv));
    *state = &host;
    return 0;
}

static int teardown(void **state)
{
    char command[96];

    (void)state;
    wal_host_close(&host);
    env_uv_close(uv);
    uv_run(&loop, UV_RUN_DEFAULT);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return uv_loop_close(&loop) || system(command);
}

/* A timer's or a work's or a write's callback, noted in its order. */
struct note {
    unsigned count;
    char text[64];
};
static struct note notes;
static char letters[] = "abcdefghij0123456789";
static struct env_timer again;

static void note(char c)
{
    if (notes.count + 1 < sizeof(notes.text))
        notes.text[notes.count++] = c;
}

static void timer_fired(void *arg)
{
    note(*(const char *)arg);
    if (*(const char *)arg == 'b')
        env_uv_env(uv)->ops->timer_set(env_uv_env(uv), &again, env_now(env_uv_env(uv)));
}

static void test_timers(void **state)
{
    struct env *env = env_uv_env(uv);
    struct env_timer timers[4];
    uint64_t start = env_now(env);

    (void)state;
    notes = (struct note){0};
    again = (struct env_timer){.fn = timer_fired, .arg = &letters[4]};
    for (unsigned i = 0; i < 4; i++)
        timers[i] = (struct env_timer){.fn = timer_fired, .arg = &letters[i]};
    env->ops->timer_set(env, &timers[3], start + 30000000);
    env->ops->timer_set(env, &timers[0], 0);
    env->ops->timer_set(env, &timers[2], start + 10000000);
    env->ops->timer_set(env, &timers[1], start + 20000000);
    env->ops->timer_set(env, &timers[1], start + 5000000);
    env->ops->timer_stop(env, &timers[2]);
    env->ops->timer_stop(env, &timers[2]);
    assert_int_equal(notes.count, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(notes.text, "abed");
    assert_true(env_now(env) >= start + 30000000);
    assert_true(env->ops->wall_ms(env) > 1500000000000);
}

static void write_done(struct env_write *write, int status)
{
    assert_int_equal(status, 0);
    note(*(const char *)write->arg);
}

static void work_run(struct env_work *work)
{
    (*(unsigned *)work->arg)++;
}

static void work_done(struct env_work *work)
{
    note('w');
    assert_int_equal(*(unsigned *)work->arg, 1);
}

static int name_note(void *arg, const char *name)
{
    strcat(arg, name);
    return 0;
}

/* Writes to a file keep their order, also in many parts; the rest of the operations. */
static void test_files(void **state)
{
    struct env *env = env_uv_env(uv);
    const struct env_ops *ops = env->ops;
    struct env_write writes[6];
    struct iovec parts[40];
    struct env_file *file;
    struct env_work work = {.run = work_run, .done = work_done};
    char text[64] = "", names[64] = "";
    unsigned ran = 0;
    uint64_t size;

    (void)state;
    notes = (struct note){0};
    assert_int_equal(ops->file_open(env, "x", 0, &file), CULVERT_ENOTFOUND);
    assert_int_equal(ops->file_open(env, "../x", ENV_FILE_CREATE, &file), CULVERT_EINVAL);
    assert_int_equal(ops->file_open(env, "x", ENV_FILE_CREATE, &file), 0);
    assert_int_equal(ops->file_allocate(env, file, 10000), 0);
    assert_int_equal(ops->file_allocate(env, file, 5000), 0);
    assert_int_equal(ops->file_size(env, file, &size), 0);
    assert_int_equal(size, 10000);
    for (unsigned i = 0; i < 40; i++)
        parts[i] = (struct iovec){.iov_base = &letters[i % 10], .iov_len = 1};
    for (unsigned i = 0; i < 6; i++) {
        writes[i] = (struct env_write){.file = file,
                                       .offset = i,
                                       .parts = parts,
                                       .count = 40 - i,
                                       .sync = i % 2,
                                       .done = write_done,
                                       .arg = &letters[10 + i]};
        ops->file_write(env, &writes[i]);
    }
    work.arg = &ran;
    ops->work(env, &work);
    assert_int_equal(notes.count, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(notes.count, 7);
    *strchr(notes.text, 'w') = '0';
    for (unsigned i = 1; i < 7; i++)
        assert_true(notes.text[i - 1] <= notes.text[i] || notes.text[i] == '0');
    assert_int_equal(ops->file_read(env, file, 0, text, 42), 42);
    assert_string_equal(text, "aaaaaabcdefghijabcdefghijabcdefghijabcde");
    assert_int_equal(ops->file_truncate(env, file, 3), 0);
    assert_int_equal(ops->file_read(env, file, 1, text, 42), 2);
    ops->file_close(env, file);
    assert_int_equal(ops->file_rename(env, "x", "y"), 0);
    assert_int_equal(ops->file_list(env, name_note, names), 0);
    assert_string_equal(names, "y");
    assert_int_equal(ops->file_remove(env, "y"), 0);
    assert_int_equal(ops->file_remove(env, "y"), CULVERT_ENOTFOUND);
    assert_int_equal(ops->send(env, 1, NULL, 0), CULVERT_ENOTFOUND);
}

static void write_failed(struct env_write *write, int status)
{
    *(int *)write->arg = status;
}

/* After an error the file is not written again, though it could be. */
static void test_write_error(void **state)
{
    struct env *env = env_uv_env(uv);
    struct iovec part = {.iov_base = letters, .iov_len = 1};
    int status[2] = {1, 1};
    struct env_write write = {.parts = &part, .count = 1, .sync = true, .done = write_failed};
    struct env_file *file;

    (void)state;
    assert_int_equal(env->ops->file_open(env, "x", ENV_FILE_CREATE, &file), 0);
    write.file = file;
    write.offset = (uint64_t)1 << 62;
    write.arg = &status[0];
    env->ops->file_write(env, &write);
    uv_run(&loop, UV_RUN_DEFAULT);
    write.offset = 0;
    write.arg = &status[1];
    env->ops->file_write(env, &write);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(status[0], CULVERT_ENOSPC);
    assert_int_equal(status[1], CULVERT_ENOSPC);
    env->ops->file_close(env, file);
}

static void test_locked(void **state)
{
    struct env_uv *other;

    (void)state;
    assert_int_equal(env_uv_open(&other, &loop, folder, NULL), CULVERT_EBUSY);
    assert_int_equal(env_uv_open(&other, &loop, "/dev/null/x", NULL), CULVERT_ENOTFOUND);
}

int main(void)
{
#define X(name) cmocka_unit_test_setup_teardown(name, setup, teardown),
    const struct CMUnitTest tests[] = {X(test_timers) X(test_files) X(test_write_error)
                                           X(test_locked) WAL_BASIC_TESTS(X)};
#undef X

    return cmocka_run_group_tests(tests, NULL, NULL);
}
