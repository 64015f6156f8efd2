/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call ends with, in gRPC's codes and in the words of etcd, by which its clients tell
 * errors apart.
 */
#ifndef CULVERT_FRONTS_ETCD_STATUS_H
#define CULVERT_FRONTS_ETCD_STATUS_H

enum etcd_code {
    ETCD_CODE_OK = 0,
    ETCD_CODE_CANCELLED = 1,
    ETCD_CODE_UNKNOWN = 2,
    ETCD_CODE_INVALID_ARGUMENT = 3,
    ETCD_CODE_DEADLINE_EXCEEDED = 4,
    ETCD_CODE_NOT_FOUND = 5,
    ETCD_CODE_PERMISSION_DENIED = 7,
    ETCD_CODE_RESOURCE_EXHAUSTED = 8,
    ETCD_CODE_FAILED_PRECONDITION = 9,
    ETCD_CODE_OUT_OF_RANGE = 11,
    ETCD_CODE_UNIMPLEMENTED = 12,
    ETCD_CODE_INTERNAL = 13,
    ETCD_CODE_UNAVAILABLE = 14,
    ETCD_CODE_DATA_LOSS = 15,
    ETCD_CODE_UNAUTHENTICATED = 16,
};

/* X(NAME, code, "message") */
#define ETCD_STATUSES(X)                                                                           \
    X(OK, OK, "")                                                                                  \
    X(EMPTY_KEY, INVALID_ARGUMENT, "etcdserver: key is not provided")                              \
    X(KEY_NOT_FOUND, INVALID_ARGUMENT, "etcdserver: key not found")                                \
    X(VALUE_PROVIDED, INVALID_ARGUMENT, "etcdserver: value is provided")                           \
    X(LEASE_PROVIDED, INVALID_ARGUMENT, "etcdserver: lease is provided")                           \
    X(TOO_MANY_OPS, INVALID_ARGUMENT, "etcdserver: too many operations in txn request")            \
    X(MANY_KEYS, INVALID_ARGUMENT,                                                                 \
      "etcdserver: too many keys to delete at once: at most 65536, delete parts of the range")     \
    X(DUPLICATE_KEY, INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request")           \
    X(SORT_OPTION, INVALID_ARGUMENT, "etcdserver: invalid sort option")                            \
    X(COMPACTED, OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")           \
    X(FUTURE_REVISION, OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision")   \
    X(NO_SPACE, RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")                   \
    X(LEASE_NOT_FOUND, NOT_FOUND, "etcdserver: requested lease not found")                         \
    X(LEASE_EXISTS, FAILED_PRECONDITION, "etcdserver: lease already exists")                       \
    X(LEASE_TTL_TOO_LARGE, OUT_OF_RANGE, "etcdserver: too large lease TTL")                        \
    X(WATCH_CANCELED, CANCELLED, "etcdserver: watch canceled")                                     \
    X(MEMBER_EXISTS, FAILED_PRECONDITION, "etcdserver: member ID already exist")                   \
    X(MEMBER_BAD_URLS, INVALID_ARGUMENT, "etcdserver: given member URLs are invalid")              \
    X(MEMBER_NOT_NOW, FAILED_PRECONDITION,                                                         \
      "etcdserver: re-configuration failed due to not enough started members")                     \
    X(MEMBER_NOT_FOUND, NOT_FOUND, "etcdserver: member not found")                                 \
    X(REQUEST_TOO_LARGE, INVALID_ARGUMENT, "etcdserver: request is too large")                     \
    X(ANSWER_TOO_LARGE, RESOURCE_EXHAUSTED,                                                        \
      "etcdserver: the answer would be too large, nothing was done")                               \
    X(TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED, "etcdserver: too many requests")                      \
    X(ROOT_USER_MISSING, FAILED_PRECONDITION, "etcdserver: root user does not exist")              \
    X(ROOT_ROLE_MISSING, FAILED_PRECONDITION, "etcdserver: root user does not have root role")     \
    X(USER_EXISTS, FAILED_PRECONDITION, "etcdserver: user name already exists")                    \
    X(USER_EMPTY, INVALID_ARGUMENT, "etcdserver: user name is empty")                              \
    X(USER_NOT_FOUND, FAILED_PRECONDITION, "etcdserver: user name not found")                      \
    X(ROLE_EXISTS, FAILED_PRECONDITION, "etcdserver: role name already exists")                    \
    X(ROLE_NOT_FOUND, FAILED_PRECONDITION, "etcdserver: role name not found")                      \
    X(ROLE_EMPTY, INVALID_ARGUMENT, "etcdserver: role name is empty")                              \
    X(AUTH_FAILED, INVALID_ARGUMENT,                                                               \
      "etcdserver: authentication failed, invalid user ID or password")                            \
    X(PERMISSION_NOT_GIVEN, INVALID_ARGUMENT, "etcdserver: permission not given")                  \
    X(PERMISSION_DENIED, PERMISSION_DENIED, "etcdserver: permission denied")                       \
    X(ROLE_NOT_GRANTED, FAILED_PRECONDITION, "etcdserver: role is not granted to the user")        \
    X(PERMISSION_NOT_GRANTED, FAILED_PRECONDITION,                                                 \
      "etcdserver: permission is not granted to the role")                                         \
    X(AUTH_NOT_ENABLED, FAILED_PRECONDITION, "etcdserver: authentication is not enabled")          \
    X(INVALID_TOKEN, UNAUTHENTICATED, "etcdserver: invalid auth token")                            \
    X(INVALID_AUTH_MANAGEMENT, INVALID_ARGUMENT, "etcdserver: invalid auth management")            \
    X(NO_LEADER, UNAVAILABLE, "etcdserver: no leader")                                             \
    X(STOPPED, UNAVAILABLE, "etcdserver: server stopped")                                          \
    X(TIMEOUT, UNAVAILABLE, "etcdserver: request timed out")                                       \
    X(CORRUPT, DATA_LOSS, "etcdserver: corrupt cluster")                                           \
    X(BAD_TRANSFEREE, FAILED_PRECONDITION, "etcdserver: bad leader transferee")                    \
    X(LOCK_LOST, UNKNOWN, "mutex: session is expired")                                             \
    X(NOT_ELECTED, UNKNOWN, "election: not leader")                                                \
    X(NOBODY_ELECTED, UNKNOWN, "election: no leader")                                              \
    X(LEADER_MISSING, UNKNOWN, "\"leader\" field must be provided")                                \
    X(DEADLINE, DEADLINE_EXCEEDED, "context deadline exceeded")                                    \
    X(NO_MEMORY, RESOURCE_EXHAUSTED, "out of memory")                                              \
    X(MALFORMED, INTERNAL, "grpc: the message cannot be decoded")                                  \
    X(NO_MESSAGE, INTERNAL, "grpc: a request is one message")                                      \
    X(MESSAGE_TOO_LARGE, RESOURCE_EXHAUSTED, "grpc: received message larger than max")             \
    X(COMPRESSED, UNIMPLEMENTED, "grpc: compression is not supported")                             \
    X(UNKNOWN_METHOD, UNIMPLEMENTED, "unknown service or method")                                  \
    X(NOT_OFFERED, UNIMPLEMENTED, "not offered by culvert")                                        \
    X(SLOW, RESOURCE_EXHAUSTED, "the client reads too slowly")                                     \
    X(INTERNAL, INTERNAL, "internal error")

enum etcd_status {
#define X(name, code, text) ETCD_##name,
    ETCD_STATUSES(X)
#undef X
};

/* The two parts of a status. */
enum etcd_code etcd_status_code(enum etcd_status status);
const char *etcd_status_text(enum etcd_status status);

/* What an error of the table (base/error.h) is called here: of the way that a request takes, or of
 * a command. */
enum etcd_status etcd_status_of(int error);

#endif
