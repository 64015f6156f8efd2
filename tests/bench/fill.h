/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the rigs that have no control plane: what the frames of template.h ask for. */
#ifndef CULVERT_BENCH_FILL_H
#define CULVERT_BENCH_FILL_H

#include "dataplane/tables/tables.h"

/* Fills empty tables for `size` flows, names or denied sources of a kind (template_known()), in
 * one transaction. Ends the process when that fails. */
void fill_tables(struct tables *tables, const char *kind, unsigned size);

/* Says what failed, and why by errno, and ends the process. */
void __attribute__((noreturn)) fill_die(const char *what);

#endif
