/* SPDX-License-Identifier: Apache-2.0 */
/* Line editing by libedit: history, Tab, `?`. */
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "controlplane/cli/shell.h"

#define HISTORY_LINES 1000
#define HISTORY_FILE ".culvert_history"
#define LISTED_MAX 200u

struct shell_terminal {
    struct shell *shell;
    EditLine *edit;
    History *history;
    char *file; /* NULL: no home */
    struct buffer line, prompt;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* ---- the prompt ---- */

/* With the host's name, which `setup` may change. */
static char *prompt(EditLine *edit)
{
    char host[HOST_NAME_MAX + 1] = "";
    struct shell_terminal *terminal;
    const struct shell *shell;

    el_get(edit, EL_CLIENTDATA, &terminal);
    shell = terminal->shell;
    buffer_clear(&terminal->prompt);
    buffer_text(&terminal->prompt, gethostname(host, HOST_NAME_MAX) ? "culvert" : host);
    for (size_t i = 0; shell->configuring && i < shell->above.count; i++)
        buffer_format(&terminal->prompt, "%s%s", i ? "." : " ", shell->above.word[i]);
    buffer_text(&terminal->prompt, !shell->configuring                       ? "> "
                                   : candidate_is_changed(&shell->candidate) ? " *# "
                                                                             : " # ");
    return terminal->prompt.error ? (char *)"> " : terminal->prompt.data;
}

/* ---- Tab and ? ---- */

/* The text before the cursor, to free(). */
static char *text_before(EditLine *edit)
{
    const LineInfo *info = el_line(edit);

    return strndup(info->buffer, (size_t)(info->cursor - info->buffer));
}

/* How far all words agree; `words` are lines with what they mean behind a tab. */
static size_t common(const struct buffer *words, size_t *count)
{
    const char *first = words->data;
    size_t length = first ? strcspn(first, "\t\n") : 0;

    *count = 0;
    for (const char *word = first; word && *word; word = strchrnul(word, '\n') + 1) {
        size_t same = 0;

        while (same < length && word[same] == first[same])
            same++;
        length = same;
        ++*count;
    }
    while (length && ((unsigned char)first[length] & 0xc0) == 0x80)
        length--;
    return length;
}

static void list(const struct buffer *words)
{
    size_t count = 0;

    putchar('\n');
    for (const char *word = words->data; word && *word;) {
        const char *end = strchrnul(word, '\n');
        const char *tab = memchr(word, '\t', (size_t)(end - word));

        if (++count > LISTED_MAX) {
            printf("  ...\n");
            break;
        }
        if (tab)
            printf("  %-24.*s  %.*s\n", (int)(tab - word), word, (int)(end - tab - 1), tab + 1);
        else
            printf("  %.*s\n", (int)(end - word), word);
        word = *end ? end + 1 : end;
    }
    if (!count)
        printf("  nothing is known to go there\n");
    fflush(stdout);
}

static unsigned char insert(EditLine *edit, const char *text, size_t length, bool whole)
{
    struct buffer more = {0};
    unsigned char result = CC_ERROR;

    buffer_add(&more, text, length);
    if (whole && (!length || !strchr("./", text[length - 1])))
        buffer_char(&more, ' ');
    if (more.length && !more.error && !el_insertstr(edit, more.data))
        result = CC_REFRESH;
    buffer_free(&more);
    return result;
}

static unsigned char complete(EditLine *edit, int key)
{
    struct shell_terminal *terminal;
    char *before = text_before(edit);
    struct buffer words = {0};
    size_t start, count, length, typed;
    unsigned char result = CC_ERROR;

    (void)key;
    el_get(edit, EL_CLIENTDATA, &terminal);
    if (!before)
        return CC_ERROR;
    shell_complete(terminal->shell, before, &start, &words);
    length = common(&words, &count);
    typed = strlen(before) - start;
    if (count && (count == 1 || length > typed)) {
        result = insert(edit, words.data + typed, length - typed, count == 1);
    } else if (count > 1) {
        list(&words);
        result = CC_REDISPLAY;
    }
    buffer_free(&words);
    free(before);
    return result;
}

static unsigned char help(EditLine *edit, int key)
{
    struct shell_terminal *terminal;
    char *before = text_before(edit);
    struct shell_line line = {0};
    struct buffer words = {0};
    unsigned char result = CC_REDISPLAY;
    size_t start;

    (void)key;
    el_get(edit, EL_CLIENTDATA, &terminal);
    if (!before || shell_line_parse(before, &line) || line.open) {
        result = insert(edit, "?", 1, false); /* in quotes it is one */
    } else {
        shell_complete(terminal->shell, before, &start, &words);
        list(&words);
    }
    buffer_free(&words);
    shell_line_free(&line);
    free(before);
    return result;
}

/* ---- history ---- */

/* Lines with what others must not see are not kept. */
static bool is_secret(const char *line)
{
    return strstr(line, "culvert1.") || strstr(line, "culvert-api1.") ||
           (strstr(line, "dns") && strstr(line, "key"));
}

static void remember(struct shell_terminal *terminal, const char *line)
{
    HistEvent event;
    mode_t mask;

    if (!line[strspn(line, " ")] || is_secret(line))
        return;
    history(terminal->history, &event, H_ENTER, line);
    if (!terminal->file)
        return;
    mask = umask(077);
    history(terminal->history, &event, H_SAVE, terminal->file);
    umask(mask);
}

static void open_history(struct shell_terminal *terminal)
{
    const char *home = getenv("HOME");
    HistEvent event;

    history(terminal->history, &event, H_SETSIZE, HISTORY_LINES);
    history(terminal->history, &event, H_SETUNIQUE, 1);
    if (!home || *home != '/' || asprintf(&terminal->file, "%s/%s", home, HISTORY_FILE) < 0) {
        terminal->file = NULL;
        return;
    }
    history(terminal->history, &event, H_LOAD, terminal->file);
}

/* ---- the terminal ---- */

struct shell_terminal *shell_terminal_new(struct shell *shell)
{
    struct sigaction action = {.sa_handler = on_interrupt}; /* not SA_RESTART: reading ends */
    struct shell_terminal *terminal = calloc(1, sizeof(*terminal));

    if (!terminal)
        return NULL;
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1) /* site files are UTF-8 */
        setlocale(LC_CTYPE, "C.UTF-8");
    terminal->shell = shell;
    terminal->edit = el_init("culvert", stdin, stdout, stderr);
    terminal->history = history_init();
    if (!terminal->edit || !terminal->history) {
        shell_terminal_free(terminal);
        return NULL;
    }
    sigaction(SIGINT, &action, NULL);
    signal(SIGTSTP, SIG_IGN); /* on a console nobody would wake it up */
    signal(SIGQUIT, SIG_IGN);
    open_history(terminal);
    el_set(terminal->edit, EL_CLIENTDATA, terminal);
    el_set(terminal->edit, EL_PROMPT, prompt);
    el_set(terminal->edit, EL_EDITOR, "emacs");
    el_set(terminal->edit, EL_HIST, history, terminal->history);
    el_set(terminal->edit, EL_ADDFN, "culvert-complete", "complete a word", complete);
    el_set(terminal->edit, EL_ADDFN, "culvert-help", "what may be typed", help);
    el_set(terminal->edit, EL_BIND, "^I", "culvert-complete", NULL);
    el_set(terminal->edit, EL_BIND, "?", "culvert-help", NULL);
    el_set(terminal->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    return terminal;
}

void shell_terminal_free(struct shell_terminal *terminal)
{
    if (terminal->history)
        history_end(terminal->history);
    if (terminal->edit)
        el_end(terminal->edit);
    buffer_free(&terminal->line);
    buffer_free(&terminal->prompt);
    free(terminal->file);
    free(terminal);
}

const char *shell_terminal_read(struct shell_terminal *terminal)
{
    const char *text;
    int count = 0;

    interrupted = 0;
    el_set(terminal->edit, EL_PREP_TERM, 1); /* before the prompt is there to be typed at */
    text = el_gets(terminal->edit, &count);
    if (interrupted || !text || count <= 0) {
        putchar('\n');
        return interrupted ? "" : NULL;
    }
    buffer_clear(&terminal->line);
    buffer_add(&terminal->line, text, strcspn(text, "\r\n"));
    if (terminal->line.error || !terminal->line.data)
        return "";
    remember(terminal, terminal->line.data);
    return terminal->line.data;
}
