/* SPDX-License-Identifier: Apache-2.0 */
/* The table of everything that a site file may hold (docs/SITE.md). */
#include "controlplane/site/schema.h"

#include "dataplane/dpdk/settings_file.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define FIELDS(table) .fields = (table), .field_count = sizeof(table) / sizeof((table)[0])

static const struct schema interface_fields[] = {
    [INTERFACE_DRIVER] = {.key = "driver",
                          .type = SCHEMA_WORD,
                          .initial = "xdp",
                          .words = WORDS("xdp", "dpdk")},
    [INTERFACE_MODE] = {.key = "mode",
                        .type = SCHEMA_WORD,
                        .initial = "auto",
                        .only = "xdp",
                        .words = WORDS("auto", "native", "generic")},
    [INTERFACE_DEVICE] = {.key = "device",
                          .type = SCHEMA_DEVICE,
                          .required = true,
                          .only = "dpdk",
                          .most = sizeof(((struct fp_interface *)0)->device) - 1},
    [INTERFACE_QUEUES] = {.key = "queues",
                          .type = SCHEMA_NUMBER,
                          .initial = "1",
                          .only = "dpdk",
                          .least = 1,
                          .most = 16},
};
static const struct schema interface_schema = {.type = SCHEMA_OBJECT, FIELDS(interface_fields)};

/* How culvert-dpdk starts; what is not said is its own default (dataplane/dpdk/settings.c). */
static const struct schema core_schema = {.type = SCHEMA_NUMBER, .most = SETTINGS_CORE_MOST};
static const struct schema dpdk_fields[] = {
    [DPDK_CORES] = {.key = "cores",
                    .type = SCHEMA_LIST,
                    .least = 1,
                    .most = SETTINGS_CORES_MAX,
                    .element = &core_schema},
    [DPDK_MAIN_CORE] = {.key = "main-core", .type = SCHEMA_NUMBER, .most = SETTINGS_CORE_MOST},
    [DPDK_SHARE_MAIN_CORE] = {.key = "share-main-core", .type = SCHEMA_BOOL},
    [DPDK_HUGEPAGES] = {.key = "hugepages", .type = SCHEMA_BOOL},
    [DPDK_PACKET_BUFFERS] = {.key = "packet-buffers",
                             .type = SCHEMA_NUMBER,
                             .least = SETTINGS_BUFFERS_LEAST,
                             .most = SETTINGS_BUFFERS_MOST},
    [DPDK_BUFFER_MEMORY] = {.key = "buffer-memory",
                            .type = SCHEMA_NUMBER,
                            .least = SETTINGS_BUFFER_MIB_LEAST,
                            .most = SETTINGS_BUFFER_MIB_MOST},
    [DPDK_TABLE_MEMORY] = {.key = "table-memory",
                           .type = SCHEMA_NUMBER,
                           .least = SETTINGS_TABLE_MIB_LEAST,
                           .most = SETTINGS_TABLE_MIB_MOST},
};

static const struct schema backend_fields[] = {
    [BACKEND_ADDRESS] = {.key = "address", .type = SCHEMA_ADDRESS, .required = true},
    [BACKEND_WEIGHT] =
        {.key = "weight", .type = SCHEMA_NUMBER, .initial = "100", .least = 0, .most = 1000},
    [BACKEND_DRAIN] = {.key = "drain", .type = SCHEMA_BOOL, .initial = "false"},
};
static const struct schema backend_schema = {
    .type = SCHEMA_OBJECT, FIELDS(backend_fields), .later = WORDS("region", "health")};

static const struct schema pool_fields[] = {
    [POOL_POLICY] = {.key = "policy",
                     .type = SCHEMA_WORD,
                     .initial = "hash",
                     .words = WORDS("hash"),
                     .later = WORDS("weighted", "round-robin", "latency", "geo", "failover")},
    [POOL_BUCKETS] = {.key = "buckets", .type = SCHEMA_NUMBER, .least = 64, .most = 65536},
    [POOL_DRAIN] =
        {.key = "drain", .type = SCHEMA_TIME, .initial = "60s", .least = 0, .most = 3600000},
    [POOL_BACKENDS] = {.key = "backends", .type = SCHEMA_NAMED, .element = &backend_schema},
};
static const struct schema pool_schema = {
    .type = SCHEMA_OBJECT, FIELDS(pool_fields), .later = WORDS("health", "when-all-down")};

static const struct schema port_schema = {.type = SCHEMA_NUMBER, .least = 1, .most = 65535};
static const struct schema limit_reference = {.type = SCHEMA_REFERENCE, .target = ROOT_LIMITS};

static const struct schema vip_fields[] = {
    [VIP_ADDRESS] = {.key = "address", .type = SCHEMA_ADDRESS, .required = true},
    [VIP_PROTOCOL] = {.key = "protocol",
                      .type = SCHEMA_WORD,
                      .initial = "tcp",
                      .words = WORDS("tcp", "udp")},
    [VIP_PORTS] = {.key = "ports",
                   .type = SCHEMA_LIST,
                   .required = true,
                   .least = 1,
                   .most = 64,
                   .element = &port_schema,
                   .words = WORDS("all")},
    [VIP_MODE] = {.key = "mode",
                  .type = SCHEMA_WORD,
                  .initial = "dsr-ipip",
                  .words = WORDS("dsr-ipip", "dsr-l2", "nat"),
                  .later = WORDS("dsr-gue", "fullnat")},
    [VIP_POOL] = {.key = "pool", .type = SCHEMA_REFERENCE, .required = true, .target = ROOT_POOLS},
    [VIP_PORT] = {.key = "port", .type = SCHEMA_NUMBER, .least = 1, .most = 65535},
    [VIP_LIMITS] = {.key = "limits",
                    .type = SCHEMA_LIST,
                    .most = FP_LIMITS_MAX,
                    .element = &limit_reference},
};
static const struct schema vip_schema = {.type = SCHEMA_OBJECT, FIELDS(vip_fields)};

#define RATE_MOST 100000000000ull
static const struct schema limit_fields[] = {
    [LIMIT_PER] =
        {.key = "per", .type = SCHEMA_SOURCE, .required = true, .most = 32, .words = WORDS("vip")},
    [LIMIT_PER6] = {.key = "per6", .type = SCHEMA_SOURCE, .most = 128},
    [LIMIT_PACKETS] = {.key = "packets", .type = SCHEMA_RATE, .least = 1, .most = RATE_MOST},
    [LIMIT_BURST] = {.key = "burst", .type = SCHEMA_SIZE, .least = 1, .most = RATE_MOST},
    [LIMIT_BYTES] = {.key = "bytes", .type = SCHEMA_RATE, .least = 1, .most = RATE_MOST},
    [LIMIT_BURST_BYTES] = {.key = "burst-bytes",
                           .type = SCHEMA_SIZE,
                           .least = 1,
                           .most = RATE_MOST},
};
static const struct schema limit_schema = {
    .type = SCHEMA_OBJECT, FIELDS(limit_fields), .later = WORDS("responses", "slip")};

static const struct schema access_fields[] = {
    [ACCESS_ALLOW] = {.key = "allow", .type = SCHEMA_PREFIX},
    [ACCESS_DENY] = {.key = "deny", .type = SCHEMA_PREFIX},
};
static const struct schema access_schema = {.type = SCHEMA_OBJECT, FIELDS(access_fields)};

static const struct schema listen_schema = {.type = SCHEMA_ADDRESS};
static const struct schema dns_fields[] = {
    [DNS_LISTEN] = {.key = "listen", .type = SCHEMA_LIST, .most = 64, .element = &listen_schema},
    [DNS_LIMITS] = {.key = "limits",
                    .type = SCHEMA_LIST,
                    .most = FP_LIMITS_MAX,
                    .element = &limit_reference},
    [DNS_UDP_SIZE] =
        {.key = "udp-size", .type = SCHEMA_NUMBER, .initial = "1232", .least = 512, .most = 4096},
    [DNS_KEY] = {.key = "key", .type = SCHEMA_SECRET},
};

static const struct schema endpoint_schema = {.type = SCHEMA_ENDPOINT};
static const struct schema api_fields[] = {
    [API_LISTEN] = {.key = "listen",
                    .type = SCHEMA_LIST,
                    .most = SITE_API_LISTEN_MAX,
                    .element = &endpoint_schema},
};

#define TTL_MOST 2147483647u /* RFC 2181 section 8 */
static const struct schema soa_fields[] = {
    [SOA_MNAME] = {.key = "mname", .type = SCHEMA_DOMAIN, .required = true},
    [SOA_RNAME] = {.key = "rname", .type = SCHEMA_DOMAIN, .required = true},
    [SOA_SERIAL] = {.key = "serial", .type = SCHEMA_NUMBER, .initial = "1", .most = UINT32_MAX},
    [SOA_REFRESH] = {.key = "refresh",
                     .type = SCHEMA_SECONDS,
                     .initial = "10800",
                     .most = TTL_MOST},
    [SOA_RETRY] = {.key = "retry", .type = SCHEMA_SECONDS, .initial = "3600", .most = TTL_MOST},
    [SOA_EXPIRE] = {.key = "expire", .type = SCHEMA_SECONDS, .initial = "604800", .most = TTL_MOST},
    [SOA_MINIMUM] = {.key = "minimum", .type = SCHEMA_SECONDS, .initial = "300", .most = TTL_MOST},
};

static const struct schema text_schema = {.type = SCHEMA_TEXT};
static const struct schema texts_schema = {
    .type = SCHEMA_TEXTS, .least = 1, .most = 4096, .element = &text_schema};
static const struct schema record_fields[] = {
    [RECORD_POOL] = {.key = "pool", .type = SCHEMA_REFERENCE, .target = ROOT_POOLS},
    [RECORD_TTL] = {.key = "ttl", .type = SCHEMA_SECONDS, .most = TTL_MOST},
};
static const struct schema records_schema = {
    .type = SCHEMA_RECORDS, FIELDS(record_fields), .element = &texts_schema};

static const struct schema zone_fields[] = {
    [ZONE_FILE] = {.key = "file", .type = SCHEMA_FILE},
    [ZONE_TTL] = {.key = "ttl", .type = SCHEMA_SECONDS, .initial = "3600", .most = TTL_MOST},
    [ZONE_SOA] = {.key = "soa", .type = SCHEMA_OBJECT, FIELDS(soa_fields)},
    [ZONE_RECORDS] = {.key = "records",
                      .type = SCHEMA_NAMED,
                      .element = &records_schema,
                      .names = NAMES_OWNER},
};
static const struct schema zone_schema = {
    .type = SCHEMA_OBJECT, FIELDS(zone_fields), .later = WORDS("regional-names")};

static const struct schema root_fields[] = {
    [ROOT_SITE] = {.key = "site", .type = SCHEMA_NAME, .required = true},
    [ROOT_INTERFACES] = {.key = "interfaces",
                         .type = SCHEMA_NAMED,
                         .element = &interface_schema,
                         .names = NAMES_INTERFACE},
    [ROOT_DPDK] = {.key = "dpdk", .type = SCHEMA_OBJECT, FIELDS(dpdk_fields)},
    [ROOT_POOLS] = {.key = "pools", .type = SCHEMA_NAMED, .element = &pool_schema},
    [ROOT_VIPS] = {.key = "vips", .type = SCHEMA_NAMED, .element = &vip_schema},
    [ROOT_LIMITS] = {.key = "limits", .type = SCHEMA_NAMED, .element = &limit_schema},
    [ROOT_ACCESS] = {.key = "access",
                     .type = SCHEMA_LIST,
                     .most = 1000000,
                     .element = &access_schema},
    [ROOT_DNS] = {.key = "dns", .type = SCHEMA_OBJECT, FIELDS(dns_fields)},
    [ROOT_ZONES] = {.key = "zones",
                    .type = SCHEMA_NAMED,
                    .element = &zone_schema,
                    .names = NAMES_ZONE},
    [ROOT_API] = {.key = "api", .type = SCHEMA_OBJECT, FIELDS(api_fields)},
};

const struct schema schema_root = {
    .type = SCHEMA_OBJECT, FIELDS(root_fields), .later = WORDS("regions")};

const char *schema_expects(const struct schema *schema)
{
    static const char *const expects[] = {
        [SCHEMA_NAME] = "1 to 63 letters, digits, \"-\", \"_\" or \".\"",
        [SCHEMA_BOOL] = "true or false",
        [SCHEMA_NUMBER] = "a number",
        [SCHEMA_SIZE] = "a number such as 2000, 10k, 5M or 1G",
        [SCHEMA_RATE] = "a rate such as 500/s, 10k/s or 1M/s",
        [SCHEMA_TIME] = "a time such as 500ms, 60s, 5m or 1h",
        [SCHEMA_SECONDS] = "seconds such as 300, or a time such as 5m",
        [SCHEMA_ADDRESS] = "an address such as 192.0.2.10 or \"2001:db8::10\"",
        [SCHEMA_ENDPOINT] = "an address and port such as 10.0.0.1:8443 or \"[2001:db8::1]:8443\"",
        [SCHEMA_PREFIX] = "a prefix such as 203.0.113.0/24 or \"2001:db8::/32\"",
        [SCHEMA_SOURCE] = "a source prefix length such as source/24",
        [SCHEMA_SECRET] = "32 hexadecimal digits",
        [SCHEMA_DEVICE] =
            "a PCI address such as 0000:03:00.0, or a virtual device such as net_tap0",
        [SCHEMA_DOMAIN] = "a domain name such as ns1.example.com.",
        [SCHEMA_WORD] = "a word",
        [SCHEMA_REFERENCE] = "the name of a resource",
        [SCHEMA_FILE] = "the name of a file, relative to the site file",
        [SCHEMA_TEXT] = "a record's data, as in a zone file",
        [SCHEMA_TEXTS] = "a record's data or a list of them",
        [SCHEMA_OBJECT] = "keys and values: { KEY: VALUE, ... }",
        [SCHEMA_NAMED] = "names and what they stand for: { NAME: ..., ... }",
        [SCHEMA_LIST] = "a list: [VALUE, ...]",
        [SCHEMA_RECORDS] = "record types and their data: { A: 192.0.2.1, ... }",
    };

    if (schema->type == SCHEMA_REFERENCE)
        return schema->target == ROOT_POOLS ? "the name of a pool" : "the name of a limit";
    if (schema->type == SCHEMA_SOURCE && schema->words)
        return "source/LENGTH (0 to 32) or vip";
    if (schema->type == SCHEMA_SOURCE)
        return "source/LENGTH (0 to 128)";
    return expects[schema->type];
}

const struct schema *schema_section(const struct schema *schema)
{
    for (unsigned i = 0; i < ROOT_FIELDS; i++)
        if (schema_root.fields[i].type == SCHEMA_NAMED && schema_root.fields[i].element == schema)
            return &schema_root.fields[i];
    return NULL;
}
