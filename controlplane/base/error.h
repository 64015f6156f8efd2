/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error table. Functions return 0 (or a count) or one of these, negative.
 *
 *   X(NAME, number, "message")
 */
#ifndef CULVERT_BASE_ERROR_H
#define CULVERT_BASE_ERROR_H

#define CULVERT_ERRORS(X)                                                                          \
    X(ENOMEM, 1, "out of memory")                                                                  \
    X(EINVAL, 2, "invalid argument")                                                               \
    X(EFULL, 3, "a bound was reached")                                                             \
    X(EPROTO, 4, "the peer broke the protocol")                                                    \
    X(ELAYOUT, 5, "tables of another version")                                                     \
    X(EIO, 6, "input/output error")                                                                \
    X(ENOTFOUND, 7, "not found")                                                                   \
    X(EEXIST, 8, "exists already")                                                                 \
    X(EACCES, 9, "permission denied")                                                              \
    X(ENOSPC, 10, "no space left on the disk")                                                     \
    X(EBUSY, 11, "in use")                                                                         \
    X(EREJECTED, 12, "the input has errors")                                                       \
    X(ECORRUPT, 13, "stored data is damaged")                                                      \
    X(ECONFLICT, 14, "changed meanwhile")                                                          \
    X(ESYSTEM, 15, "a system call failed")                                                         \
    X(EUNSUPPORTED, 16, "not supported here")                                                      \
    X(ETIMEOUT, 17, "timed out")                                                                   \
    X(ECOMPACTED, 18, "the revision has been compacted")                                           \
    X(EFUTURE, 19, "the revision is in the future")                                                \
    X(ETOOMANY, 20, "too many operations in the transaction")                                      \
    X(ETOOLARGE, 21, "the request is too large")                                                   \
    X(ENOLEASE, 22, "the lease was not found")                                                     \
    X(EQUOTA, 23, "the store has reached its size limit")                                          \
    X(EDUPLICATE, 24, "a key is changed twice in the transaction")                                 \
    X(ETTL, 25, "the time to live is out of range")                                                \
    X(ENOTLEADER, 26, "another node leads")                                                        \
    X(EUNKNOWN, 27, "the outcome is not known")                                                    \
    X(EMANYKEYS, 28, "too many keys for one deletion: at most 65536, delete parts of the range")   \
    X(EANSWER, 29, "the answer would be too large")

enum culvert_error {
    CULVERT_OK = 0,
#define X(name, number, text) CULVERT_##name = -number,
    CULVERT_ERRORS(X)
#undef X
};

/* The message of an error ("unknown error" for a number not in the table). */
const char *culvert_strerror(int error);

#endif
