/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments follow their first one: it has the ports, and is noted with what was decided for it.
 * A later fragment that overtakes the first one is dropped; the sender tries again.
 */
#ifndef CULVERT_FASTPATH_FRAGMENT_H
#define CULVERT_FASTPATH_FRAGMENT_H

#include "dataplane/fastpath/flow.h"

/* Two things are noted under one packet's hash: the port that names the service, and the
 * backend. */
#define FP_FRAGMENT_PORT 0ull
#define FP_FRAGMENT_BACKEND (1ull << 63)

static fp_inline fp_u64 fp_fragment_hash(struct fp_env *env, const struct fp_parsed *parsed)
{
    return fp_flow_hash(parsed, fp_flow_word_fragment(parsed), FP_ROOT(env)->index_seed);
}

/* First fragment: notes `value`. Later ones: what was noted, or FP_FLOW_NONE. */
static fp_inline void fp_fragment_note(struct fp_env *env, const struct fp_parsed *parsed,
                                       fp_u64 what, fp_u32 value)
{
    fp_flow_note(env, fp_fragment_hash(env, parsed) ^ what, value);
}

static fp_inline fp_u32 fp_fragment_find(struct fp_env *env, const struct fp_parsed *parsed,
                                         fp_u64 what)
{
    return fp_flow_find(env, fp_fragment_hash(env, parsed) ^ what, FP_FLOW_FRAGMENT_TICKS);
}

#endif
