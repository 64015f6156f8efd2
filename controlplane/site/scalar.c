/* SPDX-License-Identifier: Apache-2.0 */
/* Scalars and names: the text that was written to a value and its canonical text. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/base/suggest.h"
#include "controlplane/site/schema.h"

/* Errors quote at most this much of what was written. */
#define SHOWN 60

static bool wrong(const struct site_report *report, const struct site_node *node)
{
    const char *hint =
        node->quoted && (node->schema->type == SCHEMA_NUMBER || node->schema->type == SCHEMA_BOOL)
            ? "write it without quotes"
            : NULL;

    node_error(report, node, hint, "\"%.*s\" is not %s", SHOWN, node->text,
               schema_expects(node->schema));
    return false;
}

static bool out_of_range(const struct site_report *report, const struct site_node *node)
{
    const struct schema *schema = node->schema;
    char least[UNITS_TEXT], most[UNITS_TEXT], hint[2 * UNITS_TEXT + 16];

    switch (schema->type) {
    case SCHEMA_SIZE:
        units_write_size(schema->least, least);
        units_write_size(schema->most, most);
        break;
    case SCHEMA_RATE:
        units_write_rate(schema->least, least);
        units_write_rate(schema->most, most);
        break;
    case SCHEMA_TIME:
        units_write_time(schema->least, least);
        units_write_time(schema->most, most);
        break;
    default:
        snprintf(least, sizeof(least), "%" PRIu64, schema->least);
        snprintf(most, sizeof(most), "%" PRIu64, schema->most);
    }
    snprintf(hint, sizeof(hint), "from %s to %s", least, most);
    node_error(report, node, hint, "%.*s is out of range", SHOWN, node->text);
    return false;
}

static bool number_check(const struct site_report *report, struct site_node *node,
                         int (*parse)(const char *text, uint64_t *value))
{
    uint64_t value = 0;
    int error = parse(node->text, &value);

    if (error == CULVERT_EINVAL)
        return wrong(report, node);
    if (error || value < node->schema->least || value > node->schema->most)
        return out_of_range(report, node);
    node->number = value;
    return true;
}

static int parse_seconds(const char *text, uint64_t *value)
{
    int error = units_parse_number(text, value);

    if (error != CULVERT_EINVAL)
        return error;
    error = units_parse_time(text, value);
    if (!error && *value % 1000)
        return CULVERT_EINVAL;
    *value /= 1000;
    return error;
}

/* Or of IPv4's last part, which nobody has. */
static bool is_multicast(const struct address *address)
{
    const uint8_t *bytes = address->bytes;

    return address_is_v4(address) ? bytes[12] >= 224 : bytes[0] == 0xff;
}

static bool address_check(const struct site_report *report, struct site_node *node)
{
    static const struct address any4 = {{[10] = 0xff, [11] = 0xff}}, any6;
    struct address address;

    if (units_parse_address(node->text, &address)) {
        node_error(report, node, schema_expects(node->schema), "\"%.*s\" is not an address", SHOWN,
                   node->text);
        return false;
    }
    node->address = address;
    if (address_equal(&address, &any4) || address_equal(&address, &any6) ||
        is_multicast(&address)) {
        node_error(report, node, "one machine's own address", "%s can't be used here", node->text);
        return false;
    }
    return true;
}

static bool endpoint_check(const struct site_report *report, struct site_node *node)
{
    struct endpoint endpoint;

    if (units_parse_endpoint(node->text, &endpoint))
        return wrong(report, node);
    if (!is_multicast(&endpoint.address))
        return true;
    node_error(report, node, "one machine's own address", "%s can't be used here", node->text);
    return false;
}

static bool prefix_check(const struct site_report *report, struct site_node *node)
{
    char right[UNITS_TEXT], hint[UNITS_TEXT + 16];
    struct address address;
    unsigned length = 0;
    bool host_bits;
    int error = units_parse_prefix(node->text, &address, &length, &host_bits);

    if (host_bits) {
        units_write_prefix(&address, length, right);
        snprintf(hint, sizeof(hint), "did you mean %s?", right);
        node_error(report, node, hint, "%.*s has bits behind its length", SHOWN, node->text);
    } else if (error == CULVERT_EFULL) {
        node_error(report, node, "0 to 32 for IPv4, 0 to 128 for IPv6",
                   "the length of %.*s is out of range", SHOWN, node->text);
    } else if (error) {
        node_error(report, node, schema_expects(node->schema), "\"%.*s\" is not a prefix", SHOWN,
                   node->text);
    }
    if (error)
        return false;
    node->address = address;
    node->length = (uint8_t)length;
    return true;
}

static bool source_check(const struct site_report *report, struct site_node *node)
{
    const char *const *words = node->schema->words;
    uint64_t length;
    int error;

    for (unsigned i = 0; words && words[i]; i++) {
        if (!strcmp(words[i], node->text)) {
            node->number = SOURCE_VIP + i;
            return true;
        }
    }
    if (strncmp(node->text, "source/", 7))
        return wrong(report, node);
    error = units_parse_number(node->text + 7, &length);
    if (error == CULVERT_EINVAL)
        return wrong(report, node);
    if (error || length > node->schema->most)
        return out_of_range(report, node);
    node->number = length;
    return true;
}

static bool secret_check(const struct site_report *report, struct site_node *node)
{
    if (strspn(node->text, "0123456789abcdefABCDEF") != 32 || node->text[32])
        return wrong(report, node);
    for (unsigned i = 0; i < 16; i++) {
        char pair[3] = {node->text[2 * i], node->text[2 * i + 1], 0};

        node->secret[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

/* DOMAIN:BUS:DEVICE.FUNCTION, hexadecimal; the domain may be left out. */
static bool pci_valid(const char *text)
{
    static const char shape[] = "xxxx:xx:xx.x";
    size_t length = strlen(text), left = sizeof(shape) - 1 - length;

    if (length != 12 && length != 7)
        return false;
    for (size_t i = 0; i < length; i++)
        if (shape[left + i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != shape[left + i])
            return false;
    return text[length - 4] <= '1' && text[length - 1] <= '7';
}

bool device_write_pci(const char *device, char text[UNITS_TEXT])
{
    if (!pci_valid(device))
        return false;
    snprintf(text, UNITS_TEXT, "%s%s", strlen(device) == 7 ? "0000:" : "", device);
    for (char *c = text; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return true;
}

/* The name of a virtual device: its driver (net_...) and a number. */
#define DEVICE_NAME_MOST 63u

static bool device_check(const struct site_report *report, const struct site_node *node)
{
    const char *text = node->text, *bad = text;
    size_t name = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    char hint[48];

    while (*bad > ' ' && *bad < 0x7f && *bad != '"' && *bad != '\'')
        bad++;
    if (*bad) {
        node_error(report, node, "printable ASCII without spaces and quotes",
                   "a device can't have the character at place %zu", (size_t)(bad - text) + 1);
        return false;
    }
    if (strlen(text) > node->schema->most) {
        snprintf(hint, sizeof(hint), "at most %" PRIu64 " bytes", node->schema->most);
        node_error(report, node, hint, "a device of %zu bytes", strlen(text));
        return false;
    }
    if (pci_valid(text))
        return true;
    if (strncmp(text, "net_", 4) || name == 4 || (text[name] && text[name] != ','))
        return wrong(report, node);
    if (name > DEVICE_NAME_MOST) {
        node_error(report, node, "at most 63 bytes before the first comma",
                   "a device's name of %zu bytes", name);
        return false;
    }
    return true;
}

static bool word_check(const struct site_report *report, struct site_node *node)
{
    const struct schema *schema = node->schema;
    struct buffer hint = {0};
    const char *near = NULL;

    for (unsigned i = 0; schema->words[i]; i++) {
        if (!strcmp(schema->words[i], node->text)) {
            node->number = i;
            return true;
        }
        near = suggest_better(node->text, near, schema->words[i]);
    }
    if (near)
        buffer_format(&hint, "did you mean \"%s\"?", near);
    else
        buffer_text(&hint, "one of: ");
    for (unsigned i = 0; !near && schema->words[i]; i++)
        buffer_format(&hint, "%s%s", i ? ", " : "", schema->words[i]);
    for (unsigned i = 0; schema->later && schema->later[i]; i++) {
        if (strcmp(schema->later[i], node->text))
            continue;
        node_error(report, node, hint.data, "\"%s\" comes in a later release", node->text);
        buffer_free(&hint);
        return false;
    }
    node_error(report, node, hint.data, "\"%.*s\" is not known here", SHOWN, node->text);
    buffer_free(&hint);
    return false;
}

static bool bool_check(const struct site_report *report, struct site_node *node)
{
    if (node->quoted || (strcmp(node->text, "true") && strcmp(node->text, "false")))
        return wrong(report, node);
    node->number = node->text[0] == 't';
    return true;
}

static bool text_check(const struct site_report *report, struct site_node *node, size_t most)
{
    size_t length = strlen(node->text);
    const char *bad;

    if (!length || length > most)
        return wrong(report, node);
    bad = strpbrk(node->text, "\n\r");
    if (bad) {
        node_error(report, node, "on one line", "a line break in %s", schema_expects(node->schema));
        return false;
    }
    return true;
}

static bool name_valid(const char *text, size_t most)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789-_.");

    return length && length <= most && !text[length];
}

bool scalar_check(const struct site_report *report, struct site_node *node)
{
    switch (node->schema->type) {
    case SCHEMA_NAME:
    case SCHEMA_REFERENCE:
        return name_valid(node->text, 63) || wrong(report, node);
    case SCHEMA_BOOL:
        return bool_check(report, node);
    case SCHEMA_NUMBER:
        return node->quoted ? wrong(report, node) : number_check(report, node, units_parse_number);
    case SCHEMA_SIZE:
        return number_check(report, node, units_parse_size);
    case SCHEMA_RATE:
        return number_check(report, node, units_parse_rate);
    case SCHEMA_TIME:
        return number_check(report, node, units_parse_time);
    case SCHEMA_SECONDS:
        return number_check(report, node, parse_seconds);
    case SCHEMA_ADDRESS:
        return address_check(report, node);
    case SCHEMA_ENDPOINT:
        return endpoint_check(report, node);
    case SCHEMA_PREFIX:
        return prefix_check(report, node);
    case SCHEMA_SOURCE:
        return source_check(report, node);
    case SCHEMA_SECRET:
        return secret_check(report, node);
    case SCHEMA_DEVICE:
        return device_check(report, node);
    case SCHEMA_WORD:
        return word_check(report, node);
    case SCHEMA_DOMAIN:
        return (!strpbrk(node->text, " \t") || wrong(report, node)) &&
               text_check(report, node, 1000);
    case SCHEMA_FILE:
        return text_check(report, node, 1000);
    default:
        return text_check(report, node, 65535 * 4);
    }
}

/* A zone's name in the form that it is compared in: lower case, no final dot. */
static const char *zone_name(struct arena *arena, const char *key)
{
    size_t length = strlen(key);
    char *name = arena_copy(arena, key, length);

    if (!name)
        return NULL;
    for (size_t i = 0; i < length; i++)
        name[i] = (char)tolower((unsigned char)name[i]);
    if (length > 1 && name[length - 1] == '.')
        name[length - 1] = 0;
    return name;
}

/* Labels of 1 to 63 bytes, 253 in all (RFC 1035 section 2.3.4); "/" is in use by RFC 2317. */
static bool zone_name_valid(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_/";

    if (strlen(name) > 253)
        return false;
    for (const char *label = name;; label++) {
        size_t length = strspn(label, allowed);

        if (!length || length > 63)
            return false;
        label += length;
        if (!*label)
            return true;
        if (*label != '.')
            return false;
    }
}

bool name_check(const struct site_report *report, struct arena *arena, struct site_node *node,
                enum schema_names names)
{
    const char *expects = "1 to 63 letters, digits, \"-\", \"_\" or \".\"", *name = NULL;
    bool good;

    if (names == NAMES_ZONE || names == NAMES_OWNER) {
        name = zone_name(arena, node->key);
        if (!name) {
            node_error_at_key(report, node, NULL, "%s", culvert_strerror(CULVERT_ENOMEM));
            return false;
        }
    }
    if (names == NAMES_ZONE) {
        good = zone_name_valid(name);
        expects = "a domain name such as example.com";
    } else if (names == NAMES_OWNER) {
        good = *node->key && strlen(node->key) <= 1000 && !strpbrk(node->key, " \t\r\n");
        expects = "a name in the zone such as www, \"*\" or \"@\"";
        if (good && node->key[strlen(node->key) - 1] == '.')
            name = node->key; /* the final dot has a meaning */
    } else {
        good = name_valid(node->key, names == NAMES_INTERFACE ? 15 : 63);
        if (names == NAMES_INTERFACE)
            expects = "the name of a network interface: at most 15 letters, digits, - _ .";
    }
    if (!good)
        node_error_at_key(report, node, expects, "\"%.*s\" is not a name for this", SHOWN,
                          node->key);
    else if (name)
        node->key = name;
    return good;
}
