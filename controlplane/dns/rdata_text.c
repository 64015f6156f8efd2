/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of types over which ldns 1.8.4 loses memory: CERT (RFC 4398), IPSECKEY (RFC 4025) and
 * AMTRELAY (RFC 8777). Their data is read here, and ldns gets it as bytes (RFC 3597 section 5).
 */
#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <stdlib.h>

#include "controlplane/base/units.h"
#include "controlplane/dns/zone_internal.h"

struct words {
    const char *at; /* behind the word */
    struct buffer word;
    const ldns_rdf *origin;
};

/* Cuts the next word. False: there is none, or no memory for it. */
static bool next_word(struct words *words)
{
    const char *begin = words->at + strspn(words->at, " \t\r\n"), *at = begin;

    while (*at && !strchr(" \t\r\n", *at))
        at += at[0] == '\\' && at[1] ? 2 : 1;
    buffer_clear(&words->word);
    buffer_add(&words->word, begin, (size_t)(at - begin));
    words->at = at;
    return words->word.length;
}

/* ---- fields ---- */

static bool read_number(struct words *words, unsigned bytes, uint64_t max, struct buffer *to)
{
    uint64_t value;

    if (!next_word(words) || units_parse_number(words->word.data, &value) || value > max)
        return false;
    while (bytes--)
        buffer_char(to, (char)(value >> 8 * bytes));
    return true;
}

/* Takes over what ldns made of a word. */
static bool take_field(ldns_rdf *field, ldns_status status, struct buffer *to)
{
    if (status == LDNS_STATUS_OK)
        buffer_add(to, ldns_rdf_data(field), ldns_rdf_size(field));
    ldns_rdf_deep_free(field);
    return status == LDNS_STATUS_OK;
}

static bool read_name(struct words *words, struct buffer *to)
{
    const char *text = words->word.data;
    ldns_rdf *name = NULL;
    ldns_status status = ldns_str2rdf_dname(&name, text);

    if (status == LDNS_STATUS_OK && !ldns_dname_str_absolute(text))
        status = ldns_dname_cat(name, words->origin);
    return take_field(name, status, to);
}

/* A gateway or relay, of a kind that IPSECKEY and AMTRELAY number alike. */
static bool read_relay(struct words *words, unsigned kind, struct buffer *to)
{
    struct in6_addr address;
    int family = kind == 1 ? AF_INET : AF_INET6;

    if (!next_word(words))
        return false;
    if (kind == 0)
        return !strcmp(words->word.data, ".");
    if (kind == 3)
        return read_name(words, to);
    if (kind > 3 || inet_pton(family, words->word.data, &address) != 1)
        return false;
    buffer_add(to, &address, kind == 1 ? 4 : 16);
    return true;
}

/* Base64 up to the end, in any number of words. */
static bool read_base64(struct words *words, struct buffer *to)
{
    struct buffer all = {0};
    ldns_status status = LDNS_STATUS_INVALID_B64;
    ldns_rdf *field = NULL;

    while (next_word(words))
        buffer_text(&all, words->word.data);
    if (all.error)
        to->error = all.error;
    else if (all.length)
        status = ldns_str2rdf_b64(&field, all.data);
    buffer_free(&all);
    return take_field(field, status, to);
}

/* A number that may be said by name. */
static bool read_by_name(struct words *words, ldns_lookup_table *names, unsigned bytes,
                         uint64_t max, struct buffer *to)
{
    const char *before = words->at;
    const ldns_lookup_table *found;

    if (!next_word(words))
        return false;
    found = ldns_lookup_by_name(names, words->word.data);
    if (!found) {
        words->at = before;
        return read_number(words, bytes, max, to);
    }
    while (bytes--)
        buffer_char(to, (char)((unsigned)found->id >> 8 * bytes));
    return true;
}

/* ---- types ---- */

static bool read_cert(struct words *words, struct buffer *to)
{
    return read_by_name(words, ldns_cert_algorithms, 2, UINT16_MAX, to) &&
           read_number(words, 2, UINT16_MAX, to) &&
           read_by_name(words, ldns_algorithms, 1, UINT8_MAX, to) && read_base64(words, to) &&
           !to->error && (to->data[0] || to->data[1]);
}

static bool read_ipseckey(struct words *words, struct buffer *to)
{
    return read_number(words, 1, UINT8_MAX, to) && read_number(words, 1, 3, to) &&
           read_number(words, 1, UINT8_MAX, to) && !to->error &&
           read_relay(words, (unsigned)to->data[1], to) && read_base64(words, to);
}

static bool read_amtrelay(struct words *words, struct buffer *to)
{
    unsigned kind;

    if (!read_number(words, 1, UINT8_MAX, to) || !read_number(words, 1, 1, to) ||
        !read_number(words, 1, 3, to) || to->error)
        return false;
    kind = (unsigned)to->data[2];
    to->data[1] = (char)((unsigned)to->data[1] << 7 | kind);
    to->length = 2;
    return read_relay(words, kind, to) && !next_word(words);
}

static const struct {
    unsigned type;
    bool (*read)(struct words *words, struct buffer *to);
    const char *form;
} types[] = {
    {37, read_cert, "CERT type (1 to 65535 or a name), key tag, algorithm, base64"},
    {45, read_ipseckey, "IPSECKEY precedence, gateway type (0 to 3), algorithm, gateway, base64"},
    {260, read_amtrelay, "AMTRELAY precedence, discovery (0 or 1), type (0 to 3), relay"},
};

/* Goes to the data: owner, TTL and class come before the type (RFC 1035 section 5.1). Returns the
 * type's number; 0: there is none. */
static unsigned find_data(struct words *words)
{
    bool owner = !strchr(" \t", *words->at);

    for (unsigned i = 0; i < 4u && next_word(words); i++) {
        const char *word = words->word.data;

        if ((owner && !i) || (*word >= '0' && *word <= '9') || ldns_get_rr_class_by_name(word))
            continue;
        return (unsigned)ldns_get_rr_type_by_name(word);
    }
    return 0;
}

/* The record's text up to the data, then the data as bytes. */
static int write_record(struct buffer *to, const char *text, size_t head, const struct buffer *data)
{
    if (data->error)
        return data->error == CULVERT_EFULL ? CULVERT_EREJECTED : data->error;
    buffer_clear(to);
    buffer_add(to, text, head);
    buffer_format(to, " \\# %zu ", data->length);
    for (size_t i = 0; i < data->length; i++)
        buffer_format(to, "%02x", (unsigned)(uint8_t)data->data[i]);
    return to->error ? to->error : 1;
}

int rdata_rewrite(const char *text, const ldns_rdf *origin, struct buffer *to, const char **form)
{
    struct words words = {.at = text, .origin = origin};
    unsigned type = find_data(&words);
    size_t head = (size_t)(words.at - text);
    const char *rest = words.at + strspn(words.at, " \t");
    bool bytes = !strncmp(rest, "\\#", 2) && (rest[2] == ' ' || rest[2] == '\t');
    struct buffer data;
    int result = 0;

    buffer_init(&data, UINT16_MAX);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && !bytes; i++) {
        if (types[i].type != type)
            continue;
        *form = types[i].form;
        result =
            types[i].read(&words, &data) ? write_record(to, text, head, &data) : CULVERT_EREJECTED;
    }
    if (words.word.error || data.error == CULVERT_ENOMEM)
        result = CULVERT_ENOMEM;
    buffer_free(&words.word);
    buffer_free(&data);
    return result;
}
