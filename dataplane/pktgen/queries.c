/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/queries.h"

#include <errno.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"
#include "dataplane/fastpath/build.h"
#include "dataplane/pktgen/options.h"
#include "dataplane/tool/options.h"

#define DATA_MAX ((size_t)1 << 30)
#define OPT_BYTES 11
#define NAME_MAX_ 255
#define BLANKS " \t\r\n"

static void put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static int append(struct queries *queries, const uint8_t *wire, uint16_t length)
{
    size_t needed = queries->length + 2 + length;

    if (needed > queries->capacity) {
        size_t capacity = queries->capacity ? queries->capacity * 2 : 65536;
        uint8_t *data = capacity <= DATA_MAX ? realloc(queries->data, capacity) : NULL;

        if (!data)
            return CULVERT_ENOMEM;
        queries->data = data;
        queries->capacity = capacity;
    }
    memcpy(queries->data + queries->length, &length, 2);
    memcpy(queries->data + queries->length + 2, wire, length);
    queries->length = needed;
    queries->count++;
    if (length > queries->longest)
        queries->longest = length;
    return 0;
}

/* The question, and the OPT record (RFC 6891 section 6.1.2) if asked for. Returns the bytes, or 0
 * with the word that is wrong in `*wrong`. */
static uint16_t make_wire(char *line, unsigned edns, uint8_t wire[PKTGEN_QUERY_MAX],
                          const char **wrong)
{
    char *rest = NULL;
    char *name = strtok_r(line, BLANKS, &rest);
    char *type = strtok_r(NULL, BLANKS, &rest);
    ldns_rdf *dname = NULL;
    unsigned number = type ? ldns_get_rr_type_by_name(type) : LDNS_RR_TYPE_A;
    size_t length;

    *wrong = strtok_r(NULL, BLANKS, &rest);
    if (*wrong)
        return 0;
    *wrong = type;
    if (!number)
        return 0;
    *wrong = name;
    if (ldns_str2rdf_dname(&dname, name) != LDNS_STATUS_OK)
        return 0;
    length = ldns_rdf_size(dname);
    if (length <= NAME_MAX_)
        memcpy(wire, ldns_rdf_data(dname), length);
    ldns_rdf_deep_free(dname);
    if (length > NAME_MAX_)
        return 0;
    put16(wire + length, number);
    put16(wire + length + 2, LDNS_RR_CLASS_IN);
    length += 4;
    if (edns) {
        memset(wire + length, 0, OPT_BYTES);
        put16(wire + length + 1, LDNS_RR_TYPE_OPT);
        put16(wire + length + 3, edns);
        length += OPT_BYTES;
    }
    return (uint16_t)length;
}

static int take_line(struct queries *queries, char *line, unsigned edns, const char *path,
                     unsigned long number)
{
    uint8_t wire[PKTGEN_QUERY_MAX];
    const char *wrong = NULL;
    uint16_t length;

    line[strcspn(line, "#;\n")] = '\0';
    if (!line[strspn(line, BLANKS)])
        return 0;
    length = make_wire(line, edns, wire, &wrong);
    if (!length) {
        tool_say("%s:%lu: \"%s\" is wrong; lines are like: www.example.com A", path, number, wrong);
        return CULVERT_EREJECTED;
    }
    if (queries->count == PKTGEN_QUERIES_MAX || append(queries, wire, length)) {
        tool_say("%s:%lu: too many queries (%u are held)", path, number, queries->count);
        return CULVERT_EFULL;
    }
    return 0;
}

int queries_read(struct queries *queries, const char *path, unsigned edns)
{
    FILE *file = fopen(path, "re");
    unsigned long number = 0;
    char *line = NULL;
    size_t room = 0;
    int error = 0;

    memset(queries, 0, sizeof(*queries));
    if (!file) {
        tool_say("%s: %s", path, strerror(errno));
        return CULVERT_ENOTFOUND;
    }
    while (!error && getline(&line, &room, file) >= 0)
        error = take_line(queries, line, edns, path, ++number);
    if (!error && ferror(file)) {
        tool_say("%s: %s", path, strerror(errno));
        error = CULVERT_EIO;
    } else if (!error && !queries->count) {
        tool_say("%s: no queries in it; lines are like: www.example.com A", path);
        error = CULVERT_EREJECTED;
    }
    free(line);
    fclose(file);
    if (error)
        queries_free(queries);
    return error;
}

void queries_free(struct queries *queries)
{
    free(queries->data);
    memset(queries, 0, sizeof(*queries));
}

uint32_t queries_words(const struct queries *queries)
{
    return (queries->longest + 7u) / 8;
}

size_t queries_stride(const struct queries *queries)
{
    return offsetof(struct pktgen_query, wire) + queries_words(queries) * sizeof(uint64_t);
}

void queries_store(const struct queries *queries, void *memory)
{
    size_t stride = queries_stride(queries);
    const uint8_t *at = queries->data;

    for (uint32_t i = 0; i < queries->count; i++) {
        struct pktgen_query *query = (void *)((uint8_t *)memory + i * stride);

        memcpy(&query->length, at, 2);
        memcpy(query->wire, at + 2, query->length);
        query->sum = fp_sum_fold(fp_build_sum(at + 2, query->length));
        at += 2 + query->length;
    }
}
