/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert shell` from inside. Commands return an exit code, errors printed. */
#ifndef CULVERT_CLI_SHELL_H
#define CULVERT_CLI_SHELL_H

#include "controlplane/cli/candidate.h"

#define SHELL_WORDS_MAX 64u

/* A line taken apart at blanks; quotes hold a word together. */
struct shell_line {
    const char *raw;
    char *copy; /* of the words, quotes taken off, behind each other */
    const char *word[SHELL_WORDS_MAX];
    size_t start[SHELL_WORDS_MAX]; /* where it begins in `raw` */
    size_t count;
    bool open; /* a quote isn't closed */
};
/* 0 or CULVERT_ENOMEM, CULVERT_EFULL: too many words. `raw` outlives the line. Both ways to be
 * freed. */
int shell_line_parse(const char *raw, struct shell_line *line);
void shell_line_free(struct shell_line *line);

struct shell {
    struct cli *cli;  /* of `culvert shell` itself; its client asks for what commands here need */
    bool terminal;    /* somebody types; else a script is read */
    bool configuring; /* there is a candidate */
    struct candidate candidate;
    struct site_path above; /* what `edit` went to; its words are in: */
    char above_text[SITE_PATH_TEXT];
    bool done;
};

struct shell_command {
    const char *name, *arguments, *help;
    unsigned least, most; /* words behind the name */
    enum cli_words words; /* of the first one; WORDS_PATH: of all */
    int (*run)(struct shell *shell, const struct shell_line *line);
};
extern const struct shell_command shell_commands[], configure_commands[]; /* end: a NULL name */

/* The command of that name, in the mode that the shell is in; NULL: none. */
const struct shell_command *shell_find(const struct shell *shell, const char *name);

/* Ends the mode, or the shell: `exit` and the end of the input. Asks when there are changes;
 * a script is refused then. */
int shell_leave(struct shell *shell, bool discard);
/* A yes or no to the question; no when nobody answers. */
bool shell_ask(const struct shell *shell, const char *question);

/* Runs a command of the table cli_commands, from word `from` on, in a process of its own. */
int shell_run(struct shell *shell, const struct shell_line *line, size_t from);
/* Calls a function in a process of its own, its output paged; nothing that it changes stays. */
int shell_run_function(struct shell *shell, int (*run)(struct shell *shell, void *arg), void *arg);
/* Runs the system's shell. */
int shell_run_system(struct shell *shell);
/* Shows what comes from a pipe, a screen at a time, until its end or a `q`. */
void shell_page(int input);
/* Prints the commands that there are now. */
int shell_help(struct shell *shell);

/* Appends what the last word before the cursor may become, one to a line, behind a tab what it
 * means; sets where in the text that word begins. */
void shell_complete(struct shell *shell, const char *before, size_t *start, struct buffer *lines);

/* ---- the terminal ---- */

struct shell_terminal;
/* Line editing with history; NULL: out of memory. */
struct shell_terminal *shell_terminal_new(struct shell *shell);
void shell_terminal_free(struct shell_terminal *terminal);
/* A line, valid until the next call, without its end; "": it was interrupted; NULL: the end. */
const char *shell_terminal_read(struct shell_terminal *terminal);

#endif
