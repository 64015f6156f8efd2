/* SPDX-License-Identifier: Apache-2.0 */
/* What tests ask of a loaded engine: the program's descriptor, the interface's number, and the
 * bytes of the frames that the program is run on. */
#ifndef CULVERT_PKTGEN_XDP_XDP_H
#define CULVERT_PKTGEN_XDP_XDP_H

#include <stdint.h>

struct engine;

/* Valid until engine_close(). */
int xdp_program(const struct engine *engine);
uint32_t xdp_ifindex(const struct engine *engine);
uint32_t xdp_frame_bytes(const struct engine *engine);

#endif
