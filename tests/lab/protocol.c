/* SPDX-License-Identifier: Apache-2.0 */
/* A culvertd of other versions of the protocol, given by the build. */
#include "controlplane/daemon/protocol.h"

const struct protocol protocol_own = {.min = LAB_MIN, .max = LAB_MAX, .software = LAB_SOFTWARE};
