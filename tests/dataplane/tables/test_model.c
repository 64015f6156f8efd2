/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random transactions against a plain array. What packets of the committed and of the former
 * generation find is compared with the array of then, entry by entry.
 */
#include "dataplane/fastpath/access.h"
#include "tests/dataplane/tables/helper.h"

#define DNS_KEYS 400u
#define BACKEND_KEYS 60u
#define ACCESS_KEYS 60u
#define KEYS (DNS_KEYS + BACKEND_KEYS + ACCESS_KEYS)
#define TRANSACTIONS 1500u

struct value {
    uint32_t length; /* 0: absent */
    uint8_t fill;
};

struct model {
    struct value value[KEYS];
};

static struct fp_key model_key(unsigned number)
{
    unsigned access;
    struct fp_key key = {.kind = FP_KIND_ACCESS};

    if (number < DNS_KEYS)
        return dns_key(number);
    if (number < DNS_KEYS + BACKEND_KEYS)
        return slot_key(FP_KIND_BACKEND, number - DNS_KEYS + 1);
    access = number - DNS_KEYS - BACKEND_KEYS;
    key.a = 0x1234567890abcdefull * (access + 1);
    if (access & 1) { /* an IPv4 prefix of some length */
        key.a = 0;
        key.b = FP_KEY_IPV4(0x01020304u * access);
        key.c = FP_MAPPED_LENGTH + access % 33;
    } else {
        key.c = (access * 5) % 129;
    }
    fp_prefix_cut(&key.a, &key.b, key.c);
    return key;
}

static struct value random_value(unsigned number, uint64_t *random)
{
    struct value value = {.fill = (uint8_t)random_next(random)};

    if (number < DNS_KEYS)
        value.length = 8 + random_next(random) % (random_next(random) % 16 ? 300 : 5000);
    else if (number < DNS_KEYS + BACKEND_KEYS)
        value.length = sizeof(struct fp_backend);
    else
        value.length = sizeof(struct fp_access);
    return value;
}

/* The first 8 bytes are zero, which a DNS node without answers begins with; an access entry's first
 * is its action. */
static void body_make(unsigned number, struct value value, uint8_t body[8192])
{
    memset(body, value.fill, 8192);
    memset(body, 0, 8);
    if (number >= DNS_KEYS + BACKEND_KEYS)
        body[0] = value.fill & 1;
}

static void value_put(struct tables *tables, unsigned number, struct value value)
{
    struct fp_key key = model_key(number);
    uint8_t body[8192];

    body_make(number, value, body);
    assert_int_equal(tables_put(tables, &key, body, value.length), 0);
}

static void filter_check(struct tables *tables, const struct fp_key *key)
{
    struct fp_access_filter *filter =
        (struct fp_access_filter *)((char *)root_of(tables) + root_of(tables)->access_filter);

    assert_true(root_of(tables)->access_count);
    if (fp_is_mapped(key->a, key->b) && key->c >= FP_MAPPED_LENGTH)
        assert_true(filter->v4[fp_filter_line4(key->b)] >> (key->c - FP_MAPPED_LENGTH) & 1);
    else
        assert_true(filter->v6[fp_filter_line6(key->a)][key->c / 64] >> (key->c % 64) & 1);
}

/* Whether an access entry covers an address. Only IPv4's own cover IPv4. */
static bool covers(const struct fp_key *key, fp_u64 a, fp_u64 b)
{
    if (fp_is_mapped(a, b) && (!fp_is_mapped(key->a, key->b) || key->c < FP_MAPPED_LENGTH))
        return false;
    fp_prefix_cut(&a, &b, key->c);
    return a == key->a && b == key->b;
}

/* What the access list says of an address under an entry of it. */
static void access_check(struct tables *tables, uint32_t generation, const struct model *model,
                         const struct fp_key *under)
{
    struct fp_env env = env_of(tables, generation);
    uint32_t action = FP_ACCESS_NONE, longest = 0;

    for (unsigned number = DNS_KEYS + BACKEND_KEYS; number < KEYS; number++) {
        struct fp_key key = model_key(number);

        if (!model->value[number].length || !covers(&key, under->a, under->b) || key.c < longest)
            continue;
        longest = key.c;
        action = model->value[number].fill & 1;
    }
    assert_int_equal(fp_access_find(&env, under->a, under->b), action);
}

static void model_check(struct tables *tables, uint32_t generation, const struct model *model)
{
    for (unsigned number = 0; number < KEYS; number++) {
        struct fp_key key = model_key(number);
        struct fp_rec *rec = find_at(tables, generation, &key);
        uint8_t body[8192];

        if (key.kind == FP_KIND_ACCESS)
            access_check(tables, generation, model, &key);

        if (!model->value[number].length) {
            assert_null(rec);
            continue;
        }
        assert_non_null(rec);
        assert_int_equal(rec->length, model->value[number].length);
        body_make(number, model->value[number], body);
        assert_memory_equal(rec + 1, body, rec->length);
        if (key.kind == FP_KIND_ACCESS)
            filter_check(tables, &key);
    }
}

static int digest_add(void *arg, const struct fp_key *key, const void *body, size_t length)
{
    uint64_t *digests = arg;

    digests[tables_part(key)] += tables_entry_digest(key, body, length);
    return 0;
}

static void digests_check(struct tables *tables)
{
    uint64_t digests[TABLES_PARTS] = {0};

    tables_each(tables, FP_KIND_COUNT, digest_add, digests);
    assert_memory_equal(digests, tables_digests(tables), sizeof(digests));
}

static struct tables *reopen(struct tables *tables)
{
    struct tables_options options = {.base = tables_base(tables), .size = root_of(tables)->size};
    struct tables *again;

    tables_close(tables);
    assert_int_equal(tables_open(&again, &options), 0);
    assert_true(options.recovered);
    return again;
}

static void transaction_random(struct tables *tables, struct model *model, uint64_t *random)
{
    unsigned changes =
        random_next(random) % 8 ? random_next(random) % 8 : random_next(random) % 900;

    for (unsigned i = 0; i < changes; i++) {
        unsigned number = random_next(random) % KEYS;

        if (random_next(random) % 5 < 3) {
            model->value[number] = random_value(number, random);
            value_put(tables, number, model->value[number]);
        } else {
            struct fp_key key = model_key(number);

            model->value[number].length = 0;
            assert_int_equal(tables_delete(tables, &key), 0);
        }
    }
}

static void test_random_transactions(void **state)
{
    struct tables *tables = tables_new(16 * MIB, 1);
    static struct model was, now, next;
    uint64_t random = 0x853c49e6748fea9bull;

    for (unsigned i = 0; i < TRANSACTIONS; i++) {
        uint32_t generation;
        unsigned what = random_next(&random) % 16;

        assert_int_equal(tables_begin(tables), 0);
        generation = root_of(tables)->generation;
        next = now;
        transaction_random(tables, &next, &random);
        model_check(tables, generation, &now);
        if (what == 0) {
            tables_abort(tables);
            model_check(tables, generation, &now);
        } else if (what == 1) {
            tables = reopen(tables); /* gone without a word, in the middle */
            model_check(tables, generation, &now);
        } else {
            assert_int_equal(tables_commit(tables, i), 0);
            was = now;
            now = next;
            model_check(tables, generation, &was);
            model_check(tables, root_of(tables)->generation, &now);
        }
        if (what == 2)
            tables = reopen(tables);
        if (what < 5)
            reclaim_all(tables);
        model_check(tables, root_of(tables)->generation, &now);
        digests_check(tables);
        index_check(tables);
    }
    tables_end(tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_transactions)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
