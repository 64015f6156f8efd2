/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/dns/zone_key.h"

#include <string.h>

#include "dataplane/fastpath/dns_hash.h"

struct fp_key zone_key(const struct name *name, uint32_t side, const uint64_t dns_key[2])
{
    uint8_t bytes[NAME_WIRE_MAX + 16] = {0}; /* whole words are read */
    struct fp_key key = {.c = side, .kind = FP_KIND_DNS};
    fp_u64 a, b;

    memcpy(bytes, name->wire, name->length);
    fp_dns_hash(bytes, sizeof(bytes), 0, name->length, dns_key[0], dns_key[1], &a, &b);
    key.a = a;
    key.b = b;
    return key;
}
