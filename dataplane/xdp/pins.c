/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/xdp/pins.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "controlplane/base/error.h"
#include "controlplane/base/log.h"

void pins_path(const char *pin_dir, const char *name, char path[PINS_PATH_BYTES])
{
    int length = snprintf(path, PINS_PATH_BYTES, "%s/%s", pin_dir, name);

    assert(length > 0 && length < PINS_PATH_BYTES);
}

void pins_link_path(const char *pin_dir, const char *interface, char path[PINS_PATH_BYTES])
{
    char file[64] = "links/";
    size_t length = strlen(file);

    for (const char *at = interface; *at && length + 4 < sizeof(file); at++) {
        if (*at == '.' || *at == '%') {
            snprintf(file + length, 4, "%%%02x", (unsigned char)*at);
            length += 3;
        } else {
            file[length++] = *at;
        }
    }
    file[length] = '\0';
    pins_path(pin_dir, file, path);
}

bool pins_link_name(const char *file, char *interface, size_t size)
{
    size_t length = 0;

    if (file[0] == '.')
        return false;
    for (const char *at = file; *at; at++) {
        char c = *at;

        if (length + 1 >= size)
            return false;
        if (c == '%') {
            if (strncmp(at, "%2e", 3) != 0 && strncmp(at, "%25", 3) != 0)
                return false;
            c = at[2] == 'e' ? '.' : '%';
            at += 2;
        }
        interface[length++] = c;
    }
    interface[length] = '\0';
    return length > 0;
}

/* Makes one directory. A parent that is missing is made only below the BPF file system. */
static int make_dir(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    log_error("can't make %s: %s", path, strerror(errno));
    return errno == EACCES || errno == EPERM ? CULVERT_EACCES : CULVERT_ESYSTEM;
}

int pins_make(const char *pin_dir)
{
    char path[PINS_PATH_BYTES];
    struct statfs fs;
    char *slash;
    int error;

    snprintf(path, sizeof(path), "%s", pin_dir);
    while (statfs(path, &fs)) {
        slash = strrchr(path, '/');
        if (errno != ENOENT || !slash || slash == path) {
            log_error("%s: %s", path, strerror(errno));
            return CULVERT_ENOTFOUND;
        }
        *slash = '\0';
    }
    if (fs.f_type != BPF_FS_MAGIC) {
        log_error("%s is not on a BPF file system: `mount -t bpf bpf /sys/fs/bpf`, or give "
                  "--pin-dir",
                  pin_dir);
        return CULVERT_ENOTFOUND;
    }
    for (size_t at = strlen(path) + 1; at <= strlen(pin_dir); at++) {
        if (pin_dir[at] && pin_dir[at] != '/')
            continue;
        snprintf(path, at + 1, "%s", pin_dir);
        error = make_dir(path);
        if (error)
            return error;
    }
    pins_path(pin_dir, "links", path);
    return make_dir(path);
}

void pins_remove(const char *pin_dir)
{
    static const char *const names[] = {"arena", "arena_next"};
    char path[PINS_PATH_BYTES];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        pins_path(pin_dir, names[i], path);
        unlink(path);
    }
    pins_path(pin_dir, "links", path);
    rmdir(path);
    rmdir(pin_dir);
}
