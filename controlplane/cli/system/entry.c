/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/system/entry.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/bytes.h"
#include "controlplane/base/error.h"

#define PREFIX "culvert-"
#define SUFFIX ".efi"
#define TRIES_DIGITS 3
#define SECTIONS_MAX 64u
#define SECTION_BYTES 40u
#define CMDLINE_MAX 4096u

/* A counter of at most three digits; what is behind it, NULL when there is none. */
static const char *parse_count(const char *at, int *count)
{
    size_t digits = strspn(at, "0123456789");

    if (!digits || digits > TRIES_DIGITS)
        return NULL;
    *count = (int)strtol(at, NULL, 10);
    return at + digits;
}

bool entry_parse(const char *name, struct entry *entry)
{
    size_t length = strlen(name), version;
    const char *at;

    memset(entry, 0, sizeof(*entry));
    entry->left = ENTRY_GOOD;
    if (length >= ENTRY_NAME || length < strlen(PREFIX SUFFIX) ||
        strncmp(name, PREFIX, strlen(PREFIX)) != 0 ||
        strcmp(name + length - strlen(SUFFIX), SUFFIX) != 0)
        return false;
    length -= strlen(PREFIX SUFFIX);
    name += strlen(PREFIX);
    at = memchr(name, '+', length);
    version = at ? (size_t)(at - name) : length;
    if (version >= SYSTEM_VERSION)
        return false;
    memcpy(entry->version, name, version);
    if (!version_valid(entry->version))
        return false;
    if (at) {
        at = parse_count(at + 1, &entry->left);
        if (at && *at == '-')
            at = parse_count(at + 1, &entry->done);
        if (at != name + length)
            return false;
    }
    return true;
}

void entry_name(const struct entry *entry, char name[ENTRY_NAME])
{
    if (entry->left == ENTRY_GOOD)
        snprintf(name, ENTRY_NAME, PREFIX "%s" SUFFIX, entry->version);
    else if (!entry->done)
        snprintf(name, ENTRY_NAME, PREFIX "%s+%d" SUFFIX, entry->version, entry->left);
    else
        snprintf(name, ENTRY_NAME, PREFIX "%s+%d-%d" SUFFIX, entry->version, entry->left,
                 entry->done);
}

int entry_compare(const struct entry *a, const struct entry *b)
{
    if ((a->left == 0) != (b->left == 0))
        return a->left == 0 ? 1 : -1;
    if (strcmp(a->version, b->version) != 0)
        return -version_compare(a->version, b->version);
    /* A crash while one was renamed: systemd-boot may start either, and both are the same. */
    if ((a->left == ENTRY_GOOD) != (b->left == ENTRY_GOOD))
        return a->left == ENTRY_GOOD ? -1 : 1;
    return a->left != b->left ? b->left - a->left : a->done - b->done;
}

enum entry_state entry_state(const struct entry *entry)
{
    if (entry->left == ENTRY_GOOD)
        return ENTRY_IS_GOOD;
    if (entry->done)
        return entry->left ? ENTRY_IS_ON_TRIAL : ENTRY_IS_BAD;
    return entry->left ? ENTRY_IS_NEW : ENTRY_IS_ASIDE;
}

/* ---- the kernel image ---- */

static bool read_at(int file, uint64_t offset, void *to, size_t size)
{
    return pread(file, to, size, (off_t)offset) == (ssize_t)size;
}

/* Where the section .cmdline is (PE Format, "Section Table"). */
static bool find_cmdline(int file, uint32_t *at, uint32_t *size)
{
    uint8_t stub[64], head[24], section[SECTION_BYTES];
    uint64_t table;
    unsigned count;

    if (!read_at(file, 0, stub, sizeof(stub)) || memcmp(stub, "MZ", 2) != 0)
        return false;
    table = bytes_number(stub + 0x3c, 4);
    if (!read_at(file, table, head, sizeof(head)) || memcmp(head, "PE\0", 4) != 0)
        return false;
    count = (unsigned)bytes_number(head + 6, 2);
    table += sizeof(head) + bytes_number(head + 20, 2);
    for (unsigned i = 0; i < count && i < SECTIONS_MAX; i++) {
        if (!read_at(file, table + i * SECTION_BYTES, section, sizeof(section)))
            return false;
        if (memcmp(section, ".cmdline", 8) != 0)
            continue;
        *size = (uint32_t)bytes_number(section + 8, 4);
        *at = (uint32_t)bytes_number(section + 20, 4);
        return true;
    }
    return false;
}

int entry_root_hash(int file, char hash[DIGEST_TEXT])
{
    char text[CMDLINE_MAX + 1];
    uint32_t at, size;

    if (!find_cmdline(file, &at, &size) || size > CMDLINE_MAX || !read_at(file, at, text, size))
        return CULVERT_EPROTO;
    text[size] = 0;
    for (char *save, *word = strtok_r(text, " \n", &save); word;
         word = strtok_r(NULL, " \n", &save))
        if (!strncmp(word, "roothash=", 9) && digest_valid(word + 9)) {
            memcpy(hash, word + 9, DIGEST_TEXT);
            return 0;
        }
    return CULVERT_EPROTO;
}
