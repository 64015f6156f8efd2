/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an update says of itself (manifest.json), who signed that, and the order of versions.
 * `why` is one line for the operator, set with every error.
 */
#ifndef CULVERT_SYSTEM_MANIFEST_H
#define CULVERT_SYSTEM_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/digest.h"

#define SYSTEM_WHY 384
#define SYSTEM_VERSION 49 /* with the NUL */
#define SYSTEM_FLAVOUR 16
#define SYSTEM_FLAVOUR_DEFAULT "vm" /* of what doesn't say */
#define MANIFEST_BYTES ((size_t)64 << 10)
#define MANIFEST_SIGNATURE_BYTES ((size_t)4 << 10)

/* In the order in which the file has them. */
enum update_part_index { UPDATE_KERNEL, UPDATE_ROOT, UPDATE_HASH, UPDATE_PARTS };

struct update_part {
    uint64_t size; /* bytes, not 0 */
    char sha256[DIGEST_TEXT];
};

struct manifest {
    char version[SYSTEM_VERSION];
    char flavour[SYSTEM_FLAVOUR]; /* of the kernel and its drivers: "vm", "metal" */
    char root_hash[DIGEST_TEXT];  /* dm-verity's */
    struct update_part parts[UPDATE_PARTS];
};

/* The name of a part in the manifest and in the file. */
const char *manifest_part_name(enum update_part_index part);

/* Reads the JSON text. 0, or CULVERT_EPROTO: no manifest, or one of another format or product. */
int manifest_read(const char *text, size_t length, struct manifest *manifest, char why[SYSTEM_WHY]);

/* Whether the signature (the key's own scheme over SHA-256) of the text is by one of the PEM
 * certificates. What else those say (names, dates) doesn't count. 0; CULVERT_EACCES: by none;
 * CULVERT_EPROTO: there is no certificate. */
int manifest_check_signature(const char *certificates, size_t certificates_length, const char *text,
                             size_t length, const void *signature, size_t signature_length);

/* Numbers with dots, and once a dash: "0.3.0-20261129.1044". */
bool version_valid(const char *text);
/* Negative, 0 or positive as `a` is older than, the same as, or newer than `b`, in systemd-boot's
 * order (UAPI Version Format Specification). Both are valid. */
int version_compare(const char *a, const char *b);

#endif
