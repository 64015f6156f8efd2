/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": the nearest of some words to a mistyped one. */
#ifndef CULVERT_BASE_SUGGEST_H
#define CULVERT_BASE_SUGGEST_H

#include <stddef.h>

/* Edits (insert, delete, replace, swap of neighbours: optimal string alignment) between two
 * words; letter case costs nothing. Words longer than 63 bytes are never near: returns 64. */
unsigned suggest_distance(const char *a, const char *b);

/* Keeps the better of `best` (may be NULL) and `candidate` for `word`; NULL while none is near
 * enough to be worth saying (a third of the word's letters, at least 1). */
const char *suggest_better(const char *word, const char *best, const char *candidate);

#endif
