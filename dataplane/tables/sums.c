/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of entries and of the parts of all tables. */
#include <string.h>

#include "dataplane/tables/internal.h"

/* Multiply and fold, 16 bytes a step. For telling differences apart, not against an adversary:
 * both ends of the channel are ours. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#define DIGEST_1 0xa0761d6478bd642full
#define DIGEST_2 0xe7037ed1a0b428dbull
#define DIGEST_3 0x8ebc6af09c88c6e3ull

static uint64_t load64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

uint64_t tables_entry_digest(const struct fp_key *key, const void *body, size_t length)
{
    const uint8_t *at = body;
    uint64_t digest = fold(key->a ^ DIGEST_1, key->b ^ DIGEST_2);
    uint8_t tail[16] = {0};
    size_t left = length;

    digest = fold(digest ^ ((uint64_t)key->kind << 32 | key->c), DIGEST_3 ^ length);
    for (; left > 16; left -= 16, at += 16)
        digest = fold(load64(at) ^ DIGEST_1 ^ digest, load64(at + 8) ^ DIGEST_2);
    if (left)
        memcpy(tail, at, left);
    digest = fold(load64(tail) ^ DIGEST_1 ^ digest, load64(tail + 8) ^ DIGEST_2);
    return fold(digest ^ DIGEST_2, DIGEST_3);
}

unsigned tables_part(const struct fp_key *key)
{
    return fp_key_hash(key->a, key->b, key->c, key->kind, DIGEST_1) & (TABLES_PARTS - 1);
}

void tables_sum(struct tables_sums *sums, const struct fp_rec *rec, int sign)
{
    struct fp_key key = tables_rec_key(rec);

    sums->kind[key.kind] += (size_t)sign;
    if (tables_is_access4(&key))
        sums->access4 += (size_t)sign;
    if (key.kind != FP_KIND_NEXTHOP)
        sums->digest[tables_part(&key)] +=
            (uint64_t)sign * tables_entry_digest(&key, rec + 1, rec->length);
}

const uint64_t *tables_digests(const struct tables *tables)
{
    return tables->committed.digest;
}
