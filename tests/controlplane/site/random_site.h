/* SPDX-License-Identifier: Apache-2.0 */
/* Random documents with every section, and names, addresses and weights that come and go. */
#ifndef CULVERT_TESTS_SITE_RANDOM_SITE_H
#define CULVERT_TESTS_SITE_RANDOM_SITE_H

#include "helper.h"

/* The same from the same number. */
void random_start(uint64_t from);
uint32_t random_below(uint32_t end);
/* A site file, to free(); and the file that it names, for a rig. */
char *random_site(void);
void random_file(struct rig *rig);

#endif
