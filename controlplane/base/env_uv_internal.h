/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CULVERT_BASE_ENV_UV_INTERNAL_H
#define CULVERT_BASE_ENV_UV_INTERNAL_H

#include "controlplane/base/env_uv.h"

#define ENV_UV_WRITERS 2u
#define ENV_UV_WORKERS 2u

/* Its writes wait in order, linked by `impl`; the first is the one being carried out. While that is
 * so the file is in one of the environment's lists or with a thread. */
struct env_file {
    int descriptor;
    struct env_write *first, *last;
    int status; /* of the first, when it was carried out; an error stays for good */
    struct env_file *next;
};

struct env_uv {
    struct env env;
    uv_loop_t *loop;
    int folder;
    struct env_net *net;

    uv_timer_t timer;
    struct env_timer *timers; /* ascending, linked by `impl`; the last's points at this struct */

    uv_async_t async; /* keeps the loop running while something is under way */
    unsigned under_way;
    unsigned open_handles;
    uv_thread_t threads[ENV_UV_WRITERS + ENV_UV_WORKERS];
    unsigned thread_count;

    /* Between the loop and the threads, under the mutex. */
    uv_mutex_t mutex;
    uv_cond_t written, worked; /* there is something to write, to work */
    bool stop;
    struct env_file *write_first, *write_last;
    struct env_work *work_first, *work_last; /* linked by `impl` */
    struct env_file *write_done_first, *write_done_last;
    struct env_work *work_done_first, *work_done_last;
};

/* Something is under way, or not any more. */
void env_uv_begin(struct env_uv *uv);
void env_uv_end(struct env_uv *uv);

/* The file operations of struct env_ops. */
int env_uv_file_open(struct env *env, const char *name, unsigned flags, struct env_file **out);
void env_uv_file_close(struct env *env, struct env_file *file);
int env_uv_file_size(struct env *env, struct env_file *file, uint64_t *size);
int64_t env_uv_file_read(struct env *env, struct env_file *file, uint64_t offset, void *to,
                         size_t length);
int env_uv_file_allocate(struct env *env, struct env_file *file, uint64_t size);
int env_uv_file_truncate(struct env *env, struct env_file *file, uint64_t size);
int env_uv_file_rename(struct env *env, const char *from, const char *to);
int env_uv_file_remove(struct env *env, const char *name);
int env_uv_file_list(struct env *env, int (*each)(void *arg, const char *name), void *arg);
void env_uv_file_write(struct env *env, struct env_write *write);

void env_uv_writer(void *arg);          /* a writing thread; `arg` is the struct env_uv */
void env_uv_written(struct env_uv *uv); /* calls back what was written; on the loop */

#endif
