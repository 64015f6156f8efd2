/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pktgen/dpdk/neighbours.h"

#include <string.h>

#include "dataplane/fastpath/build.h"

#define ETH_ARP 0x0806u
#define ETH_LEAST 60u
#define ARP_BYTES 28u
#define ARP_HEAD 0x0001080006040000ull /* Ethernet, IPv4, lengths; the operation is 0 */
#define ARP_REQUEST 1u
#define ARP_REPLY 2u
#define ND_SOLICITATION 135u
#define ND_ADVERTISEMENT 136u
#define ND_SOURCE_MAC 1u
#define ND_TARGET_MAC 2u
#define ND_SOLICITED 0x40000000u
#define ND_OVERRIDE 0x20000000u
#define ND_HOPS 255u
#define ND_BYTES 24u /* ICMPv6 header and target */

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static size_t header_bytes(const struct neighbours *neighbours)
{
    return FP_ETH_BYTES + (neighbours->vlan ? FP_VLAN_BYTES : 0);
}

/* ---- ARP ---- */

/* The bytes behind the Ethernet header of an ARP message in our VLAN; NULL: it is none. */
static const uint8_t *arp_of(const struct neighbours *neighbours, const struct fp_packet *packet)
{
    size_t header = header_bytes(neighbours);
    const uint8_t *arp = fp_bytes(packet, (fp_u32)header, ARP_BYTES);

    if (!arp || fp_load16(arp - 2) != fp_htons(ETH_ARP) ||
        fp_bswap64(fp_load64(arp)) >> 16 != ARP_HEAD >> 16)
        return NULL;
    if (neighbours->vlan && (fp_ntohs(fp_load16(arp - 4)) ^ neighbours->vlan) & 0xfff)
        return NULL;
    return arp;
}

static size_t arp_write(const struct neighbours *neighbours, uint8_t *frame, unsigned operation,
                        const uint8_t to[6], const uint8_t address[4])
{
    size_t header = header_bytes(neighbours);
    uint8_t *arp = frame + header;

    memset(frame, 0, NEIGHBOURS_FRAME_MAX);
    memcpy(frame, to, 6);
    memcpy(frame + 6, neighbours->mac, 6);
    if (neighbours->vlan) {
        fp_store16(frame + 12, fp_htons(FP_ETH_8021Q));
        fp_store16(frame + 14, fp_htons(neighbours->vlan & 0xfff));
    }
    fp_store16(arp - 2, fp_htons(ETH_ARP));
    fp_store64(arp, fp_bswap64(ARP_HEAD | operation));
    memcpy(arp + 8, neighbours->mac, 6);
    memcpy(arp + 14, neighbours->own[0].address.bytes + 12, 4);
    if (operation == ARP_REPLY)
        memcpy(arp + 18, to, 6);
    memcpy(arp + 24, address, 4);
    return header + ARP_BYTES < ETH_LEAST ? ETH_LEAST : header + ARP_BYTES;
}

static size_t arp_answer(const struct neighbours *neighbours, const uint8_t *arp, uint8_t *frame)
{
    if (arp[7] != ARP_REQUEST || !neighbours->own[0].given ||
        memcmp(arp + 24, neighbours->own[0].address.bytes + 12, 4) != 0)
        return 0;
    return arp_write(neighbours, frame, ARP_REPLY, arp + 8, arp + 14);
}

/* ---- neighbour discovery ---- */

/* The ICMPv6 header of a message in our VLAN; NULL: it is none. RFC 4861 section 7.1: its hop
 * limit shows that it is from the link. */
static const uint8_t *nd_of(const struct neighbours *neighbours, struct fp_packet *packet,
                            struct fp_parsed *parsed)
{
    const uint8_t *icmp;

    memset(parsed, 0, sizeof(*parsed));
    if (fp_parse(packet, parsed) != FP_GO_ON || parsed->problem || parsed->family != 6 ||
        parsed->protocol != FP_IP_ICMPV6 || parsed->hops != ND_HOPS ||
        parsed->flags & FP_PARSED_FRAGMENT || parsed->l3 != header_bytes(neighbours))
        return NULL;
    if (neighbours->vlan &&
        (fp_ntohs(fp_load16(packet->data + FP_ETH_BYTES)) ^ neighbours->vlan) & 0xfff)
        return NULL;
    icmp = fp_bytes(packet, parsed->l4, ND_BYTES);
    return icmp && parsed->l4 + ND_BYTES <= parsed->l3 + parsed->bytes && !icmp[1] ? icmp : NULL;
}

/* Writes a message about `target` to an address and MAC address. */
static size_t nd_write(const struct neighbours *neighbours, uint8_t *frame, unsigned type,
                       uint32_t flags, const uint8_t to[16], const uint8_t mac[6],
                       const uint8_t target[16])
{
    uint8_t payload[24];
    struct fp_build_spec spec = {
        .family = 6,
        .vlan = {neighbours->vlan},
        .hops = ND_HOPS,
        .protocol = FP_IP_ICMPV6,
        .type = (uint8_t)type,
        .rest = flags,
        .payload = payload,
        .payload_bytes = sizeof(payload),
    };

    memcpy(spec.dmac, mac, 6);
    memcpy(spec.smac, neighbours->mac, 6);
    memcpy(spec.source, neighbours->own[1].address.bytes, 16);
    memcpy(spec.destination, to, 16);
    memcpy(payload, target, 16);
    payload[16] = type == ND_SOLICITATION ? ND_SOURCE_MAC : ND_TARGET_MAC;
    payload[17] = 1; /* times 8 bytes */
    memcpy(payload + 18, neighbours->mac, 6);
    return fp_build_frame(frame, NEIGHBOURS_FRAME_MAX, &spec);
}

static size_t nd_answer(const struct neighbours *neighbours, const struct fp_packet *packet,
                        const struct fp_parsed *parsed, const uint8_t *icmp, uint8_t *frame)
{
    static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
    static const uint8_t all_nodes_mac[6] = {0x33, 0x33, [5] = 1};
    const uint8_t *own = neighbours->own[1].address.bytes;

    if (icmp[0] != ND_SOLICITATION || !neighbours->own[1].given || memcmp(icmp + 8, own, 16) != 0)
        return 0;
    if (!parsed->source[0] && !parsed->source[1]) /* somebody wants our address for himself */
        return nd_write(neighbours, frame, ND_ADVERTISEMENT, ND_OVERRIDE, all_nodes, all_nodes_mac,
                        own);
    return nd_write(neighbours, frame, ND_ADVERTISEMENT, ND_SOLICITED | ND_OVERRIDE,
                    packet->data + parsed->l3 + 8, packet->data + 6, own);
}

/* The MAC address that an advertisement tells, in its first option or by its sender. */
static void nd_mac(const struct fp_packet *packet, const struct fp_parsed *parsed, uint8_t mac[6])
{
    const uint8_t *option = fp_bytes(packet, parsed->l4 + ND_BYTES, 8);

    if (option && option[0] == ND_TARGET_MAC && option[1] == 1)
        memcpy(mac, option + 2, 6);
    else
        memcpy(mac, packet->data + 6, 6);
}

/* ---- both ---- */

size_t neighbours_ask(const struct neighbours *neighbours, const struct address *address,
                      uint8_t frame[NEIGHBOURS_FRAME_MAX])
{
    uint8_t group[16] = {0xff, 2, [11] = 1, [12] = 0xff}, mac[6] = {0x33, 0x33, 0xff};

    if (address_is_v4(address))
        return arp_write(neighbours, frame, ARP_REQUEST, broadcast, address->bytes + 12);
    memcpy(group + 13, address->bytes + 13, 3); /* RFC 4291 section 2.7.1 */
    memcpy(mac + 3, address->bytes + 13, 3);
    return nd_write(neighbours, frame, ND_SOLICITATION, 0, group, mac, address->bytes);
}

bool neighbours_hear(const struct neighbours *neighbours, struct fp_packet *packet,
                     const struct address *address, uint8_t mac[6])
{
    const uint8_t *message = arp_of(neighbours, packet);
    struct fp_parsed parsed;

    if (message) {
        if (!address_is_v4(address) || memcmp(message + 14, address->bytes + 12, 4) != 0)
            return false;
        memcpy(mac, message + 8, 6);
        return true;
    }
    message = nd_of(neighbours, packet, &parsed);
    if (!message || message[0] != ND_ADVERTISEMENT || memcmp(message + 8, address->bytes, 16) != 0)
        return false;
    nd_mac(packet, &parsed, mac);
    return true;
}

size_t neighbours_answer(const struct neighbours *neighbours, struct fp_packet *packet,
                         uint8_t frame[NEIGHBOURS_FRAME_MAX])
{
    const uint8_t *message = arp_of(neighbours, packet);
    struct fp_parsed parsed;

    if (message)
        return arp_answer(neighbours, message, frame);
    message = nd_of(neighbours, packet, &parsed);
    return message ? nd_answer(neighbours, packet, &parsed, message, frame) : 0;
}
