/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/fronts/http/explain_text.h"

#include <net/if.h>
#include <stdbool.h>
#include <string.h>

#include <ldns/ldns.h> /* defines its own bool unless there is one */

#include "controlplane/base/units.h"
#include "controlplane/daemon/daemon.h"
#include "dataplane/fastpath/lookup.h"
#include "dataplane/fastpath/parse.h"

/* ---- labels ---- */

static void add_named(struct daemon *daemon, enum fp_kind kind, const char *title, uint64_t number,
                      struct buffer *text)
{
    const char *pool = NULL, *name = NULL;

    if (number <= UINT32_MAX)
        name = site_number_name(daemon->engine, kind, (unsigned)number, &pool);
    buffer_format(text, "%s ", title);
    if (pool && name)
        buffer_format(text, "%s.", pool);
    if (name)
        buffer_text(text, name);
    else
        buffer_format(text, "number %llu", (unsigned long long)number);
}

static void add_backend(struct daemon *daemon, const char *title, uint64_t number,
                        struct buffer *text)
{
    struct fp_root *region = tables_base(daemon->tables);
    struct fp_env env = {.base = region,
                         .generation = __atomic_load_n(&region->generation, __ATOMIC_ACQUIRE)};
    struct fp_rec *record = NULL;
    char address[UNITS_TEXT];
    struct address bytes;

    add_named(daemon, FP_KIND_BACKEND, title, number, text);
    if (number < FP_SLOTS_BACKEND)
        record = fp_slot(&env, FP_KIND_BACKEND, (fp_u32)number, FP_SLOTS_BACKEND);
    if (!record)
        return;
    memcpy(bytes.bytes, FP_BODY(struct fp_backend, record)->address, sizeof(bytes.bytes));
    units_write_address(&bytes, address);
    buffer_format(text, " (%s)", address);
}

static void add_next_hop(uint64_t ifindex, struct buffer *text)
{
    char name[IF_NAMESIZE];

    if (ifindex <= UINT32_MAX && if_indextoname((unsigned)ifindex, name))
        buffer_format(text, "next hop out of %s", name);
    else
        buffer_format(text, "next hop out of interface %llu", (unsigned long long)ifindex);
}

static void add_type(uint64_t number, struct buffer *text)
{
    char *name = ldns_rr_type2str((ldns_rr_type)(uint16_t)number);

    buffer_format(text, "type %s", name ? name : "?");
    free(name);
}

static void add_reason(uint64_t number, struct buffer *text)
{
    static const struct {
        unsigned number;
        const char *label;
    } reasons[] = {
#define X(name, number, verdict, label, text) {number, label},
        FP_REASONS(X)
#undef X
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].number == number)
            buffer_text(text, reasons[i].label);
}

static bool is_label(const char *label, size_t length, const char *name)
{
    return length == strlen(name) && !memcmp(label, name, length);
}

/* Numbers that stay numbers. */
static void add_plain(const char *label, size_t length, uint64_t number, struct buffer *text)
{
    unsigned long long n = number;

    if (is_label(label, length, "bytes"))
        buffer_format(text, "%llu bytes", n);
    else if (is_label(label, length, "mtu"))
        buffer_format(text, "MTU %llu", n);
    else if (is_label(label, length, "bucket"))
        buffer_format(text, "bucket %llu of %llu", n & UINT32_MAX, n >> 32);
    else if (!n)
        return;
    else if (is_label(label, length, "labels"))
        buffer_format(text, "%llu %s", n, n == 1 ? "label" : "labels");
    else if (is_label(label, length, "vlan"))
        buffer_format(text, "VLAN %llu", n);
    else
        buffer_format(text, "%.*s %llu", (int)length, label, n);
}

static void add_label(struct daemon *daemon, const char *label, size_t length, uint64_t number,
                      struct buffer *text)
{
    static const struct {
        const char *label, *title;
        enum fp_kind kind;
    } named[] = {
        {"vip", "virtual IP", FP_KIND_VIP},      {"pool", "pool", FP_KIND_POOL},
        {"limit", "limit", FP_KIND_LIMIT},       {"zone", "zone", FP_KIND_ZONE},
        {"backend", "backend", FP_KIND_BACKEND}, {"from", "from backend", FP_KIND_BACKEND},
        {"to", "to backend", FP_KIND_BACKEND},
    };

    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        if (!is_label(label, length, named[i].label))
            continue;
        if (named[i].kind == FP_KIND_BACKEND)
            add_backend(daemon, named[i].title, number, text);
        else
            add_named(daemon, named[i].kind, named[i].title, number, text);
        return;
    }
    if (is_label(label, length, "next-hop"))
        add_next_hop(number, text);
    else if (is_label(label, length, "type"))
        add_type(number, text);
    else if (is_label(label, length, "reason"))
        add_reason(number, text);
    else
        add_plain(label, length, number, text);
}

void explain_step(struct daemon *daemon, const char *what, uint64_t a, uint64_t b,
                  struct buffer *text)
{
    const char *colon = strstr(what, ": "), *label = colon ? colon + 2 : "";
    size_t length = colon ? (size_t)(colon - what) : strlen(what);
    uint64_t numbers[2] = {a, b};

    for (unsigned i = 0; *label && i < 2; i++) {
        size_t before = text->length, size = strcspn(label, ",");

        if (before)
            buffer_text(text, ", ");
        add_label(daemon, label, size, numbers[i], text);
        if (before && text->length == before + 2)
            text->data[text->length = before] = 0; /* nothing to say */
        label += size;
        label += strspn(label, ", ");
    }
    if (text->length && is_label(what, length, "found")) /* it says so by being there */
        return;
    if (length)
        buffer_format(text, "%s%.*s", text->length ? ": " : "", (int)length, what);
}

/* ---- what leaves ---- */

static void add_end(const fp_u64 words[2], unsigned port, struct buffer *text)
{
    char name[UNITS_TEXT];
    struct address address;
    bool v6;

    memcpy(address.bytes, words, sizeof(address.bytes));
    v6 = port && !address_is_v4(&address);
    units_write_address(&address, name);
    buffer_format(text, "%s%s%s", v6 ? "[" : "", name, v6 ? "]" : "");
    if (port)
        buffer_format(text, ":%u", port);
}

static void add_protocol(const struct fp_parsed *parsed, struct buffer *text)
{
    static const struct {
        unsigned number;
        const char *name;
    } protocols[] = {{FP_IP_ICMP, "ICMP"},   {FP_IP_TCP, "TCP"},       {FP_IP_UDP, "UDP"},
                     {FP_IP_ICMPV6, "ICMP"}, {FP_IP_IPIP, "IP in IP"}, {FP_IP_IPV6, "IP in IP"}};

    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
        if (protocols[i].number == parsed->protocol) {
            buffer_text(text, protocols[i].name);
            return;
        }
    buffer_format(text, "protocol %u", parsed->protocol);
}

/* The header of a DNS answer (RFC 1035 section 4.1.1). */
static void add_dns(const uint8_t *message, size_t length, const char *reason, struct buffer *text)
{
    static const char *const codes[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                        "NXDOMAIN", "NOTIMP",  "REFUSED"};
    unsigned code, answers;

    if (length < 12)
        return;
    code = message[3] & 15u;
    answers = (unsigned)message[6] << 8 | message[7];
    if (!strcmp(reason, "dns-badvers")) /* half of that code is in the OPT record */
        buffer_text(text, ", BADVERS");
    else if (code < sizeof(codes) / sizeof(codes[0]))
        buffer_format(text, ", %s", codes[code]);
    else
        buffer_format(text, ", RCODE %u", code);
    buffer_format(text, ", %u %s", answers, answers == 1 ? "answer" : "answers");
}

void explain_leaves(uint8_t *frame, size_t length, const char *reason, struct buffer *text)
{
    struct fp_packet packet = {
        .data = frame, .end = frame + length, .head = frame, .limit = frame + length};
    struct fp_parsed parsed = {0};

    buffer_format(text, "%zu bytes", length);
    if (fp_parse(&packet, &parsed) != FP_GO_ON)
        return;
    buffer_text(text, ": ");
    add_end(parsed.source, parsed.sport, text);
    buffer_text(text, " -> ");
    add_end(parsed.destination, parsed.dport, text);
    buffer_text(text, ", ");
    if (!strncmp(reason, "dns-", 4) && parsed.l4 + (size_t)FP_UDP_BYTES < length) {
        buffer_text(text, "DNS");
        add_dns(frame + parsed.l4 + FP_UDP_BYTES, length - parsed.l4 - FP_UDP_BYTES, reason, text);
    } else {
        add_protocol(&parsed, text);
    }
    if (!strcmp(reason, "lb-l2"))
        buffer_format(text, ", to MAC %02x:%02x:%02x:%02x:%02x:%02x", frame[0], frame[1], frame[2],
                      frame[3], frame[4], frame[5]);
}
