/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every packet ends in one verdict with one of these reasons. The number is the counter's index,
 * the name is the metric's label and the CLI's word, the text is what `culvert explain` prints.
 * Numbers are never reused: append within a group's range.
 *
 *   X(NAME, number, verdict, "label", "text")
 */
#ifndef CULVERT_FASTPATH_REASONS_H
#define CULVERT_FASTPATH_REASONS_H

#define FP_REASONS(X)                                                                              \
    X(PASS_NOT_OURS, 0, PASS, "pass-not-ours", "no address of ours: left to the kernel")           \
    X(PASS_NOT_IP, 1, PASS, "pass-not-ip", "neither IPv4 nor IPv6: left to the kernel")            \
    X(PASS_LOCAL, 2, PASS, "pass-local", "our address, no service of the fast path there")         \
    X(PASS_DNS_TCP, 3, PASS, "pass-dns-tcp", "DNS over TCP: answered by culvertd")                 \
    X(PASS_DNS_ODD, 4, PASS, "pass-dns-odd", "DNS that culvertd answers (UPDATE, TSIG, AXFR ...)") \
    X(PASS_NO_NEIGHBOUR, 5, PASS, "pass-no-neighbour", "rewritten; the kernel resolves the way")   \
    X(PASS_TTL, 6, PASS, "pass-ttl", "hop limit reached: the kernel tells the sender")             \
    X(DNS_ANSWER, 16, TX, "dns-answer", "DNS: answered with data")                                 \
    X(DNS_NODATA, 17, TX, "dns-nodata", "DNS: the name exists, the type does not")                 \
    X(DNS_NXDOMAIN, 18, TX, "dns-nxdomain", "DNS: no such name")                                   \
    X(DNS_REFERRAL, 19, TX, "dns-referral", "DNS: delegated to other servers")                     \
    X(DNS_REFUSED, 20, TX, "dns-refused", "DNS: in none of our zones")                             \
    X(DNS_FORMERR, 21, TX, "dns-formerr", "DNS: the query is malformed")                           \
    X(DNS_NOTIMP, 22, TX, "dns-notimp", "DNS: operation not implemented")                          \
    X(DNS_BADVERS, 23, TX, "dns-badvers", "DNS: EDNS version not supported")                       \
    X(DNS_TRUNCATED, 24, TX, "dns-truncated", "DNS: does not fit, TC set: ask over TCP")           \
    X(LB_IPIP, 32, FORWARD, "lb-ipip", "balanced: encapsulated to the backend")                    \
    X(LB_L2, 33, FORWARD, "lb-l2", "balanced: MAC rewritten to the backend")                       \
    X(LB_NAT, 34, FORWARD, "lb-nat", "balanced: destination rewritten to the backend")             \
    X(LB_NAT_BACK, 35, FORWARD, "lb-nat-back", "answer of a backend: source rewritten")            \
    X(LB_ICMP, 36, FORWARD, "lb-icmp", "ICMP error steered to the flow's backend")                 \
    X(ICMP_ECHO, 37, TX, "icmp-echo", "ping of a service address answered")                        \
    X(ICMP_TOO_BIG, 38, TX, "icmp-too-big", "too big once encapsulated: sender told the MTU")      \
    X(DROP_SHORT, 64, DROP, "drop-short", "frame ends inside a header")                            \
    X(DROP_VLAN_DEPTH, 65, DROP, "drop-vlan-depth", "more than two VLAN tags")                     \
    X(DROP_IP_HEADER, 66, DROP, "drop-ip-header", "IP version, length or header field is wrong")   \
    X(DROP_IP_CHECKSUM, 67, DROP, "drop-ip-checksum", "IPv4 header checksum is wrong")             \
    X(DROP_EXT_HEADERS, 68, DROP, "drop-ext-headers", "too many or malformed IPv6 headers")        \
    X(DROP_L4_HEADER, 69, DROP, "drop-l4-header", "UDP, TCP or ICMP header is wrong")              \
    X(DROP_SOURCE, 70, DROP, "drop-source", "source can't be answered (zero, loopback, group)")    \
    X(DROP_FRAGMENT, 71, DROP, "drop-fragment", "fragment whose first part was not seen")          \
    X(DROP_ACCESS, 72, DROP, "drop-access", "denied by the access list")                           \
    X(DROP_LIMIT, 73, DROP, "drop-limit", "over a packet rate limit")                              \
    X(DROP_LIMIT_BYTES, 74, DROP, "drop-limit-bytes", "over a byte rate limit")                    \
    X(DROP_NO_SERVICE, 75, DROP, "drop-no-service", "virtual IP, but no service there")            \
    X(DROP_NO_BACKEND, 76, DROP, "drop-no-backend", "the pool has no backend")                     \
    X(DROP_NO_NEIGHBOUR, 77, DROP, "drop-no-neighbour", "the backend's next hop is unresolved")    \
    X(DROP_NO_ROOM, 78, DROP, "drop-no-room", "no room in the frame to grow")                      \
    X(DROP_TOO_BIG, 79, DROP, "drop-too-big", "too big for the way to the backend")                \
    X(DROP_DNS_SHORT, 80, DROP, "drop-dns-short", "DNS message shorter than its header")           \
    X(DROP_DNS_RESPONSE, 81, DROP, "drop-dns-response", "DNS response sent to a server")           \
    X(DROP_DNS_LOOP, 82, DROP, "drop-dns-loop", "query from a port that would loop")               \
    X(DROP_INTERNAL, 83, DROP, "drop-internal", "an invariant of the tables does not hold")

enum fp_reason {
#define X(name, number, verdict, label, text) FP_##name = number,
    FP_REASONS(X)
#undef X
        FP_REASON_LIMIT = 128,
};

enum fp_verdict {
    FP_VERDICT_PASS,    /* to the kernel, as it came unless the reason says rewritten */
    FP_VERDICT_TX,      /* back out of the port it came from */
    FP_VERDICT_FORWARD, /* out of the next hop's port */
    FP_VERDICT_DROP,
};

#endif
