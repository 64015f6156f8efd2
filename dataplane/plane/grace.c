/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/plane/grace.h"

#include <stddef.h>

static void (*wait_for_packets)(void);
static bool is_covered;

void grace_use(void (*wait)(void))
{
    wait_for_packets = wait;
}

void grace_wait(void *arg)
{
    (void)arg;
    if (!is_covered && wait_for_packets)
        wait_for_packets();
}

void grace_cover(bool covered)
{
    is_covered = covered;
}
