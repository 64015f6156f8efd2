/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/cli/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/units.h"
#include "controlplane/firstboot/store.h"

#define STORE "/var/lib/culvert-system"
#define KEPT STORE "/network" /* brought to the next one at each boot */
#define WORKS "/run/systemd/network"
#define NAME "10-setup.network"
#define KEYS_MAX ((size_t)1 << 20)

const char *setup_check_address(const char *text)
{
    struct address address;

    return units_parse_address(text, &address) ? "an address such as 192.0.2.10 is wanted" : NULL;
}

const char *setup_check_host(const char *text)
{
    struct address address;
    unsigned length = 0;
    bool host_bits = false;

    if (!strchr(text, '/') ||
        (units_parse_prefix(text, &address, &length, &host_bits) && !host_bits))
        return "an address with the length of its prefix is wanted, such as 192.0.2.10/24";
    return NULL;
}

void setup_network_text(const struct setup_network *network, struct buffer *text)
{
    buffer_format(text,
                  "# Written by `culvert setup`.\n[Match]\nName=%s\n\n[Network]\nAddress=%s\n"
                  "LinkLocalAddressing=ipv6\n",
                  network->name, network->address);
    if (*network->gateway)
        buffer_format(text, "Gateway=%s\n", network->gateway);
    if (*network->name_server)
        buffer_format(text, "DNS=%s\n", network->name_server);
    buffer_text(text, "\n[Link]\nRequiredForOnline=no\n");
}

/* Writes a file that everyone may read into a folder that is made. */
static int write_public(const char *root, const char *folder, const char *name,
                        const struct buffer *text, struct buffer *path)
{
    int error, file;

    buffer_clear(path);
    buffer_format(path, "%s%s", root, folder);
    error = path->error ? path->error : file_make_folder(path->data);
    if (!error && chmod(path->data, 0755))
        error = file_error(errno);
    if (error)
        return error;
    buffer_format(path, "/%s", name);
    error = path->error ? path->error : file_write(AT_FDCWD, path->data, text->data, text->length);
    if (error)
        return error;
    file = open(path->data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 || fchmod(file, 0644))
        error = file_error(errno);
    if (file >= 0)
        close(file);
    return error;
}

static int remove_file(const char *root, const char *folder, struct buffer *path)
{
    buffer_clear(path);
    buffer_format(path, "%s%s/%s", root, folder, NAME);
    if (path->error)
        return path->error;
    return unlink(path->data) && errno != ENOENT ? file_error(errno) : 0;
}

int setup_network_write(const char *root, const struct setup_network *network, struct buffer *path)
{
    struct buffer text = {0};
    int error;

    if (!network->is_static) {
        error = remove_file(root, WORKS, path);
        return error ? error : remove_file(root, KEPT, path);
    }
    setup_network_text(network, &text);
    error = text.error ? text.error : write_public(root, WORKS, NAME, &text, path);
    if (!error)
        error = write_public(root, KEPT, NAME, &text, path);
    buffer_free(&text);
    return error;
}

int setup_key_write(const char *root, const char *line, struct buffer *path)
{
    struct buffer keys = {0};
    char *old = NULL;
    size_t length;
    int error;

    buffer_clear(path);
    buffer_format(path, "%s/root/.ssh", root);
    error = path->error ? path->error : file_make_folder(path->data);
    if (!error && chmod(path->data, 0700))
        error = file_error(errno);
    if (error)
        return error;
    buffer_text(path, "/authorized_keys");
    error = path->error ? path->error : file_read(AT_FDCWD, path->data, KEYS_MAX, &old, &length);
    if (!error && !strstr(old, line)) {
        buffer_add(&keys, old, length);
        if (length && old[length - 1] != '\n')
            buffer_char(&keys, '\n');
    }
    if (error == CULVERT_ENOTFOUND || keys.length || (!error && !length)) {
        buffer_format(&keys, "%s\n", line);
        error = keys.error ? keys.error
                           : file_write_secret(AT_FDCWD, path->data, keys.data, keys.length);
    }
    buffer_free(&keys);
    free(old);
    return error;
}

int setup_told_write(const char *root, const struct machine *told, struct buffer *path)
{
    struct buffer run = {0};
    struct store store;
    int error;

    buffer_clear(path);
    buffer_format(path, "%s" STORE, root);
    buffer_format(&run, "%s/run", root);
    error = path->error ? path->error : run.error;
    if (!error)
        error = store_open(&store, path->data, run.data);
    if (!error) {
        error = store_keep(&store, told, false);
        store_close(&store);
    }
    buffer_free(&run);
    return error;
}
