/* SPDX-License-Identifier: Apache-2.0 */
/* Regions and entries for the tests of this folder. */
#ifndef CULVERT_TESTS_TABLES_HELPER_H
#define CULVERT_TESTS_TABLES_HELPER_H

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "controlplane/base/error.h"
#include "dataplane/fastpath/lookup.h"
#include "dataplane/tables/tables.h"

#define MIB ((size_t)1 << 20)

static inline void *region_new(size_t size)
{
    void *base =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert(base != MAP_FAILED);
    return base;
}

static inline struct tables *tables_new(size_t size, unsigned cpus)
{
    struct tables_options options = {
        .base = region_new(size), .size = size, .cpus = cpus, .meters_log2 = 4, .flows_log2 = 4};
    struct tables *tables;

    assert_int_equal(tables_open(&tables, &options), 0);
    return tables;
}

static inline void tables_end(struct tables *tables)
{
    struct tables_usage usage;
    void *base = tables_base(tables);

    tables_usage(tables, &usage);
    tables_close(tables);
    munmap(base, usage.region);
}

static inline void reclaim_all(struct tables *tables)
{
    while (tables_reclaim(tables))
        ;
}

/* A DNS node without answers: 8 zero bytes, then any bytes. */
static inline struct fp_key dns_key(uint64_t number)
{
    return (struct fp_key){
        .a = number * 0x9e3779b97f4a7c15ull, .b = number + 1, .kind = FP_KIND_DNS};
}

static inline int put_dns(struct tables *tables, uint64_t number, uint8_t fill, size_t length)
{
    struct fp_key key = dns_key(number);
    static uint8_t body[1 << 20];

    assert(length >= 8 && length <= sizeof(body));
    memset(body, 0, 8);
    memset(body + 8, fill, length - 8);
    return tables_put(tables, &key, body, length);
}

static inline int delete_dns(struct tables *tables, uint64_t number)
{
    struct fp_key key = dns_key(number);

    return tables_delete(tables, &key);
}

static inline struct fp_key slot_key(enum fp_kind kind, uint64_t number)
{
    return (struct fp_key){.a = number, .kind = kind};
}

static inline int put_backend(struct tables *tables, uint64_t number, uint8_t last)
{
    struct fp_key key = slot_key(FP_KIND_BACKEND, number);
    struct fp_backend backend = {.address = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = last}};

    return tables_put(tables, &key, &backend, sizeof(backend));
}

static inline struct fp_env env_of(struct tables *tables, uint32_t generation)
{
    return (struct fp_env){.base = tables_base(tables), .generation = generation};
}

static inline struct fp_root *root_of(struct tables *tables)
{
    return tables_base(tables);
}

/* As a packet of that generation finds it. */
static inline struct fp_rec *find_at(struct tables *tables, uint32_t generation,
                                     const struct fp_key *key)
{
    static const uint32_t capacity[FP_KIND_COUNT] = {
#define X(name, number, slots, text) [number] = slots,
        FP_KINDS(X)
#undef X
    };
    struct fp_env env = env_of(tables, generation);

    if (capacity[key->kind])
        return fp_slot(&env, key->kind, (uint32_t)key->a, capacity[key->kind]);
    return fp_find(&env, key->kind, key->a, key->b, key->c);
}

static inline struct fp_rec *find_now(struct tables *tables, const struct fp_key *key)
{
    return find_at(tables, root_of(tables)->generation, key);
}

/* The index as it must be: every entry where a search finds it, every `spilled` exact. */
static inline void index_check(struct tables *tables)
{
    struct fp_root *root = root_of(tables);
    struct fp_bucket *buckets = (struct fp_bucket *)((char *)root + (uint32_t)root->index);
    uint32_t mask = (1u << (root->index >> 32)) - 1;
    uint32_t *spilled = calloc((size_t)mask + 1, sizeof(*spilled));

    for (uint32_t at = 0; at <= mask; at++)
        for (unsigned way = 0; way < FP_BUCKET_WAYS; way++) {
            struct fp_rec *rec = (struct fp_rec *)((char *)root + buckets[at].ref[way]);
            uint64_t hash;

            if (!buckets[at].tag[way])
                continue;
            hash = fp_key_hash(rec->a, rec->b, rec->c, rec->kind & ~FP_REC_DEAD, root->index_seed);
            assert_int_equal(buckets[at].tag[way], fp_hash_tag(hash));
            for (uint32_t home = (uint32_t)hash & mask; home != at; home = (home + 1) & mask)
                spilled[home]++;
        }
    for (uint32_t at = 0; at <= mask; at++)
        assert_int_equal(buckets[at].spilled, spilled[at]);
    free(spilled);
}

/* The same numbers in every run: xorshift64* (Marsaglia, Vigna). */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

#endif
