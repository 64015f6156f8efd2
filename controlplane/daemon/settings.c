/* SPDX-License-Identifier: Apache-2.0 */
/* What data planes need to know before they can connect, left in the run directory. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/base/file.h"
#include "controlplane/base/log.h"
#include "controlplane/daemon/daemon.h"
#include "dataplane/dpdk/settings_file.h"

/* Whether the file holds that text already. */
static bool is_written(const char *path, const struct buffer *json)
{
    char *data;
    size_t length;
    bool same;

    if (file_read(AT_FDCWD, path, SETTINGS_BYTES_MAX, &data, &length))
        return false;
    same = length == json->length && !memcmp(data, json->data, length);
    free(data);
    return same;
}

/* The mark by which systemd knows that culvert-dpdk is wanted (images/deb/culvert-dpdk.path). */
static void mark_wanted(const struct daemon *daemon)
{
    struct site_counts counts;
    char path[PATH_MAX];
    int error = 0;

    site_counts(daemon->engine, &counts);
    snprintf(path, sizeof(path), "%s/dpdk.wanted", daemon->options.run_dir);
    if (counts.dpdk_interfaces)
        error = file_write(AT_FDCWD, path, "", 0);
    else if (unlink(path) && errno != ENOENT)
        error = file_error(errno);
    if (error)
        log_error("%s: %s: whether culvert-dpdk starts is left to you", path,
                  culvert_strerror(error));
}

void daemon_publish_settings(struct daemon *daemon)
{
    const struct site *site = site_engine_site(daemon->engine);
    struct buffer json = {0};
    char path[PATH_MAX];
    int error = site ? site_get(site, "dpdk", &json) : CULVERT_ENOTFOUND;

    if (error == CULVERT_ENOTFOUND) {
        buffer_clear(&json);
        buffer_text(&json, "{}");
        error = json.error;
    }
    snprintf(path, sizeof(path), "%s/" SETTINGS_FILE, daemon->options.run_dir);
    if (!error && !is_written(path, &json))
        error = file_write(AT_FDCWD, path, json.data, json.length);
    if (error)
        log_error("%s: %s: culvert-dpdk starts by the settings before", path,
                  culvert_strerror(error));
    buffer_free(&json);
    mark_wanted(daemon);
}
