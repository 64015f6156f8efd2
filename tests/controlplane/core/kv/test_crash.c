/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process with a store on RocksDB is killed again and again while it applies commands, flushes
 * on a thread and takes over dumps. Each time it opens the store anew, nothing that was flushed is
 * missing, and it applies the commands from durable() + 1 on. In the end the state is the one of a
 * store that never crashed. Only child processes open RocksDB, so that none is forked with it.
 */
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/base/digest.h"
#include "tests/controlplane/core/kv/rig.h"

#define COMMANDS 6000u
#define LOAD_EVERY 150u
#define LOAD_PIECE 65536u
#define KILLS 40u

/* What the child says. */
struct message {
    enum { SAYS_OPEN, SAYS_APPLIED, SAYS_FLUSHED, SAYS_LOADING, SAYS_END } what;
    uint64_t index;
    char digest[DIGEST_TEXT];
};

/* ---- commands by their index ---- */

struct dice {
    uint64_t state;
};

static unsigned roll(struct dice *dice, unsigned sides)
{
    dice->state = dice->state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)((dice->state >> 33) % sides);
}

static void make_op(struct dice *dice, struct kv_op *op, char key[16], const char *value)
{
    snprintf(key, 16, "key%u", roll(dice, 300));
    if (roll(dice, 10)) {
        *op = (struct kv_op){.kind = KV_PUT};
        op->put.key = kv_text(key);
        op->put.value = (struct kv_slice){(const uint8_t *)value, roll(dice, 400)};
        op->put.lease = roll(dice, 5) ? 0 : 1 + roll(dice, 3);
    } else {
        *op = (struct kv_op){.kind = KV_DELETE, .delete.keys.key = kv_text(key)};
    }
}

static void make_command(uint64_t index, struct buffer *to)
{
    static char value[400];
    struct dice dice = {index * 0x9e3779b97f4a7c15ull};
    struct kv_command command = {.kind = KV_TXN, .op.kind = KV_TXN};
    struct kv_op ops[4];
    char keys[4][16];

    memset(value, 'a' + (int)(index % 26), sizeof(value));
    for (unsigned i = 0; i < 4; i++)
        make_op(&dice, &ops[i], keys[i], value);
    command.op.txn.branch[1] = (struct kv_ops){ops, 1 + roll(&dice, 4)};
    switch (roll(&dice, 12)) {
    case 0:
        command = (struct kv_command){.kind = KV_COMPACT, .revision = index / 2};
        break;
    case 1:
        command = (struct kv_command){.kind = KV_LEASE_GRANT, .lease = {1 + roll(&dice, 3), 60, 0}};
        break;
    case 2:
        command = (struct kv_command){.kind = KV_LEASE_REVOKE, .lease.id = 1 + roll(&dice, 3)};
        break;
    default:
        break;
    }
    buffer_clear(to);
    kv_command_encode(&command, to);
}

static void apply(struct kv_store *store, uint64_t index)
{
    struct machine *machine = kv_store_machine(store);
    struct buffer command = {0};

    make_command(index, &command);
    if (machine->ops->apply(machine, index, command.data, command.length, NULL))
        abort();
    buffer_free(&command);
}

static void digest_of(struct kv_store *store, char text[DIGEST_TEXT], struct buffer *dump)
{
    struct machine *machine = kv_store_machine(store);
    struct machine_dump *reader;
    uint64_t index;

    buffer_clear(dump);
    if (machine->ops->dump_open(machine, &reader, &index))
        abort();
    while (machine->ops->dump_next(reader, 65536, dump) == 1)
        ;
    machine->ops->dump_close(reader);
    if (dump->error || digest_text(dump->data, dump->length, text))
        abort();
}

/* ---- the child ---- */

/* An environment that does work on a real thread. */
struct thread_env {
    struct env env;
    struct env_work *work;
    pthread_t thread;
    atomic_bool ran;
};

static void *thread_main(void *arg)
{
    struct thread_env *env = arg;

    env->work->run(env->work);
    env->ran = true;
    return NULL;
}

static void thread_work(struct env *env, struct env_work *work)
{
    struct thread_env *thread = (struct thread_env *)env;

    thread->work = work;
    thread->ran = false;
    if (pthread_create(&thread->thread, NULL, thread_main, thread))
        abort();
}

static const struct env_ops thread_ops = {.work = thread_work};

static int out; /* the pipe to the parent */

static void say(struct message message)
{
    if (write(out, &message, sizeof(message)) != sizeof(message))
        _exit(1);
}

static void flushed(void *arg, int status)
{
    if (status)
        abort();
}

static void poll_flush(struct thread_env *env, struct kv_store *store, uint64_t index)
{
    struct machine *machine = kv_store_machine(store);

    if (env->work && env->ran) {
        struct env_work *work = env->work;

        pthread_join(env->thread, NULL);
        env->work = NULL;
        work->done(work);
        say((struct message){.what = SAYS_FLUSHED, .index = machine->ops->durable(machine)});
    }
    if (!env->work && index % 37 == 0)
        machine->ops->flush(machine, flushed, NULL);
}

/* The store is replaced by its own dump: nothing changes. */
static void take_over(struct kv_store *store, uint64_t index)
{
    struct machine *machine = kv_store_machine(store);
    struct buffer dump = {0};
    char text[DIGEST_TEXT];

    digest_of(store, text, &dump);
    if (machine->ops->load_begin(machine, index))
        abort();
    for (size_t at = 0; at < dump.length; at += LOAD_PIECE) {
        size_t left = dump.length - at;

        if (machine->ops->load_chunk(machine, dump.data + at,
                                     left < LOAD_PIECE ? left : LOAD_PIECE))
            abort();
        say((struct message){.what = SAYS_LOADING});
    }
    if (machine->ops->load_commit(machine))
        abort();
    say((struct message){.what = SAYS_FLUSHED, .index = index});
    buffer_free(&dump);
}

static void child(const char *folder)
{
    struct kv_rocksdb_options options = {.memtable = 64u << 10};
    struct thread_env env = {.env.ops = &thread_ops};
    struct message last = {.what = SAYS_END};
    struct buffer dump = {0};
    struct kv_engine *engine;
    struct kv_store *store;
    uint64_t index;

    if (kv_rocksdb_open(&engine, folder, &options) || kv_store_open(&store, engine, &env.env))
        abort();
    index = kv_store_machine(store)->ops->durable(kv_store_machine(store));
    say((struct message){.what = SAYS_OPEN, .index = index});
    while (index < COMMANDS) {
        apply(store, ++index);
        say((struct message){.what = SAYS_APPLIED, .index = index});
        poll_flush(&env, store, index);
        if (index % LOAD_EVERY == 0)
            take_over(store, index);
    }
    digest_of(store, last.digest, &dump);
    say(last);
    _exit(0);
}

/* ---- the parent ---- */

/* Runs a child until it has said `messages` (of loading only, or of all), then kills it. True: it
 * came to the end. */
static bool run_child(const char *folder, unsigned messages, bool loading, uint64_t *durable,
                      struct message *message)
{
    int pipes[2], status;
    pid_t process;

    assert_int_equal(pipe(pipes), 0);
    process = fork();
    if (!process) {
        close(pipes[0]);
        out = pipes[1];
        child(folder);
    }
    close(pipes[1]);
    message->what = SAYS_OPEN;
    while (messages && read(pipes[0], message, sizeof(*message)) == sizeof(*message)) {
        messages -= !loading || message->what == SAYS_LOADING;
        if (message->what == SAYS_OPEN)
            assert_true(message->index >= *durable);
        if (message->what == SAYS_OPEN || message->what == SAYS_FLUSHED)
            *durable = message->index;
        if (message->what == SAYS_END)
            break;
    }
    kill(process, SIGKILL);
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(message->what == SAYS_END || WIFSIGNALED(status));
    assert_true(!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL);
    close(pipes[0]);
    return message->what == SAYS_END;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    return remove(path);
}

static void test_killed_at_any_time(void **state)
{
    char folder[] = "/tmp/culvert-kv-XXXXXX", digest[DIGEST_TEXT];
    struct kv_memory_disk disk = {0};
    struct dice dice = {4711};
    struct buffer dump = {0};
    struct kv_engine *engine;
    struct kv_store *store;
    struct message message;
    uint64_t durable = 0;
    unsigned kills = 0, messages;

    assert_non_null(mkdtemp(folder));
    do {
        messages = kills % 2 ? 1 + roll(&dice, 250) : 1 + roll(&dice, 9);
        if (kills >= KILLS)
            messages = UINT32_MAX;
    } while (!run_child(folder, messages, kills % 2 == 0, &durable, &message) && ++kills);
    assert_true(kills >= KILLS);
    assert_int_equal(kv_memory_open(&engine, &disk), 0);
    assert_int_equal(kv_store_open(&store, engine, NULL), 0);
    for (uint64_t index = 1; index <= COMMANDS; index++)
        apply(store, index);
    digest_of(store, digest, &dump);
    assert_string_equal(message.digest, digest);
    kv_store_close(store);
    kv_memory_disk_free(&disk);
    buffer_free(&dump);
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed_at_any_time)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
