/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between a revision and the one before, as JSON, so that neither the store nor the
 * other nodes have work that grows with the site:
 *
 *     {"document": DIGEST, "decided": DIGEST, "blobs": [DIGEST, ...],
 *      "site": {SECTION: {NAME: RESOURCE or null, ...} or null, FIELD: VALUE or null, ...},
 *      "state": {SPACE: {NAME: NUMBER or null, ...}, "tables": {POOL: {...} or null, ...},
 *                "freed": {...}, "files": {...}}}
 *
 * A resource, and every other field of the root, comes whole; null takes it away; what isn't named
 * stays. `freed` and `files` (if it comes) replace what was there. `blobs` are those that the
 * revision before may not have. The digests are of the document that comes out, and of what was
 * decided for it (state_digest()): who applies the patch to anything else finds out.
 */
#ifndef CULVERT_SITE_PATCH_H
#define CULVERT_SITE_PATCH_H

#include "controlplane/site/engine.h"

/* Writes the patch from `compile`'s old state to its new one; its bound makes it end early with
 * CULVERT_EFULL. CULVERT_ENOMEM. */
int patch_write(const struct compile *compile, struct buffer *json);

#endif
