/* SPDX-License-Identifier: Apache-2.0 */
/* Stored revisions as documents again. */
#ifndef CULVERT_DAEMON_REVISION_H
#define CULVERT_DAEMON_REVISION_H

#include <yyjson.h>

#include "controlplane/history/history.h"

/* A stored revision as the source of a site: its canonical text, its zone files by digest. */
struct revision_source {
    struct site_revision *revision;
    struct site_source source; /* points into the others */
    yyjson_doc *state;
    struct site_upload *uploads;
};

/* Reads revision `number`, on any thread. CULVERT_ENOTFOUND, CULVERT_ECORRUPT, CULVERT_ENOMEM;
 * freed then. */
int revision_source_read(struct revision_source *out, struct history_view *view, uint64_t number);
void revision_source_free(struct revision_source *source); /* a zeroed one too */

#endif
