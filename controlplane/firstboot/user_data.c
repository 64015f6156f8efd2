/* SPDX-License-Identifier: Apache-2.0 */
/* user-data: a site file as it is, or a few keys of cloud-config, and `culvert`, which is ours. */
#include <string.h>

#include "controlplane/base/error.h"
#include "controlplane/firstboot/reading.h"

#define CLOUD_CONFIG "#cloud-config"
#define SITE_FILE "#culvert-site"

/* The full name counts when there is no short one. */
static void take_fqdn(struct reading *reading, const struct site_node *node, void *arg)
{
    if (!reading_find(node->parent, "hostname"))
        reading_take_hostname(reading, node, arg);
}

static void take_keys(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, reading_take_key, arg);
}

static const struct reading_field user_fields[] = {{"ssh_authorized_keys", take_keys},
                                                   {"ssh-authorized-keys", take_keys},
                                                   {"name", NULL},
                                                   {"lock_passwd", NULL},
                                                   {"shell", NULL},
                                                   {"sudo", NULL},
                                                   {"groups", NULL},
                                                   {NULL, NULL}};

/* Whoever gets in is root, so the keys of any user would be root's: only root's own are taken. */
static void take_user(struct reading *reading, const struct site_node *node, void *arg)
{
    const struct site_node *name = reading_find(node, "name");

    if (node->kind == NODE_SCALAR &&
        (!strcmp(node->text, "default") || !strcmp(node->text, "root")))
        return;
    if (name && name->kind == NODE_SCALAR && !strcmp(name->text, "root"))
        reading_fields(reading, node, user_fields, UNKNOWN_WARNING, arg);
    else
        node_error(&reading->warnings, node, "give keys to root, or in ssh_authorized_keys",
                   "an appliance has no user but root");
}

static void take_users(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_user, arg);
}

static void take_time_server(struct reading *reading, const struct site_node *node, void *arg)
{
    const char *text = reading_text(reading, node);

    (void)arg;
    if (text)
        reading_wrong(reading, node, machine_add_time_server(reading->machine, text));
}

static void take_time_servers(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_each(reading, node, take_time_server, arg);
}

static const struct reading_field ntp_fields[] = {
    {"servers", take_time_servers}, {"pools", take_time_servers}, {"enabled", NULL}, {NULL, NULL}};

static void take_ntp(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_fields(reading, node, ntp_fields, UNKNOWN_WARNING, arg);
}

static void take_site(struct reading *reading, const struct site_node *node, void *arg)
{
    (void)arg;
    if (node->kind != NODE_SCALAR)
        reading_wrong(reading, node, "the site file is expected as a text: \"site: |\"");
    else
        reading_wrong(reading, node,
                      machine_set_site(reading->machine, node->text, strlen(node->text)));
}

static void take_join(struct reading *reading, const struct site_node *node, void *arg)
{
    static const struct reading_field fields[] = {{"token", NULL}, {"address", NULL}, {NULL, NULL}};
    const struct site_node *token = reading_find(node, "token");
    const struct site_node *address = reading_find(node, "address");

    reading_fields(reading, node, fields, UNKNOWN_ERROR, arg);
    if (!token || !address || token->kind != NODE_SCALAR || address->kind != NODE_SCALAR)
        reading_wrong(reading, node, "a token and an address are expected");
    else
        reading_wrong(reading, node,
                      machine_set_join(reading->machine, token->text, address->text));
}

static const struct reading_field culvert_fields[] = {
    {"site", take_site}, {"join", take_join}, {NULL, NULL}};

static void take_culvert(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_fields(reading, node, culvert_fields, UNKNOWN_ERROR, arg);
}

static const struct reading_field cloud_config_fields[] = {{"hostname", reading_take_hostname},
                                                           {"fqdn", take_fqdn},
                                                           {"ssh_authorized_keys", take_keys},
                                                           {"users", take_users},
                                                           {"user", NULL},
                                                           {"ntp", take_ntp},
                                                           {"culvert", take_culvert},
                                                           {"manage_etc_hosts", NULL},
                                                           {"preserve_hostname", NULL},
                                                           {"disable_root", NULL},
                                                           {"ssh_pwauth", NULL},
                                                           {NULL, NULL}};

static void take_cloud_config(struct reading *reading, const struct site_node *node, void *arg)
{
    reading_fields(reading, node, cloud_config_fields, UNKNOWN_WARNING, arg);
}

/* The first line is this word and, at most, blanks behind it. */
static bool begins(const char *text, size_t length, const char *word)
{
    size_t at = strlen(word);

    if (length < at || memcmp(text, word, at) != 0)
        return false;
    while (at < length && strchr(" \t\r", text[at]) && text[at])
        at++;
    return at == length || text[at] == '\n';
}

int seed_read_user_data(struct machine *machine, const char *name, const char *text, size_t length,
                        struct seed_report *report)
{
    const char *problem;

    if (!length)
        return 0;
    if (begins(text, length, CLOUD_CONFIG))
        return reading_run(machine, name, text, length, report, take_cloud_config, NULL);
    problem = begins(text, length, SITE_FILE) ? machine_set_site(machine, text, length)
                                              : "the first line is to be " CLOUD_CONFIG
                                                " or " SITE_FILE
                                                ": scripts, archives and other kinds are not taken";
    if (problem)
        site_errors_add(&report->errors, name, 1, 1, NULL, problem, NULL);
    return 0;
}
