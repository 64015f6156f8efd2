/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/dns/zone.h"

#include <ldns/ldns.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/dns/zone_internal.h"

void zone_report_at(struct zone *zone, const char *file, unsigned line, unsigned column,
                    const char *field, const char *message, const char *hint)
{
    struct zone_error error = {.file = file,
                               .line = line,
                               .column = column,
                               .field = field,
                               .message = message,
                               .hint = hint};

    if (zone->errors++ < ZONE_ERRORS_MAX && zone->error)
        zone->error(zone->arg, &error);
}

/* "www.example.com. A", for errors in a zone file. */
static const char *record_text(const struct zone *zone, const struct rr *rr, char *text,
                               size_t size)
{
    char owner[NAME_TEXT_MAX];
    char *type;

    if (!rr->name.length)
        return NULL;
    type = ldns_rr_type2str((ldns_rr_type)rr->type);
    snprintf(text, size, "%s %s", name_to_text(zone->pool.data + rr->name.wire, owner),
             type ? type : "");
    free(type);
    return text;
}

void zone_report(struct zone *zone, const struct rr *rr, const char *hint, const char *format, ...)
{
    const struct zone_source *source = zone->source;
    char message[2 * NAME_TEXT_MAX], field[NAME_TEXT_MAX + 32];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (rr && rr->is_inline) {
        const struct zone_record *record = &source->records[rr->line];

        zone_report_at(zone, source->site_file, record->line, record->column,
                       record->field ? record->field : record_text(zone, rr, field, sizeof(field)),
                       message, hint);
    } else if (rr) {
        zone_report_at(zone, source->file, rr->line, 0, record_text(zone, rr, field, sizeof(field)),
                       message, hint);
    } else {
        zone_report_at(zone, source->file ? source->file : source->site_file,
                       source->file ? 0 : source->line, source->file ? 0 : source->column,
                       source->field ? source->field : source->name, message, hint);
    }
}

/* RFC 2308 section 5: the lesser of the SOA's TTL and its last field. */
static void find_negative_ttl(struct zone *zone)
{
    const uint8_t *minimum = rr_rdata(zone, zone->soa) + zone->soa->rdlen - 4;
    uint32_t ttl = (uint32_t)minimum[0] << 24 | (uint32_t)minimum[1] << 16 |
                   (uint32_t)minimum[2] << 8 | minimum[3];

    zone->negative_ttl = ttl < zone->soa->ttl ? ttl : zone->soa->ttl;
}

static uint32_t read_serial(const struct zone *zone)
{
    const uint8_t *serial = rr_rdata(zone, zone->soa) + zone->soa->rdlen - 20;

    return (uint32_t)serial[0] << 24 | (uint32_t)serial[1] << 16 | (uint32_t)serial[2] << 8 |
           serial[3];
}

static void check_source(struct zone *zone)
{
    const struct zone_source *source = zone->source;
    struct name_buffer other;
    unsigned same = 0;

    for (size_t i = 0; i < source->apexes_count; i++) {
        if (name_from_text(&other, source->apexes[i]) &&
            !name_compare(&other.name, &zone->apex.name))
            same++;
    }
    if (same > 1)
        zone_report(zone, NULL, "one zone of that name", "the zone is there twice");
    if (zone->apex.wire[0] == 1 && zone->apex.wire[1] == '*')
        zone_report(zone, NULL, "a name without *", "a wildcard cannot be a zone");
}

static int compile(struct zone *zone, zone_emit_fn emit, void *arg, struct zone_stats *stats)
{
    int error = zone_parse(zone);

    stats->records = zone->rrs_count;
    if (!error)
        error = zone_build(zone);
    if (!error)
        error = zone_check(zone);
    if (error || zone->errors)
        return error;
    find_negative_ttl(zone);
    stats->serial = read_serial(zone);
    return zone_emit(zone, emit, arg, stats);
}

int zone_compile(const struct zone_source *source, zone_emit_fn emit, zone_error_fn error,
                 void *arg, struct zone_stats *stats)
{
    struct zone zone = {.source = source, .error = error, .arg = arg};
    struct zone_stats ignored;
    int result = 0;

    if (!stats)
        stats = &ignored;
    *stats = (struct zone_stats){0};
    if (!name_from_text(&zone.apex, source->name)) {
        zone_report(&zone, NULL, "labels of 1 to 63 bytes, in all at most 255",
                    "%s is not a domain name", source->name);
    } else {
        check_source(&zone);
        result = compile(&zone, emit, arg, stats);
    }
    if (zone.errors > ZONE_ERRORS_MAX) {
        struct zone_error rest = {.file = source->file ? source->file : source->site_file};
        char message[64];

        snprintf(message, sizeof(message), "and %zu errors more", zone.errors - ZONE_ERRORS_MAX);
        rest.message = message;
        if (error)
            error(arg, &rest);
    }
    free(zone.nodes);
    free(zone.rrs);
    free(zone.pool.data);
    return !result && zone.errors ? CULVERT_EREJECTED : result;
}
