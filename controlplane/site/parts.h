/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document's parts: each resource of a section of named ones, and each other field of the root.
 * A part never changes once it is settled, and has no pointer out of it, so that documents share
 * them: what a change leaves alone is not made again. A part lies in the arena of the document that
 * was read whole, which stays as long as anything shares from it, or in a block of its own, which
 * is counted.
 */
#ifndef CULVERT_SITE_PARTS_H
#define CULVERT_SITE_PARTS_H

#include <yyjson.h>

#include "controlplane/site/schema.h"

/* Sets the digest by which a part is compared; `json` is scratch. CULVERT_ENOMEM. */
int part_settle(struct site_node *part, struct buffer *json);

/* A copy in a block of its own, counted once, for part_release(); NULL: out of memory. */
struct site_node *part_copy(const struct site_node *part);
/* One more document has it, or one less; either kind of part, NULL is allowed. */
struct site_node *part_hold(struct site_node *part);
void part_release(struct site_node *part);

/* The document `old` with what a patch's "site" (patch.h) says, sharing the rest. Zone files are
 * found in `uploads`. CULVERT_ECONFLICT: the patch doesn't fit, or isn't one; CULVERT_ENOMEM. */
int site_patched(struct site **out, struct site *old, yyjson_val *patch,
                 const struct site_upload *uploads, size_t upload_count);

/* A digest of all parts, to find out mistakes by, not forgeries: it is a sum of theirs. */
#define CONTENT_TEXT 33u /* with the NUL */
void site_digest(const struct site *site, char text[CONTENT_TEXT]);

#endif
