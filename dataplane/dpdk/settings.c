/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <yyjson.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/log.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/plane/arguments.h"
#include "dataplane/plane/control.h"

#define AWAIT_MS 10000
#define AWAIT_STEP_MS 20
#define PATH_BYTES 160 /* arguments.c bounds the run directory */

_Static_assert(MEMORY_MIN >> 20 == SETTINGS_TABLE_MIB_LEAST, "as --memory");
_Static_assert(MEMORY_MAX >> 20 == SETTINGS_TABLE_MIB_MOST, "as --memory");

/* As the site names them. */
static const struct field {
    const char *key;
    uint32_t least, most, initial;
    const char *none; /* what SETTINGS_NONE stands for */
    bool is_bool;
} fields[SETTINGS_FIELDS] = {
    [SETTINGS_MAIN_CORE] = {"main-core", 0, SETTINGS_CORE_MOST, SETTINGS_NONE,
                            "the first that doesn't poll", false},
    [SETTINGS_SHARE_MAIN_CORE] = {"share-main-core", 0, 1, 0, NULL, true},
    [SETTINGS_HUGEPAGES] = {"hugepages", 0, 1, 1, NULL, true},
    [SETTINGS_PACKET_BUFFERS] = {"packet-buffers", SETTINGS_BUFFERS_LEAST, SETTINGS_BUFFERS_MOST,
                                 32767, NULL, false},
    [SETTINGS_BUFFER_MEMORY] = {"buffer-memory", SETTINGS_BUFFER_MIB_LEAST,
                                SETTINGS_BUFFER_MIB_MOST, SETTINGS_NONE, "as needed", false},
    [SETTINGS_TABLE_MEMORY] = {"table-memory", SETTINGS_TABLE_MIB_LEAST, SETTINGS_TABLE_MIB_MOST,
                               MEMORY_DEFAULT >> 20, NULL, false},
    [SETTINGS_CORES] = {.key = "cores"},
};

void settings_default(struct settings *settings)
{
    *settings = (struct settings){0};
    for (unsigned i = 0; i < SETTINGS_CORES; i++)
        settings->value[i] = fields[i].initial;
}

bool settings_take(struct settings *settings, enum settings_field field, uint64_t number)
{
    if (number < fields[field].least || number > fields[field].most)
        return false;
    settings->value[field] = (uint32_t)number;
    return true;
}

/* ---- cores ---- */

static bool take_core(struct settings *settings, uint64_t core)
{
    if (core > SETTINGS_CORE_MOST || settings->cores == SETTINGS_CORES_MAX)
        return false;
    for (uint32_t i = 0; i < settings->cores; i++) {
        if (settings->core[i] == core)
            return false;
    }
    settings->core[settings->cores++] = (uint16_t)core;
    return true;
}

/* A number at the text, which then points behind it. */
static bool take_digits(const char **text, unsigned long *number)
{
    char *end;

    if (**text < '0' || **text > '9')
        return false;
    *number = strtoul(*text, &end, 10); /* past the bound: ULONG_MAX, which take_core() refuses */
    *text = end;
    return true;
}

bool settings_take_cores(struct settings *settings, const char *list)
{
    unsigned long first, last;

    settings->cores = 0;
    do {
        if (!take_digits(&list, &first))
            return false;
        last = first;
        if (*list == '-') {
            list++;
            if (!take_digits(&list, &last))
                return false;
        }
        if (last < first || (*list && *list != ','))
            return false;
        for (unsigned long core = first; core <= last; core++) {
            if (!take_core(settings, core))
                return false;
        }
    } while (*list++);
    return true;
}

bool settings_take_options(struct settings *settings, const struct eal_options *options)
{
    if (options->main_core >= 0)
        settings_take(settings, SETTINGS_MAIN_CORE, (uint64_t)options->main_core);
    if (options->no_huge)
        settings->value[SETTINGS_HUGEPAGES] = 0;
    settings_take(settings, SETTINGS_PACKET_BUFFERS, options->mbufs);
    if (options->buffer_memory)
        settings_take(settings, SETTINGS_BUFFER_MEMORY, options->buffer_memory);
    if (!options->cores)
        return true;
    settings->value[SETTINGS_SHARE_MAIN_CORE] = 1; /* who names cores shares it on purpose */
    return settings_take_cores(settings, options->cores);
}

/* Adds to a text, as far as there is room. */
static void add(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(char *text, size_t size, const char *format, ...)
{
    size_t length = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + length, size - length, format, args);
    va_end(args);
}

void settings_cores_text(const struct settings *settings, char *text, size_t size)
{
    text[0] = '\0';
    for (uint32_t i = 0, next; i < settings->cores; i = next) {
        const char *comma = i ? "," : "";

        for (next = i + 1; next < settings->cores; next++) {
            if (settings->core[next] != settings->core[next - 1] + 1)
                break;
        }
        if (next > i + 1)
            add(text, size, "%s%u-%u", comma, settings->core[i], settings->core[next - 1]);
        else
            add(text, size, "%s%u", comma, settings->core[i]);
    }
    if (!settings->cores)
        add(text, size, "%s", "all but the main one");
}

/* ---- the file ---- */

static void file_path(const char *run_dir, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/" SETTINGS_FILE, run_dir);
}

static bool take_list(struct settings *settings, yyjson_val *list)
{
    yyjson_val *core;
    size_t i, count;

    settings->cores = 0;
    yyjson_arr_foreach (list, i, count, core) {
        if (!yyjson_is_uint(core) || !take_core(settings, yyjson_get_uint(core)))
            return false;
    }
    return settings->cores > 0;
}

static bool take_value(struct settings *settings, enum settings_field field, yyjson_val *value)
{
    if (field == SETTINGS_CORES)
        return yyjson_is_arr(value) && take_list(settings, value);
    if (fields[field].is_bool)
        return yyjson_is_bool(value) && settings_take(settings, field, yyjson_get_bool(value));
    return yyjson_is_uint(value) && settings_take(settings, field, yyjson_get_uint(value));
}

static int take_object(struct settings *settings, unsigned given, yyjson_val *root,
                       char why[SETTINGS_TEXT])
{
    if (!yyjson_is_obj(root)) {
        snprintf(why, SETTINGS_TEXT, "it is no object of JSON");
        return CULVERT_EINVAL;
    }
    for (unsigned field = 0; field < SETTINGS_FIELDS; field++) {
        yyjson_val *value = yyjson_obj_get(root, fields[field].key);

        if (!value || (given & 1u << field) || take_value(settings, field, value))
            continue;
        snprintf(why, SETTINGS_TEXT, "its \"%s\" can't be", fields[field].key);
        return CULVERT_EINVAL;
    }
    return 0;
}

int settings_read(struct settings *settings, unsigned given, const char *run_dir,
                  char why[SETTINGS_TEXT])
{
    struct settings read = *settings;
    char path[PATH_BYTES], *data;
    yyjson_doc *document;
    size_t length;
    int error;

    file_path(run_dir, path);
    error = file_read(AT_FDCWD, path, SETTINGS_BYTES_MAX, &data, &length);
    if (error) {
        snprintf(why, SETTINGS_TEXT, "%s", culvert_strerror(error));
        return error;
    }
    document = yyjson_read(data, length, 0);
    error = take_object(&read, given, yyjson_doc_get_root(document), why);
    yyjson_doc_free(document);
    free(data);
    if (!error)
        *settings = read;
    return error;
}

static bool is_there(const char *run_dir, const char *name)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof(path), "%s/%s", run_dir, name);
    return access(path, F_OK) == 0;
}

void settings_await(const char *run_dir)
{
    const struct timespec step = {.tv_nsec = AWAIT_STEP_MS * 1000000L};

    for (int waited = 0; waited < AWAIT_MS; waited += AWAIT_STEP_MS) {
        if (is_there(run_dir, SETTINGS_FILE) || is_there(run_dir, CONTROL_SOCKET))
            return;
        if (!waited)
            log_info("culvertd has not been there yet: waiting for the site's settings, 10 s at "
                     "most");
        nanosleep(&step, NULL);
    }
    log_warn("starting without the site's settings");
}

/* ---- in words ---- */

static void add_field(char *text, size_t size, const struct settings *settings,
                      enum settings_field field)
{
    char cores[6 * SETTINGS_CORES_MAX];

    add(text, size, "%s%s ", *text ? ", " : "", fields[field].key);
    if (field == SETTINGS_CORES) {
        settings_cores_text(settings, cores, sizeof(cores));
        add(text, size, "%s", cores);
    } else if (settings->value[field] == SETTINGS_NONE) {
        add(text, size, "%s", fields[field].none);
    } else if (fields[field].is_bool) {
        add(text, size, "%s", settings->value[field] ? "true" : "false");
    } else {
        add(text, size, "%u", settings->value[field]);
    }
}

void settings_text(const struct settings *settings, char *text, size_t size)
{
    text[0] = '\0';
    for (unsigned i = 0; i < SETTINGS_FIELDS; i++)
        add_field(text, size, settings, (enum settings_field)i);
}

static bool is_same(const struct settings *a, const struct settings *b, enum settings_field field)
{
    if (field != SETTINGS_CORES)
        return a->value[field] == b->value[field];
    return a->cores == b->cores && memcmp(a->core, b->core, a->cores * sizeof(a->core[0])) == 0;
}

static void compare(const struct settings *runs, const struct settings *wanted,
                    char text[SETTINGS_TEXT])
{
    char ours[SETTINGS_TEXT / 2] = "", theirs[SETTINGS_TEXT / 2] = "", why[EAL_WHY];
    struct eal_plan plan;

    text[0] = '\0';
    for (unsigned i = 0; i < SETTINGS_FIELDS; i++) {
        if (is_same(runs, wanted, (enum settings_field)i))
            continue;
        add_field(ours, sizeof(ours), runs, (enum settings_field)i);
        add_field(theirs, sizeof(theirs), wanted, (enum settings_field)i);
    }
    if (!*ours)
        return;
    if (eal_plan(wanted, &plan, why))
        add(text, SETTINGS_TEXT, "the site's settings can't be used here: %s", why);
    else
        add(text, SETTINGS_TEXT, "it runs with %s; the site says %s: restart culvert-dpdk", ours,
            theirs);
}

/* ---- while running ---- */

bool settings_look(struct settings_watch *watch)
{
    struct settings wanted = watch->asked;
    char path[PATH_BYTES], why[SETTINGS_TEXT], text[SETTINGS_TEXT];
    struct stat now;
    int error;

    file_path(watch->run_dir, path);
    if (stat(path, &now) ||
        (now.st_ino == watch->inode && now.st_mtim.tv_sec == watch->looked.tv_sec &&
         now.st_mtim.tv_nsec == watch->looked.tv_nsec))
        return false;
    watch->inode = now.st_ino;
    watch->looked = now.st_mtim;
    error = settings_read(&wanted, watch->given, watch->run_dir, why);
    if (error)
        snprintf(text, sizeof(text), "%s: %.200s", path, why);
    else
        compare(&watch->runs, &wanted, text);
    if (strcmp(text, watch->error) == 0)
        return false;
    memcpy(watch->error, text, sizeof(text));
    if (*text)
        log_warn("%s", text);
    return true;
}
