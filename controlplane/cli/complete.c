/* SPDX-License-Identifier: Apache-2.0 */
/* Shell completion: a small script that asks this program what may come next. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/command.h"

static const char script[] =
    "# bash completion for culvert; made by `culvert completion bash`\n"
    "_culvert()\n"
    "{\n"
    "    local line typed=${2#=} IFS=$'\\n'\n"
    "    COMPREPLY=()\n"
    "    for line in $(culvert __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null); do\n"
    "        case $line in\n"
    "        __files) compopt -o filenames; COMPREPLY+=($(compgen -f -- \"$typed\")) ;;\n"
    "        *.) compopt -o nospace; COMPREPLY+=(\"$line\") ;;\n"
    "        *) COMPREPLY+=(\"$line\") ;;\n"
    "        esac\n"
    "    done\n"
    "}\n"
    "complete -F _culvert culvert\n";

int command_completion(struct cli *cli)
{
    if (strcmp(cli->arguments[0], "bash") != 0) {
        cli_error("completion is there for bash only, not for `%s`", cli->arguments[0]);
        return CLI_USAGE;
    }
    fputs(script, stdout);
    return CLI_OK;
}

static void offer(const char *word, const char *typed, struct buffer *out)
{
    if (!strncmp(word, typed, strlen(typed)))
        buffer_format(out, "%s\n", word);
}

static yyjson_doc *ask(struct client *client, const char *target)
{
    struct answer answer;
    yyjson_doc *doc = NULL;

    if (!client_call(client, "GET", target, NULL, 0, &answer)) {
        if (answer.status == 200)
            doc = yyjson_read(answer.body, answer.length, 0);
        free(answer.body);
    }
    return doc;
}

/* The member of `object` that the path begins with, the longest (names may hold dots). */
static yyjson_val *descend(yyjson_val *object, const char **path)
{
    yyjson_val *key, *value, *found = NULL;
    size_t i, count, best = 0;

    yyjson_obj_foreach (object, i, count, key, value) {
        size_t length = yyjson_get_len(key);

        if (length > best && !strncmp(*path, yyjson_get_str(key), length) &&
            (*path)[length] == '.') {
            best = length;
            found = value;
        }
    }
    *path += found ? best + 1 : 0;
    return found;
}

/* Offers the keys below the part of the path that is whole; an object's with a dot behind. */
static void offer_paths(struct client *client, const char *typed, struct buffer *out)
{
    yyjson_doc *doc = ask(client, "/v1/site?stale=true");
    yyjson_val *object = yyjson_obj_get(yyjson_doc_get_root(doc), "value"), *next, *key, *value;
    const char *rest = typed;
    size_t i, count;

    while ((next = descend(object, &rest)))
        object = next;
    yyjson_obj_foreach (object, i, count, key, value)
        if (!strncmp(yyjson_get_str(key), rest, strlen(rest)))
            buffer_format(out, "%.*s%s%s\n", (int)(rest - typed), typed, yyjson_get_str(key),
                          yyjson_is_obj(value) ? "." : "");
    yyjson_doc_free(doc);
}

static void offer_revisions(struct client *client, const char *typed, struct buffer *out)
{
    yyjson_doc *doc = ask(client, "/v1/history?stale=true");
    yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "revisions"), *revision;
    size_t i, count;

    yyjson_arr_foreach (list, i, count, revision) {
        char text[24];

        snprintf(text, sizeof(text), "%llu", (unsigned long long)cli_number(revision, "revision"));
        offer(text, typed, out);
    }
    yyjson_doc_free(doc);
}

static void offer_interfaces(struct client *client, const char *typed, struct buffer *out)
{
    yyjson_doc *doc = ask(client, "/v1/site?path=interfaces&stale=true");
    yyjson_val *object = yyjson_obj_get(yyjson_doc_get_root(doc), "value"), *key, *value;
    size_t i, count;

    yyjson_obj_foreach (object, i, count, key, value)
        offer(yyjson_get_str(key), typed, out);
    yyjson_doc_free(doc);
}

/* The nodes, where a verb takes one. */
static void offer_nodes(struct cli *cli, const char *typed, struct buffer *out)
{
    yyjson_doc *doc;
    yyjson_val *node;
    size_t i, count;

    if (strcmp(cli->arguments[0], "remove") != 0 && strcmp(cli->arguments[0], "promote") != 0)
        return;
    doc = ask(&cli->client, "/v1/nodes");
    yyjson_arr_foreach (yyjson_obj_get(yyjson_doc_get_root(doc), "nodes"), i, count, node)
        offer(*cli_text(node, "name") ? cli_text(node, "name") : cli_text(node, "id"), typed, out);
    yyjson_doc_free(doc);
}

/* The tokens, where a verb takes one. */
static void offer_tokens(struct cli *cli, const char *typed, struct buffer *out)
{
    yyjson_doc *doc;
    yyjson_val *token;
    size_t i, count;

    if (strcmp(cli->arguments[0], "revoke") != 0)
        return;
    doc = ask(&cli->client, "/v1/tokens");
    yyjson_arr_foreach (yyjson_obj_get(yyjson_doc_get_root(doc), "tokens"), i, count, token)
        offer(cli_text(token, "name"), typed, out);
    yyjson_doc_free(doc);
}

static void offer_verbs(const struct cli_verb *verbs, const char *typed, struct buffer *out)
{
    for (; verbs->name; verbs++)
        offer(verbs->name, typed, out);
}

static void offer_list(const char *const *words, const char *typed, struct buffer *out)
{
    for (; *words; words++)
        offer(*words, typed, out);
}

static void offer_words(struct client *client, enum cli_words words, const char *typed,
                        struct buffer *out)
{
    static const char *const shells[] = {"bash", NULL}, *const outputs[] = {"json", "text", NULL};
    static const char *const colors[] = {"always", "auto", "never", NULL};
    static const char *const verbs[] = {"attach", "detach", "list", NULL};
    static const char *const drivers[] = {"uio_pci_generic", "vfio-pci", NULL};
    static const char *const roles[] = {"admin", "operator", "reader", NULL};

    if (words == WORDS_FILE || words == WORDS_FOLDER)
        buffer_text(out, "__files\n");
    else if (words == WORDS_PATH)
        offer_paths(client, typed, out);
    else if (words == WORDS_REVISION)
        offer_revisions(client, typed, out);
    else if (words == WORDS_INTERFACE)
        offer_interfaces(client, typed, out);
    else if (words == WORDS_SHELL)
        offer_list(shells, typed, out);
    else if (words == WORDS_OUTPUT)
        offer_list(outputs, typed, out);
    else if (words == WORDS_COLOR)
        offer_list(colors, typed, out);
    else if (words == WORDS_NIC)
        offer_list(verbs, typed, out);
    else if (words == WORDS_NIC_DRIVER)
        offer_list(drivers, typed, out);
    else if (words == WORDS_ROLE)
        offer_list(roles, typed, out);
    else if (words == WORDS_NODE || words == WORDS_TOKEN)
        offer_verbs(words == WORDS_NODE ? cli_node_verbs : cli_token_verbs, typed, out);
    else if (words == WORDS_SYSTEM)
        offer_verbs(cli_system_verbs, typed, out);
    else if (words == WORDS_COMMAND)
        for (size_t i = 0; i < cli_command_count; i++)
            offer(cli_commands[i].name, typed, out);
}

static void offer_options(const struct cli_option *list, size_t count, const char *typed,
                          struct buffer *out)
{
    for (size_t i = 0; i < count && list[i].name; i++) {
        char text[40];

        snprintf(text, sizeof(text), "--%s", list[i].name);
        offer(text, typed, out);
    }
}

/* The option whose value is being typed, or NULL. */
static const struct cli_option *open_option(const struct cli *cli, const char *word)
{
    for (size_t i = 0; i < cli_global_count + CLI_OPTIONS_MAX; i++) {
        const struct cli_option *option = i < cli_global_count ? &cli_globals[i]
                                          : cli->command
                                              ? &cli->command->options[i - cli_global_count]
                                              : NULL;

        if (!option || !option->name || !option->argument || word[0] != '-')
            continue;
        if ((word[1] == '-' && !strcmp(word + 2, option->name)) ||
            (option->letter && word[1] == option->letter && !word[2]))
            return option;
    }
    return NULL;
}

/* A shell parts `--name=value` at the `=`, which is a word of its own then: takes it out, for
 * `--name value` means the same. Returns the count of what is left. */
static int drop_equals(int argc, char **argv)
{
    static char nothing[] = "";
    int count = 0;

    for (int i = 0; i < argc; i++) {
        bool parts = count && !strcmp(argv[i], "=") && !strncmp(argv[count - 1], "--", 2);

        if (!parts)
            argv[count++] = argv[i];
        else if (i == argc - 1)
            argv[count++] = nothing; /* the value is still to be typed */
    }
    return count;
}

void cli_complete(int argc, char **argv, struct buffer *out)
{
    const struct cli_option *option;
    const char *typed, *last;
    char problem[256];
    struct cli cli;

    argc = drop_equals(argc, argv);
    typed = argc ? argv[argc - 1] : "";
    last = argc > 1 ? argv[argc - 2] : "";
    if (cli_parse(&cli, argc ? argc - 1 : 0, argv, problem, sizeof(problem)))
        cli.help = false; /* half a command line: what was understood counts */
    client_init(&cli.client, &cli.server);
    option = open_option(&cli, last);
    if (option) {
        offer_words(&cli.client, option->words, typed, out);
    } else if (typed[0] == '-') {
        if (cli.command)
            offer_options(cli.command->options, CLI_OPTIONS_MAX, typed, out);
        offer_options(cli_globals, cli_global_count, typed, out);
    } else if (!cli.command) {
        offer_words(&cli.client, WORDS_COMMAND, typed, out);
    } else if (cli.command->words == WORDS_NODE && cli.argument_count == 1) {
        offer_nodes(&cli, typed, out);
    } else if (cli.command->words == WORDS_TOKEN && cli.argument_count == 1) {
        offer_tokens(&cli, typed, out);
    } else if (cli.command->words == WORDS_SYSTEM && cli.argument_count == 1) {
        if (!strcmp(cli.arguments[0], "update"))
            offer_words(&cli.client, WORDS_FILE, typed, out);
    } else if (cli.argument_count < cli.command->most) {
        offer_words(&cli.client, cli.argument_count ? WORDS_NONE : cli.command->words, typed, out);
    }
    client_close(&cli.client);
}
