/* SPDX-License-Identifier: Apache-2.0 */
/* What a word in the shell may become: of the shell's tables, of the CLI's, of the candidate. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/shell.h"

struct completion {
    struct shell *shell;
    const char *typed;
    struct buffer *lines;
};

static void offer(const struct completion *to, const char *word, const char *help)
{
    if (!strncmp(word, to->typed, strlen(to->typed)) && !strpbrk(word, "\t\n"))
        buffer_format(to->lines, *help ? "%s\t%s\n" : "%s\n", word, help);
}

/* Files and folders, the latter with a slash. */
static void offer_files(const struct completion *to)
{
    const char *slash = strrchr(to->typed, '/');
    size_t length = slash ? (size_t)(slash - to->typed) + 1 : 0;
    char *folder = length ? strndup(to->typed, length) : strdup(".");
    DIR *open = folder ? opendir(folder) : NULL;

    for (const struct dirent *entry; open && (entry = readdir(open));) {
        struct buffer path = {0};

        if (entry->d_name[0] == '.' && to->typed[length] != '.')
            continue;
        buffer_add(&path, to->typed, length);
        buffer_format(&path, "%s%s", entry->d_name, entry->d_type == DT_DIR ? "/" : "");
        if (!path.error)
            offer(to, path.data, "");
        buffer_free(&path);
    }
    if (open)
        closedir(open);
    free(folder);
}

/* Lines of words. */
static void offer_lines(const struct completion *to, struct buffer *lines)
{
    char *save = NULL;

    for (char *word = lines->data ? strtok_r(lines->data, "\n", &save) : NULL; word;
         word = strtok_r(NULL, "\n", &save)) {
        if (!strcmp(word, "__files"))
            offer_files(to);
        else
            offer(to, word, "");
    }
    buffer_free(lines);
}

/* As bash has it, of a command line of `culvert`. */
static void offer_words(const struct completion *to, const struct shell_line *line, size_t from)
{
    char *argv[SHELL_WORDS_MAX + 1];
    struct buffer lines = {0};
    int argc = 0;

    for (size_t i = from; i < line->count; i++)
        argv[argc++] = (char *)line->word[i];
    argv[argc++] = (char *)to->typed;
    cli_complete(argc, argv, &lines);
    offer_lines(to, &lines);
}

static void offer_commands(const struct completion *to, bool shells, bool others)
{
    const struct shell_command *command =
        to->shell->configuring ? configure_commands : shell_commands;

    for (; shells && command->name; command++)
        offer(to, command->name, command->help);
    for (size_t i = 0; others && i < cli_command_count; i++)
        if (!shells || !shell_find(to->shell, cli_commands[i].name))
            offer(to, cli_commands[i].name, cli_commands[i].help);
}

static void offer_path(const struct completion *to, const struct shell_line *line)
{
    const struct candidate *candidate = &to->shell->candidate;
    struct site_path path = to->shell->above;
    struct buffer lines = {0};

    for (size_t i = 1; i < line->count; i++) {
        if (path.count == SITE_PATH_WORDS)
            return;
        path.word[path.count++] = line->word[i];
    }
    site_path_words(candidate->text, candidate->length, &path, !strcmp(line->word[0], "set"),
                    &lines);
    offer_lines(to, &lines);
}

/* The words of a command of the shell's own. */
static void offer_arguments(const struct completion *to, const struct shell_command *command,
                            const struct shell_line *line)
{
    static const char *const revisions[] = {"rollback"};
    struct shell_line words = {.word = {revisions[0]}, .count = 1};

    if (command->words == WORDS_PATH) {
        offer_path(to, line);
    } else if (command->words == WORDS_COMMIT) {
        offer(to, "check", "say what it would do, do nothing");
        offer(to, "comment", "why, for the history");
        offer(to, "confirm", "take it back after so many minutes, unless confirmed");
        offer(to, "force", "also over a revision that was made meanwhile");
    } else if (line->count > 1 && command->words != WORDS_COMMAND) {
        return; /* takes one word */
    } else if (command->words == WORDS_FILE) {
        offer_files(to);
    } else if (command->words == WORDS_REVISION) {
        offer_words(to, &words, 0);
    } else if (command->words == WORDS_DISCARD) {
        offer(to, "discard", "without asking");
    } else if (command->words == WORDS_COMMAND && line->count == 1) {
        offer_commands(to, false, true);
    } else if (command->words == WORDS_COMMAND && to->shell->configuring) {
        offer_words(to, line, 1);
    }
}

void shell_complete(struct shell *shell, const char *before, size_t *start, struct buffer *lines)
{
    struct completion to = {.shell = shell, .typed = "", .lines = lines};
    const struct shell_command *command;
    size_t length = strlen(before);
    struct shell_line line;

    *start = length;
    if (!shell_line_parse(before, &line)) {
        if (line.count && !strchr(" \t", before[length - 1])) {
            to.typed = line.word[--line.count];
            *start = line.start[line.count];
        }
        command = line.count ? shell_find(shell, line.word[0]) : NULL;
        if (!line.count)
            offer_commands(&to, true, !shell->configuring);
        else if (command)
            offer_arguments(&to, command, &line);
        else if (!shell->configuring)
            offer_words(&to, &line, 0);
    }
    shell_line_free(&line);
}
