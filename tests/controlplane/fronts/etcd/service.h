/* SPDX-License-Identifier: Apache-2.0 */
/* A service of one node without a group: commands are applied to a store in memory, in a turn of
 * the loop of their own. For tests of the front. */
#ifndef CULVERT_TESTS_FRONTS_ETCD_SERVICE_H
#define CULVERT_TESTS_FRONTS_ETCD_SERVICE_H

#include <uv.h>

#include "controlplane/core/kv/service.h"

/* Aborts when it can't. */
struct kv_service *single_open(uv_loop_t *loop);
/* Answers what is under way with CULVERT_EUNKNOWN; the loop must run once more after it. */
void single_close(struct kv_service *service);
/* What is asked from now on gets this status instead of an answer; 0: none. */
void single_fail(struct kv_service *service, int status);
/* Calls `around` with true before, and with false after, each callback into the front. */
void single_around(struct kv_service *service, void (*around)(bool begin));
/* Keeps answers back until called again with false. */
void single_pause(struct kv_service *service, bool on);

#endif
