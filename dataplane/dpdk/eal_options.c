/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/dpdk/eal_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/error.h"

#define MBUFS_DEFAULT 32767
#define MBUFS_MIN 1023
#define MBUFS_MAX (1u << 23)
#define CORE_MAX 1023

void eal_options_default(struct eal_options *options, const char *program)
{
    *options = (struct eal_options){.program = program, .mbufs = MBUFS_DEFAULT, .main_core = -1};
}

static bool parse_number(const char *text, unsigned long low, unsigned long high, unsigned *number)
{
    unsigned long value;
    char *end;

    errno = 0;
    if (*text < '0' || *text > '9')
        return false;
    value = strtoul(text, &end, 10);
    if (errno || *end || value < low || value > high)
        return false;
    *number = (unsigned)value;
    return true;
}

/* Digits, commas and dashes: EAL takes what they mean. */
static bool cores_are_sane(const char *text)
{
    return *text && strlen(text) < 200 && strspn(text, "0123456789,-") == strlen(text);
}

int eal_options_take(struct eal_options *options, int option, const char *value,
                     struct eal_options_wrong *wrong)
{
    unsigned core = 0;
    bool good = true;

    switch (option) {
    case EAL_OPTION_CORES:
        *wrong = (struct eal_options_wrong){"--cores", "a list such as 1-3,5 is right"};
        options->cores = value;
        good = cores_are_sane(value);
        break;
    case EAL_OPTION_MAIN_CORE:
        *wrong = (struct eal_options_wrong){"--main-core", "the number of a core is needed"};
        good = parse_number(value, 0, CORE_MAX, &core);
        options->main_core = (int)core;
        break;
    case EAL_OPTION_MBUFS:
        *wrong = (struct eal_options_wrong){"--mbufs", "1023 to 8388608 is right"};
        good = parse_number(value, MBUFS_MIN, MBUFS_MAX, &options->mbufs);
        break;
    case EAL_OPTION_BUFFER_MEMORY:
        *wrong = (struct eal_options_wrong){"--buffer-memory", "16 to 1048576 MiB is right"};
        good = parse_number(value, 16, 1u << 20, &options->buffer_memory);
        break;
    default:
        options->no_huge = true;
    }
    return good ? 0 : CULVERT_EINVAL;
}
