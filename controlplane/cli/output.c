/* SPDX-License-Identifier: Apache-2.0 */
/* What commands share: calling the API, errors, JSON. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/units.h"
#include "controlplane/cli/command.h"

void cli_error(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fputs("culvert: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

const char *cli_text(yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));

    return text ? text : "";
}

uint64_t cli_number(yyjson_val *object, const char *name)
{
    return yyjson_get_uint(yyjson_obj_get(object, name));
}

/* A text of the server's, made fit for a terminal. */
static void print_clean(const char *text, FILE *to)
{
    for (; *text; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, to);
}

void cli_print_error(yyjson_val *error, const char *message, FILE *to)
{
    const char *file = cli_text(error, "file"), *field = cli_text(error, "field");
    const char *hint = message ? "" : cli_text(error, "hint");
    uint64_t line = cli_number(error, "line"), column = cli_number(error, "column");

    print_clean(*file ? file : "culvert", to);
    if (line)
        fprintf(to, ":%llu", (unsigned long long)line);
    if (line && column)
        fprintf(to, ":%llu", (unsigned long long)column);
    fputs(": ", to);
    if (*field) {
        print_clean(field, to);
        fputs(": ", to);
    }
    print_clean(message ? message : cli_text(error, "message"), to);
    if (*hint) {
        fputs(" (", to);
        print_clean(hint, to);
        fputc(')', to);
    }
    fputc('\n', to);
}

void cli_print_errors(const struct answer *answer, FILE *to)
{
    yyjson_doc *doc = yyjson_read(answer->body, answer->length, 0);
    yyjson_val *errors = yyjson_obj_get(yyjson_doc_get_root(doc), "errors"), *error;
    size_t i, count;

    fflush(stdout);
    if (!yyjson_arr_size(errors))
        fprintf(to, "culvert: culvertd answered with status %d\n", answer->status);
    yyjson_arr_foreach (errors, i, count, error)
        cli_print_error(error, NULL, to);
    yyjson_doc_free(doc);
}

int cli_call(struct cli *cli, const char *method, const char *target, const char *body,
             size_t length, yyjson_doc **doc)
{
    struct answer answer;
    int code = CLI_FAILED;

    if (doc)
        *doc = NULL;
    if (client_call(&cli->client, method, target, body, length, &answer)) {
        cli_error("%s", cli->client.problem);
        return CLI_FAILED;
    }
    if (answer.status / 100 != 2) {
        cli_print_errors(&answer, stderr);
    } else if (!doc) {
        code = CLI_OK;
    } else {
        *doc = yyjson_read(answer.body, answer.length, 0);
        if (*doc)
            code = CLI_OK;
        else
            cli_error("culvertd's answer is not JSON: is it of another version?");
    }
    free(answer.body);
    return code;
}

int cli_post(struct cli *cli, const char *target, struct buffer *body, yyjson_doc **doc)
{
    int code = CLI_FAILED;

    *doc = NULL;
    if (!body->error)
        code = cli_call(cli, "POST", target, body->data, body->length, doc);
    buffer_free(body);
    return code;
}

int cli_print_member(const struct cli *cli, yyjson_doc *doc, const char *before, const char *name,
                     const char *after)
{
    struct buffer out = {0};

    if (!cli_print_json(cli, doc))
        buffer_format(&out, "%s%s%s\n", before, cli_text(yyjson_doc_get_root(doc), name), after);
    yyjson_doc_free(doc);
    return cli_print(&out);
}

int cli_run_verb(struct cli *cli, const struct cli_verb *verbs)
{
    struct buffer names = {0};

    for (const struct cli_verb *verb = verbs; verb->name; verb++) {
        if (strcmp(verb->name, cli->arguments[0]) != 0)
            continue;
        if (cli->argument_count == verb->arguments + 1)
            return verb->run(cli);
        cli_error("usage: culvert %s %s %s", cli->command->name, verb->name, verb->usage);
        return CLI_USAGE;
    }
    for (const struct cli_verb *verb = verbs; verb->name; verb++)
        buffer_format(&names, "%s%s",
                      verb == verbs  ? ""
                      : verb[1].name ? ", "
                                     : " or ",
                      verb->name);
    cli_error("%s does %s, not `%s`", cli->command->name, names.data ? names.data : "",
              cli->arguments[0]);
    buffer_free(&names);
    return CLI_USAGE;
}

void cli_add_member(struct buffer *body, const char *name, const char *text)
{
    if (!text)
        return;
    if (body->length && body->data[body->length - 1] != '{')
        buffer_char(body, ',');
    buffer_format(body, "\"%s\":", name);
    buffer_json_text(body, text);
}

bool cli_print_json(const struct cli *cli, yyjson_doc *doc)
{
    size_t length;
    char *text;

    if (!cli->json)
        return false;
    text = yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES, &length);
    if (text) {
        fwrite(text, 1, length, stdout);
        putchar('\n');
    }
    free(text);
    return true;
}

int cli_print(struct buffer *text)
{
    int code = CLI_OK;

    if (text->error) {
        cli_error("%s", culvert_strerror(text->error));
        code = CLI_FAILED;
    } else if (text->length) {
        fwrite(text->data, 1, text->length, stdout);
    }
    buffer_free(text);
    if (fflush(stdout))
        code = CLI_FAILED;
    return code;
}

size_t cli_width(void)
{
    const char *told = getenv("COLUMNS");
    struct winsize size;
    uint64_t columns;

    if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col)
        return size.ws_col;
    return told && !units_parse_number(told, &columns) && columns && columns < 1000 ? columns : 80;
}
