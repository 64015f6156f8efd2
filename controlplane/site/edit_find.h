/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a text the maps and the value of a path stand, in bytes. For edit.c. */
#ifndef CULVERT_SITE_EDIT_FIND_H
#define CULVERT_SITE_EDIT_FIND_H

#include "controlplane/site/edit.h"

/* A map on the way, and its entry whose key is the path's next word. An entry ends where its last
 * word does: blanks and comments behind it are not of it. */
struct edit_map {
    size_t start, end;
    size_t column;   /* of its keys, in characters; block style */
    bool flow;       /* { } */
    size_t count;    /* entries */
    size_t last_end; /* of the last one */
    bool found;
    size_t key, key_end, value, value_end; /* of the entry; an empty value begins where it ends */
    size_t previous_end, next; /* the end of the one before, the key of the one behind; 0: none */
};

struct edit_place {
    struct edit_map map[SITE_PATH_WORDS];
    size_t depth; /* maps on the way, at least 1 when the document is one */
};

/* The text is one that node_read() takes. CULVERT_EREJECTED: libyaml doesn't, CULVERT_ENOMEM. */
int edit_find(const char *text, size_t length, const struct site_path *path,
              struct edit_place *place);

#endif
