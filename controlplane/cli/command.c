/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/suggest.h"

const struct cli_option cli_globals[] = {
    {"socket", 0, "PATH", 0, WORDS_FILE,
     "culvertd's socket (default: $CULVERT_SOCKET, else /run/culvert/api.sock)"},
    {"server", 0, "URL", 0, WORDS_NONE,
     "culvertd of another machine (default: $CULVERT_SERVER), https://HOST:PORT"},
    {"token-file", 0, "FILE", 0, WORDS_FILE,
     "holds the access token for it (default: $CULVERT_TOKEN is the token)"},
    {"ca", 0, "FILE", 0, WORDS_FILE,
     "its CA (PEM, or sha256:FINGERPRINT; default: $CULVERT_CA, else the token names it)"},
    {"output", 'o', "FORMAT", 0, WORDS_OUTPUT, "text or json"},
    {"color", 0, "WHEN", 0, WORDS_COLOR, "auto, always or never"},
    {"help", 'h', NULL, 0, WORDS_NONE, "this help, or the command's"},
};
const size_t cli_global_count = sizeof(cli_globals) / sizeof(cli_globals[0]);

#define AUTHOR {"author", 0, "NAME", 0, WORDS_NONE, "who; default: the user that calls"}
#define COMMENT {"comment", 'm', "TEXT", 0, WORDS_NONE, "why, for the history"}
#define CONFIRM                                                                                    \
    {"confirm", 0, "TIME", 0, WORDS_NONE, "take it back after TIME (5m) unless confirmed"}
#define DRY_RUN                                                                                    \
    {"dry-run", 'n', NULL, 0, WORDS_NONE, "check and show the difference, change nothing"}
#define INTERVAL {"interval", 'i', "SECONDS", 0, WORDS_NONE, "time between two readings; default 1"}

const struct cli_command cli_commands[] = {
    {"apply",
     "FILE",
     1,
     1,
     WORDS_FILE,
     "make the site what FILE says (- reads standard input)",
     {COMMENT,
      AUTHOR,
      {"if-revision", 0, "N", 0, WORDS_REVISION, "only when N is the current revision"},
      CONFIRM,
      DRY_RUN},
     command_apply},
    {"diff", "FILE", 1, 1, WORDS_FILE, "what apply would change", {{0}}, command_diff},
    {"get",
     "[PATH]",
     0,
     1,
     WORDS_PATH,
     "the current site, or the part at PATH (vips.web)",
     {{"stale", 0, NULL, 0, WORDS_NONE, "what this node has, also without a quorum"}},
     command_get},
    {"set",
     "PATH VALUE",
     1,
     CLI_ARGUMENTS_MAX,
     WORDS_PATH,
     "change one value: pools.web.drain 30s, or the path in words",
     {COMMENT, AUTHOR, CONFIRM, DRY_RUN},
     command_set},
    {"delete",
     "PATH",
     1,
     CLI_ARGUMENTS_MAX,
     WORDS_PATH,
     "take out what is at PATH",
     {COMMENT, AUTHOR, CONFIRM, DRY_RUN},
     command_delete},
    {"status",
     "",
     0,
     0,
     WORDS_NONE,
     "data planes, interfaces, listeners, resources, alarms",
     {{0}},
     command_status},
    {"history",
     "[N]",
     0,
     1,
     WORDS_REVISION,
     "the revisions, or what revision N changed",
     {{"stale", 0, NULL, 0, WORDS_NONE, "what this node has, also without a quorum"}},
     command_history},
    {"rollback",
     "N",
     1,
     1,
     WORDS_REVISION,
     "apply revision N's content again",
     {COMMENT, AUTHOR},
     command_rollback},
    {"confirm",
     "",
     0,
     0,
     WORDS_NONE,
     "keep the revision that apply --confirm made",
     {COMMENT, AUTHOR},
     command_confirm},
    {"audit",
     "",
     0,
     0,
     WORDS_NONE,
     "who did what, when, and what came of it",
     {{"stale", 0, NULL, 0, WORDS_NONE, "what this node has, also without a quorum"}},
     command_audit},
    {"top",
     "",
     0,
     0,
     WORDS_NONE,
     "live rates by reason, virtual IP, backend, zone, limit",
     {INTERVAL, {"once", '1', NULL, 0, WORDS_NONE, "print one reading and end"}},
     command_top},
    {"counters",
     "",
     0,
     0,
     WORDS_NONE,
     "packets and bytes since the data planes' start",
     {{0}},
     command_counters},
    {"explain",
     "",
     0,
     0,
     WORDS_NONE,
     "every decision that the fast path would take on a packet",
     {{"from", 'f', "ADDRESS[:PORT]", 0, WORDS_NONE, "source"},
      {"to", 't', "ADDRESS[:PORT][/tcp|udp|icmp]", 0, WORDS_NONE, "destination"},
      {"syn", 0, NULL, 0, WORDS_NONE, "TCP: a connection's first packet"},
      {"query", 'q', "NAME TYPE", 2, WORDS_NONE, "a DNS query for NAME and TYPE"},
      {"interface", 'I', "NAME", 0, WORDS_INTERFACE, "where it comes in; default: the first"}},
     command_explain},
    {"nic",
     "VERB [DEVICE]",
     1,
     2,
     WORDS_NIC,
     "list network devices; attach one to DPDK, detach it again",
     {{"driver", 0, "DRIVER", 0, WORDS_NIC_DRIVER, "vfio-pci (default) or uio_pci_generic"},
      {"force", 0, NULL, 0, WORDS_NONE, "also the device that carries your own session"}},
     command_nic},
    {"node",
     "VERB [ARGUMENT...]",
     1,
     3,
     WORDS_NODE,
     "the site's nodes: token, join, list, remove, promote, rotate-ca, recover, rebuild",
     {{"expires", 0, "TIME", 0, WORDS_NONE, "token: good for so long; default 1h"},
      {"multiple", 0, NULL, 0, WORDS_NONE, "token: for more than one node"},
      {"force", 0, NULL, 0, WORDS_NONE, "rotate-ca: without nodes that are not connected"},
      {"yes", 0, NULL, 0, WORDS_NONE, "recover: yes, the others are lost for good"},
      {"state-dir", 0, "DIR", 0, WORDS_FOLDER, "rebuild: culvertd's; default /var/lib/culvert"}},
     command_node},
    {"system",
     "VERB [FILE|URL]",
     1,
     2,
     WORDS_SYSTEM,
     "the appliance: status, update, rollback, factory-reset, console-password",
     {{"restart", 0, NULL, 0, WORDS_NONE, "update: into the new one, at once"},
      {"force", 0, NULL, 0, WORDS_NONE, "also older, of another flavour, or without other nodes"},
      {"yes", 0, NULL, 0, WORDS_NONE, "factory-reset: yes, erase all data"},
      {"remove", 0, NULL, 0, WORDS_NONE, "console-password: the console asks for none"},
      {"within", 0, "TIME", 0, WORDS_NONE, "trial: how long it may take; default 5m"}},
     command_system},
    {"token",
     "VERB [NAME]",
     1,
     2,
     WORDS_TOKEN,
     "who may use the API: create, list, revoke",
     {{"role", 0, "ROLE", 0, WORDS_ROLE, "create: admin, operator or reader"},
      {"expires", 0, "TIME", 0, WORDS_NONE, "create: good for so long (12h, 90d, never); 90d"}},
     command_token},
    {"backup",
     "FILE",
     1,
     1,
     WORDS_FILE,
     "the whole store into FILE, checked",
     {{"stale", 0, NULL, 0, WORDS_NONE, "what this node has, also without a quorum"}},
     command_backup},
    {"restore",
     "FILE",
     1,
     1,
     WORDS_FILE,
     "begin a new site with what `culvert backup` has written",
     {{0}},
     command_restore},
    {"shell",
     "",
     0,
     0,
     WORDS_NONE,
     "type commands without `culvert`; configure by candidates",
     {{0}},
     command_shell},
    {"setup",
     "",
     0,
     0,
     WORDS_NONE,
     "questions that lead to a first site, or into another one",
     {{0}},
     command_setup},
    {"support-bundle",
     "FILE",
     1,
     1,
     WORDS_FILE,
     "a tar file for whoever helps: state, history, logs, no secrets (- writes to the output)",
     {{0}},
     command_support_bundle},
    {"version", "", 0, 0, WORDS_NONE, "of this program and of culvertd", {{0}}, command_version},
    {"completion",
     "bash",
     1,
     1,
     WORDS_SHELL,
     "a completion script: . <(culvert completion bash)",
     {{0}},
     command_completion},
    {"help", "[COMMAND]", 0, 1, WORDS_COMMAND, "this help, or COMMAND's", {{0}}, command_help},
};
const size_t cli_command_count = sizeof(cli_commands) / sizeof(cli_commands[0]);

/* ---- parsing ---- */

static const struct cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (!strcmp(cli_commands[i].name, name))
            return &cli_commands[i];
    return NULL;
}

static int usage(char *problem, size_t size, const char *what, const char *word, const char *near)
{
    if (near)
        snprintf(problem, size, "%s `%s` (did you mean `%s`?)", what, word, near);
    else
        snprintf(problem, size, "%s `%s`: see `culvert help`", what, word);
    return CLI_USAGE;
}

static int unknown_command(const char *word, char *problem, size_t size)
{
    const char *near = NULL;

    for (size_t i = 0; i < cli_command_count; i++)
        near = suggest_better(word, near, cli_commands[i].name);
    return usage(problem, size, "no such command:", word, near);
}

/* Whether the word (without dashes; `long_form`: with two) names this option. */
static bool option_is(const struct cli_option *option, const char *word, size_t length,
                      bool long_form)
{
    if (!option->name)
        return false;
    if (long_form)
        return strlen(option->name) == length && !memcmp(option->name, word, length);
    return length == 1 && option->letter == *word;
}

static const struct cli_option *find_option(const struct cli_option *list, size_t count,
                                            const char *word, size_t length, bool long_form)
{
    for (size_t i = 0; i < count; i++)
        if (option_is(&list[i], word, length, long_form))
            return &list[i];
    return NULL;
}

static int set_global(struct cli *cli, const struct cli_option *option, const char *value,
                      char *problem, size_t size)
{
    if (!strcmp(option->name, "help")) {
        cli->help = true;
    } else if (!strcmp(option->name, "socket")) {
        cli->server.socket = value;
        cli->server.server = NULL; /* of the environment */
    } else if (!strcmp(option->name, "server")) {
        cli->server.server = value;
    } else if (!strcmp(option->name, "token-file")) {
        cli->server.token_file = value;
    } else if (!strcmp(option->name, "ca")) {
        cli->server.ca = value;
    } else if (!strcmp(option->name, "output")) {
        if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
            return usage(problem, size, "--output takes text or json, not", value, NULL);
        cli->json = !strcmp(value, "json");
    } else {
        if (strcmp(value, "auto") != 0 && strcmp(value, "always") != 0 &&
            strcmp(value, "never") != 0)
            return usage(problem, size, "--color takes auto, always or never, not", value, NULL);
        if (strcmp(value, "auto") != 0)
            cli->color = !strcmp(value, "always");
    }
    return 0;
}

static int unknown_option(const struct cli *cli, const char *word, char *problem, size_t size)
{
    const char *name = word + strspn(word, "-"), *near = NULL;
    char text[80];

    for (size_t i = 0; cli->command && i < CLI_OPTIONS_MAX; i++)
        if (cli->command->options[i].name)
            near = suggest_better(name, near, cli->command->options[i].name);
    for (size_t i = 0; i < cli_global_count; i++)
        near = suggest_better(name, near, cli_globals[i].name);
    if (near) {
        snprintf(text, sizeof(text), "--%s", near);
        near = text;
    }
    return usage(problem, size, "no such option:", word, near);
}

/* The option behind a word, of the command or global. */
static const struct cli_option *resolve_option(const struct cli_command *command, const char *word,
                                               size_t length, bool long_form)
{
    const struct cli_option *option = NULL;

    if (command)
        option = find_option(command->options, CLI_OPTIONS_MAX, word, length, long_form);
    return option ? option : find_option(cli_globals, cli_global_count, word, length, long_form);
}

/* Reads the option at argv[*at] and its values. */
static int parse_option(struct cli *cli, int argc, char **argv, int *at, char *problem, size_t size)
{
    const char *word = argv[*at], *values[2] = {"", NULL};
    bool long_form = word[1] == '-';
    const char *name = word + 1 + long_form;
    size_t length = long_form ? strcspn(name, "=") : 1;
    const char *glued =
        long_form ? (name[length] ? name + length + 1 : NULL) : (name[1] ? name + 1 : NULL);
    const struct cli_option *option = resolve_option(cli->command, name, length, long_form);
    unsigned count;

    if (!option)
        return unknown_option(cli, word, problem, size);
    count = option->values ? option->values : option->argument ? 1 : 0;
    if (glued && count != 1)
        return usage(problem, size, "not so:", word, NULL);
    for (unsigned i = 0; i < count; i++) {
        if (!glued && *at + 1 >= argc)
            return usage(problem, size, "a value is missing after", word, NULL);
        values[i] = glued ? glued : argv[++*at];
    }
    if (option >= cli_globals && option < cli_globals + cli_global_count)
        return set_global(cli, option, values[0], problem, size);
    memcpy(cli->values[option - cli->command->options], values, sizeof(values));
    return 0;
}

static int parse_word(struct cli *cli, const char *word, char *problem, size_t size)
{
    if (!cli->command) {
        cli->command = find_command(word);
        return cli->command ? 0 : unknown_command(word, problem, size);
    }
    if (cli->argument_count == cli->command->most || cli->argument_count == CLI_ARGUMENTS_MAX)
        return usage(problem, size, "one word too many:", word, NULL);
    cli->arguments[cli->argument_count++] = word;
    return 0;
}

static bool color_wanted(void)
{
    const char *no_color = getenv("NO_COLOR"); /* https://no-color.org */
    const char *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) && (!no_color || !*no_color) && terminal &&
           strcmp(terminal, "dumb") != 0;
}

/* NULL: not set, or empty. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

int cli_parse(struct cli *cli, int argc, char **argv, char *problem, size_t size)
{
    bool words_only = false;

    memset(cli, 0, sizeof(*cli));
    cli->server = (struct client_options){.socket = environment("CULVERT_SOCKET"),
                                          .server = environment("CULVERT_SERVER"),
                                          .token = environment("CULVERT_TOKEN"),
                                          .ca = environment("CULVERT_CA")};
    if (!cli->server.socket)
        cli->server.socket = "/run/culvert/api.sock";
    cli->color = color_wanted();
    cli->client.fd = -1;
    for (int i = 0; i < argc; i++) {
        bool option = !words_only && argv[i][0] == '-' && argv[i][1];
        int error = 0;

        if (!words_only && !strcmp(argv[i], "--"))
            words_only = true;
        else if (option)
            error = parse_option(cli, argc, argv, &i, problem, size);
        else
            error = parse_word(cli, argv[i], problem, size);
        if (error)
            return error;
    }
    if (cli->help || (cli->command && cli->argument_count >= cli->command->least))
        return 0;
    if (!cli->command)
        snprintf(problem, size, "what should it do? See `culvert help`");
    else
        snprintf(problem, size, "usage: culvert %s %s", cli->command->name,
                 cli->command->arguments);
    return CLI_USAGE;
}

static int option_index(const struct cli *cli, const char *name)
{
    for (int i = 0; i < CLI_OPTIONS_MAX; i++)
        if (cli->command->options[i].name && !strcmp(cli->command->options[i].name, name))
            return i;
    return -1;
}

const char *cli_option(const struct cli *cli, const char *name)
{
    int i = option_index(cli, name);

    return i < 0 ? NULL : cli->values[i][0];
}

const char *cli_option_second(const struct cli *cli, const char *name)
{
    int i = option_index(cli, name);

    return i < 0 ? NULL : cli->values[i][1];
}

/* ---- help ---- */

static void help_options(const struct cli_option *list, size_t count, FILE *to)
{
    for (size_t i = 0; i < count && list[i].name; i++) {
        char text[80];
        int n = snprintf(text, sizeof(text), "%c%c%s--%s%s%s", list[i].letter ? '-' : ' ',
                         list[i].letter ? list[i].letter : ' ', list[i].letter ? ", " : "  ",
                         list[i].name, list[i].argument ? " " : "",
                         list[i].argument ? list[i].argument : "");

        if (n > 30)
            fprintf(to, "  %s\n  %-30s  %s\n", text, "", list[i].help);
        else
            fprintf(to, "  %-30s  %s\n", text, list[i].help);
    }
}

void cli_help(const struct cli_command *command, FILE *to)
{
    if (command) {
        fprintf(to, "usage: culvert %s%s%s%s\n\n%s\n", command->name,
                command->options[0].name ? " [OPTION...]" : "", *command->arguments ? " " : "",
                command->arguments, command->help);
        if (command->options[0].name)
            fprintf(to, "\noptions:\n");
        help_options(command->options, CLI_OPTIONS_MAX, to);
    } else {
        fprintf(to, "usage: culvert [OPTION...] COMMAND [ARGUMENT...]\n\ncommands:\n");
        for (size_t i = 0; i < cli_command_count; i++) {
            char text[40];

            snprintf(text, sizeof(text), "%s %s", cli_commands[i].name, cli_commands[i].arguments);
            fprintf(to, "  %-18s  %s\n", text, cli_commands[i].help);
        }
    }
    fprintf(to, "\noptions of every command:\n");
    help_options(cli_globals, cli_global_count, to);
}
