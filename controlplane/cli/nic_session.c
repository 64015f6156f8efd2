/* SPDX-License-Identifier: Apache-2.0 */
/* Which interfaces the operator's session goes through. */
#include <dirent.h>
#include <limits.h>
#include <string.h>

#include "controlplane/cli/nic.h"

bool nic_names_has(const struct nic_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (!strcmp(names->name[i], name))
            return true;
    return names->full;
}

void nic_names_add(struct nic_names *names, const char *name)
{
    size_t length = strcspn(name, ":"); /* eth0:1 is a label of an address of eth0 */
    char plain[IF_NAMESIZE] = "";

    if (!length || length >= sizeof(plain))
        return;
    memcpy(plain, name, length);
    if (nic_names_has(names, plain))
        return;
    if (names->count == NIC_NAMES_MAX)
        names->full = true;
    else
        memcpy(names->name[names->count++], plain, sizeof(plain));
}

void nic_names_add_lower(struct nic_names *names, const char *sysfs)
{
    for (size_t i = 0; i < names->count; i++) { /* those that are added have lower ones too */
        char path[PATH_MAX];
        struct dirent *entry;
        DIR *directory;

        snprintf(path, sizeof(path), "%s/class/net/%s", sysfs, names->name[i]);
        directory = opendir(path);
        while (directory && (entry = readdir(directory)))
            if (!strncmp(entry->d_name, "lower_", 6))
                nic_names_add(names, entry->d_name + 6);
        if (directory)
            closedir(directory);
    }
}

/* The interface of a line of /proc/net/route that is a default route; NULL: it is none. */
static const char *default_route(char *line)
{
    char *words[8], *save = NULL;
    size_t count = 0;

    for (char *word = strtok_r(line, " \t\n", &save); word && count < 8;
         word = strtok_r(NULL, " \t\n", &save))
        words[count++] = word;
    return count == 8 && !strcmp(words[1], "00000000") && !strcmp(words[7], "00000000") ? words[0]
                                                                                        : NULL;
}

/* The same of /proc/net/ipv6_route: destination, its length, ..., interface. */
static const char *default_route6(char *line)
{
    char *words[10], *save = NULL;
    size_t count = 0;

    for (char *word = strtok_r(line, " \t\n", &save); word && count < 10;
         word = strtok_r(NULL, " \t\n", &save))
        words[count++] = word;
    return count == 10 && strspn(words[0], "0") == strlen(words[0]) && !strcmp(words[1], "00") &&
                   strcmp(words[9], "lo") != 0
               ? words[9]
               : NULL;
}

void nic_names_add_routes(struct nic_names *names, FILE *route, bool ipv6)
{
    char line[256];

    while (fgets(line, sizeof(line), route)) {
        const char *interface = ipv6 ? default_route6(line) : default_route(line);

        if (interface)
            nic_names_add(names, interface);
    }
}
