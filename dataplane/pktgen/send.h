/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sending: a template, varied by flow, with checksums that follow. */
#ifndef CULVERT_PKTGEN_SEND_H
#define CULVERT_PKTGEN_SEND_H

#include "dataplane/fastpath/parse.h"
#include "dataplane/pktgen/store.h"

/* What one packet of a flow differs in. */
struct variation {
    fp_be32 source; /* last word of the address */
    fp_be16 port;
    fp_u64 sum; /* of both */
    fp_u64 now; /* ns; 0: not sampled */
    fp_u32 number;
};

static fp_inline void flow_vary(pktgen_settings *settings, const struct pktgen_template *template,
                                fp_u32 flow, struct variation *vary)
{
    fp_u64 hosts = (1ull << (template->address_bits & 31)) - 1;

    vary->source = template->source | fp_htonl(flow & (fp_u32)hosts);
    vary->port = fp_htons(settings->port_low + (flow >> (template->address_bits & 31)));
    vary->sum = (fp_u64)vary->source + vary->port;
}

/* The sequence number that comes back in an acknowledgement or a reset. */
static fp_inline fp_be32 tcp_cookie(const struct variation *vary)
{
    if (vary->now)
        return fp_htonl((fp_u32)(vary->now >> PKTGEN_TICK_SHIFT) << 1 | 1);
    return fp_htonl(vary->number << 1);
}

static fp_inline void write_tcp(fp_u8 *l4, const struct pktgen_template *template,
                                struct variation *vary)
{
    fp_be32 cookie = tcp_cookie(vary);
    fp_u64 sum = template->l4_sum + vary->sum + cookie;

    fp_store32(l4 + 4, cookie);
    if (template->kind == PKTGEN_TCP) {
        fp_store32(l4 + 8, cookie);
        sum += cookie;
    }
    fp_store16(l4 + 16, fp_sum_finish(sum));
}

static fp_inline void write_udp(fp_u8 *l4, const struct pktgen_template *template,
                                struct variation *vary)
{
    fp_u64 sum =
        template->l4_sum + vary->sum + vary->number + (vary->now & 0xffffffff) + (vary->now >> 32);

    fp_store32(l4 + 12, vary->number);
    fp_store64(l4 + 16, vary->now);
    fp_store16(l4 + 6, fp_sum_finish_udp(sum));
}

static fp_inline fp_u32 stamp_slot(fp_u32 key)
{
    return (key * 2654435761u) >> 18 & (PKTGEN_STAMPS - 1);
}

static fp_inline void note_stamp(struct pktgen_store *store, fp_u32 key, fp_u64 now)
{
    struct pktgen_dns_stamp *stamp = store_stamp(store, stamp_slot(key));

    if (!stamp)
        return;
    stamp->key = key;
    stamp->time = now;
}

/* Puts the question behind the DNS header and sets what depends on its length. Returns the bytes
 * of the frame, or 0. */
static fp_inline fp_u32 write_dns(struct pktgen_store *store, fp_u8 *l4,
                                  const struct pktgen_template *template,
                                  struct pktgen_sender *sender, struct variation *vary)
{
    pktgen_settings *settings = store_settings(store);
    fp_u8 *to = l4 + FP_UDP_BYTES + 12;
    fp_u32 at = sender->query;
    const struct pktgen_query *query = store_query(store, at);
    fp_be16 id = (fp_be16)vary->number;
    fp_be16 length;

    if (!query)
        return 0;
    sender->query = at + 1 < settings->queries ? at + 1 : 0;
    for (fp_u32 i = 0; i < PKTGEN_QUERY_MAX / 8; i++) {
        if (i >= settings->query_words)
            break;
        fp_store64(to + i * 8, query->wire[i]);
    }
    length = fp_htons(FP_UDP_BYTES + 12 + query->length);
    fp_store16(l4 + 4, length);
    fp_store16(l4 + 8, id);
    fp_store16(l4 + 6, fp_sum_finish_udp(template->l4_sum + vary->sum + id + query->sum +
                                         2 * (fp_u64)length));
    if (vary->now)
        note_stamp(store, (fp_u32)id << 16 | vary->port, vary->now);
    return template->length + query->length;
}

static fp_inline void write_ip(fp_u8 *l3, const struct pktgen_template *template,
                               const struct variation *vary, fp_u32 bytes)
{
    fp_u64 sum = template->ip_sum + vary->source;

    if (template->family == 6) {
        fp_store32(l3 + 20, vary->source);
        if (template->kind == PKTGEN_DNS)
            fp_store16(l3 + 4, fp_htons(bytes - template->l4));
        return;
    }
    fp_store32(l3 + 12, vary->source);
    if (template->kind == PKTGEN_DNS) {
        fp_be16 total = fp_htons(bytes - template->l3);

        fp_store16(l3 + 2, total);
        sum += total;
    }
    fp_store16(l3 + 10, fp_sum_finish(sum));
}

static fp_inline const struct pktgen_template *next_template(struct pktgen_store *store,
                                                             struct pktgen_sender *sender)
{
    pktgen_settings *settings = store_settings(store);
    fp_u32 at = sender->position;
    const fp_u32 *entry;

    if (settings->schedule_length <= 1)
        return store_template(store, 0);
    sender->position = at + 1 < settings->schedule_length ? at + 1 : 0;
    entry = store_schedule(store, at);
    return entry ? store_template(store, *entry) : 0;
}

static fp_inline fp_u32 next_flow(pktgen_settings *settings, struct pktgen_sender *sender)
{
    fp_u32 flow = sender->flow;
    fp_u64 next = (fp_u64)flow + settings->stride;

    sender->flow = (fp_u32)(next < settings->flows ? next : next - settings->flows);
    return flow;
}

/* Scattered, so that no rhythm of the schedule, the flows or the queries keeps one out. */
static fp_inline int is_sampled(pktgen_settings *settings, fp_u32 number)
{
    return !((number * 2654435761u) >> 12 & settings->sample_mask);
}

/* Makes a frame of a packet with room for it. Returns its bytes, or 0: not to be sent. */
static fp_inline fp_u32 make_frame(struct pktgen_store *store, struct fp_packet *packet,
                                   struct pktgen_sender *sender)
{
    pktgen_settings *settings = store_settings(store);
    const struct pktgen_template *template = next_template(store, sender);
    struct variation vary = {.number = (fp_u32)sender->number};
    fp_u8 *l3, *l4;
    fp_u32 bytes;

    if (!template || packet->data + PKTGEN_HEAD_BYTES > packet->end)
        return 0;
    l3 = fp_bytes(packet, template->l3 & PKTGEN_L3_MASK, FP_IPV6_BYTES);
    l4 = fp_bytes(packet, template->l4 & PKTGEN_L4_MASK, PKTGEN_L4_ROOM(settings->query_words));
    if (!l3 || !l4)
        return 0;
    if (is_sampled(settings, vary.number))
        vary.now = store_now();
    store_copy_template(packet, template);
    flow_vary(settings, template, next_flow(settings, sender), &vary);
    fp_store16(l4, vary.port);
    bytes = template->length;
    if (template->kind == PKTGEN_DNS)
        bytes = write_dns(store, l4, template, sender, &vary);
    else if (template->kind == PKTGEN_UDP)
        write_udp(l4, template, &vary);
    else
        write_tcp(l4, template, &vary);
    if (!bytes)
        return 0;
    write_ip(l3, template, &vary, bytes);
    sender->sent[template->kind & (PKTGEN_KIND_COUNT - 1)]++;
    sender->number++;
    sender->bytes += bytes;
    return bytes;
}

#endif
