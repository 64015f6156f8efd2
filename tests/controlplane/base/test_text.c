/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers, words that are near, digests, and memory in one piece. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/arena.h"
#include "controlplane/base/buffer.h"
#include "controlplane/base/digest.h"
#include "controlplane/base/error.h"
#include "controlplane/base/suggest.h"

static void test_buffer(void **state)
{
    struct buffer buffer = {0};
    char *taken;

    (void)state;
    buffer_text(&buffer, "one ");
    buffer_format(&buffer, "%d %0300d", 2, 3);
    assert_int_equal(buffer.length, 4 + 2 + 300);
    assert_int_equal(buffer.data[buffer.length], 0);
    taken = buffer_take(&buffer);
    assert_int_equal(strlen(taken), 306);
    free(taken);
    assert_null(buffer.data);
    taken = buffer_take(&buffer);
    assert_string_equal(taken, "");
    free(taken);
}

static void test_buffer_bound(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 10);
    buffer_text(&buffer, "0123456789");
    assert_int_equal(buffer.error, 0);
    buffer_char(&buffer, 'x');
    assert_int_equal(buffer.error, CULVERT_EFULL);
    buffer_clear(&buffer);
    buffer_room(&buffer, SIZE_MAX);
    assert_int_equal(buffer.error, CULVERT_EFULL);
    assert_null(buffer_take(&buffer));
    buffer_free(&buffer);
    assert_int_equal(buffer.bound, 10);
}

static void check_json(const char *text, size_t length, const char *json)
{
    struct buffer buffer = {0};

    buffer_json(&buffer, text, length);
    assert_string_equal(buffer.data, json);
    buffer_free(&buffer);
}
#define JSON(text, json) check_json(text, sizeof(text) - 1, json)

static void test_json(void **state)
{
    (void)state;
    JSON("", "\"\"");
    JSON("a\"b\\c\n\t\x01", "\"a\\\"b\\\\c\\n\\t\\u0001\"");
    JSON("\x7f", "\"\\u007f\"");
    JSON("a\0b", "\"a\\u0000b\"");
    JSON("h\xc3\xa9 \xf0\x9f\x98\x80", "\"h\xc3\xa9 \xf0\x9f\x98\x80\"");
    /* Not UTF-8: alone, cut short, overlong, a surrogate, too large. */
    JSON("\x80|\xc3|\xc0\xaf|", "\"\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|\"");
    JSON("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    JSON("\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    JSON("\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void test_suggest(void **state)
{
    (void)state;
    assert_int_equal(suggest_distance("", "abc"), 3);
    assert_int_equal(suggest_distance("web", "wbe"), 1);
    assert_int_equal(suggest_distance("kitten", "sitting"), 3);
    assert_int_equal(suggest_distance("Web", "wEB"), 0);
    assert_string_equal(suggest_better("bakends", NULL, "backends"), "backends");
    assert_null(suggest_better("zone", NULL, "pool"));
    assert_null(suggest_better("x", NULL, "y"));
    assert_string_equal(suggest_better("wbe", "wobe", "web"), "wobe");
    assert_null(suggest_better("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                               NULL, "a"));
}

static void test_digest(void **state)
{
    /* FIPS 180-4's example "abc". */
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    char text[DIGEST_TEXT];
    struct digest *digest;

    (void)state;
    assert_int_equal(digest_text("abc", 3, text), 0);
    assert_string_equal(text, abc);
    assert_true(digest_valid(text));
    digest = digest_new();
    assert_int_equal(digest_add(digest, "a", 1), 0);
    assert_int_equal(digest_add(digest, "bc", 2), 0);
    assert_int_equal(digest_end(digest, text), 0);
    assert_string_equal(text, abc);
    text[0] = 'B';
    assert_false(digest_valid(text));
    assert_false(digest_valid("../x"));
    assert_false(digest_valid(""));
}

static void test_arena(void **state)
{
    struct arena arena = {0};

    (void)state;
    for (size_t size = 0; size < 200000; size = size * 2 + 1) {
        unsigned char *bytes = arena_alloc(&arena, size);

        assert_non_null(bytes);
        assert_int_equal((uintptr_t)bytes % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(bytes[i], 0);
        memset(bytes, 0xff, size);
    }
    assert_string_equal(arena_copy(&arena, "text and more", 4), "text");
    assert_null(arena_alloc(&arena, SIZE_MAX - 3));
    arena_free(&arena);
    assert_null(arena.chunks);
}

/* An arena is made for each request: what it begins with is little, and grows with the use. */
static void test_arena_small(void **state)
{
    struct arena arena = {0};
    void *first;

    (void)state;
    assert_non_null(arena_alloc(&arena, 100));
    first = arena.chunks;
    assert_true(malloc_usable_size(first) <= 2048);
    while (arena.total < 1000)
        assert_non_null(arena_alloc(&arena, 100));
    assert_ptr_equal(arena.chunks, first);
    while (arena.chunks == first)
        assert_non_null(arena_alloc(&arena, 100));
    assert_true(malloc_usable_size(arena.chunks) <= 4096);
    arena_free(&arena);
}

/* Cleared, an arena has zeroed bytes again, and no more memory than a chunk. */
static void test_arena_clear(void **state)
{
    static const size_t sizes[] = {10, 40000, 40000, 200000, 30};
    struct arena arena = {0};

    (void)state;
    arena_clear(&arena);
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            unsigned char *bytes = arena_alloc(&arena, sizes[(i + round) % 5]);

            assert_non_null(bytes);
            for (size_t k = 0; k < sizes[(i + round) % 5]; k++)
                assert_int_equal(bytes[k], 0);
            memset(bytes, 0xff, sizes[(i + round) % 5]);
        }
        arena_clear(&arena);
        assert_int_equal(arena.total, 0);
    }
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffer),      cmocka_unit_test(test_buffer_bound),
        cmocka_unit_test(test_json),        cmocka_unit_test(test_suggest),
        cmocka_unit_test(test_digest),      cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_small), cmocka_unit_test(test_arena_clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
