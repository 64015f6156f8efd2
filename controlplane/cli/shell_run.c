/* SPDX-License-Identifier: Apache-2.0 */
/* Commands in processes of their own: Ctrl-C ends them and not the shell. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/cli/process.h"
#include "controlplane/cli/shell.h"

static int wait_for(pid_t child)
{
    int status = process_wait(child);

    return status < 0 ? CLI_FAILED : status;
}

/* Whether a screen at a time can be shown. */
static bool pages(const struct shell *shell)
{
    const char *terminal = getenv("TERM");

    return shell->terminal && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

/* ---- commands ---- */

static void begin_child(const struct shell *shell, int output)
{
    char columns[16];

    signal(SIGINT, SIG_DFL);
    if (!shell->terminal) { /* the script is for the shell */
        int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (nothing >= 0)
            dup2(nothing, STDIN_FILENO);
    }
    if (output < 0)
        return;
    snprintf(columns, sizeof(columns), "%zu", cli_width());
    setenv("COLUMNS", columns, 1);
    dup2(output, STDOUT_FILENO);
}

/* Runs the function in a child. */
static int run_child(struct shell *shell, int (*run)(struct shell *shell, void *arg), void *arg,
                     bool paged)
{
    int ends[2] = {-1, -1}, code;
    pid_t child;

    fflush(stdout);
    if (paged && pages(shell) && pipe2(ends, O_CLOEXEC))
        ends[0] = ends[1] = -1;
    child = fork();
    if (!child) {
        begin_child(shell, ends[1]);
        code = run(shell, arg);
        fflush(stdout);
        _exit(code);
    }
    if (child < 0)
        cli_error("%s", strerror(errno));
    if (ends[1] >= 0) {
        close(ends[1]);
        if (child > 0)
            shell_page(ends[0]);
        close(ends[0]);
    }
    return child < 0 ? CLI_FAILED : wait_for(child);
}

int shell_run_function(struct shell *shell, int (*run)(struct shell *shell, void *arg), void *arg)
{
    return run_child(shell, run, arg, true);
}

struct words {
    int count;
    char *word[SHELL_WORDS_MAX];
};

static int run_words(struct shell *shell, void *arg)
{
    struct words *words = arg;
    char problem[256];
    struct cli cli;
    int code = cli_parse(&cli, words->count, words->word, problem, sizeof(problem));

    if (code) {
        cli_error("%s", problem);
        return code;
    }
    cli.color |= shell->cli->color; /* through the pager, too */
    if (!cli.server.token_file)
        cli.server.token_file = shell->cli->server.token_file;
    return cli_run(&cli);
}

/* Whether a command keeps the terminal to itself. */
static bool is_live(const struct shell_line *line, size_t from)
{
    static const char *const live[] = {"top", "setup", "-", NULL}; /* -: standard input */

    for (size_t i = from; i < line->count; i++)
        for (const char *const *word = live; *word; word++)
            if (!strcmp(line->word[i], *word))
                return true;
    return false;
}

int shell_run(struct shell *shell, const struct shell_line *line, size_t from)
{
    struct words words = {0};

    for (size_t i = from; i < line->count; i++) {
        if (!strcmp(line->word[i], "shell") && i == from) {
            cli_error("this is the shell");
            return CLI_USAGE;
        }
        words.word[words.count++] = (char *)line->word[i];
    }
    return run_child(shell, run_words, &words, !is_live(line, from));
}

static int run_system(struct shell *shell, void *arg)
{
    const char *program = getenv("SHELL");

    (void)shell;
    (void)arg;
    if (!program || access(program, X_OK))
        program = "/bin/sh";
    execl(program, program, (char *)NULL);
    cli_error("%s: %s", program, strerror(errno));
    return CLI_FAILED;
}

int shell_run_system(struct shell *shell)
{
    if (!shell->terminal) {
        cli_error("that is for a terminal");
        return CLI_USAGE;
    }
    run_child(shell, run_system, NULL, false);
    return CLI_OK; /* whatever its last command's was */
}
