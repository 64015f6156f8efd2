/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/daemon/protocol.h"

#include "controlplane/core/transport.h"

const struct protocol protocol_own = {
    .min = TRANSPORT_VERSION_MIN, .max = TRANSPORT_VERSION_MAX, .software = CULVERT_VERSION};
