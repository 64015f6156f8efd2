/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/site/errors.h"

void site_errors_free(struct site_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        struct site_error *error = &errors->list[i];

        free(error->file);
        free(error->field);
        free(error->message);
        free(error->hint);
    }
    free(errors->list);
    *errors = (struct site_errors){0};
}

static bool text_copy(char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return *to || !text;
}

void site_errors_add(struct site_errors *errors, const char *file, unsigned line, unsigned column,
                     const char *field, const char *message, const char *hint)
{
    struct site_error error = {.line = line, .column = column};

    if (errors->count == SITE_ERRORS_MAX) {
        errors->dropped++;
        return;
    }
    if (!errors->list)
        errors->list = calloc(SITE_ERRORS_MAX, sizeof(*errors->list));
    if (errors->list && text_copy(&error.file, file) && text_copy(&error.field, field) &&
        text_copy(&error.message, message ? message : "") && text_copy(&error.hint, hint)) {
        errors->list[errors->count++] = error;
        return;
    }
    free(error.file);
    free(error.field);
    free(error.message);
    free(error.hint);
    errors->dropped++;
}

/* What one file says comes in the order of its lines; files in the order of their first error. */
struct place {
    struct site_error error;
    size_t file, index;
};

static int place_compare(const void *x, const void *y)
{
    const struct place *a = x, *b = y;

    if (a->file != b->file)
        return a->file < b->file ? -1 : 1;
    if (a->error.line != b->error.line)
        return a->error.line < b->error.line ? -1 : 1;
    if (a->error.column != b->error.column)
        return a->error.column < b->error.column ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

static bool same_file(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

void errors_sort(struct site_errors *errors)
{
    struct place *places = errors->count ? calloc(errors->count, sizeof(*places)) : NULL;

    if (!places)
        return; /* their own order will do */
    for (size_t i = 0; i < errors->count; i++) {
        places[i] = (struct place){.error = errors->list[i], .index = i};
        while (!same_file(errors->list[places[i].file].file, errors->list[i].file))
            places[i].file++;
    }
    qsort(places, errors->count, sizeof(*places), place_compare);
    for (size_t i = 0; i < errors->count; i++)
        errors->list[i] = places[i].error;
    free(places);
}

int errors_result(const struct site_errors *errors)
{
    return errors->count || errors->dropped ? CULVERT_EREJECTED : 0;
}

static void json_field(struct buffer *json, const char *key, const char *text)
{
    if (!text)
        return;
    if (json->data[json->length - 1] != '{')
        buffer_char(json, ',');
    buffer_format(json, "\"%s\":", key);
    buffer_json_text(json, text);
}

static void json_number(struct buffer *json, const char *key, unsigned number)
{
    if (!number)
        return;
    buffer_format(json, "%s\"%s\":%u", json->data[json->length - 1] == '{' ? "" : ",", key, number);
}

void site_errors_json(const struct site_errors *errors, struct buffer *json)
{
    buffer_char(json, '[');
    for (size_t i = 0; i < errors->count && !json->error; i++) {
        const struct site_error *error = &errors->list[i];

        buffer_text(json, i ? ",{" : "{");
        json_field(json, "file", error->file);
        json_number(json, "line", error->line);
        json_number(json, "column", error->column);
        json_field(json, "field", error->field);
        json_field(json, "message", error->message);
        json_field(json, "hint", error->hint);
        buffer_char(json, '}');
    }
    if (errors->dropped)
        buffer_format(json, "%s{\"message\":\"and %zu more\"}", errors->count ? "," : "",
                      errors->dropped);
    buffer_char(json, ']');
}

void site_errors_text(const struct site_errors *errors, struct buffer *text)
{
    for (size_t i = 0; i < errors->count; i++) {
        const struct site_error *error = &errors->list[i];

        if (error->file)
            buffer_format(text, "%s:", error->file);
        if (error->line)
            buffer_format(text, "%u:", error->line);
        if (error->column)
            buffer_format(text, "%u:", error->column);
        if (error->file || error->line)
            buffer_char(text, ' ');
        if (error->field)
            buffer_format(text, "%s: ", error->field);
        buffer_text(text, error->message);
        if (error->hint)
            buffer_format(text, "; %s", error->hint);
        buffer_char(text, '\n');
    }
    if (errors->dropped)
        buffer_format(text, "and %zu more\n", errors->dropped);
}
