/* SPDX-License-Identifier: Apache-2.0 */
/* The little that the compile must know of records' data: names in it. */
#include "controlplane/dns/zone_internal.h"

/* Length of the name at `at`, or 0. */
static unsigned name_bytes(const uint8_t *rdata, unsigned length, unsigned at)
{
    unsigned start = at;

    while (at < length && rdata[at] && rdata[at] <= 63)
        at += rdata[at] + 1u;
    if (at >= length || rdata[at] || at + 1 - start > NAME_WIRE_MAX)
        return 0;
    return at + 1 - start;
}

/* `before` bytes, `count` names, `after` bytes. */
static bool find_names(const uint8_t *rdata, unsigned length, unsigned before, unsigned count,
                       unsigned after, struct rdata_names *names)
{
    unsigned at = before;

    names->count = count;
    for (unsigned i = 0; i < count; i++) {
        unsigned bytes = name_bytes(rdata, length, at);

        if (!bytes)
            return false;
        names->offset[i] = (uint16_t)at;
        at += bytes;
    }
    return at + after == length;
}

bool rdata_names(uint16_t type, const uint8_t *rdata, uint16_t length, struct rdata_names *names)
{
    names->count = 0;
    names->compress = true;
    switch (type) {
    case TYPE_A:
        return length == 4;
    case TYPE_AAAA:
        return length == 16;
    case TYPE_NS:
    case TYPE_MD:
    case TYPE_MF:
    case TYPE_CNAME:
    case TYPE_MB:
    case TYPE_MG:
    case TYPE_MR:
    case TYPE_PTR:
        return find_names(rdata, length, 0, 1, 0, names);
    case TYPE_SOA:
        return find_names(rdata, length, 0, 2, 20, names);
    case TYPE_MINFO:
        return find_names(rdata, length, 0, 2, 0, names);
    case TYPE_MX:
        return find_names(rdata, length, 2, 1, 0, names);
    case TYPE_SRV:
        names->compress = false;
        return find_names(rdata, length, 6, 1, 0, names);
    case TYPE_DNAME:
        names->compress = false;
        return find_names(rdata, length, 0, 1, 0, names);
    default:
        return true;
    }
}

bool rdata_target(const struct zone *zone, const struct rr *rr, struct name_buffer *target)
{
    const uint8_t *rdata = rr_rdata(zone, rr);
    struct rdata_names names;

    if (rr->type != TYPE_NS && rr->type != TYPE_MX && rr->type != TYPE_SRV &&
        rr->type != TYPE_CNAME && rr->type != TYPE_DNAME)
        return false;
    return rdata_names(rr->type, rdata, rr->rdlen, &names) &&
           name_from_wire(target, rdata + names.offset[0], rr->rdlen - names.offset[0]);
}
