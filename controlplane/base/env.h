/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O environment of the replicated core: time, randomness, one folder of files, messages
 * between nodes, work on threads. Nothing in controlplane/core does I/O but through it, so that the
 * same code runs on the machine and in the simulator (tests/sim), which injects faults.
 *
 * Everything is called, and calls back, on one thread: the loop's. A callback never runs inside
 * the call that asked for it. Nothing here waits but what says "blocks", which is for start-up.
 */
#ifndef CULVERT_BASE_ENV_H
#define CULVERT_BASE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct env;
struct env_file;

/* Calls `fn` once at a time. Owned by the caller, zeroed before the first use. */
struct env_timer {
    void (*fn)(void *arg);
    void *arg;
    uint64_t at; /* set by env_timer_set() */
    void *impl;  /* the environment's */
};

/* A write to a file. Owned by the caller, with its bytes, until `done` is called. */
struct env_write {
    struct env_file *file;
    uint64_t offset; /* bytes */
    const struct iovec *parts;
    unsigned count;
    bool sync; /* the bytes, and all earlier ones of the file, are on the disk when done */
    /* 0; CULVERT_ENOSPC or CULVERT_EIO: what is on the disk is unknown, the file must not be
     * written again before it was read anew. */
    void (*done)(struct env_write *write, int status);
    void *arg;
    void *impl;
};

/* Something that blocks, done on a thread: `run` there, `done` on the loop. */
struct env_work {
    void (*run)(struct env_work *work);
    void (*done)(struct env_work *work);
    void *arg;
    void *impl;
};

/* What comes in. Set by the owner before anything is sent. */
struct env_events {
    void *arg;
    /* A message of another node, whole and as it was sent; the bytes are valid during the call.
     * Messages may be lost and, between one pair of nodes, never change their order within a
     * connection; `connected` says when a new one begins. Those of the one before may come late,
     * or once more, between the new one's: who can't stand that numbers them. Only bulk, if the
     * network was told what that is (core/transport.h), is overtaken by others. */
    void (*message)(void *arg, uint64_t node, const uint8_t *bytes, size_t length);
    void (*connected)(void *arg, uint64_t node, bool up);
    /* There is room again in a queue that env_send() found full. */
    void (*writable)(void *arg, uint64_t node);
};

#define ENV_MESSAGE_MAX ((size_t)16 << 20) /* bytes */

#define ENV_FILE_CREATE 1u /* made when missing; its name is durable on return */

/* Errors are of the table (base/error.h). */
struct env_ops {
    /* Time: monotonic ns from any start; wall clock in ms since 1970, which may jump. */
    uint64_t (*now)(struct env *env);
    int64_t (*wall_ms)(struct env *env);
    void (*random)(struct env *env, void *to, size_t length);

    /* Sets (anew) or stops a timer; `at` is of now(), one that is past fires soon. */
    void (*timer_set)(struct env *env, struct env_timer *timer, uint64_t at);
    void (*timer_stop)(struct env *env, struct env_timer *timer);

    /* Files of the folder, by names without '/'. All of these but file_write block; they may also
     * be called by the `run` of a work. */
    int (*file_open)(struct env *env, const char *name, unsigned flags, struct env_file **out);
    void (*file_close)(struct env *env, struct env_file *file); /* no write is under way */
    int (*file_size)(struct env *env, struct env_file *file, uint64_t *size);
    /* Returns how many bytes were there to read, at most `length`, or an error. */
    int64_t (*file_read)(struct env *env, struct env_file *file, uint64_t offset, void *to,
                         size_t length);
    /* Makes the file `size` bytes long, new ones zero and their place reserved, and durable. */
    int (*file_allocate)(struct env *env, struct env_file *file, uint64_t size);
    /* Cuts the file; durable, with all bytes that are left. */
    int (*file_truncate)(struct env *env, struct env_file *file, uint64_t size);
    int (*file_rename)(struct env *env, const char *from, const char *to); /* durable, replaces */
    /* After a crash it may be there again. The file is not open. */
    int (*file_remove)(struct env *env, const char *name);
    /* Calls `each` with every file's name until it returns non-zero, which is returned. */
    int (*file_list)(struct env *env, int (*each)(void *arg, const char *name), void *arg);
    /* Writes to one file are carried out in their order; writes of several files side by side. */
    void (*file_write)(struct env *env, struct env_write *write);

    /* Sends a message. CULVERT_EFULL: the queue to that node is at its bound, `writable` follows;
     * CULVERT_ENOTFOUND: no connection. The bytes are copied or sent before it returns. */
    int (*send)(struct env *env, uint64_t node, const struct iovec *parts, unsigned count);
    void (*events)(struct env *env, const struct env_events *events);

    void (*work)(struct env *env, struct env_work *work);
};

/* The first member of every environment. */
struct env {
    const struct env_ops *ops;
};

static inline uint64_t env_now(struct env *env)
{
    return env->ops->now(env);
}

#endif
