/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line to standard error a message. Under systemd (JOURNAL_STREAM is set) lines start with
 * the level as <N> (sd-daemon(3)); elsewhere with the program's name and the level.
 */
#ifndef CULVERT_BASE_LOG_H
#define CULVERT_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* `program` must live as long as the process. Default: no name, LOG_LEVEL_INFO. */
void log_start(const char *program, enum log_level level);
void log_set_level(enum log_level level);
/* "error", "warn", "info", "debug" to a level; false: not one of them. */
bool log_level_parse(const char *text, enum log_level *level);

/* Control characters in the message are replaced, so that one message is one line. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
