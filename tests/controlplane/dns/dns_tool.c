/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers queries from zone files, for the tests in Python:
 *
 *     dns-tool NAME FILE [NAME FILE]...
 *
 * stdin: u8 1 for TCP, u16 length (big-endian), message; stdout: u16 reason, u16 length, reply.
 * Errors of the zones go to stderr, one a line, and end it with status 2.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/dns/message.h"
#include "tests/controlplane/dns/fixture.h"

static void print_error(void *arg, const struct zone_error *error)
{
    (void)arg;
    fprintf(stderr, "%s:%u: %s: %s (%s)\n", error->file, error->line,
            error->field ? error->field : "", error->message, error->hint ? error->hint : "");
}

static char *read_all(const char *name, size_t *length)
{
    FILE *file = fopen(name, "rb");
    char *text;
    long size;

    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0)
        exit(1);
    rewind(file);
    text = malloc((size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, file) != (size_t)size)
        exit(1);
    fclose(file);
    *length = (size_t)size;
    return text;
}

static void answer_queries(const void *region)
{
    static uint8_t message[65536];
    uint8_t head[3], reply[4];

    while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
        size_t length = (size_t)head[1] << 8 | head[2];
        unsigned reason;
        size_t bytes;

        if (fread(message, 1, length, stdin) != length)
            exit(1);
        bytes = message_answer(region, message, length, MESSAGE_BYTES_MAX, head[0], &reason);
        reply[0] = (uint8_t)(reason >> 8);
        reply[1] = (uint8_t)reason;
        reply[2] = (uint8_t)(bytes >> 8);
        reply[3] = (uint8_t)bytes;
        fwrite(reply, 1, sizeof(reply), stdout);
        fwrite(message, 1, bytes, stdout);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    struct fixture_zone zones[64] = {{0}};
    struct fixture fixture = {.error = print_error};
    size_t count = 0;
    int error;

    for (int i = 1; i + 1 < argc && count < 64; i += 2, count++) {
        zones[count].name = argv[i];
        zones[count].text = read_all(argv[i + 1], &zones[count].length);
    }
    error = fixture_open(&fixture, zones, count);
    if (!error)
        answer_queries(fixture.base);
    fixture_close(&fixture);
    for (size_t i = 0; i < count; i++)
        free((char *)zones[i].text);
    return error ? 2 : 0;
}
