/* SPDX-License-Identifier: Apache-2.0 */
/* The list of errors, from inside. */
#ifndef CULVERT_SITE_ERRORS_H
#define CULVERT_SITE_ERRORS_H

#include "controlplane/site/site.h"

/* By file, line and column. */
void errors_sort(struct site_errors *errors);

/* CULVERT_EREJECTED when there are any, else 0. */
int errors_result(const struct site_errors *errors);

#endif
