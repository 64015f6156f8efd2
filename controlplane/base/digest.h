/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4), in lower-case hexadecimal digits. */
#ifndef CULVERT_BASE_DIGEST_H
#define CULVERT_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 32
#define DIGEST_TEXT (2 * DIGEST_BYTES + 1) /* with the NUL */

/* CULVERT_ENOMEM when the library can't. */
int digest_sha256(const void *data, size_t length, uint8_t digest[DIGEST_BYTES]);
int digest_text(const void *data, size_t length, char text[DIGEST_TEXT]);
bool digest_valid(const char *text); /* 64 lower-case hexadecimal digits and no more */

/* Piece by piece: new, add..., then end, which gives the text and frees. NULL: out of memory. */
struct digest;
struct digest *digest_new(void);
int digest_add(struct digest *digest, const void *data, size_t length);
int digest_end(struct digest *digest, char text[DIGEST_TEXT]); /* frees also on an error */
void digest_free(struct digest *digest);

#endif
