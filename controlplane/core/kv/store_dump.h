/* SPDX-License-Identifier: Apache-2.0 */
/* The form of a dump, for its writer and its reader. */
#ifndef CULVERT_CORE_KV_STORE_DUMP_H
#define CULVERT_CORE_KV_STORE_DUMP_H

#include "controlplane/base/digest.h"

#define DUMP_MAGIC "culvert-kv-1\n"
#define DUMP_HEAD (sizeof(DUMP_MAGIC) - 1 + 8) /* bytes: with the index */
#define DUMP_DIGEST (DIGEST_TEXT - 1)          /* bytes: hexadecimal digits */
#define DUMP_TAIL (1 + 8 + DUMP_DIGEST) /* bytes: the end, the number of records, the digest */

enum { DUMP_END, DUMP_RECORD };

#endif
