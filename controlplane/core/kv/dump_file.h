/* SPDX-License-Identifier: Apache-2.0 */
/* A dump of a store (store_dump.h) as a file: a backup. */
#ifndef CULVERT_CORE_KV_DUMP_FILE_H
#define CULVERT_CORE_KV_DUMP_FILE_H

#include <stdint.h>

/* Whether the file is a whole dump with the right checksum, read from its start; blocks.
 * CULVERT_EPROTO: it isn't one; CULVERT_ECORRUPT: cut or changed; CULVERT_EIO, CULVERT_ENOMEM. */
int kv_dump_check(int fd);
/* The index of the state in it. CULVERT_EPROTO, CULVERT_EIO. The file's place is at its start. */
int kv_dump_index(int fd, uint64_t *index);

#endif
