/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <string.h>

#include "controlplane/cli/command.h"

static int complete(int argc, char **argv)
{
    struct buffer words = {0};

    cli_complete(argc, argv, &words);
    return cli_print(&words);
}

int main(int argc, char **argv)
{
    char problem[256];
    struct cli cli;
    int code;

    setlocale(LC_TIME, "");
    if (argc > 1 && !strcmp(argv[1], "__complete")) /* what `completion bash` calls */
        return complete(argc - 2, argv + 2);
    code = cli_parse(&cli, argc - 1, argv + 1, problem, sizeof(problem));
    if (code) {
        cli_error("%s", problem);
        return code;
    }
    return cli_run(&cli);
}
