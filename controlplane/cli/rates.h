/* SPDX-License-Identifier: Apache-2.0 */
/* Readings of the counters, and rates between two of them. */
#ifndef CULVERT_CLI_RATES_H
#define CULVERT_CLI_RATES_H

#include <stdbool.h>
#include <yyjson.h>

#include "controlplane/base/buffer.h"

/* Appends the tables of `culvert top` (`before` given: packets/s and bits/s in between; else the
 * totals of `now`) below a line of totals. Reasons come by verdict; of rates the busy ones come
 * first and those of 0 are only counted. Rows that are zero since the start are left out. Readings
 * are answers of GET /v1/counters. */
void rates_print(yyjson_val *before, yyjson_val *now, bool color, struct buffer *out);

/* Appends the same rates as one JSON object: {"seconds", "reasons": [{"name", "verdict",
 * "packets", "bits"}], "vips", ...}, per second, rows of 0 left out. */
void rates_json(yyjson_val *before, yyjson_val *now, struct buffer *out);

#endif
