/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/daemon/system_alarms.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"

#define FILES_MAX 16
#define FILE_BYTES_MAX 4096u
#define LINES_MAX 16

static int is_whole(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return entry->d_name[0] != '.' && (length < 4 || strcmp(entry->d_name + length - 4, ".tmp"));
}

static void each_line(char *text, void (*each)(void *arg, const char *text), void *arg)
{
    int lines = 0;

    for (char *line; text && lines < LINES_MAX && (line = strsep(&text, "\n"));) {
        if (!*line)
            continue;
        each(arg, line);
        lines++;
    }
}

void system_alarms(const char *folder, void (*each)(void *arg, const char *text), void *arg)
{
    int in = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), count;
    struct dirent **list;

    if (in < 0)
        return;
    count = scandirat(in, ".", &list, is_whole, alphasort);
    for (int i = 0; i < count; i++) {
        size_t length;
        char *text;

        if (i < FILES_MAX && !file_read(in, list[i]->d_name, FILE_BYTES_MAX, &text, &length)) {
            each_line(text, each, arg);
            free(text);
        }
        free(list[i]);
    }
    if (count >= 0)
        free(list);
    close(in);
}
