/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tool/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/tool/attach.h"

static const char *tool_name; /* NULL: no command line was read yet */

void tool_say(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", tool_name ? tool_name : program_invocation_short_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static int take_output(const char *argument, bool *json)
{
    *json = strcmp(argument, "json") == 0;
    return *json || strcmp(argument, "text") == 0 ? 0 : tool_fail("-o takes json or text");
}

static int take(const struct tool_options *tool, int option, char *argument, void *arg, bool *json)
{
    switch (option) {
    case 'o':
        return take_output(argument, json);
    case TOOL_OPTION_VERSION:
        printf("%s %s\n", tool->name, CULVERT_VERSION);
        return 1;
    case TOOL_OPTION_HELP:
        fputs(tool->help, stdout);
        return 1;
    case '?': /* getopt has said what is wrong */
        return tool_fail("try --help");
    default:
        return tool->take(arg, option, argument);
    }
}

int tool_options_parse(const struct tool_options *tool, int argc, char **argv, void *arg,
                       bool *json)
{
    int option;

    tool_name = tool->name;
    while ((option = getopt_long(argc, argv, "o:", tool->known, NULL)) != -1) {
        int result = take(tool, option, optarg, arg, json);

        if (result)
            return result;
    }
    if (optind < argc)
        return tool_fail("what is \"%s\"? Try --help", argv[optind]);
    return 0;
}

int tool_take_prefix(const char *option, const char *text, const char *example,
                     struct address *address, unsigned *length)
{
    bool host_bits = false;
    char right[UNITS_TEXT];

    if (!units_parse_prefix(text, address, length, &host_bits))
        return 0;
    if (!host_bits)
        return tool_fail("%s %s: not a prefix like %s or 2001:db8::/64", option, text, example);
    units_write_prefix(address, *length, right);
    return tool_fail("%s %s: bits are set behind the length; %s would be right", option, text,
                     right);
}

int tool_prepare(void)
{
    if (attach_check_privilege()) {
        tool_say("root is needed (CAP_BPF and CAP_NET_ADMIN)");
        return CULVERT_EACCES;
    }
    attach_log_quiet();
    return 0;
}
