/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/suggest.h"

#include <ctype.h>
#include <string.h>

#define SUGGEST_WORD 63

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned suggest_distance(const char *a, const char *b)
{
    size_t length_a = strlen(a), length_b = strlen(b);
    unsigned rows[3][SUGGEST_WORD + 1];
    unsigned *two = rows[0], *one = rows[1], *now = rows[2];

    if (length_a > SUGGEST_WORD || length_b > SUGGEST_WORD)
        return SUGGEST_WORD + 1;
    for (unsigned j = 0; j <= length_b; j++)
        one[j] = two[j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        unsigned *spare = two;

        now[0] = (unsigned)i;
        for (size_t j = 1; j <= length_b; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

            now[j] = smaller(smaller(one[j], now[j - 1]) + 1, one[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                now[j] = smaller(now[j], two[j - 2] + 1);
        }
        two = one;
        one = now;
        now = spare;
    }
    return one[length_b];
}

const char *suggest_better(const char *word, const char *best, const char *candidate)
{
    size_t length = strlen(word);
    unsigned limit = length < 6 ? (length < 2 ? 0 : 1 + (length > 3)) : (unsigned)(length / 3);
    unsigned distance = suggest_distance(word, candidate);

    if (distance > limit || distance >= strlen(candidate))
        return best;
    return best && suggest_distance(word, best) <= distance ? best : candidate;
}
