/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli; RFC 3720 section 12.1), by the processor's instruction where it has one. */
#ifndef CULVERT_BASE_CRC32C_H
#define CULVERT_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` is of (0: nothing) with these bytes behind it. */
uint32_t crc32c(uint32_t crc, const void *data, size_t length);
/* The same without the instruction. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t length);

#endif
