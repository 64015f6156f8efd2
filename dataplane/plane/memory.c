/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/plane/memory.h"

#include <errno.h>
#include <stdlib.h>

bool memory_parse(const char *text, size_t *bytes)
{
    unsigned long long number;
    unsigned shift;
    char *end;

    errno = 0;
    if (*text < '0' || *text > '9')
        return false;
    number = strtoull(text, &end, 10);
    if (errno || !*end || end[1])
        return false;
    shift = *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (!shift || number > (MEMORY_MAX >> shift))
        return false;
    *bytes = (size_t)number << shift;
    return *bytes >= MEMORY_MIN;
}
