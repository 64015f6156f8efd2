/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/daemon/refusals.h"

#include <stdio.h>
#include <string.h>

/* The user's place, or one that nobody needs any more, or that of all the others. */
static struct refusal *find(struct refusals *refusals, uint64_t now, const char *user)
{
    struct refusal *spare = NULL;

    if (!*user)
        return &refusals->list[0];
    for (unsigned i = 1; i < REFUSALS_MAX; i++) {
        struct refusal *one = &refusals->list[i];

        if (!strcmp(one->user, user))
            return one;
        if (!spare && !one->count && one->next <= now)
            spare = one;
    }
    if (!spare)
        return &refusals->list[0];
    memset(spare, 0, sizeof(*spare));
    snprintf(spare->user, sizeof(spare->user), "%s", user);
    return spare;
}

void refusals_add(struct refusals *refusals, uint64_t now, const char *user, const char *role,
                  const char *from, const char *what)
{
    struct refusal *one = find(refusals, now, user);

    one->count++;
    refusals->total++;
    snprintf(one->role, sizeof(one->role), "%s", role);
    snprintf(one->from, sizeof(one->from), "%s", from);
    snprintf(one->what, sizeof(one->what), "%s", what);
}

bool refusals_take(struct refusals *refusals, uint64_t now, struct refusal *out)
{
    for (unsigned i = 0; i < REFUSALS_MAX; i++) {
        struct refusal *one = &refusals->list[i];

        if (!one->count || one->next > now)
            continue;
        *out = *one;
        one->count = 0;
        one->next = now + REFUSALS_EVERY_MS;
        return true;
    }
    return false;
}

bool refusals_wait(const struct refusals *refusals)
{
    for (unsigned i = 0; i < REFUSALS_MAX; i++)
        if (refusals->list[i].count)
            return true;
    return false;
}
