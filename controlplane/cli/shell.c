/* SPDX-License-Identifier: Apache-2.0 */
/* The loop, and the commands that only the shell has. */
#include "controlplane/cli/shell.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/suggest.h"

/* ---- commands ---- */

static int run_configure(struct shell *shell, const struct shell_line *line)
{
    int code = candidate_run(shell->cli, &shell->candidate);

    (void)line;
    if (code)
        return code;
    shell->configuring = true;
    shell->above.count = 0;
    if (shell->terminal)
        printf("a candidate of revision %llu: `commit` makes it the site, `help` lists the rest\n",
               (unsigned long long)shell->candidate.revision);
    return CLI_OK;
}

static int run_exit(struct shell *shell, const struct shell_line *line)
{
    (void)line;
    return shell_leave(shell, false);
}

static int run_bash(struct shell *shell, const struct shell_line *line)
{
    (void)line;
    return shell_run_system(shell);
}

static int run_help(struct shell *shell, const struct shell_line *line)
{
    return line->count > 1 ? shell_run(shell, line, 0) : shell_help(shell);
}

const struct shell_command shell_commands[] = {
    {"configure", "", "change a candidate of the site, then commit it", 0, 0, WORDS_NONE,
     run_configure},
    {"bash", "", "the system's shell; `exit` comes back", 0, 0, WORDS_NONE, run_bash},
    {"exit", "", "leave", 0, 0, WORDS_NONE, run_exit},
    {"help", "[COMMAND]", "this list, or a command's help", 0, 1, WORDS_COMMAND, run_help},
    {0}};

const struct shell_command *shell_find(const struct shell *shell, const char *name)
{
    const struct shell_command *command = shell->configuring ? configure_commands : shell_commands;

    if (!strcmp(name, "?"))
        name = "help";
    else if (!strcmp(name, "quit"))
        name = "exit";
    while (command->name && strcmp(command->name, name) != 0)
        command++;
    return command->name ? command : NULL;
}

static void help_line(const char *name, const char *arguments, const char *help)
{
    char text[64];

    snprintf(text, sizeof(text), "%s %s", name, arguments);
    printf("  %-24s  %s\n", text, help);
}

static int print_help(struct shell *shell, void *arg)
{
    const struct shell_command *command = shell->configuring ? configure_commands : shell_commands;

    (void)arg;
    for (; command->name; command++)
        help_line(command->name, command->arguments, command->help);
    for (size_t i = 0; !shell->configuring && i < cli_command_count; i++)
        if (!shell_find(shell, cli_commands[i].name))
            help_line(cli_commands[i].name, cli_commands[i].arguments, cli_commands[i].help);
    printf("\nTab completes a word, ? shows what may be typed%s.\n",
           shell->configuring ? ", `run COMMAND` does what is outside of `configure`" : "");
    return CLI_OK;
}

int shell_help(struct shell *shell)
{
    return shell_run_function(shell, print_help, NULL);
}

bool shell_ask(const struct shell *shell, const char *question)
{
    char answer[16];

    if (!shell->terminal)
        return false;
    printf("%s [y/N] ", question);
    fflush(stdout);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

int shell_leave(struct shell *shell, bool discard)
{
    if (!shell->configuring) {
        shell->done = true;
        return CLI_OK;
    }
    if (!discard && candidate_is_changed(&shell->candidate)) {
        if (!shell->terminal) {
            cli_error("the candidate has changes: `commit` them, or `exit discard`");
            return CLI_FAILED;
        }
        if (!shell_ask(shell, "The changes are not committed. Leave and lose them?"))
            return CLI_OK;
    }
    candidate_free(&shell->candidate);
    shell->configuring = false;
    return CLI_OK;
}

/* ---- the loop ---- */

static int unknown(const struct shell *shell, const char *word)
{
    const struct shell_command *command = shell->configuring ? configure_commands : shell_commands;
    const char *near = NULL;
    bool outside = false;

    for (; command->name; command++)
        near = suggest_better(word, near, command->name);
    for (size_t i = 0; i < cli_command_count; i++)
        outside |= !strcmp(cli_commands[i].name, word);
    if (outside)
        cli_error("no such command here: `run %s` does it", word);
    else if (near)
        cli_error("no such command: `%s` (did you mean `%s`?)", word, near);
    else
        cli_error("no such command: `%s`: see `help`", word);
    return CLI_USAGE;
}

static bool is_operational(const char *word)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (!strcmp(cli_commands[i].name, word))
            return true;
    return *word == '-'; /* an option of all commands */
}

static int run_line(struct shell *shell, const struct shell_line *line)
{
    const struct shell_command *command = shell_find(shell, line->word[0]);

    if (!command && !shell->configuring && is_operational(line->word[0]))
        return shell_run(shell, line, 0);
    if (!command)
        return unknown(shell, line->word[0]);
    if (line->count - 1 < command->least || line->count - 1 > command->most) {
        cli_error("usage: %s %s", command->name, command->arguments);
        return CLI_USAGE;
    }
    return command->run(shell, line);
}

static int take_line(struct shell *shell, const char *text)
{
    struct shell_line line;
    int error = shell_line_parse(text, &line), code = CLI_OK;

    if (error) {
        cli_error("%s", error == CULVERT_EFULL ? "too many words" : culvert_strerror(error));
        code = CLI_FAILED;
    } else if (line.open) {
        cli_error("a quote is not closed");
        code = CLI_USAGE;
    } else if (line.count) {
        code = run_line(shell, &line);
    }
    shell_line_free(&line);
    client_close(&shell->cli->client); /* culvertd closes what is silent */
    fflush(stdout);
    return code;
}

static int run_script(struct shell *shell)
{
    unsigned long number = 0;
    size_t room = 0;
    char *text = NULL;
    int code = CLI_OK;

    while (!code && !shell->done && getline(&text, &room, stdin) > 0) {
        text[strcspn(text, "\r\n")] = 0;
        number++;
        code = take_line(shell, text);
    }
    free(text);
    if (code)
        cli_error("stopped at line %lu", number);
    else if (!shell->done && shell->configuring)
        code = shell_leave(shell, false);
    return code ? CLI_FAILED : CLI_OK;
}

/* What greets whoever comes; where no culvertd answers that is said by the first command. */
static void greet(struct shell *shell)
{
    struct answer answer;

    printf("Culvert %s. `help` lists what there is, ? and Tab what may be typed.\n",
           CULVERT_VERSION);
    if (!client_call(&shell->cli->client, "GET", "/v1/site?path=site&stale=true", NULL, 0,
                     &answer)) {
        if (answer.status == 404)
            printf("There is no site yet: `setup` asks what it should be.\n");
        free(answer.body);
    }
    client_close(&shell->cli->client);
}

static int run_terminal(struct shell *shell)
{
    struct shell_terminal *terminal = shell_terminal_new(shell);
    const char *text;

    if (!terminal) {
        cli_error("%s", culvert_strerror(CULVERT_ENOMEM));
        return CLI_FAILED;
    }
    greet(shell);
    while (!shell->done) {
        text = shell_terminal_read(terminal);
        if (!text)
            shell_leave(shell, false);
        else
            take_line(shell, text);
    }
    shell_terminal_free(terminal);
    return CLI_OK;
}

/* What commands find in the environment is where this one was told to go. */
static int pass_on(const struct client_options *options)
{
    if (setenv("CULVERT_SOCKET", options->socket, 1))
        return CLI_FAILED;
    if (options->server ? setenv("CULVERT_SERVER", options->server, 1) : unsetenv("CULVERT_SERVER"))
        return CLI_FAILED;
    return options->ca && setenv("CULVERT_CA", options->ca, 1) ? CLI_FAILED : CLI_OK;
}

int command_shell(struct cli *cli)
{
    struct shell shell = {.cli = cli, .terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    int code = pass_on(&cli->server);

    if (code)
        return code;
    code = shell.terminal ? run_terminal(&shell) : run_script(&shell);
    candidate_free(&shell.candidate);
    return code;
}
