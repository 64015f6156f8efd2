/* SPDX-License-Identifier: Apache-2.0 */
/* Which instance this is, as the hypervisor or the cloud says it. */
#include "controlplane/firstboot/reading.h"

static void take_instance(struct reading *reading, const struct site_node *node, void *arg)
{
    const char *text = reading_text(reading, node);

    (void)arg;
    if (text)
        reading_wrong(reading, node, machine_set_instance(reading->machine, text));
}

/* A list of keys, or a map of them by name. */
static void take_keys(struct reading *reading, const struct site_node *node, void *arg)
{
    if (node->kind == NODE_MAP)
        reading_each_value(reading, node, reading_take_key, arg);
    else
        reading_each(reading, node, reading_take_key, arg);
}

static void take_meta_data(struct reading *reading, const struct site_node *node, void *arg)
{
    static const struct reading_field fields[] = {{"instance-id", take_instance},
                                                  {"local-hostname", reading_take_hostname},
                                                  {"public-keys", take_keys},
                                                  {NULL, NULL}};

    reading_fields(reading, node, fields, UNKNOWN_SILENT, arg);
}

int seed_read_meta_data(struct machine *machine, const char *name, const char *text, size_t length,
                        struct seed_report *report)
{
    return reading_run(machine, name, text, length, report, take_meta_data, NULL);
}

static void take_openstack(struct reading *reading, const struct site_node *node, void *arg)
{
    static const struct reading_field fields[] = {{"uuid", take_instance},
                                                  {"hostname", reading_take_hostname},
                                                  {"public_keys", take_keys},
                                                  {NULL, NULL}};

    reading_fields(reading, node, fields, UNKNOWN_SILENT, arg);
}

int seed_read_openstack(struct machine *machine, const char *name, const char *text, size_t length,
                        struct seed_report *report)
{
    return reading_run(machine, name, text, length, report, take_openstack, NULL);
}
