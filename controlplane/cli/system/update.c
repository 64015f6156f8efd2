/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/system/update.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"

#define CERTIFICATES "/usr/share/culvert/update.crt"
#define CERTIFICATES_BYTES ((size_t)256 << 10)
#define KERNEL_BYTES ((uint64_t)128 << 20)
#define PIECE ((size_t)1 << 20)
#define SUPERBLOCK_BYTES 512 /* of dm-verity */

static int fail(char why[SYSTEM_WHY], int error, const char *text)
{
    snprintf(why, SYSTEM_WHY, "%s", text);
    return error;
}

/* What an error of the archive's means. */
static int tar_failed(char why[SYSTEM_WHY], int error)
{
    return error == CULVERT_EPROTO ? fail(why, error, "this is no update, or a damaged one")
                                   : fail(why, CULVERT_EIO, "the update is truncated");
}

/* ---- the head ---- */

/* Reads a member that must come next. The bytes are the caller's to free. */
static int read_member(struct tar *tar, const char *name, size_t bound, char **data, size_t *length,
                       char why[SYSTEM_WHY])
{
    struct tar_member member;
    int error = tar_next(tar, &member);

    if (error)
        return tar_failed(why, error);
    if (strcmp(member.name, name) != 0 || member.size > bound)
        return fail(why, CULVERT_EPROTO,
                    strcmp(name, "manifest.sig") ? "this is no update, or a damaged one"
                                                 : "the update is not signed");
    *data = malloc(member.size + 1);
    if (!*data)
        return fail(why, CULVERT_ENOMEM, culvert_strerror(CULVERT_ENOMEM));
    error = tar_read(tar, *data, member.size, length);
    if (error) {
        free(*data);
        return tar_failed(why, error);
    }
    (*data)[*length] = 0;
    return 0;
}

static int check_signature(const struct appliance *appliance, const char *text, size_t length,
                           const char *signature, size_t signature_length, char why[SYSTEM_WHY])
{
    char path[PATH_MAX], *certificates = NULL;
    size_t size = 0;
    int error;

    snprintf(path, sizeof(path), "%s" CERTIFICATES, appliance->folder);
    error = file_read(AT_FDCWD, path, CERTIFICATES_BYTES, &certificates, &size);
    if (!error)
        error =
            manifest_check_signature(certificates, size, text, length, signature, signature_length);
    free(certificates);
    if (error == CULVERT_EACCES)
        return fail(why, error,
                    "the update's signature is not by a key of this system (" CERTIFICATES
                    "), or the update was changed");
    return error ? fail(why, CULVERT_ESYSTEM,
                        "there is no certificate to check updates by: " CERTIFICATES)
                 : 0;
}

static int read_head(struct update *update, char why[SYSTEM_WHY])
{
    char *text = NULL, *signature = NULL;
    size_t length, signature_length;
    int error = read_member(&update->tar, "manifest.json", MANIFEST_BYTES, &text, &length, why);

    if (error)
        return error;
    error = read_member(&update->tar, "manifest.sig", MANIFEST_SIGNATURE_BYTES, &signature,
                        &signature_length, why);
    if (!error) {
        error = check_signature(update->appliance, text, length, signature, signature_length, why);
        free(signature);
    }
    if (!error)
        error = manifest_read(text, length, &update->manifest, why);
    free(text);
    return error;
}

static int check_version(const struct update *update, char why[SYSTEM_WHY])
{
    const char *running = update->appliance->version, *version = update->manifest.version;
    int order = version_compare(version, running);

    if (!order)
        snprintf(why, SYSTEM_WHY, "%s is what runs already", version);
    else if (order < 0 && !update->forced)
        snprintf(why, SYSTEM_WHY,
                 "%s is older than %s, which runs: `culvert system rollback` starts what the other "
                 "slot has, --force takes the older one",
                 version, running);
    else
        return 0;
    return CULVERT_EREJECTED;
}

/* Another flavour's kernel may have no driver of this machine's disk. */
static int check_flavour(const struct update *update, char why[SYSTEM_WHY])
{
    if (update->forced || !strcmp(update->manifest.flavour, update->appliance->flavour))
        return 0;
    snprintf(why, SYSTEM_WHY,
             "the update is of the flavour %s, this appliance of %s: --force takes it nevertheless",
             update->manifest.flavour, update->appliance->flavour);
    return CULVERT_EREJECTED;
}

static int check_size(const struct update *update, enum update_part_index part, const char *device,
                      char why[SYSTEM_WHY])
{
    int file = appliance_open_device(update->appliance, device, false);
    off_t room = file < 0 ? -1 : lseek(file, 0, SEEK_END);

    if (file >= 0)
        close(file);
    if (room < 0) {
        snprintf(why, SYSTEM_WHY, "/dev/%s: %s", device, strerror(errno));
        return CULVERT_ESYSTEM;
    }
    if (update->manifest.parts[part].size <= (uint64_t)room)
        return 0;
    snprintf(why, SYSTEM_WHY,
             "the update is too large for this appliance: its %s has %llu bytes, the slot %lld",
             manifest_part_name(part), (unsigned long long)update->manifest.parts[part].size,
             (long long)room);
    return CULVERT_ETOOLARGE;
}

static int check_sizes(const struct update *update, char why[SYSTEM_WHY])
{
    const struct slot *slot = &update->appliance->slots[appliance_other(update->appliance)];
    int error = check_size(update, UPDATE_ROOT, slot->root, why);

    if (!error)
        error = check_size(update, UPDATE_HASH, slot->hash, why);
    if (!error && update->manifest.parts[UPDATE_KERNEL].size > KERNEL_BYTES)
        error = fail(why, CULVERT_ETOOLARGE, "the update is too large: its kernel image");
    return error;
}

/* The running system's entry is what a bad update returns to. */
static int check_settled(const struct appliance *appliance, char why[SYSTEM_WHY])
{
    struct entry entries[ENTRIES_MAX];
    const struct entry *own;
    unsigned count;
    int error = appliance_entries(appliance, entries, &count, why);

    if (error)
        return error;
    own = appliance_own_entry(appliance, entries, count);
    if (!own)
        return fail(why, CULVERT_ESYSTEM,
                    "the running system has no boot entry to come back by: /efi/EFI/Linux");
    if (entry_state(own) == ENTRY_IS_ON_TRIAL || entry_state(own) == ENTRY_IS_NEW)
        return fail(why, CULVERT_EBUSY,
                    "the running system is on trial itself: wait until `culvert system status` "
                    "says that it is good");
    return 0;
}

int update_open(struct update *update, const struct appliance *appliance, int fd, bool forced,
                char why[SYSTEM_WHY])
{
    int error;

    *update = (struct update){.appliance = appliance, .forced = forced, .tar.fd = fd};
    error = read_head(update, why);
    if (!error)
        error = check_flavour(update, why);
    if (!error)
        error = check_version(update, why);
    if (!error)
        error = check_sizes(update, why);
    if (!error)
        error = check_settled(appliance, why);
    return error;
}

/* ---- the parts ---- */

static int write_all(int file, const char *from, size_t size, char why[SYSTEM_WHY])
{
    while (size) {
        ssize_t done = write(file, from, size);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            snprintf(why, SYSTEM_WHY, "the update can't be written: %s",
                     strerror(done < 0 ? errno : EIO));
            return done < 0 ? file_error(errno) : CULVERT_EIO;
        }
        from += done;
        size -= (size_t)done;
    }
    return 0;
}

/* Keeps what of a piece belongs to the head of the kernel image, and puts zeros in its place. */
static void keep_head(struct update *update, char *piece, size_t length)
{
    size_t left = ENTRY_HEAD - update->head_length, kept = length < left ? length : left;

    memcpy(update->head + update->head_length, piece, kept);
    memset(piece, 0, kept);
    update->head_length += kept;
}

/* Copies the member that is open to a file. */
static int copy(struct update *update, bool kernel, int to, struct digest *digest,
                char why[SYSTEM_WHY])
{
    char *piece = malloc(PIECE);
    size_t got = 0;
    int error = piece ? 0 : fail(why, CULVERT_ENOMEM, culvert_strerror(CULVERT_ENOMEM));

    while (!error) {
        error = tar_read(&update->tar, piece, PIECE, &got);
        if (error)
            tar_failed(why, error);
        if (error || !got)
            break;
        if (digest_add(digest, piece, got))
            error = fail(why, CULVERT_ENOMEM, culvert_strerror(CULVERT_ENOMEM));
        if (kernel)
            keep_head(update, piece, got);
        if (!error)
            error = write_all(to, piece, got, why);
    }
    free(piece);
    return error;
}

/* Copies the part that comes next to a file, which is on the disk after. */
static int take_part(struct update *update, enum update_part_index index, int to,
                     char why[SYSTEM_WHY])
{
    const struct update_part *part = &update->manifest.parts[index];
    char text[DIGEST_TEXT] = "";
    struct tar_member member;
    struct digest *digest;
    int error = tar_next(&update->tar, &member);

    if (error)
        return tar_failed(why, error);
    if (strcmp(member.name, manifest_part_name(index)) != 0 || member.size != part->size)
        return fail(why, CULVERT_EPROTO, "the update is damaged: its parts are not the manifest's");
    digest = digest_new();
    if (!digest)
        return fail(why, CULVERT_ENOMEM, culvert_strerror(CULVERT_ENOMEM));
    error = copy(update, index == UPDATE_KERNEL, to, digest, why);
    if (digest_end(digest, text) && !error)
        error = fail(why, CULVERT_ENOMEM, culvert_strerror(CULVERT_ENOMEM));
    if (error)
        return error;
    if (strcmp(text, part->sha256) != 0) {
        snprintf(why, SYSTEM_WHY, "the update is damaged: the SHA-256 of its %s differs",
                 member.name);
        return CULVERT_EPROTO;
    }
    if (fsync(to)) {
        snprintf(why, SYSTEM_WHY, "the update can't be written: %s", strerror(errno));
        return file_error(errno);
    }
    return 0;
}

static int take_kernel(struct update *update, int file, char why[SYSTEM_WHY])
{
    int error = take_part(update, UPDATE_KERNEL, file, why);

    if (error == CULVERT_ENOSPC)
        fail(why, error, "the EFI system partition (/efi) has no room for the kernel image");
    return error;
}

static int take_to_slot(struct update *update, enum update_part_index part, const char *device,
                        char why[SYSTEM_WHY])
{
    int file = appliance_open_device(update->appliance, device, true), error;

    if (file < 0) {
        snprintf(why, SYSTEM_WHY, "/dev/%s: %s", device, strerror(errno));
        return CULVERT_ESYSTEM;
    }
    error = take_part(update, part, file, why);
    close(file);
    return error;
}

/* So that nothing takes the slot for what it had. */
static int clear_slot(const struct appliance *appliance, const char *device, char why[SYSTEM_WHY])
{
    static const char zero[SUPERBLOCK_BYTES];
    int file = appliance_open_device(appliance, device, true), error = 0;

    if (file < 0) {
        snprintf(why, SYSTEM_WHY, "/dev/%s: %s", device, strerror(errno));
        return CULVERT_ESYSTEM;
    }
    error = write_all(file, zero, sizeof(zero), why);
    if (!error && fsync(file))
        error = fail(why, file_error(errno), "the other slot can't be written");
    close(file);
    return error;
}

/* ---- all of it ---- */

static int take_parts(struct update *update, int kernel, char why[SYSTEM_WHY])
{
    const struct appliance *appliance = update->appliance;
    unsigned other = appliance_other(appliance);
    const struct slot *slot = &appliance->slots[other];
    int error = clear_slot(appliance, slot->hash, why);

    if (!error)
        error = take_kernel(update, kernel, why);
    if (!error)
        error = take_to_slot(update, UPDATE_ROOT, slot->root, why);
    if (!error)
        error = take_to_slot(update, UPDATE_HASH, slot->hash, why);
    if (!error && !appliance_slot_has(appliance, other, update->manifest.root_hash))
        error = fail(why, CULVERT_EPROTO,
                     "the update is damaged: its hash tree is not that of its root hash");
    return error;
}

/* The new kernel image becomes an entry. An older one is only started when the running one, which
 * would sort before it, is set aside. */
static int enter(const struct update *update, const struct entry *new, int kernel,
                 char why[SYSTEM_WHY])
{
    struct entry own = {.left = ENTRY_GOOD};

    memcpy(own.version, update->appliance->version, SYSTEM_VERSION);
    if (appliance_write_head(kernel, update->head, update->head_length)) {
        snprintf(why, SYSTEM_WHY, "the update can't be written: %s", strerror(errno));
        return CULVERT_ESYSTEM;
    }
    if (entry_compare(new, &own) < 0)
        return 0;
    return appliance_rename_entry(update->appliance, &own, 0, 0, why);
}

/* Writes all to a new file in the folder of the entries. */
static int write_entry(struct update *update, int folder, char why[SYSTEM_WHY])
{
    struct entry new = {.left = ENTRY_TRIES};
    char name[ENTRY_NAME];
    int file, error;

    memcpy(new.version, update->manifest.version, SYSTEM_VERSION);
    entry_name(&new, name);
    file = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        snprintf(why, SYSTEM_WHY, "/efi/EFI/Linux/%s: %s", name, strerror(errno));
        return CULVERT_ESYSTEM;
    }
    error = take_parts(update, file, why);
    if (!error)
        error = enter(update, &new, file, why);
    close(file);
    if (error)
        appliance_remove_file(folder, name);
    return error;
}

int update_write(struct update *update, char why[SYSTEM_WHY])
{
    int error = appliance_keep_only_own(update->appliance, why), folder;

    if (error)
        return error;
    folder = appliance_open_entries(update->appliance);
    if (folder < 0) {
        snprintf(why, SYSTEM_WHY, "/efi/EFI/Linux: %s", strerror(errno));
        return CULVERT_ESYSTEM;
    }
    error = write_entry(update, folder, why);
    close(folder);
    return error;
}
