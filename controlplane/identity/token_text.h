/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a token's bytes are written for people to copy: a prefix that says what it is, then base64url
 * (RFC 4648 section 5, no padding) of the bytes and the first 2 to 4 of their SHA-256, so many that
 * no padding is needed.
 */
#ifndef CULVERT_IDENTITY_TOKEN_TEXT_H
#define CULVERT_IDENTITY_TOKEN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_BODY_MAX 128u /* bytes */
#define TOKEN_CHECK(body) (4u - ((body) + 1u) % 3u)
#define TOKEN_ENCODED(body) (((body) + TOKEN_CHECK(body)) / 3u * 4u) /* characters */

/* Writes the text of `body` bytes behind the prefix that is there already. CULVERT_ENOMEM. */
int token_text_write(const uint8_t *data, size_t body, char *text);
/* The bytes of a text, behind its prefix. False: mistyped, or not such a text. */
bool token_text_read(const char *text, uint8_t *data, size_t body);

#endif
