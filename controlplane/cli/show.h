/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values as people read them. */
#ifndef CULVERT_CLI_SHOW_H
#define CULVERT_CLI_SHOW_H

#include <stdbool.h>
#include <yyjson.h>

#include "controlplane/base/buffer.h"

/* Appends a diff (API.md), one line a path: "+ pools.web" for what is new, "- vips.old" for what is
 * gone, "~ path: old -> new"; short values as YAML. With `width` (columns, not 0) lists and maps
 * that are new are shown as far as they fit, as JSON. */
void show_diff(yyjson_val *diff, bool color, size_t width, struct buffer *out);

/* Appends a value as YAML that parses to the same. */
void show_yaml(yyjson_val *value, struct buffer *out);

/* Appends a text with control characters replaced by `?`. */
void show_clean(const char *text, struct buffer *out);

#endif
