/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert support-bundle FILE`: what somebody who helps needs to see, and no secrets. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/command.h"
#include "controlplane/cli/support.h"

#define ITEM_BYTES_MAX ((size_t)16 << 20)
#define ITEM_SECONDS 30
#define WORDS_MAX 12
#define FOLDER "culvert-support/"

/* A file of the bundle: what a program prints. `ours`: it is this one, asking the same culvertd. */
static const struct item {
    const char *name;
    bool ours;
    const char *argv[WORDS_MAX];
} items[] = {
    {"version", true, {"version"}},
    {"status", true, {"status"}},
    {"status.json", true, {"status", "-o", "json"}},
    {"nodes", true, {"node", "list"}},
    {"site.json", true, {"get", "--stale", "-o", "json"}},
    {"history", true, {"history", "--stale"}},
    {"audit", true, {"audit", "--stale"}},
    {"counters", true, {"counters"}},
    {"nics", true, {"nic", "list"}},
    {"system/os-release", false, {"cat", "/etc/os-release"}},
    {"system/packages", false, {"cat", "/usr/share/culvert/packages"}},
    {"system/kernel", false, {"uname", "-a"}},
    {"system/cmdline", false, {"cat", "/proc/cmdline"}},
    {"system/uptime", false, {"cat", "/proc/uptime", "/proc/loadavg"}},
    {"system/meminfo", false, {"cat", "/proc/meminfo"}},
    {"system/cpuinfo", false, {"cat", "/proc/cpuinfo"}},
    {"system/interrupts", false, {"cat", "/proc/interrupts"}},
    {"system/mounts", false, {"cat", "/proc/mounts"}},
    {"system/modules", false, {"cat", "/proc/modules"}},
    {"system/disks", false, {"df", "-hT"}},
    {"system/inodes", false, {"df", "-i"}},
    {"system/files", false, {"ls", "-lR", "/var/lib/culvert", "/var/lib/culvert-system"}},
    {"system/processes", false, {"ps", "-e", "-o", "pid,ppid,user,stat,rss,time,etime,comm"}},
    {"system/units", false, {"systemctl", "--no-pager", "--all", "list-units"}},
    {"system/failed", false, {"systemctl", "--no-pager", "--failed"}},
    {"system/alarms", false, {"grep", "-r", "", "/run/culvert-system/alarms"}},
    {"network/links", false, {"ip", "-details", "-statistics", "link"}},
    {"network/addresses", false, {"ip", "address"}},
    {"network/routes", false, {"ip", "route", "show", "table", "all"}},
    {"network/routes6", false, {"ip", "-6", "route", "show", "table", "all"}},
    {"network/neighbours", false, {"ip", "neighbour"}},
    {"network/sockets", false, {"ss", "-tuanp"}},
    {"network/nft", false, {"nft", "list", "ruleset"}},
    {"network/resolv.conf", false, {"cat", "/etc/resolv.conf"}},
    {"log/kernel", false, {"dmesg"}},
    {"log/journal",
     false,
     {"journalctl", "--no-pager", "-b", "-n", "30000", "-o", "short-precise"}},
    {"log/journal-before",
     false,
     {"journalctl", "--no-pager", "-b", "-1", "-n", "10000", "-o", "short-precise"}},
};
#define ITEMS (sizeof(items) / sizeof(items[0]))

/* A program's words, with the options by which this one was told where culvertd is. */
struct words {
    char text[PATH_MAX]; /* this program */
    const char *list[WORDS_MAX + 12];
    size_t count;
};

static void add_word(struct words *words, const char *word)
{
    words->list[words->count++] = word;
}

static void add_option(struct words *words, const char *name, const char *value)
{
    if (!value)
        return;
    add_word(words, name);
    add_word(words, value);
}

static bool find_words(const struct cli *cli, const struct item *item, struct words *words)
{
    ssize_t length;

    words->count = 0;
    if (item->ours) {
        length = readlink("/proc/self/exe", words->text, sizeof(words->text) - 1);
        if (length <= 0)
            return false;
        words->text[length] = '\0';
        add_word(words, words->text);
        add_option(words, "--socket", cli->server.socket);
        add_option(words, "--server", cli->server.server);
        add_option(words, "--token-file", cli->server.token_file);
        add_option(words, "--ca", cli->server.ca);
    }
    for (size_t i = 0; i < WORDS_MAX && item->argv[i]; i++)
        add_word(words, item->argv[i]);
    words->list[words->count] = NULL;
    return true;
}

/* Adds one file, and a line about it to the contents. -1 with errno: it can't be written. */
static int add_item(const struct cli *cli, const struct item *item, int fd, struct buffer *contents)
{
    struct buffer text = {0}, clean = {0};
    struct words words;
    char name[100];
    int status = -1, result;

    buffer_init(&text, ITEM_BYTES_MAX);
    if (find_words(cli, item, &words))
        status = support_run(words.list, ITEM_SECONDS, &text);
    if (support_clean(text.data ? text.data : "", text.length, &clean))
        buffer_clear(&clean); /* rather nothing than what was not looked through */
    buffer_format(contents, "%-20s %4d ", item->name, status);
    for (size_t i = item->ours ? 1 : 0; i < words.count; i++)
        buffer_format(contents, " %s", item->ours && i == 1 ? "culvert" : words.list[i]);
    buffer_char(contents, '\n');
    snprintf(name, sizeof(name), FOLDER "%s", item->name);
    result = support_add(fd, name, clean.data ? clean.data : "", clean.length);
    buffer_free(&text);
    buffer_free(&clean);
    return result;
}

static int write_bundle(const struct cli *cli, int fd)
{
    struct buffer contents = {0};
    int result = 0;

    buffer_text(&contents, "FILE               STATUS  PROGRAM\n");
    for (size_t i = 0; !result && i < ITEMS; i++)
        result = add_item(cli, &items[i], fd, &contents);
    if (!result)
        result = support_add(fd, FOLDER "contents", contents.data, contents.length);
    buffer_free(&contents);
    return result ? result : support_end(fd);
}

int command_support_bundle(struct cli *cli)
{
    const char *file = cli->arguments[0];
    bool output = !strcmp(file, "-");
    int fd = output ? STDOUT_FILENO
                    : open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (output && isatty(fd)) {
        cli_error("this is no text: give a file, or send it somewhere: | gzip >FILE");
        return CLI_USAGE;
    }
    if (fd < 0) {
        cli_error("%s: %s", file, strerror(errno));
        return CLI_FAILED;
    }
    if (write_bundle(cli, fd) || (!output && close(fd))) {
        cli_error("%s: %s", file, strerror(errno));
        if (!output)
            unlink(file);
        return CLI_FAILED;
    }
    if (!output)
        printf("%s: look through it before you give it away: it shows names, addresses and logs, "
               "no keys and tokens\n",
               file);
    return CLI_OK;
}
