/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What culvert-decap's program and its loader share. */
#ifndef CULVERT_DECAP_DECAP_H
#define CULVERT_DECAP_DECAP_H

#include "dataplane/fastpath/base.h"

/* What becomes of a frame; the number is the counter's index.
 *   X(NAME, number, "json-name", "text") */
#define DECAP_RESULTS(X)                                                                           \
    X(DECAPSULATED, 0, "decapsulated", "unwrapped, passed on")                                     \
    X(NOT_ENCAPSULATED, 1, "not-encapsulated", "no IP in IP, passed on as it was")                 \
    X(NOT_LOCAL, 2, "not-local", "encapsulated for another host, passed on as it was")             \
    X(REFUSED_SOURCE, 3, "refused-source", "the outer source is not in the list: dropped")         \
    X(REFUSED_VIP, 4, "refused-vip", "not for a virtual IP of this backend: dropped")              \
    X(MALFORMED, 5, "malformed", "a header is truncated or wrong: dropped")                        \
    X(FRAGMENT, 6, "fragment", "the outer packet is a fragment: dropped")                          \
    X(NESTED, 7, "nested", "encapsulated twice: dropped")

enum decap_result {
#define X(name, number, json, text) DECAP_##name = number,
    DECAP_RESULTS(X)
#undef X
        DECAP_RESULT_COUNT = 8,
};

/* An address in key form (fastpath/region.h). */
struct decap_address {
    fp_u64 a, b;
};

/* Key of the trie of sources. IPv4 prefix lengths count from the mapped form: 96 more. */
struct decap_prefix {
    fp_u32 length;
    fp_u32 word[4];
};

struct decap_count {
    fp_u64 packets, bytes;
};

/* Values of the virtual IPs' map: the address was on `lo` already, or the loader put it there. */
#define DECAP_VIP_FOUND 0u
#define DECAP_VIP_ADDED 1u

#define DECAP_PREFIXES_MAX 256u
#define DECAP_ADDRESSES_MAX 1024u

#endif
