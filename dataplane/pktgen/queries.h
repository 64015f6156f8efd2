/* SPDX-License-Identifier: Apache-2.0 */
/* The file of DNS questions, as wire bytes. */
#ifndef CULVERT_PKTGEN_QUERIES_H
#define CULVERT_PKTGEN_QUERIES_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/pktgen/pktgen.h"

/* Questions one behind the other: a u16 length, then the bytes. */
struct queries {
    uint8_t *data;
    size_t length, capacity;
    uint32_t count;
    uint16_t longest;
};

/* Reads lines of `name type` (the type may be left out: A; `#` and `;` start comments). `edns`: see
 * options.h. An error has been told on standard error, with the line. Ends with queries_free(). */
int queries_read(struct queries *queries, const char *path, unsigned edns);
void queries_free(struct queries *queries);

/* Words of 8 bytes that the longest question takes, and bytes from one to the next where they are
 * stored as struct pktgen_query with so many words. */
uint32_t queries_words(const struct queries *queries);
size_t queries_stride(const struct queries *queries);

/* Stores them all. */
void queries_store(const struct queries *queries, void *memory);

#endif
