/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/firstboot/machine.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <string.h>

#include "controlplane/base/error.h"

#define KEY_BYTES_MAX 8192u /* of one line */
#define KEYS_BYTES_MAX 65536u
#define TIME_SERVERS_BYTES_MAX 1024u
#define JOIN_TEXT_MAX 512u
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

void machine_free(struct machine *machine)
{
    buffer_free(&machine->keys);
    buffer_free(&machine->time_servers);
    buffer_free(&machine->site);
    buffer_free(&machine->join);
}

static bool is_of(const char *text, const char *allowed)
{
    return *text && text[strspn(text, allowed)] == '\0';
}

static const char *buffer_problem(const struct buffer *buffer, const char *full)
{
    return !buffer->error ? NULL : buffer->error == CULVERT_EFULL ? full : "out of memory";
}

/* RFC 1123 section 2.1: labels of letters, digits and hyphens. */
static bool is_domain(const char *text, size_t length)
{
    size_t label = 0;

    if (!length || length >= MACHINE_DOMAIN)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.') {
            if (!label || text[i - 1] == '-')
                return false;
            label = 0;
        } else {
            label++;
            if (label > 63 || !(isalnum((unsigned char)text[i]) || (text[i] == '-' && label > 1)))
                return false;
        }
    }
    return text[length - 1] != '-';
}

const char *machine_set_instance(struct machine *machine, const char *text)
{
    size_t length = strlen(text);

    if (!length || length >= sizeof(machine->instance))
        return "an instance's id has 1 to 127 characters";
    for (size_t i = 0; i < length; i++)
        if (!isgraph((unsigned char)text[i]))
            return "an instance's id has no spaces and control characters";
    memcpy(machine->instance, text, length + 1);
    return NULL;
}

const char *machine_set_hostname(struct machine *machine, const char *text)
{
    size_t length = strcspn(text, ".");

    if (length >= sizeof(machine->hostname) || !is_domain(text, length))
        return "a host's name is 1 to 63 letters, digits and hyphens";
    memcpy(machine->hostname, text, length);
    machine->hostname[length] = '\0';
    return NULL;
}

/* ---- keys ---- */

/* The blob of a public key begins with its type (RFC 4253 section 6.6). */
static bool is_key_blob(const char *text, size_t length, const char *type)
{
    unsigned char blob[KEY_BYTES_MAX];
    size_t named = strlen(type);
    int bytes;

    if (length % 4 || length > KEY_BYTES_MAX)
        return false;
    bytes = EVP_DecodeBlock(blob, (const unsigned char *)text, (int)length);
    return bytes > (int)named + 4 && !blob[0] && !blob[1] && !blob[2] && blob[3] == named &&
           !memcmp(blob + 4, type, named);
}

static bool is_key(const char *text)
{
    static const char *const types[] = {"ssh-ed25519",
                                        "ssh-rsa",
                                        "ecdsa-sha2-nistp256",
                                        "ecdsa-sha2-nistp384",
                                        "ecdsa-sha2-nistp521",
                                        "sk-ssh-ed25519@openssh.com",
                                        "sk-ecdsa-sha2-nistp256@openssh.com"};
    const char *blob = strchr(text, ' ');

    if (!blob)
        return false;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strlen(types[i]) == (size_t)(blob - text) && !strncmp(types[i], text, strlen(types[i])))
            return is_key_blob(blob + 1, strcspn(blob + 1, " "), types[i]);
    return false;
}

const char *machine_add_key(struct machine *machine, const char *text)
{
    static const char wrong[] =
        "not an SSH public key: one line such as \"ssh-ed25519 AAAA... name\"";
    char line[KEY_BYTES_MAX];
    size_t length;

    text += strspn(text, " \t\r\n");
    length = strlen(text);
    while (length && strchr(" \t\r\n", text[length - 1]))
        length--;
    if (length >= sizeof(line))
        return wrong;
    memcpy(line, text, length);
    line[length] = '\0';
    for (size_t i = 0; i < length; i++)
        if (iscntrl((unsigned char)line[i]))
            return wrong;
    if (!is_key(line))
        return wrong;
    if (machine->keys.data && strstr(machine->keys.data, line))
        return NULL;
    machine->keys.bound = KEYS_BYTES_MAX;
    buffer_format(&machine->keys, "%s\n", line);
    return buffer_problem(&machine->keys, "too many keys, at most 64 KiB");
}

/* ---- time, site ---- */

const char *machine_add_time_server(struct machine *machine, const char *text)
{
    struct address address;

    if (units_parse_address(text, &address) && !is_domain(text, strlen(text)))
        return "not the name or address of a time server";
    machine->time_servers.bound = TIME_SERVERS_BYTES_MAX;
    buffer_format(&machine->time_servers, " %s", text);
    return buffer_problem(&machine->time_servers, "too many time servers");
}

const char *machine_set_join(struct machine *machine, const char *token, const char *address)
{
    if (strlen(token) > JOIN_TEXT_MAX || strncmp(token, "culvert1.", 9) != 0 ||
        !is_of(token, LETTERS DIGITS "-_."))
        return "not a token of `culvert node token`";
    if (strlen(address) > JOIN_TEXT_MAX || !strchr(address, ':') ||
        !is_of(address, LETTERS DIGITS "-.:[]"))
        return "not the address of a node, such as 10.0.0.1:7480";
    buffer_clear(&machine->join);
    buffer_format(&machine->join, "%s %s\n", token, address);
    return buffer_problem(&machine->join, "");
}

const char *machine_set_site(struct machine *machine, const char *text, size_t length)
{
    if (!length)
        return "an empty site file";
    if (memchr(text, 0, length))
        return "a site file is text: there is a NUL character in it";
    buffer_clear(&machine->site);
    buffer_add(&machine->site, text, length);
    return buffer_problem(&machine->site, "");
}

/* ---- NICs ---- */

const char *machine_parse_prefix(const char *text, struct machine_prefix *prefix)
{
    static const char wrong[] = "not an address such as 192.0.2.7/24 or 2001:db8::7/64";
    size_t length = strcspn(text, "/");
    char address[UNITS_TEXT];
    uint64_t bits;

    if (length >= sizeof(address))
        return wrong;
    memcpy(address, text, length);
    address[length] = '\0';
    if (units_parse_address(address, &prefix->address))
        return wrong;
    bits = address_is_v4(&prefix->address) ? 32 : 128;
    prefix->length = (unsigned)bits;
    if (!text[length])
        return NULL;
    if (strchr(text + length, '.') || strchr(text + length, ':'))
        return machine_parse_netmask(text + length + 1, &prefix->length);
    if (units_parse_number(text + length + 1, &bits) || bits > prefix->length)
        return wrong;
    prefix->length = (unsigned)bits;
    return NULL;
}

const char *machine_parse_netmask(const char *text, unsigned *length)
{
    struct address mask, made;
    unsigned first;

    if (units_parse_address(text, &mask))
        return "not a mask such as 255.255.255.0";
    first = address_is_v4(&mask) ? 96 : 0;
    for (*length = 0; *length + first < 128; (*length)++) {
        unsigned bit = *length + first;

        if (!(mask.bytes[bit / 8] & (0x80u >> bit % 8)))
            break;
    }
    made = mask;
    address_mask(&made, *length + first);
    return address_equal(&made, &mask) ? NULL : "a mask has all its ones before its zeros";
}

const char *machine_set_mac(struct machine_nic *nic, const char *text)
{
    static const char wrong[] = "not a MAC address such as 52:54:00:12:34:56";

    if (strlen(text) != sizeof(nic->mac) - 1)
        return wrong;
    for (size_t i = 0; i < sizeof(nic->mac) - 1; i++)
        if (i % 3 == 2 ? text[i] != ':' && text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return wrong;
    for (size_t i = 0; i < sizeof(nic->mac); i++)
        nic->mac[i] = text[i] == '-' ? ':' : (char)tolower((unsigned char)text[i]);
    return NULL;
}

const char *machine_set_nic_name(struct machine_nic *nic, const char *text)
{
    if (strlen(text) >= sizeof(nic->name) || !is_of(text, LETTERS DIGITS "-_.*?"))
        return "not the name of a NIC, such as enp0s3";
    memcpy(nic->name, text, strlen(text) + 1);
    return NULL;
}

const char *machine_add_address(struct machine_nic *nic, const struct machine_prefix *prefix)
{
    if (nic->address_count == MACHINE_ADDRESSES_MAX)
        return "too many addresses, at most 16";
    nic->addresses[nic->address_count++] = *prefix;
    return NULL;
}

const char *machine_add_route(struct machine_nic *nic, const struct machine_route *route)
{
    bool v4 = address_is_v4(&route->to.address);
    struct machine_route *kept;

    if (nic->route_count == MACHINE_ROUTES_MAX)
        return "too many routes, at most 32";
    if (route->has_via && address_is_v4(&route->via) != v4)
        return "a route has a gateway of its own family";
    kept = &nic->routes[nic->route_count++];
    *kept = *route;
    address_mask(&kept->to.address, kept->to.length + (v4 ? 96 : 0));
    return NULL;
}

const char *machine_add_name_server(struct machine_names *names, const char *text)
{
    struct address address;

    if (units_parse_address(text, &address))
        return "not the address of a name server";
    if (names->server_count == MACHINE_ADDRESSES_MAX)
        return "too many name servers, at most 16";
    names->servers[names->server_count++] = address;
    return NULL;
}

const char *machine_add_search(struct machine_names *names, const char *text)
{
    if (!is_domain(text, strlen(text)))
        return "not a domain";
    if (names->search_count == MACHINE_SEARCHES_MAX)
        return "too many domains, at most 6";
    memcpy(names->searches[names->search_count++], text, strlen(text) + 1);
    return NULL;
}

/* ---- systemd.network(5) ---- */

static void write_address(const char *before, const struct address *address, struct buffer *out)
{
    char text[UNITS_TEXT];

    units_write_address(address, text);
    buffer_format(out, "%s%s\n", before, text);
}

static void write_prefix(const char *before, const struct machine_prefix *prefix,
                         struct buffer *out)
{
    char text[UNITS_TEXT];

    units_write_address(&prefix->address, text);
    buffer_format(out, "%s%s/%u\n", before, text, prefix->length);
}

static void write_names(const struct machine_names *names, struct buffer *out)
{
    for (unsigned i = 0; i < names->server_count; i++)
        write_address("DNS=", &names->servers[i], out);
    for (unsigned i = 0; i < names->search_count; i++)
        buffer_format(out, "Domains=%s\n", names->searches[i]);
}

static void write_route(const struct machine_route *route, struct buffer *out)
{
    buffer_text(out, "\n[Route]\n");
    write_prefix("Destination=", &route->to, out);
    if (route->has_via)
        write_address("Gateway=", &route->via, out);
    if (route->on_link)
        buffer_text(out, "GatewayOnLink=yes\n");
    if (route->metric)
        buffer_format(out, "Metric=%u\n", route->metric);
}

void machine_write_nic(const struct machine *machine, const struct machine_nic *nic,
                       struct buffer *out)
{
    static const char *const dhcp[] = {"no", "ipv4", "ipv6", "yes"};
    bool ra = nic->accept_ra < 0 ? nic->dhcp6 : nic->accept_ra;

    buffer_text(out, "[Match]\n");
    if (nic->mac[0])
        buffer_format(out, "MACAddress=%s\nType=ether\nKind=!*\n", nic->mac);
    else
        buffer_format(out, "Name=%s\n", nic->name);
    buffer_format(out, "\n[Link]\nRequiredForOnline=no\n");
    if (nic->mtu)
        buffer_format(out, "MTUBytes=%u\n", nic->mtu);
    buffer_format(out, "\n[Network]\nDHCP=%s\nIPv6AcceptRA=%s\nLinkLocalAddressing=ipv6\n",
                  dhcp[nic->dhcp4 + 2 * nic->dhcp6], ra ? "yes" : "no");
    for (unsigned i = 0; i < nic->address_count; i++)
        write_prefix("Address=", &nic->addresses[i], out);
    write_names(&nic->names, out);
    write_names(&machine->names, out);
    buffer_text(out, "\n[DHCPv4]\nClientIdentifier=mac\n");
    for (unsigned i = 0; i < nic->route_count; i++)
        write_route(&nic->routes[i], out);
}
