/* SPDX-License-Identifier: Apache-2.0 */
/* top and counters. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/command.h"
#include "controlplane/cli/rates.h"
#include "controlplane/cli/table.h"

#define INTERVAL_MIN 0.2
#define INTERVAL_MAX 3600.0

/* Alternate screen, no cursor, long lines cut (xterm's DECSET 1049, 25, 7). */
#define SCREEN_ENTER "\033[?1049h\033[?25l\033[?7l"
#define SCREEN_LEAVE "\033[?7h\033[?25h\033[?1049l"
#define SCREEN_HOME "\033[H"
#define SCREEN_CLEAR_LINE "\033[K"
#define SCREEN_CLEAR_BELOW "\033[J"

static volatile sig_atomic_t ended, resized;

static void on_signal(int number)
{
    if (number == SIGWINCH)
        resized = 1;
    else
        ended = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits end */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGWINCH, &action, NULL);
}

/* ---- the screen ---- */

struct screen {
    bool on;   /* standard output is a terminal */
    bool keys; /* so is standard input */
    struct termios before;
    struct buffer text; /* what is on it, for a new size */
};

static void screen_enter(struct screen *screen)
{
    struct termios raw;

    if (!screen->on)
        return;
    screen->keys = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &screen->before);
    if (screen->keys) {
        raw = screen->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    fputs(SCREEN_ENTER, stdout);
    fflush(stdout);
}

static void screen_leave(struct screen *screen)
{
    buffer_free(&screen->text);
    if (!screen->on)
        return;
    fputs(SCREEN_LEAVE, stdout);
    fflush(stdout);
    if (screen->keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
}

/* Draws the text over what is there, line by line, as much as the terminal has room for. */
static void screen_draw(const struct screen *screen)
{
    const char *text = screen->text.data ? screen->text.data : "";
    struct winsize size = {0};
    unsigned lines, more = 0;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row)
        size.ws_row = 24;
    fputs(SCREEN_HOME, stdout);
    for (lines = 1; *text && lines < size.ws_row; lines++) {
        size_t length = strcspn(text, "\n");

        fwrite(text, 1, length, stdout);
        fputs(SCREEN_CLEAR_LINE "\n", stdout);
        text += length + (text[length] == '\n');
    }
    for (; *text; text++)
        more += *text == '\n';
    if (more)
        printf("... %u more %s", more, more == 1 ? "line" : "lines");
    fputs(SCREEN_CLEAR_LINE SCREEN_CLEAR_BELOW, stdout);
    fflush(stdout);
}

/* Puts a text on the screen; frees the buffer. */
static void screen_show(struct screen *screen, struct buffer *text)
{
    buffer_free(&screen->text);
    screen->text = *text;
    *text = (struct buffer){0};
    screen_draw(screen);
}

/* Waits; `q` on the keyboard ends. */
static void screen_wait(const struct screen *screen, double seconds)
{
    struct pollfd wait = {.fd = screen->keys ? STDIN_FILENO : -1, .events = POLLIN};
    struct timespec start, now;

    clock_gettime(CLOCK_MONOTONIC, &start);
    while (!ended) {
        double left;
        char key;

        clock_gettime(CLOCK_MONOTONIC, &now);
        left = seconds - (double)(now.tv_sec - start.tv_sec) -
               (double)(now.tv_nsec - start.tv_nsec) / 1e9;
        if (left <= 0)
            return;
        if (resized && screen->on) {
            resized = 0;
            screen_draw(screen);
        }
        if (poll(&wait, 1, (int)(left * 1000) + 1) <= 0)
            continue;
        if (read(STDIN_FILENO, &key, 1) != 1)
            wait.fd = -1;
        else if (key == 'q' || key == 'Q')
            ended = 1;
    }
}

/* ---- top ---- */

static int parse_interval(const char *text, double *seconds)
{
    char *end;

    *seconds = 1;
    if (!text)
        return CLI_OK;
    *seconds = strtod(text, &end);
    if (end != text && !*end && *seconds >= INTERVAL_MIN && *seconds <= INTERVAL_MAX)
        return CLI_OK;
    cli_error("--interval takes seconds, 0.2 to 3600, not `%s`", text);
    return CLI_USAGE;
}

static void write_title(double seconds, bool screen, struct buffer *out)
{
    char clock[16];
    time_t now = time(NULL);
    struct tm local;

    if (!localtime_r(&now, &local) || !strftime(clock, sizeof(clock), "%T", &local))
        clock[0] = 0;
    buffer_format(out, "culvert top  %s  every %gs%s\n\n", clock, seconds,
                  screen ? "  (q ends)" : "");
}

static int show_rates(const struct cli *cli, struct screen *screen, double seconds,
                      yyjson_doc *before, yyjson_doc *now)
{
    yyjson_val *old = yyjson_doc_get_root(before), *new = yyjson_doc_get_root(now);
    struct buffer out = {0}, tables = {0};

    if (cli->json) {
        rates_json(old, new, &out);
        return cli_print(&out);
    }
    write_title(seconds, screen->on, &out);
    rates_print(old, new, cli->color, &tables);
    buffer_text(&out, tables.data ? tables.data : "");
    buffer_free(&tables);
    if (!screen->on) {
        buffer_text(&out, "\n");
        return cli_print(&out);
    }
    screen_show(screen, &out);
    return CLI_OK;
}

/* One reading. On the screen a culvertd that went is waited for. */
static int read_counters(struct cli *cli, struct screen *screen, yyjson_doc **doc)
{
    struct buffer text = {0};
    struct answer answer;

    *doc = NULL;
    if (!screen->on)
        return cli_call(cli, "GET", "/v1/counters", NULL, 0, doc);
    if (client_call(&cli->client, "GET", "/v1/counters", NULL, 0, &answer)) {
        buffer_format(&text, "%s\nTrying again ... (q ends)\n", cli->client.problem);
        screen_show(screen, &text);
        return CLI_OK;
    }
    if (answer.status == 200)
        *doc = yyjson_read(answer.body, answer.length, 0);
    free(answer.body);
    return CLI_OK;
}

static int run_top(struct cli *cli, struct screen *screen, double seconds)
{
    bool once = cli_option(cli, "once");
    yyjson_doc *before, *now = NULL;
    int code = read_counters(cli, screen, &before);

    if (screen->on && before) { /* until there are two readings */
        struct buffer text = {0};

        write_title(seconds, true, &text);
        buffer_text(&text, "counting ...\n");
        screen_show(screen, &text);
    }
    while (!code && !ended) {
        screen_wait(screen, seconds);
        if (ended)
            break;
        code = read_counters(cli, screen, &now);
        if (!code && before && now)
            code = show_rates(cli, screen, seconds, before, now);
        if (now) {
            yyjson_doc_free(before);
            before = now;
            now = NULL;
        }
        if (once)
            break;
    }
    yyjson_doc_free(before);
    return code;
}

int command_top(struct cli *cli)
{
    struct screen screen = {.on = isatty(STDOUT_FILENO) && !cli->json && !cli_option(cli, "once")};
    yyjson_doc *doc;
    double seconds;
    int code = parse_interval(cli_option(cli, "interval"), &seconds);

    if (!code && screen.on) { /* no culvertd at the start is an error like any other */
        code = cli_call(cli, "GET", "/v1/version", NULL, 0, &doc);
        yyjson_doc_free(doc);
    }
    if (code)
        return code;
    catch_signals();
    screen_enter(&screen);
    code = run_top(cli, &screen, seconds);
    screen_leave(&screen);
    return code;
}

int command_counters(struct cli *cli)
{
    struct buffer out = {0};
    yyjson_doc *doc;
    int code = cli_call(cli, "GET", "/v1/counters", NULL, 0, &doc);

    if (code)
        return code;
    if (!cli_print_json(cli, doc))
        rates_print(NULL, yyjson_doc_get_root(doc), cli->color, &out);
    yyjson_doc_free(doc);
    return cli_print(&out);
}
