/* SPDX-License-Identifier: Apache-2.0 */
/* An appliance of plain files, and updates for it. What can't be made fails the test. */
#ifndef CULVERT_TEST_SYSTEM_MADE_UP_H
#define CULVERT_TEST_SYSTEM_MADE_UP_H

#include <stdbool.h>

#include "controlplane/base/buffer.h"
#include "controlplane/cli/system/manifest.h"

#define SLOT_BYTES 65536
#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HASH_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

/* Makes the appliance in a new folder: version 1.0 runs from slot a, slot b is empty. The folder's
 * name, valid until the next one. */
const char *made_up_appliance(void);
void made_up_remove(void);

/* A file of the appliance. */
void made_up_write(const char *name, const void *data, size_t length);
long made_up_size(const char *name); /* -1: there is none */
/* The names in /efi/EFI/Linux, sorted, with blanks between. Valid until the next call. */
const char *made_up_entries(void);

/* A kernel image whose command line has the hash, and a hash tree of it: for the caller to free. */
void made_up_kernel(const char *root_hash, struct buffer *out);
void made_up_tree(const char *root_hash, struct buffer *out);
/* Puts both where slot b has them: the entry of that name, the slot's hash tree. */
void made_up_fill_b(const char *entry, const char *root_hash);

/* How an update differs from a good one. */
struct made_up_update {
    const char *version, *root_hash;
    const char *product;   /* NULL: ours */
    const char *flavour;   /* NULL: it doesn't say */
    const char *tree_hash; /* NULL: root_hash */
    bool is_unsigned, other_key, changed_manifest, wrong_digest, short_kernel;
    unsigned format;   /* 0: ours */
    size_t root_bytes; /* 0: some */
};
/* The file's bytes, for the caller to free. */
void made_up_pack(const struct made_up_update *update, struct buffer *out);

#endif
