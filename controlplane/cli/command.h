/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CLI's one grammar: `culvert [OPTION...] COMMAND [ARGUMENT...]`, options anywhere. One table
 * gives parsing, help and completion.
 */
#ifndef CULVERT_CLI_COMMAND_H
#define CULVERT_CLI_COMMAND_H

#include <stdbool.h>
#include <stdio.h>
#include <yyjson.h>

#include "controlplane/base/buffer.h"
#include "controlplane/cli/client.h"

#define CLI_OPTIONS_MAX 6    /* of one command */
#define CLI_ARGUMENTS_MAX 18 /* positional, of one command */

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 }; /* exit codes */

/* What a shell may complete a word to. */
enum cli_words {
    WORDS_NONE,
    WORDS_FILE,
    WORDS_PATH,
    WORDS_REVISION,
    WORDS_SHELL,
    WORDS_INTERFACE,
    WORDS_OUTPUT,
    WORDS_COLOR,
    WORDS_NIC,
    WORDS_NIC_DRIVER,
    WORDS_NODE,
    WORDS_SYSTEM,
    WORDS_TOKEN,
    WORDS_ROLE,
    WORDS_FOLDER,
    WORDS_COMMAND,
    WORDS_COMMIT, /* of the shell */
    WORDS_DISCARD
};

struct cli_option {
    const char *name;     /* without the dashes */
    char letter;          /* 0: none */
    const char *argument; /* its placeholder; NULL: a flag */
    unsigned values;      /* words that it takes; 0: one if it has an argument */
    enum cli_words words;
    const char *help;
};

struct cli;

struct cli_command {
    const char *name;
    const char *arguments; /* placeholders, for the help */
    unsigned least, most;  /* positional arguments */
    enum cli_words words;  /* of the first one */
    const char *help;
    struct cli_option options[CLI_OPTIONS_MAX];
    int (*run)(struct cli *cli); /* exit code */
};

/* A parsed command line. Strings are argv's. */
struct cli {
    const struct cli_command *command;
    const char *arguments[CLI_ARGUMENTS_MAX];
    unsigned argument_count;
    const char *values[CLI_OPTIONS_MAX][2]; /* by the command's options; a flag's is "" */
    struct client_options server;
    bool json, color;
    bool help;
    struct client client;
};

/* What a command with verbs does at one of them. */
struct cli_verb {
    const char *name, *usage;
    unsigned arguments; /* behind the verb */
    int (*run)(struct cli *cli);
};
/* Each ends with a NULL name. */
extern const struct cli_verb cli_node_verbs[], cli_system_verbs[], cli_token_verbs[];

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
extern const struct cli_option cli_globals[];
extern const size_t cli_global_count;

/* Parses the words after the program's name. Returns 0 or CLI_USAGE with a one-line problem. */
int cli_parse(struct cli *cli, int argc, char **argv, char *problem, size_t size);

/* The value of the command's option, NULL when it isn't given. */
const char *cli_option(const struct cli *cli, const char *name);
/* The second word of an option that takes two. */
const char *cli_option_second(const struct cli *cli, const char *name);

void cli_help(const struct cli_command *command, FILE *to); /* NULL: of all */

/* Carries out what was parsed, or shows its help. Returns the exit code. */
int cli_run(struct cli *cli);

/* Appends the words that the last word of a command line, which is being typed, may become, one to
 * a line; "__files": a file's name. The words are moved about. */
void cli_complete(int argc, char **argv, struct buffer *out);

/* ---- for commands ---- */

/* One line to standard error: "culvert: ...". */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Calls the API. Returns 0 and the answer's JSON (to yyjson_doc_free) for a 2xx; else the exit
 * code, the errors printed. `doc` NULL: not wanted. */
int cli_call(struct cli *cli, const char *method, const char *target, const char *body,
             size_t length, yyjson_doc **doc);

/* The same for a POST of what a buffer holds; frees that. CLI_FAILED when it has an error. */
int cli_post(struct cli *cli, const char *target, struct buffer *body, yyjson_doc **doc);

/* Prints a line with a member of an answer, or the answer with -o json. Frees it. The exit code. */
int cli_print_member(const struct cli *cli, yyjson_doc *doc, const char *before, const char *name,
                     const char *after);

/* Prints the errors of an answer, one a line: "FILE:LINE:COLUMN: field: message (hint)". */
void cli_print_errors(const struct answer *answer, FILE *to);

/* Prints one of them; `message` (NULL: its own and its hint) says what is wrong. */
void cli_print_error(yyjson_val *error, const char *message, FILE *to);

/* Runs the verb that the first argument names; who errs is told all of them. */
int cli_run_verb(struct cli *cli, const struct cli_verb *verbs);

struct table;
struct table_column;
/* Prints the list `name` of the answer to GET `path`: as JSON, or a table's row for each; `none`
 * when it is empty. The exit code. */
int cli_print_list(struct cli *cli, const char *path, const char *name,
                   const struct table_column *columns, size_t count,
                   void (*add)(struct table *table, yyjson_val *item), const char *none);

/* With -o json: prints the document and returns true. */
bool cli_print_json(const struct cli *cli, yyjson_doc *doc);

/* Writes a text to standard output; the exit code. Frees the buffer. */
int cli_print(struct buffer *text);

/* Adds a text to the JSON object that a request's body begins with; NULL: nothing. */
void cli_add_member(struct buffer *body, const char *name, const char *text);

/* Prints what an apply (`dry`: --dry-run) or a rollback has changed. The exit code. */
int cli_print_applied(struct cli *cli, yyjson_doc *doc, bool dry);

/* Columns of the terminal that standard output is; when it is none, of the one that $COLUMNS tells
 * of, else 80. */
size_t cli_width(void);

/* The member of an object as text ("" when it isn't there) or number (0). */
const char *cli_text(yyjson_val *object, const char *name);
uint64_t cli_number(yyjson_val *object, const char *name);

/* Appends the table of a site's nodes: the answer to GET /v1/nodes. */
void cli_show_nodes(yyjson_val *cluster, bool color, struct buffer *out);

/* What the commands of the table run; the exit code. */
int command_apply(struct cli *cli);
int command_diff(struct cli *cli);
int command_get(struct cli *cli);
int command_set(struct cli *cli);
int command_delete(struct cli *cli);
int command_shell(struct cli *cli);
int command_setup(struct cli *cli);
int command_status(struct cli *cli);
int command_history(struct cli *cli);
int command_rollback(struct cli *cli);
int command_confirm(struct cli *cli);
int command_audit(struct cli *cli);
int command_top(struct cli *cli);
int command_counters(struct cli *cli);
int command_explain(struct cli *cli);
int command_nic(struct cli *cli);
int command_node(struct cli *cli);
int command_system(struct cli *cli);
int command_token(struct cli *cli);
int command_backup(struct cli *cli);
int command_restore(struct cli *cli);
int command_support_bundle(struct cli *cli);
int command_version(struct cli *cli);
int command_completion(struct cli *cli);
int command_help(struct cli *cli);

#endif
