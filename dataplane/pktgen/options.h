/* SPDX-License-Identifier: Apache-2.0 */
/* culvert-pktgen's command line. */
#ifndef CULVERT_PKTGEN_OPTIONS_H
#define CULVERT_PKTGEN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/base/units.h"
#include "dataplane/dpdk/eal_options.h"
#include "dataplane/pktgen/pktgen.h"

#define OPTIONS_TARGETS_MAX 64
#define OPTIONS_WEIGHT_MAX 1000
#define OPTIONS_THREADS_MAX 256

struct options_target {
    struct address address;
    uint16_t port;  /* 0: not given */
    unsigned kinds; /* 1 << enum pktgen_kind of those that go there */
};

struct options_prefix {
    struct address address;
    unsigned length; /* of all 128 bits; 0 and `given` false: not given */
    bool given;
};

struct options_address {
    struct address address;
    bool given;
};

struct options {
    const char *interface; /* to send from by XDP, or */
    const char *device;    /* DPDK's */
    const char *profile;   /* as it was typed */
    unsigned weight[PKTGEN_KIND_COUNT];
    const char *queries; /* a file's name */
    unsigned edns;       /* the UDP size to tell; 0: no OPT record */
    struct options_target target[OPTIONS_TARGETS_MAX];
    size_t target_count;
    struct options_prefix source[2]; /* IPv4, IPv6 */
    uint32_t flows;                  /* 0: not given */
    uint16_t port_low, port_high;
    unsigned size;        /* bytes of the Ethernet frame; 0: the smallest */
    double rate;          /* packets a second; 0: full speed */
    uint64_t duration_ms; /* 0: no end */
    uint64_t count;       /* 0: no end */
    unsigned threads;     /* 0: as many as there are --cores */
    bool gateway_given, source_given;
    uint8_t gateway_mac[6], source_mac[6];
    unsigned vlan; /* 0: untagged */
    bool json;
    bool count_only, drop;
    /* Of a DPDK device only. */
    struct options_address own[2], via[2]; /* IPv4, IPv6 */
    struct eal_options eal;
};

/* Returns 0: go on; 1: all is done (help, version); CULVERT_EINVAL after one line to stderr. */
int options_parse(struct options *options, int argc, char **argv);

#endif
