/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/base/error.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first; a factor of 1 last. */
static const struct unit size_units[] = {
    {"G", 1000000000}, {"M", 1000000}, {"k", 1000}, {"", 1}, {NULL, 0}};
static const struct unit rate_units[] = {
    {"G/s", 1000000000}, {"M/s", 1000000}, {"k/s", 1000}, {"/s", 1}, {NULL, 0}};
static const struct unit time_units[] = {
    {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};

static int parse_digits(const char **text, uint64_t *value)
{
    const char *at = *text;
    uint64_t sum = 0;
    bool over = false;

    if (*at < '0' || *at > '9')
        return CULVERT_EINVAL;
    for (; *at >= '0' && *at <= '9'; at++)
        over |= __builtin_mul_overflow(sum, (uint64_t)10, &sum) ||
                __builtin_add_overflow(sum, (uint64_t)(*at - '0'), &sum);
    *text = at;
    *value = sum;
    return over ? CULVERT_EFULL : 0;
}

static int parse_units(const char *text, const struct unit *units, uint64_t *value)
{
    uint64_t number;
    int error = parse_digits(&text, &number);

    if (error == CULVERT_EINVAL)
        return error;
    for (; units->name; units++) {
        if (strcmp(text, units->name))
            continue;
        if (error || __builtin_mul_overflow(number, units->factor, &number))
            return CULVERT_EFULL;
        *value = number;
        return 0;
    }
    return CULVERT_EINVAL;
}

static void write_units(uint64_t value, const struct unit *units, char text[UNITS_TEXT])
{
    if (value)
        while (value % units->factor)
            units++;
    else
        while (units->factor > 1)
            units++;
    snprintf(text, UNITS_TEXT, "%" PRIu64 "%s", value / units->factor, units->name);
}

int units_parse_number(const char *text, uint64_t *value)
{
    int error = parse_digits(&text, value);

    return *text ? CULVERT_EINVAL : error;
}

int units_parse_size(const char *text, uint64_t *value)
{
    return parse_units(text, size_units, value);
}

int units_parse_rate(const char *text, uint64_t *per_second)
{
    return parse_units(text, rate_units, per_second);
}

int units_parse_time(const char *text, uint64_t *ms)
{
    return parse_units(text, time_units, ms);
}

void units_write_size(uint64_t value, char text[UNITS_TEXT])
{
    write_units(value, size_units, text);
}

void units_write_rate(uint64_t per_second, char text[UNITS_TEXT])
{
    write_units(per_second, rate_units, text);
}

void units_write_time(uint64_t ms, char text[UNITS_TEXT])
{
    if (ms)
        write_units(ms, time_units, text);
    else
        snprintf(text, UNITS_TEXT, "0s");
}
