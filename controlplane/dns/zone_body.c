/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/dns/zone_body.h"

#include <stdlib.h>

#include "dataplane/fastpath/reasons.h"

#define RCODE_NXDOMAIN 3u /* RFC 1035 section 4.1.1 */
#define EXTRAS_MAX 64     /* names whose addresses are added to one answer */
#define DIRECTORY_MAX (sizeof(struct fp_dns_node) + FP_DNS_TYPES_MAX * sizeof(struct fp_dns_type))

struct body *body_new(void)
{
    struct body *body = calloc(1, sizeof(*body));

    if (!body)
        return NULL;
    body->data = malloc(DIRECTORY_MAX + BODY_BYTES_MAX + 65536u + 256u);
    body->answer.bytes = malloc(FP_DNS_ANSWER_MAX);
    if (body->data && body->answer.bytes)
        return body;
    body_free(body);
    return NULL;
}

void body_free(struct body *body)
{
    if (!body)
        return;
    free(body->answer.bytes);
    free(body->data);
    free(body);
}

/* Ends the answer and puts it behind the others. Returns its mark: offset / 8 + 1. */
static uint16_t keep_answer(struct body *body, uint8_t flags, uint8_t reason)
{
    size_t at = body->length;

    if (body->answer.full || at >= BODY_BYTES_MAX - DIRECTORY_MAX - 8) {
        body->full = true;
        return 0;
    }
    body->length += answer_end(&body->answer, flags, reason, body->data + DIRECTORY_MAX + at);
    return (uint16_t)(at / 8 + 1);
}

static void list_type(struct body *body, uint16_t type, uint16_t mark)
{
    if (body->ntypes == FP_DNS_TYPES_MAX) {
        body->full = true;
        return;
    }
    body->type[body->ntypes++] = (struct fp_dns_type){.type = type, .offset = mark};
}

/* Lays out node, directory and answers. */
static size_t finish_body(struct body *body, const struct zone *zone, const struct node *node,
                          uint8_t flags, const uint8_t **data)
{
    size_t directory = sizeof(struct fp_dns_node) + body->ntypes * sizeof(struct fp_dns_type);
    struct fp_dns_node head = {
        .zone = (fp_u16)zone->source->number,
        .flags = flags,
        .ntypes = (fp_u8)body->ntypes,
        .name_length = node->name.length,
        .labels = node->name.labels,
    };
    uint8_t *start;
    uint16_t base;

    if (body->full)
        return 0;
    directory = (directory + 7) & ~(size_t)7;
    base = (uint16_t)(directory / 8 - 1);
    start = body->data + DIRECTORY_MAX - directory;
    memset(start, 0, directory);
    head.other = body->other ? (fp_u16)(body->other + base) : 0;
    memcpy(start, &head, sizeof(head));
    for (unsigned i = 0; i < body->ntypes; i++) {
        struct fp_dns_type type = body->type[i];

        if (type.offset)
            type.offset = (fp_u16)(type.offset + base);
        memcpy(start + sizeof(head) + i * sizeof(type), &type, sizeof(type));
    }
    *data = start;
    return directory + body->length;
}

static void begin_body(struct body *body)
{
    body->length = 0;
    body->ntypes = 0;
    body->other = 0;
    body->full = false;
}

/* Adds the addresses of the hosts that the set names. For a referral those below the cut are
 * wanted (`glue`, RFC 9471), else all others. */
static void add_addresses(struct answer *answer, const struct zone *zone, const struct rrset *set,
                          const struct node *cut, bool glue)
{
    const struct node *seen[EXTRAS_MAX];
    unsigned count = 0;

    for (uint32_t i = 0; i < set->count && count < EXTRAS_MAX; i++) {
        const struct node *node = NULL;
        struct name_buffer target;
        struct rrset a, aaaa;
        struct name owner;
        bool known = false;

        if (!rdata_target(zone, &set->rr[i], &target))
            continue;
        node = zone_node(zone, &target.name);
        if (!node || node->flags & (NODE_CHILD | NODE_HIDDEN) ||
            (!cut && node->flags & (NODE_CUT | NODE_BELOW)))
            continue;
        if (cut && glue != (node->cut != UINT32_MAX && &zone->nodes[node->cut] == cut))
            continue;
        for (unsigned k = 0; k < count; k++)
            known |= seen[k] == node;
        if (known)
            continue;
        seen[count++] = node;
        owner = zone_name(zone, &node->name);
        a = node_rrset(zone, node, TYPE_A);
        aaaa = node_rrset(zone, node, TYPE_AAAA);
        if (a.count)
            answer_add(answer, glue ? SECTION_CORE_ADDITIONAL : SECTION_EXTRA, &owner, &a);
        if (aaaa.count)
            answer_add(answer, glue ? SECTION_CORE_ADDITIONAL : SECTION_EXTRA, &owner, &aaaa);
    }
}

/* NS and the glue of a cut, for a question at or below `node`, which is at or below the cut. */
static uint16_t build_referral(struct body *body, const struct zone *zone, const struct node *node)
{
    const struct node *cut = &zone->nodes[node->cut];
    struct name question = zone_name(zone, &node->name), owner = zone_name(zone, &cut->name);
    struct rrset servers = node_rrset(zone, cut, TYPE_NS);

    answer_begin(&body->answer, zone, &question, ANSWER_BELOW);
    answer_add(&body->answer, SECTION_AUTHORITY, &owner, &servers);
    add_addresses(&body->answer, zone, &servers, cut, true);
    add_addresses(&body->answer, zone, &servers, cut, false);
    return keep_answer(body, 0, FP_DNS_REFERRAL);
}

static size_t build_delegated(struct body *body, const struct zone *zone, const struct node *node,
                              const uint8_t **data)
{
    begin_body(body);
    body->other = build_referral(body, zone, node);
    if (node->flags & NODE_CUT) {
        struct rrset ds = node_rrset(zone, node, TYPE_DS);
        struct name question = zone_name(zone, &node->name);
        uint16_t mark = 0;

        if (ds.count) {
            answer_begin(&body->answer, zone, &question, ANSWER_EXACT);
            answer_add(&body->answer, SECTION_ANSWER, NULL, &ds);
            mark = keep_answer(body, FP_DNS_AA, FP_DNS_ANSWER);
        }
        list_type(body, TYPE_DS, mark);
    }
    return finish_body(body, zone, node, FP_DNS_CUT, data);
}

/* A chain of aliases: the first is the node's own. */
struct chain {
    struct rrset alias[ZONE_CHAIN_MAX];
    struct name owner[ZONE_CHAIN_MAX]; /* of all but the first */
    unsigned count;
    struct name target; /* of the last one */
    enum seek seek;     /* what is there */
    const struct node *end;
};

static void follow_chain(const struct zone *zone, const struct rrset *first, struct chain *chain)
{
    struct rrset alias = *first;

    chain->count = 0;
    do {
        const uint8_t *rdata = rr_rdata(zone, alias.rr);
        struct name_buffer target = {.name = {.wire = NULL}};

        rdata_target(zone, alias.rr, &target);
        chain->owner[chain->count] = chain->target;
        chain->alias[chain->count++] = alias;
        chain->seek = zone_seek(zone, &target.name, &chain->end);
        chain->target = target.name;
        chain->target.wire = rdata; /* which stays */
        chain->target.key = NULL;
        if (chain->seek != SEEK_NODE && chain->seek != SEEK_WILDCARD)
            return;
        alias = node_rrset(zone, chain->end, TYPE_CNAME);
    } while (alias.count && chain->count < ZONE_CHAIN_MAX);
}

static void begin_chain(struct answer *answer, const struct zone *zone, const struct name *question,
                        enum answer_use use, const struct chain *chain)
{
    answer_begin(answer, zone, question, use);
    for (unsigned i = 0; i < chain->count; i++)
        answer_add(answer, SECTION_ANSWER, i ? &chain->owner[i] : NULL, &chain->alias[i]);
}

/* An alias: itself, and for every type at the chain's end the chain and that. */
static void build_alias(struct body *body, const struct zone *zone, const struct name *question,
                        enum answer_use use, const struct rrset *alias)
{
    struct chain chain = {.count = 0};
    bool found;

    answer_begin(&body->answer, zone, question, use);
    answer_add(&body->answer, SECTION_ANSWER, NULL, alias);
    list_type(body, TYPE_CNAME, keep_answer(body, FP_DNS_AA, FP_DNS_ANSWER));
    follow_chain(zone, alias, &chain);
    if (chain.seek == SEEK_OUTSIDE && chain.count == 1) {
        body->other = body->type[0].offset;
        return;
    }
    found = chain.seek == SEEK_NODE || chain.seek == SEEK_WILDCARD;
    begin_chain(&body->answer, zone, question, use, &chain);
    if (chain.seek != SEEK_OUTSIDE)
        answer_add_soa(&body->answer);
    if (chain.seek == SEEK_OUTSIDE)
        body->other = keep_answer(body, FP_DNS_AA, FP_DNS_ANSWER);
    else if (found)
        body->other = keep_answer(body, FP_DNS_AA, FP_DNS_NODATA);
    else
        body->other = keep_answer(body, FP_DNS_AA | RCODE_NXDOMAIN, FP_DNS_NXDOMAIN);
    if (!found)
        return;
    for (struct rrset set = node_next_rrset(zone, chain.end, NULL); set.count;
         set = node_next_rrset(zone, chain.end, &set)) {
        if (set.rr->type == TYPE_CNAME)
            continue;
        begin_chain(&body->answer, zone, question, use, &chain);
        answer_add(&body->answer, SECTION_ANSWER, &chain.target, &set);
        list_type(body, set.rr->type, keep_answer(body, FP_DNS_AA, FP_DNS_ANSWER));
    }
}

size_t body_build(struct body *body, const struct zone *zone, const struct node *node,
                  const uint8_t **data)
{
    struct name question = zone_name(zone, &node->name);
    bool wildcard = question.wire[0] == 1 && question.wire[1] == '*';
    enum answer_use use = wildcard ? ANSWER_WILDCARD : ANSWER_EXACT;
    struct rrset alias = node_rrset(zone, node, TYPE_CNAME);
    uint8_t flags = 0;

    if (node->flags & (NODE_CUT | NODE_BELOW))
        return build_delegated(body, zone, node, data);
    begin_body(body);
    if (node->flags & NODE_APEX)
        flags |= FP_DNS_APEX;
    if (node->flags & NODE_WILDCARD)
        flags |= FP_DNS_WILDCARD;
    if (alias.count)
        build_alias(body, zone, &question, use, &alias);
    for (struct rrset set = node_next_rrset(zone, node, NULL); set.count && !alias.count;
         set = node_next_rrset(zone, node, &set)) {
        answer_begin(&body->answer, zone, &question, use);
        answer_add(&body->answer, SECTION_ANSWER, NULL, &set);
        add_addresses(&body->answer, zone, &set, NULL, false);
        list_type(body, set.rr->type, keep_answer(body, FP_DNS_AA, FP_DNS_ANSWER));
    }
    return finish_body(body, zone, node, flags, data);
}

size_t body_build_parent(struct body *body, const struct zone *zone, const struct node *node,
                         const uint8_t **data)
{
    struct name question = zone_name(zone, &node->name);
    struct rrset ds = node_rrset(zone, node, TYPE_DS);

    begin_body(body);
    if (ds.count) {
        answer_begin(&body->answer, zone, &question, ANSWER_EXACT);
        answer_add(&body->answer, SECTION_ANSWER, NULL, &ds);
        list_type(body, TYPE_DS, keep_answer(body, FP_DNS_AA, FP_DNS_ANSWER));
    }
    return finish_body(body, zone, node, 0, data);
}
