/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts master file text (RFC 1035 section 5.1) into logical lines. */
#ifndef CULVERT_DNS_ZONE_LINES_H
#define CULVERT_DNS_ZONE_LINES_H

#include <stddef.h>

#define LINE_BYTES_MAX (256u << 10) /* of one logical line: more than any record's text needs */

struct lines {
    const char *text, *end; /* what is left to read */
    char *line;             /* the line: comments gone, parentheses blanks, NUL-terminated */
    size_t capacity;
    unsigned number;            /* the line's first line, from 1 */
    unsigned current;           /* lines read so far */
    const char *problem, *hint; /* after CULVERT_EREJECTED */
};

/* The next line that is not empty: 1; 0: the end; CULVERT_EREJECTED: text that cannot be cut, at
 * line `number`; CULVERT_ENOMEM. */
int lines_next(struct lines *lines);
void lines_free(struct lines *lines);

#endif
