/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *log_program = "";
static enum log_level log_limit = LOG_LEVEL_INFO;

static const struct {
    const char *name;
    enum log_level level;
} log_levels[] = {{"error", LOG_LEVEL_ERROR},
                  {"warn", LOG_LEVEL_WARN},
                  {"info", LOG_LEVEL_INFO},
                  {"debug", LOG_LEVEL_DEBUG}};
#define LOG_LEVELS (sizeof(log_levels) / sizeof(log_levels[0]))

void log_start(const char *program, enum log_level level)
{
    log_program = program;
    log_limit = level;
}

void log_set_level(enum log_level level)
{
    log_limit = level;
}

bool log_level_parse(const char *text, enum log_level *level)
{
    for (size_t i = 0; i < LOG_LEVELS; i++) {
        if (!strcmp(text, log_levels[i].name)) {
            *level = log_levels[i].level;
            return true;
        }
    }
    return false;
}

static const char *level_name(enum log_level level)
{
    for (size_t i = 0; i < LOG_LEVELS; i++)
        if (log_levels[i].level == level)
            return log_levels[i].name;
    return "?";
}

void log_write(enum log_level level, const char *format, ...)
{
    char line[2048];
    size_t used, end = sizeof(line) - 1; /* one byte for the newline */
    va_list args;
    int length;

    if (level > log_limit)
        return;
    if (getenv("JOURNAL_STREAM"))
        length = snprintf(line, end, "<%d>", (int)level);
    else
        length = snprintf(line, end, "%s%s%s: ", log_program, *log_program ? ": " : "",
                          level_name(level));
    used = length < 0 ? 0 : (size_t)length < end ? (size_t)length : end - 1;
    va_start(args, format);
    length = vsnprintf(line + used, end - used, format, args);
    va_end(args);
    if (length > 0)
        used = used + (size_t)length < end ? used + (size_t)length : end - 1;
    for (size_t i = 0; i < used; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    line[used++] = '\n';
    /* One write is one line also when several processes share the stream. */
    if (write(STDERR_FILENO, line, used) < 0)
        return;
}
