/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/plane/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "controlplane/base/error.h"

#define RUN_DIR_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/channel.sock"))

/* "1G", "512M": powers of 1024. Whole megabytes only. */
static bool parse_memory(const char *text, size_t *bytes)
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

int arguments_refuse(const struct arguments *arguments, const char *option, const char *value,
                     const char *right)
{
    fprintf(stderr, "%s: %s %s: %s\n", arguments->program, option, value, right);
    return CULVERT_EINVAL;
}

/* Options that end the process at once, or say what it is to do. False: another one. */
static bool take_action(struct arguments *arguments, int option)
{
    switch (option) {
    case 's':
        arguments->action = ARGUMENTS_STATUS;
        return true;
    case 'd':
        arguments->action = ARGUMENTS_DETACH;
        return true;
    case 'v':
        arguments->action = ARGUMENTS_EXIT;
        printf("%s " CULVERT_VERSION "\n", arguments->program);
        return true;
    case 'h':
        arguments->action = ARGUMENTS_EXIT;
        fputs(arguments->usage, stdout);
        return true;
    default:
        return false;
    }
}

static int take(struct arguments *arguments, int option, const char *value,
                int (*own)(void *arg, int option, const char *value), void *arg)
{
    switch (option) {
    case 'r':
        arguments->run_dir = value;
        return strlen(value) > RUN_DIR_MAX
                   ? arguments_refuse(arguments, "--run-dir", value, "too long a path")
                   : 0;
    case 'm':
        return parse_memory(value, &arguments->memory)
                   ? 0
                   : arguments_refuse(arguments, "--memory", value,
                                      "64M to 4G is right, such as 512M or 2G");
    case 'l':
        return log_level_parse(value, &arguments->log_level)
                   ? 0
                   : arguments_refuse(arguments, "--log-level", value,
                                      "error, warn, info or debug is right");
    case '?':
        fprintf(stderr, "Try `%s --help`.\n", arguments->program);
        return CULVERT_EINVAL;
    default:
        return take_action(arguments, option) ? 0 : own(arg, option, value);
    }
}

int arguments_parse(struct arguments *arguments, const struct option *known, int argc, char **argv,
                    int (*own)(void *arg, int option, const char *value), void *arg)
{
    int option;

    arguments->run_dir = "/run/culvert";
    arguments->log_level = LOG_LEVEL_INFO;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        int error = take(arguments, option, optarg, own, arg);

        if (error || arguments->action == ARGUMENTS_EXIT)
            return error;
    }
    if (optind < argc)
        return arguments_refuse(arguments, "argument", argv[optind], "none is expected");
    return 0;
}
