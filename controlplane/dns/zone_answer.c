/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/dns/zone_answer.h"

/* Pointers hold 14 bits; those that move must still hold them afterwards. */
#define POINTER_MAX (0x3fffu - NAME_WIRE_MAX)
#define POINTER_QUESTION (0xc000u | FP_DNS_HEADER)

/* Notes that a name stands at `offset` of the message, and its suffixes up to the one at `end`. */
static void learn_name(struct answer *answer, const uint8_t *wire, unsigned length, unsigned offset,
                       const uint8_t *end)
{
    while (wire < end && *wire && offset <= POINTER_MAX && answer->known_count < ANSWER_NAMES_MAX) {
        answer->known[answer->known_count].offset = (uint16_t)offset;
        answer->known[answer->known_count].length = (uint8_t)length;
        answer->known[answer->known_count++].wire = wire;
        offset += *wire + 1u;
        length -= *wire + 1u;
        wire += *wire + 1;
    }
}

void answer_begin(struct answer *answer, const struct zone *zone, const struct name *question,
                  enum answer_use use)
{
    unsigned skip = use == ANSWER_WILDCARD ? 2 : 0;

    answer->zone = zone;
    answer->question = *question;
    answer->use = use;
    answer->length = answer->core = 0;
    memset(answer->count, 0, sizeof(answer->count));
    answer->fixups = answer->known_count = 0;
    answer->full = false;
    /* What a wildcard stands for differs from its name in the first label. */
    learn_name(answer, question->wire + skip, question->length - skip, FP_DNS_HEADER + skip,
               question->wire + question->length);
}

static void put(struct answer *answer, const void *bytes, size_t length)
{
    if (answer->length + length > FP_DNS_ANSWER_MAX) {
        answer->full = true;
        return;
    }
    memcpy(answer->bytes + answer->length, bytes, length);
    answer->length += (uint32_t)length;
}

static void put16(struct answer *answer, unsigned value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    put(answer, bytes, 2);
}

static void put32(struct answer *answer, uint32_t value)
{
    put16(answer, value >> 16);
    put16(answer, value & 0xffff);
}

/* Where a name stands already, or 0. */
static unsigned find_known(const struct answer *answer, const uint8_t *wire, unsigned length)
{
    for (unsigned i = 0; i < answer->known_count; i++) {
        if (answer->known[i].length == length &&
            name_wire_equal(answer->known[i].wire, wire, length))
            return answer->known[i].offset;
    }
    return 0;
}

/* Writes a name: as much of it as is nowhere yet, and a pointer to the rest. */
static void put_name(struct answer *answer, const uint8_t *wire, unsigned length)
{
    unsigned start = FP_DNS_HEADER + answer->question.length + 4 + answer->length;
    bool may_point = answer->use == ANSWER_EXACT || answer->fixups < FP_DNS_FIXUPS_MAX;
    const uint8_t *at = wire;
    unsigned pointer = 0, left = length;

    while (*at && !(pointer = find_known(answer, at, left))) {
        left -= *at + 1u;
        at += *at + 1;
    }
    if (pointer && may_point) {
        put(answer, wire, (size_t)(at - wire));
        if (answer->use != ANSWER_EXACT && !answer->full)
            answer->fixup[answer->fixups++] = (uint16_t)answer->length;
        put16(answer, 0xc000u | pointer);
    } else {
        put(answer, wire, length);
    }
    if (!answer->full)
        learn_name(answer, wire, length, start, at);
}

static void put_rdata(struct answer *answer, const struct rr *rr)
{
    const uint8_t *rdata = rr_rdata(answer->zone, rr);
    uint32_t length_at = answer->length;
    struct rdata_names names;
    unsigned at = 0;

    put16(answer, 0);
    rdata_names(rr->type, rdata, rr->rdlen, &names);
    for (unsigned i = 0; i < names.count && names.compress; i++) {
        unsigned end = names.offset[i];

        put(answer, rdata + at, end - at);
        at = end;
        while (rdata[end])
            end += rdata[end] + 1u;
        end++;
        put_name(answer, rdata + at, end - at);
        at = end;
    }
    put(answer, rdata + at, rr->rdlen - at);
    if (!answer->full) {
        unsigned length = answer->length - length_at - 2;

        answer->bytes[length_at] = (uint8_t)(length >> 8);
        answer->bytes[length_at + 1] = (uint8_t)length;
    }
}

static void put_rr(struct answer *answer, const struct name *owner, const struct rr *rr,
                   uint32_t ttl)
{
    if (owner)
        put_name(answer, owner->wire, owner->length);
    else if (answer->question.length == 1)
        put(answer, "", 1);
    else if (answer->use == ANSWER_WILDCARD)
        put16(answer, POINTER_QUESTION);
    else
        put_name(answer, answer->question.wire, answer->question.length);
    put16(answer, rr->type);
    put16(answer, 1);
    put32(answer, ttl);
    put_rdata(answer, rr);
}

bool answer_add(struct answer *answer, enum answer_section section, const struct name *owner,
                const struct rrset *set)
{
    unsigned known = answer->known_count, fixups = answer->fixups;
    uint32_t length = answer->length;

    if (answer->full)
        return false;
    for (uint32_t i = 0; i < set->count && !answer->full; i++)
        put_rr(answer, owner, &set->rr[i], set->rr[i].ttl);
    if (answer->full && section == SECTION_EXTRA) {
        answer->known_count = known;
        answer->fixups = fixups;
        answer->length = length;
        answer->full = false;
        return false;
    }
    answer->count[section] += set->count;
    if (section != SECTION_EXTRA)
        answer->core = answer->length;
    return !answer->full;
}

bool answer_add_soa(struct answer *answer)
{
    put_rr(answer, &answer->zone->apex.name, answer->zone->soa, answer->zone->negative_ttl);
    answer->count[SECTION_AUTHORITY]++;
    answer->core = answer->length;
    return !answer->full;
}

size_t answer_end(const struct answer *answer, uint8_t flags, uint8_t reason, uint8_t *to)
{
    size_t fixups = FP_DNS_FIXUP_BYTES(answer->fixups);
    size_t bytes = sizeof(struct fp_dns_answer) + fixups + ((answer->length + 7u) & ~7u);
    struct fp_dns_answer head = {
        .core = (fp_u16)answer->core,
        .full = (fp_u16)answer->length,
        .ancount = fp_htons(answer->count[SECTION_ANSWER]),
        .nscount = fp_htons(answer->count[SECTION_AUTHORITY]),
        .core_arcount = fp_htons(answer->count[SECTION_CORE_ADDITIONAL]),
        .full_arcount =
            fp_htons(answer->count[SECTION_CORE_ADDITIONAL] + answer->count[SECTION_EXTRA]),
        .flags = flags,
        .fixups = (fp_u8)answer->fixups,
        .reason = reason,
    };

    if (!to)
        return bytes;
    memset(to, 0, bytes);
    memcpy(to, &head, sizeof(head));
    memcpy(to + sizeof(head), answer->fixup, answer->fixups * sizeof(fp_u16));
    memcpy(to + sizeof(head) + fixups, answer->bytes, answer->length);
    return bytes;
}
