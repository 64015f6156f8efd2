/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a site file's text, one value at a time, that leave everything else of it as somebody
 * has written it: comments, order, quotes. A path is its keys as words ("pools", "web", "drain");
 * lists are changed as a whole. What comes out has been read again: it is the document that was
 * meant, or the change is refused. Nothing is checked here but the path and the value; site_parse()
 * checks a whole document.
 */
#ifndef CULVERT_SITE_EDIT_H
#define CULVERT_SITE_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "controlplane/base/buffer.h"

#define SITE_PATH_WORDS 16u
#define SITE_PATH_TEXT 1024u /* bytes of a path with dots */

struct site_path {
    const char *word[SITE_PATH_WORDS];
    size_t count;
};

/* What the schema has at a path. */
enum site_place {
    SITE_PLACE_VALUE, /* one value, or a list */
    SITE_PLACE_MAP,   /* a map with fields, or from names to such */
    SITE_PLACE_NAMED, /* an element of the latter */
};

/* Follows the schema from the top through the words (of `count`): `*path` has those that are a
 * path; the first word behind a place that takes a value isn't, nor one that begins with { or [.
 * CULVERT_EREJECTED: the schema has no such key; `problem` is one line that names the nearest one.
 * The words are not copied. */
int site_path_walk(const char *const *words, size_t count, struct site_path *path,
                   enum site_place *place, struct buffer *problem);

/* Takes a path with dots apart, as `culvert get` has it; names may hold dots: those of the document
 * go first. `copy` (of SITE_PATH_TEXT bytes) has the words. CULVERT_EREJECTED: too long, an empty
 * word. A path that the schema hasn't is parted at each dot. */
int site_path_split(const char *text, size_t length, const char *dotted, char *copy,
                    struct site_path *path);

/* The keys of a document behind a path, and with `may` what else may follow: fields, at a value the
 * schema's words and the names that it may refer to; one to a line. */
void site_path_words(const char *text, size_t length, const struct site_path *path, bool may,
                     struct buffer *lines);

/* Whether a value (as for site_edit_set) is of the path's type. CULVERT_EREJECTED and one line. */
int site_value_check(const struct site_path *path, const char *value, struct buffer *problem);

/* Appends the text with the value at the path set to `value`: a scalar or a flow collection ("80",
 * "[80, 443]", "{ address: 10.0.0.1 }") of one line of YAML; missing maps are made. All of these:
 * CULVERT_EREJECTED with one line of what is wrong and what to do, CULVERT_ENOMEM or
 * CULVERT_EFULL. */
int site_edit_set(const char *text, size_t length, const struct site_path *path, const char *value,
                  struct buffer *out, struct buffer *problem);

/* Appends the text without what is at the path. A map that would be empty goes too, but for one
 * that has a name of its own (a pool, a zone): that stays, as {}. */
int site_edit_delete(const char *text, size_t length, const struct site_path *path,
                     struct buffer *out, struct buffer *problem);

/* Appends the lines of the text that are at the path, its key first, as if it stood at the top. */
int site_edit_show(const char *text, size_t length, const struct site_path *path,
                   struct buffer *out, struct buffer *problem);

#endif
