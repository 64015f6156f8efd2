/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/command.h"

int cli_run(struct cli *cli)
{
    int code;

    if (cli->help) {
        cli_help(cli->command, stdout);
        return CLI_OK;
    }
    client_init(&cli->client, &cli->server);
    code = cli->command->run(cli);
    client_close(&cli->client);
    return code;
}
