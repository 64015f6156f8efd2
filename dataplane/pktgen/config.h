/* SPDX-License-Identifier: Apache-2.0 */
/* What the sending and receiving code is told, and where each of several senders starts. */
#ifndef CULVERT_PKTGEN_CONFIG_H
#define CULVERT_PKTGEN_CONFIG_H

#include "dataplane/pktgen/options.h"
#include "dataplane/pktgen/pktgen.h"
#include "dataplane/pktgen/queries.h"
#include "dataplane/pktgen/templates.h"

/* Sets all but what is XDP's own. `templates` and `queries` may be NULL: nothing of that kind is
 * sent. */
void config_set(struct pktgen_config *config, const struct options *options,
                const struct templates *templates, const struct queries *queries);

/* Where sender `number` of `count` starts in flows and questions. */
void sender_start(struct pktgen_sender *sender, const struct pktgen_config *config, unsigned number,
                  unsigned count);

#endif
