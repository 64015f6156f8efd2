/* SPDX-License-Identifier: Apache-2.0 */
/* Questions and readable answers for the unit tests. */
#ifndef CULVERT_TESTS_DNS_ASK_H
#define CULVERT_TESTS_DNS_ASK_H

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A query in wire format; `payload` 0: no OPT record. Returns its length. */
static inline size_t make_query(uint8_t *to, const char *name, unsigned type, unsigned payload)
{
    ldns_rdf *rdf = ldns_dname_new_frm_str(name);
    size_t at = 12;

    memset(to, 0, 12);
    to[0] = 0x12;
    to[1] = 0x34;
    to[2] = 1; /* RD */
    to[5] = 1;
    memcpy(to + at, ldns_rdf_data(rdf), ldns_rdf_size(rdf));
    at += ldns_rdf_size(rdf);
    ldns_rdf_deep_free(rdf);
    to[at++] = (uint8_t)(type >> 8);
    to[at++] = (uint8_t)type;
    to[at++] = 0;
    to[at++] = 1;
    if (payload) {
        const uint8_t opt[11] = {0, 0, 41, (uint8_t)(payload >> 8), (uint8_t)payload};

        memcpy(to + at, opt, sizeof(opt));
        at += sizeof(opt);
        to[11] = 1;
    }
    return at;
}

static inline int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void add_section(char *text, size_t size, const char *name, ldns_rr_list *list)
{
    size_t count = ldns_rr_list_rr_count(list);
    char *lines[512];

    for (size_t i = 0; i < count; i++) {
        lines[i] = ldns_rr2str(ldns_rr_list_rr(list, i));
        lines[i][strcspn(lines[i], "\n")] = '\0';
        for (char *tab; (tab = strchr(lines[i], '\t'));)
            *tab = ' ';
    }
    qsort(lines, count, sizeof(lines[0]), compare_lines);
    for (size_t i = 0; i < count; i++) {
        size_t at = strlen(text);

        snprintf(text + at, size - at, " | %s: %s", name, lines[i]);
        free(lines[i]);
    }
}

/* "NOERROR aa tc | an: www.example.com. 60 IN A 192.0.2.1 | ...": sections sorted. */
static inline void describe(const uint8_t *wire, size_t length, char *text, size_t size)
{
    static const char *const codes[16] = {"NOERROR", "FORMERR",  "SERVFAIL", "NXDOMAIN", "NOTIMP",
                                          "REFUSED", "YXDOMAIN", "7",        "8",        "NOTAUTH"};
    ldns_pkt *packet = NULL;

    if (!length || ldns_wire2pkt(&packet, wire, length) != LDNS_STATUS_OK) {
        snprintf(text, size, "%s", length ? "UNREADABLE" : "NOTHING");
        return;
    }
    snprintf(text, size, "%s%s%s%s", codes[ldns_pkt_get_rcode(packet)],
             ldns_pkt_aa(packet) ? " aa" : "", ldns_pkt_tc(packet) ? " tc" : "",
             ldns_pkt_edns(packet) ? " edns" : "");
    if (ldns_pkt_edns_extended_rcode(packet))
        strcat(text, " BADVERS");
    add_section(text, size, "an", ldns_pkt_answer(packet));
    add_section(text, size, "ns", ldns_pkt_authority(packet));
    add_section(text, size, "ar", ldns_pkt_additional(packet));
    ldns_pkt_free(packet);
}

#endif
