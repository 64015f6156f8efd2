/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zone text and inline records to records in wire format. Text is cut into logical lines here
 * (comments, parentheses, directives); ldns reads each record.
 */
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/dns/zone_internal.h"
#include "controlplane/dns/zone_lines.h"

uint32_t pool_take(struct pool *pool, uint32_t bytes)
{
    uint32_t at = pool->length ? pool->length : 1;

    if (bytes > UINT32_MAX - 64 - at)
        return 0;
    if (at + bytes > pool->capacity) {
        uint64_t capacity = pool->capacity ? pool->capacity + (uint64_t)pool->capacity / 2 : 1024;
        uint8_t *data;

        if (capacity < (uint64_t)at + bytes)
            capacity = (uint64_t)at + bytes;
        if (capacity > UINT32_MAX)
            capacity = UINT32_MAX;
        data = realloc(pool->data, capacity);
        if (!data)
            return 0;
        pool->data = data;
        pool->capacity = (uint32_t)capacity;
    }
    pool->length = at + bytes;
    return at;
}

/* Puts a name into the pool, or finds it there: records of one owner stand together. */
static int keep_name(struct zone *zone, const struct name *owner, struct pool_name *kept)
{
    struct rr *last = zone->rrs_count ? &zone->rrs[zone->rrs_count - 1] : NULL;
    uint32_t at;

    if (last && last->name.length == owner->length &&
        !memcmp(zone->pool.data + last->name.wire, owner->wire, owner->length)) {
        *kept = last->name;
        return 0;
    }
    at = pool_take(&zone->pool, owner->length + owner->key_length);
    if (!at)
        return CULVERT_ENOMEM;
    *kept = (struct pool_name){.wire = at,
                               .key = at + owner->length,
                               .key_length = owner->key_length,
                               .length = owner->length,
                               .labels = owner->labels};
    memcpy(zone->pool.data + kept->wire, owner->wire, owner->length);
    memcpy(zone->pool.data + kept->key, owner->key, owner->key_length);
    return 0;
}

int zone_add(struct zone *zone, const struct name *owner, const struct rr *rr, const uint8_t *rdata)
{
    struct rr *kept;

    if (zone->rrs_count == zone->rrs_capacity) {
        uint32_t capacity = zone->rrs_capacity ? zone->rrs_capacity + zone->rrs_capacity / 2 : 64;
        struct rr *rrs = realloc(zone->rrs, capacity * sizeof(*rrs));

        if (!rrs)
            return CULVERT_ENOMEM;
        zone->rrs = rrs;
        zone->rrs_capacity = capacity;
    }
    kept = &zone->rrs[zone->rrs_count];
    *kept = *rr;
    if (keep_name(zone, owner, &kept->name))
        return CULVERT_ENOMEM;
    if (rr->rdlen) {
        kept->rdata = pool_take(&zone->pool, rr->rdlen);
        if (!kept->rdata)
            return CULVERT_ENOMEM;
        memcpy(zone->pool.data + kept->rdata, rdata, rr->rdlen);
    }
    zone->rrs_count++;
    return 0;
}

/* Takes a record that ldns has read. */
static int take_rr(struct zone *zone, const ldns_rr *from, unsigned line, bool is_inline)
{
    const ldns_rdf *owner = ldns_rr_owner(from);
    struct rr rr = {.type = (uint16_t)ldns_rr_get_type(from),
                    .ttl = ldns_rr_ttl(from),
                    .line = line,
                    .is_inline = is_inline};
    struct name_buffer name;
    uint8_t rdata[65536];
    size_t length = 0;

    if (!name_from_wire(&name, ldns_rdf_data(owner), ldns_rdf_size(owner))) {
        zone_report(zone, &rr, NULL, "the owner is not a domain name");
        return 0;
    }
    for (size_t i = 0; i < ldns_rr_rd_count(from); i++) {
        const ldns_rdf *rdf = ldns_rr_rdf(from, i);

        if (!rdf || length + ldns_rdf_size(rdf) > 65535) {
            zone_report(zone, &rr, "at most 65535 bytes", "the record's data is too long");
            return 0;
        }
        memcpy(rdata + length, ldns_rdf_data(rdf), ldns_rdf_size(rdf));
        length += ldns_rdf_size(rdf);
    }
    rr.rdlen = (uint16_t)length;
    if (ldns_rr_get_class(from) != LDNS_RR_CLASS_IN) {
        zone_report(zone, &rr, "class IN", "only class IN is served");
        return 0;
    }
    if (rr.type == TYPE_CHILD || rr.type == 41 || (rr.type >= 128 && rr.type <= 255)) {
        zone_report(zone, &rr, NULL, "type %u has no place in a zone", rr.type);
        return 0;
    }
    if (rr.ttl > 0x7fffffffu) {
        zone_report(zone, &rr, "0 to 2147483647 seconds (RFC 2181 section 8)",
                    "the TTL is too large");
        return 0;
    }
    if (!name_is_within(&name.name, &zone->apex.name)) {
        char text[NAME_TEXT_MAX], apex[NAME_TEXT_MAX], hint[NAME_TEXT_MAX + 64];

        snprintf(hint, sizeof(hint), "a name in %s; names without a final dot are relative",
                 name_to_text(zone->apex.wire, apex));
        zone_report(zone, &rr, hint, "%s is not in the zone", name_to_text(name.wire, text));
        return 0;
    }
    return zone_add(zone, &name.name, &rr, rdata);
}

/* Reads one record's text. `state` carries the owner for lines that start with a blank. */
struct reader {
    ldns_rdf *origin;
    ldns_rdf *previous;
    uint32_t ttl;
    struct buffer rewritten;
};

static int read_rr(struct zone *zone, struct reader *reader, const char *text, unsigned line,
                   bool is_inline)
{
    const struct rr where = {.line = line, .is_inline = is_inline};
    const char *hint = "owner [TTL] [IN] type data (RFC 1035 section 5.1)";
    int error = rdata_rewrite(text, reader->origin, &reader->rewritten, &hint);
    ldns_rr *from = NULL;
    ldns_status status;

    if (error == CULVERT_EREJECTED) {
        zone_report(zone, &where, hint, "cannot be read: %s",
                    ldns_get_errorstr_by_id(LDNS_STATUS_SYNTAX_RDATA_ERR));
        return 0;
    }
    if (error < 0)
        return error;
    status = ldns_rr_new_frm_str(&from, error ? reader->rewritten.data : text, reader->ttl,
                                 reader->origin, &reader->previous);
    error = 0;
    if (status == LDNS_STATUS_OK) {
        error = take_rr(zone, from, line, is_inline);
    } else if (status == LDNS_STATUS_MEM_ERR) {
        error = CULVERT_ENOMEM;
    } else if (status != LDNS_STATUS_SYNTAX_EMPTY) {
        zone_report(zone, &where, hint, "cannot be read: %s", ldns_get_errorstr_by_id(status));
    }
    ldns_rr_free(from);
    return error;
}

/* Acts on a $ directive. Returns false when the line is none. */
static bool read_directive(struct zone *zone, struct reader *reader, const char *text,
                           unsigned line)
{
    struct rr where = {.line = line};
    char word[NAME_TEXT_MAX], value[NAME_TEXT_MAX] = "";
    int words;

    if (text[0] != '$')
        return false;
    words = sscanf(text, "%1024s %1024s", word, value);
    if (!strcasecmp(word, "$ORIGIN") && words == 2) {
        ldns_rdf *origin = NULL;

        if (ldns_str2rdf_dname(&origin, value) == LDNS_STATUS_OK &&
            !ldns_dname_str_absolute(value) &&
            ldns_dname_cat(origin, reader->origin) != LDNS_STATUS_OK) {
            ldns_rdf_deep_free(origin);
            origin = NULL;
        }
        if (origin) {
            ldns_rdf_deep_free(reader->origin);
            reader->origin = origin;
        } else {
            zone_report(zone, &where, "a domain name", "$ORIGIN %s is not a name", value);
        }
    } else if (!strcasecmp(word, "$TTL") && words == 2) {
        const char *end = NULL;
        uint32_t ttl = ldns_str2period(value, &end);

        if (!end || *end || end == value || ttl > 0x7fffffffu)
            zone_report(zone, &where, "seconds, or numbers with s, m, h, d, w",
                        "$TTL %s is not a time", value);
        else
            reader->ttl = ttl;
    } else if (!strcasecmp(word, "$INCLUDE")) {
        zone_report(zone, &where, "put the records into one file", "$INCLUDE is not supported");
    } else {
        zone_report(zone, &where, "$ORIGIN name or $TTL time",
                    "%s: unknown or incomplete directive", word);
    }
    return true;
}

static int read_text(struct zone *zone, struct reader *reader)
{
    const struct zone_source *source = zone->source;
    struct lines lines = {.text = source->text, .end = source->text + source->length};
    int got, error = 0;

    while ((got = lines_next(&lines)) > 0) {
        if (read_directive(zone, reader, lines.line, lines.number))
            continue;
        error = read_rr(zone, reader, lines.line, lines.number, false);
        if (error)
            break;
        if (zone->rrs_count >= ZONE_RECORDS_MAX) {
            zone_report(zone, NULL, NULL, "more than %u records", ZONE_RECORDS_MAX);
            break;
        }
    }
    if (got < 0 && !error) {
        struct rr where = {.line = lines.number};

        error = got == CULVERT_EREJECTED ? 0 : got;
        if (!error)
            zone_report(zone, &where, lines.hint, "%s", lines.problem);
    }
    lines_free(&lines);
    return error;
}

static int read_inline(struct zone *zone, struct reader *reader)
{
    const struct zone_source *source = zone->source;

    for (size_t i = 0; i < source->records_count; i++) {
        const struct zone_record *record = &source->records[i];
        struct rr where = {.line = (uint32_t)i, .is_inline = true};
        uint32_t ttl = record->has_ttl ? record->ttl : source->ttl;
        char *text = NULL;
        int error;

        if (!record->owner[0] || strpbrk(record->owner, " \t\r\n;()\"") ||
            strpbrk(record->type, " \t\r\n;()\"") || strpbrk(record->rdata, "\r\n")) {
            zone_report(zone, &where, "one name, one type, one line of data",
                        "the record cannot be written as one line");
            continue;
        }
        if (asprintf(&text, "%s %u IN %s %s", record->owner, ttl, record->type, record->rdata) < 0)
            return CULVERT_ENOMEM;
        error = read_rr(zone, reader, text, (unsigned)i, true);
        free(text);
        if (error)
            return error;
    }
    return 0;
}

static ldns_rdf *apex_rdf(const struct zone *zone)
{
    return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, zone->apex.name.length, zone->apex.wire);
}

int zone_parse(struct zone *zone)
{
    struct reader reader = {.ttl = zone->source->ttl};
    int error = 0;

    reader.origin = apex_rdf(zone);
    reader.previous = apex_rdf(zone);
    if (!reader.origin || !reader.previous)
        error = CULVERT_ENOMEM;
    if (!error && zone->source->text)
        error = read_text(zone, &reader);
    ldns_rdf_deep_free(reader.origin);
    reader.origin = apex_rdf(zone);
    if (!reader.origin)
        error = CULVERT_ENOMEM;
    if (!error)
        error = read_inline(zone, &reader);
    ldns_rdf_deep_free(reader.origin);
    ldns_rdf_deep_free(reader.previous);
    buffer_free(&reader.rewritten);
    return error;
}
