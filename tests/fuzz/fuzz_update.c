/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes with an update, or lies on the EFI system partition. The first byte says which: an
 * archive, a manifest, a kernel image, the name of an entry.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/system/entry.h"
#include "controlplane/cli/system/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static int file_of(const uint8_t *data, size_t size)
{
    int fd = memfd_create("update", MFD_CLOEXEC);

    must(fd >= 0 && write(fd, data, size) == (ssize_t)size && !lseek(fd, 0, SEEK_SET));
    return fd;
}

/* Every second member is left unread. No more is read than there is. */
static void try_archive(const uint8_t *data, size_t size)
{
    struct tar tar = {.fd = file_of(data, size)};
    struct tar_member member;
    uint64_t total = 0;

    for (unsigned i = 0; !tar_next(&tar, &member); i++) {
        size_t got = 1;
        char bytes[700];

        must(strlen(member.name) < TAR_NAME);
        while (i % 2 && got && !tar_read(&tar, bytes, sizeof(bytes), &got))
            total += got;
    }
    must(total <= size);
    close(tar.fd);
}

static void try_manifest(const uint8_t *data, size_t size)
{
    struct manifest manifest;
    char why[SYSTEM_WHY] = "";
    int error = manifest_read((const char *)data, size, &manifest, why);

    must(!error == !*why);
    if (error)
        return;
    must(version_valid(manifest.version) && digest_valid(manifest.root_hash));
    for (unsigned i = 0; i < UPDATE_PARTS; i++)
        must(manifest.parts[i].size && digest_valid(manifest.parts[i].sha256));
    must(!version_compare(manifest.version, manifest.version));
}

static void try_kernel(const uint8_t *data, size_t size)
{
    int fd = file_of(data, size);
    char hash[DIGEST_TEXT];

    if (!entry_root_hash(fd, hash))
        must(digest_valid(hash));
    close(fd);
}

/* What a name says, another name says again. */
static void try_name(const uint8_t *data, size_t size)
{
    char *name = malloc(size + 1), again[ENTRY_NAME];
    struct entry entry, same;

    must(name != NULL);
    memcpy(name, data, size);
    name[size] = 0;
    if (entry_parse(name, &entry)) {
        entry_name(&entry, again);
        must(entry_parse(again, &same) && !entry_compare(&entry, &same));
        must(same.left == entry.left && same.done == entry.done);
    }
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const uint8_t *data, size_t size) = {try_archive, try_manifest,
                                                                      try_kernel, try_name};

    if (!size || data[0] >= sizeof(tries) / sizeof(tries[0]))
        return 0;
    tries[data[0]](data + 1, size - 1);
    return 0;
}
