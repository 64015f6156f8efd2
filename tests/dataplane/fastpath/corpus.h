/* SPDX-License-Identifier: Apache-2.0 */
/* Reads tests/corpus/packets.txt (its form: tests/corpus/generate.py). */
#ifndef CULVERT_TESTS_FASTPATH_CORPUS_H
#define CULVERT_TESTS_FASTPATH_CORPUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/fastpath/reasons.h"

#define CORPUS_FRAME_MAX 2048
#define CORPUS_LINE_MAX (CORPUS_FRAME_MAX * 4 + 256)

struct corpus_case {
    char name[64];
    char reason[32];
    uint8_t frame[CORPUS_FRAME_MAX];
    size_t length;
    uint8_t expected[CORPUS_FRAME_MAX];
    size_t expected_length;
    bool changed; /* false: the frame must leave as it came */
    bool compare; /* false: only the verdict and reason are said */
};

static inline const char *corpus_reason(unsigned reason)
{
    switch (reason) {
#define X(name, number, verdict, label, text)                                                      \
    case number:                                                                                   \
        return label;
        FP_REASONS(X)
#undef X
    default:
        return "?";
    }
}

static inline size_t corpus_hex(const char *text, uint8_t *to)
{
    size_t length = 0;
    unsigned byte;

    for (; length < CORPUS_FRAME_MAX && sscanf(text, "%2x", &byte) == 1; text += 2)
        to[length++] = (uint8_t)byte;
    return length;
}

/* The next case of the file. False at its end. */
static inline bool corpus_next(FILE *file, struct corpus_case *item)
{
    static char line[CORPUS_LINE_MAX], in[CORPUS_LINE_MAX], out[CORPUS_LINE_MAX];

    while (fgets(line, sizeof(line), file)) {
        memset(item, 0, sizeof(*item));
        if (line[0] == '#' ||
            sscanf(line, "%63s %31s %8191s %8191s", item->name, item->reason, in, out) != 4)
            continue;
        item->length = corpus_hex(in, item->frame);
        item->changed = out[0] != '=';
        item->compare = out[0] != '?' && out[0] != '-';
        item->expected_length = corpus_hex(out, item->expected);
        return true;
    }
    return false;
}

/* The file, which the test's first argument or the build names. */
static inline FILE *corpus_open(void)
{
    FILE *file = fopen(CORPUS_FILE, "r");

    if (!file) {
        perror(CORPUS_FILE);
        exit(1);
    }
    return file;
}

static inline void corpus_dump(const char *what, const uint8_t *bytes, size_t length)
{
    fprintf(stderr, "%s:", what);
    for (size_t i = 0; i < length; i++)
        fprintf(stderr, "%s%02x", i % 16 ? "" : " ", bytes[i]);
    fputc('\n', stderr);
}

#endif
