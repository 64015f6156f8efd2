/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded bugs that need to be in the way of a call. */
#include "tests/sim/sim.h"

/* The wrapped function and its stand-in, by the linker's --wrap. */
int __real_wal_set_term(struct wal *wal, uint64_t group, uint64_t term, uint64_t vote);
int __wrap_wal_set_term(struct wal *wal, uint64_t group, uint64_t term, uint64_t vote);

int __wrap_wal_set_term(struct wal *wal, uint64_t group, uint64_t term, uint64_t vote)
{
    return __real_wal_set_term(wal, group, term, sim_bug == SIM_BUG_NO_VOTE ? 0 : vote);
}
