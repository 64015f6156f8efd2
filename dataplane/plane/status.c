/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/plane/status.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>

#include <yyjson.h>

#define UNRESOLVED_MAX 64

struct builder {
    yyjson_mut_doc *doc;
    yyjson_mut_val *errors;
    yyjson_mut_val *unresolved, *reasons;
};

static void add_error(struct builder *builder, const char *subject, const char *text)
{
    char line[320];

    snprintf(line, sizeof(line), "%s: %s", subject, text);
    yyjson_mut_arr_add_strcpy(builder->doc, builder->errors, line);
}

/* A text that outlives the document, or null. */
static void add_text(struct builder *builder, yyjson_mut_val *entry, const char *key,
                     const char *text)
{
    if (text)
        yyjson_mut_obj_add_str(builder->doc, entry, key, text);
    else
        yyjson_mut_obj_add_null(builder->doc, entry, key);
}

static void add_interfaces(struct builder *builder, yyjson_mut_val *root,
                           const struct status_input *input)
{
    yyjson_mut_doc *doc = builder->doc;
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "interfaces");

    for (size_t i = 0; i < input->interfaces_count; i++) {
        const struct status_interface *one = &input->interfaces[i];
        yyjson_mut_val *entry = yyjson_mut_arr_add_obj(doc, list);
        const char *error = !one->attached ? one->reason
                            : !one->up     ? "the interface is down"
                                           : NULL;

        yyjson_mut_obj_add_str(doc, entry, "name", one->name);
        yyjson_mut_obj_add_uint(doc, entry, "ifindex", one->ifindex);
        yyjson_mut_obj_add_bool(doc, entry, "attached", one->attached);
        yyjson_mut_obj_add_str(doc, entry, "state", one->state);
        add_text(builder, entry, "mode", one->attached ? one->mode : NULL);
        yyjson_mut_obj_add_bool(doc, entry, "up", one->up);
        yyjson_mut_obj_add_uint(doc, entry, "mtu", one->mtu);
        if (one->counts) {
            yyjson_mut_obj_add_uint(doc, entry, "lost_in", one->lost_in);
            yyjson_mut_obj_add_uint(doc, entry, "lost_out", one->lost_out);
            yyjson_mut_obj_add_uint(doc, entry, "link_losses", one->link_losses);
            yyjson_mut_obj_add_uint(doc, entry, "resets", one->resets);
        }
        add_text(builder, entry, "error", error);
        add_text(builder, entry, "note", one->attached && one->reason[0] ? one->reason : NULL);
        if (error)
            add_error(builder, one->name, error);
    }
}

static void add_settings(struct builder *builder, yyjson_mut_val *root,
                         const struct status_settings *settings)
{
    yyjson_mut_val *entry;

    if (!settings->runs)
        return;
    entry = yyjson_mut_obj_add_obj(builder->doc, root, "settings");
    yyjson_mut_obj_add_str(builder->doc, entry, "runs", settings->runs);
    add_text(builder, entry, "error", settings->error[0] ? settings->error : NULL);
    if (settings->error[0])
        add_error(builder, "settings", settings->error);
}

static void add_workers(struct builder *builder, yyjson_mut_val *root,
                        const struct status_settings *settings)
{
    yyjson_mut_val *list, *entry;

    if (!settings->workers_count)
        return;
    list = yyjson_mut_obj_add_arr(builder->doc, root, "workers");
    for (size_t i = 0; i < settings->workers_count; i++) {
        entry = yyjson_mut_arr_add_obj(builder->doc, list);
        yyjson_mut_obj_add_uint(builder->doc, entry, "core", settings->workers[i].core);
        yyjson_mut_obj_add_uint(builder->doc, entry, "frames", settings->workers[i].frames);
    }
}

static void add_unresolved(void *arg, uint32_t number, const uint8_t address[16], const char *why)
{
    struct builder *builder = arg;
    yyjson_mut_val *entry = yyjson_mut_arr_add_obj(builder->doc, builder->reasons);
    char text[INET6_ADDRSTRLEN];

    rtnl_address_text(address, text);
    yyjson_mut_arr_add_strcpy(builder->doc, builder->unresolved, text);
    yyjson_mut_obj_add_uint(builder->doc, entry, "backend", number);
    yyjson_mut_obj_add_strcpy(builder->doc, entry, "address", text);
    yyjson_mut_obj_add_str(builder->doc, entry, "error", why);
}

static void add_nexthops(struct builder *builder, yyjson_mut_val *root,
                         const struct nexthops *nexthops)
{
    yyjson_mut_val *entry = yyjson_mut_obj_add_obj(builder->doc, root, "nexthops");
    struct nexthops_count count;
    char text[64];

    nexthops_count(nexthops, &count);
    yyjson_mut_obj_add_uint(builder->doc, entry, "backends", count.backends);
    yyjson_mut_obj_add_uint(builder->doc, entry, "resolved", count.resolved);
    builder->unresolved = yyjson_mut_obj_add_arr(builder->doc, entry, "unresolved");
    builder->reasons = yyjson_mut_obj_add_arr(builder->doc, entry, "reasons");
    nexthops_unresolved(nexthops, UNRESOLVED_MAX, add_unresolved, builder);
    if (count.error)
        add_error(builder, "next hops", "the region is full: raise --memory");
    if (count.resolved < count.backends) {
        snprintf(text, sizeof(text), "%zu of %zu backends have none",
                 count.backends - count.resolved, count.backends);
        add_error(builder, "next hops", text);
    }
}

static void add_addresses(struct builder *builder, yyjson_mut_val *root,
                          const struct addresses *addresses)
{
    yyjson_mut_doc *doc = builder->doc;
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "addresses");
    char text[INET6_ADDRSTRLEN];

    for (size_t i = 0; i < addresses->count; i++) {
        const struct listen_address *one = &addresses->all[i];
        yyjson_mut_val *entry = yyjson_mut_arr_add_obj(doc, list);

        rtnl_address_text(one->address, text);
        yyjson_mut_obj_add_strcpy(doc, entry, "address", text);
        yyjson_mut_obj_add_bool(doc, entry, "assigned", one->present);
        add_text(builder, entry, "error", one->reason[0] ? one->reason : NULL);
        if (one->reason[0])
            add_error(builder, text, one->reason);
    }
    if (addresses->full)
        add_error(builder, "addresses", "more DNS addresses than lo gets from us (1024)");
}

static void add_memory(struct builder *builder, yyjson_mut_val *root, const struct tables *tables)
{
    yyjson_mut_val *entry = yyjson_mut_obj_add_obj(builder->doc, root, "memory");
    struct tables_usage usage;

    tables_usage(tables, &usage);
    yyjson_mut_obj_add_uint(builder->doc, entry, "region", usage.region);
    yyjson_mut_obj_add_uint(builder->doc, entry, "used", usage.used);
    yyjson_mut_obj_add_uint(builder->doc, entry, "free", usage.free);
    yyjson_mut_obj_add_uint(builder->doc, entry, "entries", usage.entries);
}

char *status_json(const struct status_input *input)
{
    struct builder builder = {.doc = yyjson_mut_doc_new(NULL)};
    yyjson_mut_val *root;
    char *text;

    if (!builder.doc)
        return NULL;
    root = yyjson_mut_obj(builder.doc);
    yyjson_mut_doc_set_root(builder.doc, root);
    builder.errors = yyjson_mut_arr(builder.doc);
    yyjson_mut_obj_add_str(builder.doc, root, "name", input->name);
    yyjson_mut_obj_add_str(builder.doc, root, "version", CULVERT_VERSION);
    yyjson_mut_obj_add_int(builder.doc, root, "pid", getpid());
    if (input->pin_dir)
        yyjson_mut_obj_add_str(builder.doc, root, "pin_dir", input->pin_dir);
    yyjson_mut_obj_add_bool(builder.doc, root, "connected", input->connected);
    yyjson_mut_obj_add_bool(builder.doc, root, "filled", input->filled);
    if (!input->filled)
        add_error(&builder, "tables",
                  "new, and waiting for culvertd to fill them; the interfaces "
                  "run by the ones before");
    add_settings(&builder, root, &input->settings);
    add_workers(&builder, root, &input->settings);
    add_interfaces(&builder, root, input);
    add_nexthops(&builder, root, input->nexthops);
    add_addresses(&builder, root, input->addresses);
    add_memory(&builder, root, input->tables);
    yyjson_mut_obj_add_val(builder.doc, root, "errors", builder.errors);
    text = yyjson_mut_write(builder.doc, 0, NULL);
    yyjson_mut_doc_free(builder.doc);
    return text;
}

void status_line(const struct status_input *input, char *line, size_t size)
{
    struct nexthops_count count;
    size_t attached = 0;

    for (size_t i = 0; i < input->interfaces_count; i++)
        attached += input->interfaces[i].attached;
    nexthops_count(input->nexthops, &count);
    snprintf(line, size, "%zu of %zu interfaces attached, %zu of %zu next hops, culvertd %s",
             attached, input->interfaces_count, count.resolved, count.backends,
             input->connected ? "connected" : "absent: running by the last tables");
}
