/* SPDX-License-Identifier: Apache-2.0 */
/* What the log does when nothing goes wrong, in whatever environment. */
#ifndef CULVERT_TEST_WAL_BASIC_H
#define CULVERT_TEST_WAL_BASIC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controlplane/core/wal.h"

/* Where the tests run; a test's state. */
struct wal_host {
    struct env *env;
    void (*run)(struct wal_host *host); /* until nothing is under way */
    unsigned syncs;                     /* writes with sync that were asked for */
    struct wal *wal;
    struct wal_options options;
};

/* Counts the environment's writes from now on: one host at a time. */
void wal_host_init(struct wal_host *host, struct env *env);
/* Opens the log, closing it before if it is open. */
void wal_host_open(struct wal_host *host);
void wal_host_close(struct wal_host *host);

#define WAL_BASIC_TESTS(X)                                                                         \
    X(wal_basic_restart)                                                                           \
    X(wal_basic_replace)                                                                           \
    X(wal_basic_snapshot)                                                                          \
    X(wal_basic_install)                                                                           \
    X(wal_basic_group_commit)                                                                      \
    X(wal_basic_segments)                                                                          \
    X(wal_basic_trailing)                                                                          \
    X(wal_basic_big)                                                                               \
    X(wal_basic_old)                                                                               \
    X(wal_basic_invalid)

#define X(name) void name(void **state);
WAL_BASIC_TESTS(X)
#undef X

#endif
