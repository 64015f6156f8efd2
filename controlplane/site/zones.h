/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into a zone's compile besides its file. */
#ifndef CULVERT_SITE_ZONES_H
#define CULVERT_SITE_ZONES_H

#include "controlplane/dns/zone.h"
#include "controlplane/site/engine.h"

/* The apexes strictly below each zone, which hide what it holds there. */
struct zone_below {
    const char **name;
    uint32_t count, capacity;
    bool changed; /* an apex below came or went */
};
struct zone_set {
    struct zone_below *below; /* in the order of the new document's zones */
    const char **all;
    uint32_t count;
    bool changed; /* some zone came or went */
    bool rekeyed; /* everything is new */
};
int zone_set_make(struct zone_set *set, const struct site_node *old, const struct site_node *new);
void zone_set_free(struct zone_set *set);
uint32_t zone_place(const struct site_node *zones, const struct site_node *zone);

/* A source for zone_compile() and the memory behind it; its file's text is the caller's. */
struct zone_input {
    struct zone_source source;
    struct arena arena;
    struct zone_record *records;
    size_t count, capacity;
};
int zone_input_make(struct zone_input *input, const struct site_state *state, uint32_t place);
void zone_input_free(struct zone_input *input);

/* It can be compiled although its document is rejected. */
bool zone_usable(const struct site_node *root, const struct site_node *zone);

#endif
