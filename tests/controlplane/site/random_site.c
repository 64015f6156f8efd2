/* SPDX-License-Identifier: Apache-2.0 */
#include "random_site.h"

#include <stdlib.h>

static uint64_t seed;

void random_start(uint64_t from)
{
    seed = from * 0x9e3779b97f4a7c15ull;
    random_below(2);
}

uint32_t random_below(uint32_t end)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 32) % end);
}

static const char zone_head[] = "$TTL 300\n@ SOA ns1 hm 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n";

static void random_pools(struct buffer *text)
{
    buffer_text(text, "pools:\n");
    for (unsigned i = 0; i < 5; i++) {
        if (i && !random_below(4))
            continue;
        buffer_format(text,
                      "  p%u:\n    buckets: 64\n    backends:\n      z: { address: 10.1.%u.1 }\n",
                      i, i);
        for (unsigned j = 0; j < 4; j++)
            if (random_below(3))
                buffer_format(text, "      b%u: { address: 10.0.%u.%u, weight: %u, drain: %s }\n",
                              j, i, j + 1 + random_below(2) * 10, 1 + random_below(100),
                              random_below(5) ? "false" : "true");
    }
}

static void random_zones(struct buffer *text)
{
    static const char *const names[] = {"example.com", "a.example.com", "b.a.example.com",
                                        "example.net"};

    buffer_text(text, "zones:\n  com:\n    file: com.zone\n");
    for (unsigned i = 0; i < 4; i++) {
        if (!random_below(3))
            continue;
        buffer_format(text,
                      "  %s:\n    soa: { mname: ns1, rname: hm }\n    records:\n"
                      "      \"@\": { NS: ns1 }\n      ns1: { A: 192.0.2.%u }\n"
                      "      www: { pool: p0 }\n",
                      names[i], random_below(3));
        if (random_below(2))
            buffer_format(text, "      x.b.a: { TXT: hello }\n");
    }
}

char *random_site(void)
{
    struct buffer text = {0};

    buffer_text(&text, "site: s\n");
    random_pools(&text);
    buffer_text(&text, "limits:\n  l: { per: source/24, packets: 10/s }\n");
    for (unsigned i = 0; i < 3; i++)
        if (random_below(2))
            buffer_format(&text, "  l%u: { per: vip, packets: %u/s }\n", i, 1 + random_below(3));
    buffer_text(&text, "vips:\n");
    for (unsigned i = 0; i < 6; i++)
        if (random_below(4))
            buffer_format(&text,
                          "  v%u: { address: 192.0.2.%u, ports: [%u, %u], pool: p0, "
                          "mode: %s, limits: [l] }\n",
                          i, 10 + i % 3, 80 + 10 * i, 81 + 10 * i + random_below(2),
                          random_below(2) ? "nat" : "dsr-l2");
    buffer_text(&text, "access:\n  - { deny: 203.0.113.0/24 }\n");
    for (unsigned i = 0; i < 4; i++)
        if (random_below(2))
            buffer_format(&text, "  - { %s: 198.51.%u.0/24 }\n", random_below(2) ? "deny" : "allow",
                          i);
    buffer_format(&text, "dns: { listen: [192.0.2.%u], key: 0001020304050607080900010203040%u }\n",
                  10 + random_below(4), random_below(6) == 0);
    random_zones(&text);
    return buffer_take(&text);
}

void random_file(struct rig *rig)
{
    char *text = text_of("%sx%u A 192.0.2.1\ny.example A 192.0.2.2\n"
                         "z.a.example A 192.0.2.%u\n",
                         zone_head, random_below(4), random_below(3));

    rig_file(rig, "com.zone", text);
    free(text);
}
