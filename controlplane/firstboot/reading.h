/* SPDX-License-Identifier: Apache-2.0 */
/* A document of a seed, walked by tables of its fields. */
#ifndef CULVERT_FIRSTBOOT_READING_H
#define CULVERT_FIRSTBOOT_READING_H

#include "controlplane/base/arena.h"
#include "controlplane/firstboot/seed.h"
#include "controlplane/site/node.h"

struct reading {
    struct machine *machine;
    struct arena arena;
    struct site_report errors, warnings;
};

/* `arg` is what reading_fields() or reading_each() was given. */
typedef void reading_take(struct reading *reading, const struct site_node *node, void *arg);

/* A field and what takes it; NULL: it is known and means nothing here. */
struct reading_field {
    const char *key;
    reading_take *take;
};

enum reading_unknown { UNKNOWN_ERROR, UNKNOWN_WARNING, UNKNOWN_SILENT };

/* Reads a YAML (or JSON) text, and has `take` take its root. 0 or CULVERT_ENOMEM. */
int reading_run(struct machine *machine, const char *name, const char *text, size_t length,
                struct seed_report *report, reading_take *take, void *arg);

/* Adds an error at a node; NULL: nothing is wrong. Whether something is. */
bool reading_wrong(struct reading *reading, const struct site_node *node, const char *problem);

/* A map of the fields of a table that ends with a NULL key. A field without a value isn't there. */
void reading_fields(struct reading *reading, const struct site_node *map,
                    const struct reading_field *fields, enum reading_unknown unknown, void *arg);

/* The items of a list, or the one that stands there without one. */
void reading_each(struct reading *reading, const struct site_node *node, reading_take *take,
                  void *arg);
/* The values of a map. */
void reading_each_value(struct reading *reading, const struct site_node *map, reading_take *take,
                        void *arg);

/* The text, number or truth of a scalar; an error and NULL, false when it is none. */
const char *reading_text(struct reading *reading, const struct site_node *node);
bool reading_number(struct reading *reading, const struct site_node *node, uint32_t least,
                    uint32_t most, uint32_t *value);
bool reading_truth(struct reading *reading, const struct site_node *node, bool *value);

/* Takers of what is the machine's, wherever it stands: its name, a key for SSH. `arg` is unused. */
reading_take reading_take_hostname, reading_take_key;

/* The child of that key that has a value; NULL: none. */
const struct site_node *reading_find(const struct site_node *map, const char *key);

#endif
