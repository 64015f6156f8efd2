/* SPDX-License-Identifier: Apache-2.0 */
/* The editor of a site file's text: what it makes of texts as people write them. */
#include "controlplane/site/edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/base/error.h"

/* A path, its words parted by blanks. */
static struct site_path path_of(char *words)
{
    struct site_path path = {0};
    char *save = NULL;

    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save))
        path.word[path.count++] = word;
    return path;
}

struct edit_case {
    const char *before, *path, *value; /* NULL: delete */
    const char *after;                 /* NULL: refused, */
    const char *problem;               /* with this */
};

#define TEXT                                                                                       \
    "# our site\n"                                                                                 \
    "site: lab   # the name\n"                                                                     \
    "pools:\n"                                                                                     \
    "  # what serves\n"                                                                            \
    "  web:\n"                                                                                     \
    "    backends:\n"                                                                              \
    "      a: { address: 10.0.0.11 }  # first\n"                                                   \
    "      b: { address: 10.0.0.12, weight: 50 }\n"                                                \
    "\n"                                                                                           \
    "# the front\n"                                                                                \
    "vips:\n"                                                                                      \
    "  web: { address: 192.0.2.10, ports: [80], pool: web }\n"

static const struct edit_case cases[] = {
    /* values that are there */
    {"site: lab # n\n", "site", "prod", "site: prod # n\n", NULL},
    {"site: lab", "site", "prod", "site: prod", NULL},
    {"\"site\":lab\n", "site", "x", "\"site\":lab\n", "not YAML"},
    {"{\"site\":\"lab\",\"dns\":{}}", "site", "prod", "{\"site\": prod,\"dns\":{}}", NULL},
    {"site: 'a b' # c\n", "site", "\"x: y\"", "site: \"x: y\" # c\n", NULL},
    {"site:   # c\nx: 1\n", "site", "lab", "site: lab   # c\nx: 1\n", NULL},
    {"site:\n", "site", "lab", "site: lab\n", NULL},
    {"site:", "site", "lab", "site: lab", NULL},
    {"a:\n  b # c\nd: e\n", "a", "f", "a: f\nd: e\n", NULL},
    {"a: |\n  text\n\n  more\nd: e\n", "a", "f", "a: f\nd: e\n", NULL},
    {"a: \"x\n  y\"\nd: e\n", "a", "f", "a: f\nd: e\n", NULL},
    {"a: # why\n- 1\n- 2 # two\nd: e\n", "a", "[3]", "a: [3] # why\nd: e\n", NULL},
    {"a: # why\n  b: 1\n  # in it\n  c: 2 # two\n# d's\nd: e\n", "a", "{ b: 3 }",
     "a: { b: 3 } # why\n# d's\nd: e\n", NULL},
    {"{ a:\n    b, c: d }\n", "a", "e", "{ a: e, c: d }\n", NULL},
    {"a: { b: {} , c: }\n", "a c", "1", "a: { b: {} , c: 1 }\n", NULL},
    {"a: é\nb: ü # ö\nc: d\n", "b", "ä", "a: é\nb: \"ä\" # ö\nc: d\n", NULL},
    {"a: 1\r\nb: 2\r\n", "a", "3", "a: 3\r\nb: 2\r\n", NULL},
    {"---\na: 1\n...\n", "a", "3", "---\na: 3\n...\n", NULL},
    {TEXT, "vips web ports", "[80, 443]",
     "# our site\nsite: lab   # the name\npools:\n  # what serves\n  web:\n    backends:\n"
     "      a: { address: 10.0.0.11 }  # first\n      b: { address: 10.0.0.12, weight: 50 }\n\n"
     "# the front\nvips:\n  web: { address: 192.0.2.10, ports: [80, 443], pool: web }\n",
     NULL},
    /* new ones */
    {"a: 1", "b", "2", "a: 1\nb: 2\n", NULL},
    {"a: 1\n...\n", "b", "2", "a: 1\nb: 2\n...\n", NULL},
    {"a:\n    b: 1 # c\n\n# d\n", "a c", "2", "a:\n    b: 1 # c\n    c: 2\n\n# d\n", NULL},
    {"a:\n  b: 1\n", "c d e", "2", "a:\n  b: 1\nc:\n  d:\n    e: 2\n", NULL},
    {"a: {}\n", "a b c", "2", "a: { b: { c: 2 } }\n", NULL},
    {"a: {b: 1}\n", "a c", "2", "a: {b: 1, c: 2}\n", NULL},
    {"a: { b: 1, }\n", "a c", "2", "a: { b: 1, c: 2, }\n", NULL},
    {"a: { b }\n", "a c", "2", "a: { b, c: 2 }\n", NULL},
    {"a: {\n  b: 1 # c\n}\n", "a c", "2", "a: {\n  b: 1, c: 2 # c\n}\n", NULL},
    {"a: # c\nb: 1\n", "a b c", "2", "a: { b: { c: 2 } } # c\nb: 1\n", NULL},
    {"{}\n", "a b", "2", "a:\n  b: 2\n\n", NULL},
    {"zones:\n  example.com: { ttl: 5 }\n", "zones example.net ttl", "6",
     "zones:\n  example.com: { ttl: 5 }\n  example.net:\n    ttl: 6\n", NULL},
    {"a: { b: 1 }\n", "a @", "x", "a: { b: 1, \"@\": x }\n", NULL},
    {"a: 1\n", "*.b", "x", "a: 1\n\"*.b\": x\n", NULL},
    {"a: |\n  text\n", "b", "x", "a: |\n  text\nb: x\n", NULL},
    {"a: |+\n  text\n\n\n", "b", "x", NULL, "can't be changed in place"},
    /* values as they are written */
    {"a: 1\n", "a", "2001:db8::1", "a: 2001:db8::1\n", NULL},
    {"a: 1\n", "a", "2001:db8::", "a: \"2001:db8::\"\n", NULL},
    {"a: 1\n", "a", "10 mail", "a: 10 mail\n", NULL},
    {"a: [1]\n", "a", "net_af_xdp0,iface=eth1", "a: \"net_af_xdp0,iface=eth1\"\n", NULL},
    {"a: 1\n", "a", "[ 192.0.2.1,'x' , {b: [c]}]", "a: [192.0.2.1, \"x\", { b: [c] }]\n", NULL},
    {"a: 1\n", "a", "~", "a: ~\n", NULL},
    {"a: 1\n", "a", "'null'", "a: \"null\"\n", NULL},
    {"a: 1\n", "a", "x: y", "a: \"x: y\"\n", NULL},
    {"a: 1\n", "a", " - y ", "a: \"- y\"\n", NULL},
    {"a: 1\n", "a", "# y", "a: \"# y\"\n", NULL},
    {"a: 1\n", "a", "*b", "a: \"*b\"\n", NULL},
    {"a: 1\n", "a", "\xff", NULL, "can't be changed in place"},
    {"a: 1\n", "a", "", NULL, "value is missing"},
    {"a: 1\n", "a", "[1", NULL, "[1 is no value: not YAML"},
    {"a: 1\n", "a", "[1]: 2", NULL, "[1]: 2 is no value"},
    {"a: 1\n", "a", "'x' y", NULL, "'x' y is no value"},
    {"a: 1\n", "a", "{ b: 1, c", NULL, "no value"},
    {"a: 1\n", "a", "[*b]", NULL, "aliases"},
    {"a: 1\n", "a", "1\nb: 2", NULL, "one line"},
    /* what can't be */
    {"a: 1\n", "a b", "2", NULL, "above it is a single value"},
    {"a: [1]\n", "a b", "2", NULL, "above it is a single value"},
    {"- a\n", "a", "2", NULL, "no map"},
    {"a: [\n", "a", "2", NULL, "line 2: not YAML"},
    {"", "a", "2", NULL, "empty"},
    {"? a\n: 1\n", "a", "2", NULL, "can't be changed in place"},
    {"? a\n: 1\n", "b", "2", "? a\n: 1\nb: 2\n", NULL},
    {"a: &x 1\n", "a", "2", NULL, "anchors"},
    {"a: 1\na: 2\n", "a", "3", "a: 3\na: 2\n", NULL},
    /* delete */
    {"a: 1\nb: 2 # c\n# d\nc: 3\n", "b", NULL, "a: 1\n# d\nc: 3\n", NULL},
    {"a: 1\nb: 2", "b", NULL, "a: 1\n", NULL},
    {"a: 1\nb:\n  c: 1\n  # d\n  e: 2 # f\ng: 3\n", "b", NULL, "a: 1\ng: 3\n", NULL},
    {"a: 1\nb: |\n  x\n\nc: 3\n", "b", NULL, "a: 1\n\nc: 3\n", NULL},
    {"x: { a: 1, b: 2, c: 3 }\n", "x a", NULL, "x: { b: 2, c: 3 }\n", NULL},
    {"x: { a: 1, b: 2, c: 3 }\n", "x b", NULL, "x: { a: 1, c: 3 }\n", NULL},
    {"x: { a: 1, b: 2, c: 3 }\n", "x c", NULL, "x: { a: 1, b: 2 }\n", NULL},
    {"x: {a: 1, b, }\n", "x b", NULL, "x: {a: 1, }\n", NULL},
    {"x: {a: 1, b: 2 # c\n}\n", "x b", NULL, "x: {a: 1 # c\n}\n", NULL},
    {"a: 1\nx: { y: { z: 1 } }\n", "x y z", NULL, "a: 1\n", NULL},
    {"a: 1\nx:\n  y:\n    z: 1\nb: 2\n", "x y z", NULL, "a: 1\nb: 2\n", NULL},
    {"a: 1\n", "a", NULL, NULL, "nothing would be left"},
    {"a: 1\nb: 2\n", "c", NULL, NULL, "not there"},
    {"a: 1\nb: 2\n", "a c", NULL, NULL, "not there"},
    {"? a\n: 1\nb: 1\n", "a", NULL, NULL, "can't be changed in place"},
    /* what has a name stays */
    {"site: x\npools: { web: { drain: 1s } }\n", "pools web drain", NULL,
     "site: x\npools: { web: {} }\n", NULL},
    {"site: x\npools:\n  web: # w\n    drain: 1s # d\n", "pools web drain", NULL,
     "site: x\npools:\n  web: {} # w\n", NULL},
    {"site: x\npools: { web: {} }\n", "pools web", NULL, "site: x\n", NULL},
};

static void run_case(const struct edit_case *edit)
{
    struct buffer out = {0}, problem = {0};
    char *words = strdup(edit->path);
    struct site_path path = path_of(words);
    size_t length = strlen(edit->before);
    int error;

    buffer_text(&out, "before:");
    error = edit->value ? site_edit_set(edit->before, length, &path, edit->value, &out, &problem)
                        : site_edit_delete(edit->before, length, &path, &out, &problem);
    if (edit->after && edit->problem) {
        assert_int_equal(error, CULVERT_EREJECTED);
    } else if (edit->after) {
        if (error)
            print_error("%s of %s: %s\n", edit->path, edit->before, problem.data);
        assert_int_equal(error, 0);
        assert_string_equal(out.data + 7, edit->after);
    } else {
        assert_int_equal(error, CULVERT_EREJECTED);
        assert_string_equal(out.data, "before:");
        if (!problem.data || !strstr(problem.data, edit->problem))
            print_error("%s: %s\n", edit->before, problem.data ? problem.data : "no problem");
        assert_non_null(strstr(problem.data, edit->problem));
        assert_null(strchr(problem.data, '\n'));
    }
    free(words);
    buffer_free(&out);
    buffer_free(&problem);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        run_case(&cases[i]);
}

/* From nothing to a site, and back. */
static void test_many_in_turn(void **state)
{
    static const struct {
        const char *path, *value;
    } steps[] = {{"site", "lab"},
                 {"pools web backends a address", "10.0.0.11"},
                 {"pools web backends b address", "10.0.0.12"},
                 {"vips web ports", "[80]"},
                 {"pools web backends a weight", "5"},
                 {"pools web backends b", NULL}};
    struct buffer text = {0};

    (void)state;
    buffer_text(&text, "{}");
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct buffer next = {0}, problem = {0};
        char *words = strdup(steps[i].path);
        struct site_path path = path_of(words);

        assert_int_equal(
            steps[i].value
                ? site_edit_set(text.data, text.length, &path, steps[i].value, &next, &problem)
                : site_edit_delete(text.data, text.length, &path, &next, &problem),
            0);
        buffer_free(&text);
        text = next;
        free(words);
        buffer_free(&problem);
    }
    assert_string_equal(text.data, "site: lab\n"
                                   "pools:\n"
                                   "  web:\n"
                                   "    backends:\n"
                                   "      a:\n"
                                   "        address: 10.0.0.11\n"
                                   "        weight: 5\n"
                                   "vips:\n"
                                   "  web:\n"
                                   "    ports: [80]\n");
    buffer_free(&text);
}

static void assert_shown(const char *words, const char *expected)
{
    struct buffer out = {0}, problem = {0};
    char *copy = strdup(words);
    struct site_path path = path_of(copy);
    int error = site_edit_show(TEXT, strlen(TEXT), &path, &out, &problem);

    assert_int_equal(error, expected ? 0 : CULVERT_EREJECTED);
    if (expected)
        assert_string_equal(out.data, expected);
    free(copy);
    buffer_free(&out);
    buffer_free(&problem);
}

static void test_show(void **state)
{
    (void)state;
    assert_shown("site", "site: lab   # the name\n");
    assert_shown("pools web backends", "backends:\n"
                                       "  a: { address: 10.0.0.11 }  # first\n"
                                       "  b: { address: 10.0.0.12, weight: 50 }\n");
    assert_shown("pools web backends b weight", "weight: 50\n");
    assert_shown("vips web ports", "ports: [80]\n");
    assert_shown("vips mail", NULL);
}

static void assert_walked(const char *words, size_t used, enum site_place place,
                          const char *problem)
{
    struct buffer text = {0};
    char *copy = strdup(words);
    struct site_path all = path_of(copy), path;
    enum site_place found;
    int error = site_path_walk(all.word, all.count, &path, &found, &text);

    if (problem) {
        assert_int_equal(error, CULVERT_EREJECTED);
        assert_string_equal(text.data, problem);
    } else {
        assert_int_equal(error, 0);
        assert_int_equal(path.count, used);
        assert_int_equal(found, place);
    }
    free(copy);
    buffer_free(&text);
}

static void test_walk(void **state)
{
    (void)state;
    assert_walked("pools web backends c address 10.0.0.13", 5, SITE_PLACE_VALUE, NULL);
    assert_walked("vips web ports [80, 443]", 3, SITE_PLACE_VALUE, NULL);
    assert_walked("interfaces eth1", 2, SITE_PLACE_NAMED, NULL);
    assert_walked("interfaces", 1, SITE_PLACE_MAP, NULL);
    assert_walked("zones example.com records www A 192.0.2.1", 5, SITE_PLACE_VALUE, NULL);
    assert_walked("zones example.com records www ttl 5", 5, SITE_PLACE_VALUE, NULL);
    assert_walked("pool", 0, 0, "\"pool\" is not known (did you mean \"pools\"?)");
    assert_walked("pools web backnds", 0, 0,
                  "\"backnds\" is not known in pools.web (did you mean \"backends\"?)");
    assert_walked("api x", 0, 0, "\"x\" is not known in api (known there: listen)");
    assert_walked("regions eu", 0, 0, "\"regions\" comes in a later release");
}

static void assert_split(const char *dotted, const char *expected)
{
    static const char text[] = "zones: { example.com: {}, a.records: {} }\npools: { a.b: {} }\n";
    char copy[SITE_PATH_TEXT];
    struct buffer joined = {0};
    struct site_path path;
    int error = site_path_split(text, strlen(text), dotted, copy, &path);

    assert_int_equal(error, expected ? 0 : CULVERT_EREJECTED);
    for (size_t i = 0; !error && i < path.count; i++)
        buffer_format(&joined, "%s%s", i ? " " : "", path.word[i]);
    if (expected)
        assert_string_equal(joined.data, expected);
    buffer_free(&joined);
}

static void test_split(void **state)
{
    (void)state;
    assert_split("site", "site");
    assert_split("zones.example.com", "zones example.com");
    assert_split("zones.example.com.ttl", "zones example.com ttl");
    assert_split("zones.example.net.ttl", "zones example.net ttl");
    assert_split("zones.example.net.records.www.x.A", "zones example.net records www.x A");
    assert_split("zones.a.records", "zones a.records");
    assert_split("zones.a.records.records.@.NS", "zones a.records records @ NS");
    assert_split("pools.a.b.drain", "pools a.b drain");
    assert_split("pools.new.drain", "pools new drain");
    assert_split("pools.new.dran", "pools new dran");
    assert_split("pools.a.b.dran", "pools a b dran");
    assert_split("nothing.of.it", "nothing of it");
    assert_split("pools..drain", NULL);
    assert_split("", NULL);
    assert_split("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q", NULL);
}

static void assert_words(const char *words, const char *expected)
{
    static const char text[] =
        "site: x\npools: { web: { drain: 1s }, app: {} }\nlimits: { l: {} }\n";
    struct buffer lines = {0};
    char *copy = strdup(words);
    struct site_path path = path_of(copy);

    site_path_words(text, strlen(text), &path, true, &lines);
    assert_string_equal(lines.data ? lines.data : "", expected);
    free(copy);
    buffer_free(&lines);
}

static void test_words(void **state)
{
    (void)state;
    assert_words("pools", "web\napp\n");
    assert_words("pools web", "drain\npolicy\nbuckets\nbackends\n");
    assert_words("pools new", "policy\nbuckets\ndrain\nbackends\n");
    assert_words("vips new mode", "dsr-ipip\ndsr-l2\nnat\n");
    assert_words("vips new pool", "web\napp\n");
    assert_words("vips new limits", "l\n");
    assert_words("pools web backends a drain", "true\nfalse\n");
    assert_words("site x y", "");
}

static void assert_value(const char *words, const char *value, const char *problem)
{
    struct buffer text = {0};
    char *copy = strdup(words);
    struct site_path path = path_of(copy);
    int error = site_value_check(&path, value, &text);

    if (problem ? !text.data || !strstr(text.data, problem) : error)
        print_error("%s: %s\n", value, text.data ? text.data : "no problem");
    assert_int_equal(error, problem ? CULVERT_EREJECTED : 0);
    if (problem)
        assert_non_null(strstr(text.data, problem));
    free(copy);
    buffer_free(&text);
}

static void test_values(void **state)
{
    (void)state;
    assert_value("dns udp-size", "1400", NULL);
    assert_value("dns udp-size", "many", "dns.udp-size: ");
    assert_value("vips web ports", "[80, 443]", NULL);
    assert_value("vips web ports", "all", NULL);
    assert_value("vips web ports", "[80, 70000]", "vips.web.ports: ");
    assert_value("pools web backends a address", "10.0.0", "an address such as");
    assert_value("zones example.com file", "x.zone", NULL);
    assert_value("zones example.com records www A", "[192.0.2.1, 192.0.2.2]", NULL);
    assert_value("vips web pool", "[", "not YAML");
    assert_value("dns listen", "2001:db8::", "write [2001:db8::]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),  cmocka_unit_test(test_many_in_turn),
        cmocka_unit_test(test_show),   cmocka_unit_test(test_walk),
        cmocka_unit_test(test_split),  cmocka_unit_test(test_words),
        cmocka_unit_test(test_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
