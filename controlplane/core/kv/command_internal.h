/* SPDX-License-Identifier: Apache-2.0 */
/* What the encoder and the decoder of commands and results have in common. */
#ifndef CULVERT_CORE_KV_COMMAND_INTERNAL_H
#define CULVERT_CORE_KV_COMMAND_INTERNAL_H

#define COMMAND_VERSION 1
#define RESULT_VERSION 1

enum {
    RANGE_KEYS_ONLY = 1 << 0,
    RANGE_COUNT_ONLY = 1 << 1,
    RANGE_LIMIT = 1 << 2,
    RANGE_REVISION = 1 << 3,
    RANGE_SORT = 1 << 4,
    RANGE_MIN_MOD = 1 << 5,
    RANGE_MAX_MOD = 1 << 6,
    RANGE_MIN_CREATE = 1 << 7,
    RANGE_MAX_CREATE = 1 << 8,
    RANGE_FLAGS = (1 << 9) - 1,
};

enum {
    PUT_PREV = 1 << 0,
    PUT_IGNORE_VALUE = 1 << 1,
    PUT_IGNORE_LEASE = 1 << 2,
    PUT_LEASE = 1 << 3,
    PUT_FLAGS = (1 << 4) - 1,
};

#endif
