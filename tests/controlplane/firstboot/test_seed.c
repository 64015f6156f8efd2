/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/firstboot/seed.h"

/* Nobody's: its other half was thrown away. */
#define KEY                                                                                        \
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOrULHTqnKFraropNwev9N5p3ZuCY0Ds9L5jTiT+YQFB nobody"
#define TOKEN "culvert1.AbC-123_x"

struct fixture {
    struct machine machine;
    struct seed_report report;
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    machine_free(&f->machine);
    seed_report_free(&f->report);
    free(f);
    return 0;
}

static void reads(struct fixture *f, seed_reader *reader, const char *text)
{
    assert_int_equal(reader(&f->machine, "seed", text, strlen(text), &f->report), 0);
}

/* What is said of it, a line each. */
static void says(const struct site_errors *errors, const char *expected)
{
    struct buffer text = {0};

    site_errors_text(errors, &text);
    assert_string_equal(text.data ? text.data : "", expected);
    buffer_free(&text);
}

static void writes(struct fixture *f, unsigned nic, const char *expected)
{
    struct buffer text = {0};

    assert_true(nic < f->machine.nic_count);
    machine_write_nic(&f->machine, &f->machine.nics[nic], &text);
    assert_string_equal(text.data, expected);
    buffer_free(&text);
}

/* A text that is refused, and why; the errors are empty again after it. */
static void refuses(struct fixture *f, seed_reader *reader, const char *text, const char *why)
{
    reads(f, reader, text);
    says(&f->report.errors, why);
    seed_report_free(&f->report);
}

/* ---- user-data ---- */

static void test_cloud_config(void **state)
{
    struct fixture *f = *state;

    reads(f, seed_read_user_data,
          "#cloud-config\n"
          "hostname: edge1\n"
          "fqdn: other.example.net\n"
          "ssh_authorized_keys: [\"" KEY "\"]\n"
          "users: [default, { name: root, ssh_authorized_keys: \"" KEY "\" }]\n"
          "ntp: { servers: [192.0.2.1, ntp.example.net], pools: [] }\n"
          "password:\n"
          "culvert:\n"
          "  site: |\n"
          "    site: lab\n"
          "  join: { token: " TOKEN ", address: \"10.0.0.1:7480\" }\n");
    says(&f->report.errors, "");
    says(&f->report.warnings, "seed:7:1: password: an appliance takes no \"password\"\n");
    assert_string_equal(f->machine.hostname, "edge1");
    assert_string_equal(f->machine.keys.data, KEY "\n"); /* once */
    assert_string_equal(f->machine.time_servers.data, " 192.0.2.1 ntp.example.net");
    assert_string_equal(f->machine.site.data, "site: lab\n");
    assert_string_equal(f->machine.join.data, TOKEN " 10.0.0.1:7480\n");
}

static void test_fqdn(void **state)
{
    struct fixture *f = *state;

    reads(f, seed_read_user_data, "#cloud-config\nfqdn: edge2.example.net\n");
    says(&f->report.errors, "");
    assert_string_equal(f->machine.hostname, "edge2");
}

static void test_site_file(void **state)
{
    static const char text[] = "#culvert-site\nsite: lab\n";
    struct fixture *f = *state;

    reads(f, seed_read_user_data, text);
    says(&f->report.errors, "");
    assert_string_equal(f->machine.site.data, text);
}

static void test_bad_user_data(void **state)
{
    struct fixture *f = *state;

    refuses(f, seed_read_user_data, "#!/bin/sh\nreboot\n",
            "seed:1:1: the first line is to be #cloud-config or #culvert-site: scripts, archives "
            "and other kinds are not taken\n");
    refuses(f, seed_read_user_data, "#cloud-config\nhostname: -x\n",
            "seed:2:11: hostname: a host's name is 1 to 63 letters, digits and hyphens\n");
    refuses(f, seed_read_user_data, "#cloud-config\nhostname: [a]\n",
            "seed:2:11: hostname: one text is expected here\n");
    refuses(f, seed_read_user_data, "#cloud-config\nhostname: \"a\n",
            "seed:3:1: not YAML: found unexpected end of stream, while scanning a quoted scalar "
            "that starts in line 2; see the line where it starts, too\n");
    refuses(f, seed_read_user_data, "#cloud-config\n- a\n",
            "seed:2:1: a map (\"key: value\") is expected here\n");
    refuses(f, seed_read_user_data, "#cloud-config\nssh_authorized_keys:\n  - ssh-rsa AAAA\n",
            "seed:3:5: ssh_authorized_keys[0]: not an SSH public key: one line such as "
            "\"ssh-ed25519 AAAA... name\"\n");
    refuses(f, seed_read_user_data, "#cloud-config\nculvert: { join: { token: x } }\n",
            "seed:2:18: culvert.join: a token and an address are expected\n");
    refuses(f, seed_read_user_data, "#cloud-config\nculvert: { sitte: x }\n",
            "seed:2:12: culvert.sitte: an appliance takes no \"sitte\"; did you mean \"site\"?\n");
    refuses(f, seed_read_user_data, "#cloud-config\nntp: { servers: [\"a b\"] }\n",
            "seed:2:18: ntp.servers[0]: not the name or address of a time server\n");
    assert_string_equal(f->machine.hostname, "");
    assert_int_equal(f->machine.keys.length, 0);
}

/* No error shows a value: tokens are secrets. */
static void test_no_secret_is_shown(void **state)
{
    struct fixture *f = *state;

    refuses(f, seed_read_user_data,
            "#cloud-config\nculvert: { join: { token: s3cret, address: \"10.0.0.1:7480\" } }\n",
            "seed:2:18: culvert.join: not a token of `culvert node token`\n");
}

/* ---- meta data ---- */

static void test_meta_data(void **state)
{
    struct fixture *f = *state;

    reads(f, seed_read_meta_data,
          "instance-id: i-1\nlocal-hostname: edge1\npublic-keys: { a: \"" KEY "\" }\nregion: x\n");
    says(&f->report.errors, "");
    says(&f->report.warnings, "");
    assert_string_equal(f->machine.instance, "i-1");
    assert_string_equal(f->machine.hostname, "edge1");
    assert_string_equal(f->machine.keys.data, KEY "\n");
}

static void test_openstack(void **state)
{
    struct fixture *f = *state;

    reads(f, seed_read_openstack,
          "{\"uuid\": \"83679162\", \"hostname\": \"edge1.novalocal\", \"random_seed\": \"a\\/b\", "
          "\"public_keys\": {\"mykey\": \"" KEY "\\n\"}}");
    says(&f->report.errors, "");
    assert_string_equal(f->machine.instance, "83679162");
    assert_string_equal(f->machine.hostname, "edge1");
    assert_string_equal(f->machine.keys.data, KEY "\n");
    refuses(f, seed_read_openstack, "{\"uuid\": \"a b\"}",
            "seed:1:10: uuid: an instance's id has no spaces and control characters\n");
}

/* ---- networks ---- */

#define STATIC_NIC                                                                                 \
    "[Match]\n"                                                                                    \
    "MACAddress=52:54:00:12:34:56\n"                                                               \
    "Type=ether\n"                                                                                 \
    "Kind=!*\n"                                                                                    \
    "\n"                                                                                           \
    "[Link]\n"                                                                                     \
    "RequiredForOnline=no\n"                                                                       \
    "MTUBytes=1400\n"                                                                              \
    "\n"                                                                                           \
    "[Network]\n"                                                                                  \
    "DHCP=no\n"                                                                                    \
    "IPv6AcceptRA=no\n"                                                                            \
    "LinkLocalAddressing=ipv6\n"                                                                   \
    "Address=192.0.2.7/24\n"                                                                       \
    "Address=2001:db8::7/64\n"                                                                     \
    "DNS=192.0.2.1\n"                                                                              \
    "Domains=example.net\n"                                                                        \
    "\n"                                                                                           \
    "[DHCPv4]\n"                                                                                   \
    "ClientIdentifier=mac\n"                                                                       \
    "\n"                                                                                           \
    "[Route]\n"                                                                                    \
    "Destination=0.0.0.0/0\n"                                                                      \
    "Gateway=192.0.2.254\n"                                                                        \
    "\n"                                                                                           \
    "[Route]\n"                                                                                    \
    "Destination=2001:db8:1::/48\n"                                                                \
    "Gateway=2001:db8::1\n"

static void test_version_2(void **state)
{
    struct fixture *f = *state;

    reads(f, seed_read_network,
          "network:\n"
          "  version: 2\n"
          "  ethernets:\n"
          "    lan:\n"
          "      match: { macaddress: \"52:54:00:12:34:56\" }\n"
          "      set-name: eth0\n"
          "      mtu: 1400\n"
          "      addresses: [192.0.2.7/24, \"2001:db8::7/64\"]\n"
          "      routes:\n"
          "        - { to: default, via: 192.0.2.254 }\n"
          "        - { to: \"2001:db8:1::/48\", via: \"2001:db8::1\" }\n"
          "      nameservers: { addresses: [192.0.2.1], search: [example.net] }\n"
          "    enp0s16: { dhcp4: true, dhcp6: yes }\n");
    says(&f->report.errors, "");
    assert_int_equal(f->machine.nic_count, 2);
    writes(f, 0, STATIC_NIC);
    writes(f, 1,
           "[Match]\nName=enp0s16\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=yes\n"
           "IPv6AcceptRA=yes\nLinkLocalAddressing=ipv6\n\n[DHCPv4]\nClientIdentifier=mac\n");
}

static void test_version_1(void **state)
{
    struct fixture *f = *state;

    reads(f, seed_read_network,
          "version: 1\n"
          "config:\n"
          "  - type: physical\n"
          "    name: eth0\n"
          "    mac_address: '52:54:00:12:34:56'\n"
          "    mtu: 1400\n"
          "    subnets:\n"
          "      - { type: static, address: 192.0.2.7, netmask: 255.255.255.0, gateway: "
          "192.0.2.254 }\n"
          "      - type: static6\n"
          "        address: 2001:db8::7/64\n"
          "        routes: [{ network: \"2001:db8:1::\", netmask: \"ffff:ffff:ffff::\", "
          "gateway: \"2001:db8::1\" }]\n"
          "  - { type: nameserver, address: 192.0.2.1, search: [example.net] }\n");
    says(&f->report.errors, "");
    writes(f, 0, STATIC_NIC);
}

static void test_openstack_network(void **state)
{
    struct fixture *f = *state;

    reads(
        f, seed_read_openstack_network,
        "{\"services\": [{\"type\": \"dns\", \"address\": \"192.0.2.1\"}],"
        " \"networks\": [{\"id\": \"n0\", \"type\": \"ipv4\", \"link\": \"tap0\", \"ip_address\": "
        "\"192.0.2.7\", \"netmask\": \"255.255.255.0\", \"routes\": [{\"network\": \"0.0.0.0\", "
        "\"netmask\": \"0.0.0.0\", \"gateway\": \"192.0.2.254\"}]},"
        " {\"id\": \"n1\", \"type\": \"ipv4_dhcp\", \"link\": \"tap1\"}],"
        " \"links\": [{\"id\": \"tap0\", \"type\": \"ovs\", \"mtu\": 1400, "
        "\"ethernet_mac_address\": \"52:54:00:12:34:56\"}, {\"id\": \"tap1\", \"type\": \"phy\", "
        "\"mtu\": null, \"ethernet_mac_address\": \"52:54:00:12:34:57\"}]}");
    says(&f->report.errors, "");
    assert_int_equal(f->machine.nic_count, 2);
    writes(f, 0,
           "[Match]\nMACAddress=52:54:00:12:34:56\nType=ether\nKind=!*\n\n[Link]\n"
           "RequiredForOnline=no\nMTUBytes=1400\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\n"
           "LinkLocalAddressing=ipv6\nAddress=192.0.2.7/24\nDNS=192.0.2.1\n\n[DHCPv4]\n"
           "ClientIdentifier=mac\n\n[Route]\nDestination=0.0.0.0/0\nGateway=192.0.2.254\n");
    assert_true(f->machine.nics[1].dhcp4 && !f->machine.nics[1].dhcp6);
}

#define NOT_USED "seed: with these errors it isn't used: every NIC asks for an address by DHCP\n"

/* A mistyped field could leave the machine without an address: nothing of it is used. */
static void test_bad_network(void **state)
{
    struct fixture *f = *state;

    refuses(f, seed_read_network,
            "version: 2\nethernets:\n  a: { dhcp4: true }\n  b: { adresses: [192.0.2.7/24] }\n",
            "seed:4:8: ethernets.b.adresses: an appliance takes no \"adresses\"; did you mean "
            "\"addresses\"?\n" NOT_USED);
    assert_int_equal(f->machine.nic_count, 0);
    refuses(f, seed_read_network, "version: 3\n",
            "seed:1:10: version: version 1 or 2 is expected\n" NOT_USED);
    refuses(f, seed_read_network, "version: 2\nbonds: { a: {} }\n",
            "seed:2:1: bonds: an appliance takes no \"bonds\"\n" NOT_USED);
    refuses(f, seed_read_network, "version: 2\nethernets: { a: { addresses: [192.0.2.7/33] } }\n",
            "seed:2:31: ethernets.a.addresses[0]: not an address such as 192.0.2.7/24 or "
            "2001:db8::7/64\n" NOT_USED);
    refuses(f, seed_read_network,
            "version: 2\nethernets: { a: { routes: [{ to: \"::/0\", via: 192.0.2.1 }] } }\n",
            "seed:2:28: ethernets.a.routes[0]: a route has a gateway of its own family\n" NOT_USED);
    refuses(f, seed_read_network, "version: 2\nethernets: { \"a b\": { dhcp4: true } }\n",
            "seed:2:21: ethernets.a b: not the name of a NIC, such as enp0s3\n" NOT_USED);
    refuses(f, seed_read_network,
            "version: 1\nconfig: [{ type: physical, name: a, subnets: [{ type: static, address: "
            "192.0.2.7, netmask: 255.0.255.0 }] }]\n",
            "seed:2:92: config[0].subnets[0].netmask: a mask has all its ones before its "
            "zeros\n" NOT_USED);
    refuses(f, seed_read_openstack_network,
            "{\"links\": [], \"networks\": [{\"link\": \"x\", \"type\": \"ipv4\"}]}",
            "seed:1:37: networks[0].link: the id of one of the links is expected: "
            "\"link\"\n" NOT_USED);
}

static void test_bounds(void **state)
{
    struct fixture *f = *state;
    struct buffer text = {0};

    buffer_text(&text, "version: 2\nethernets:\n");
    for (unsigned i = 0; i < MACHINE_NICS_MAX + 1; i++)
        buffer_format(&text, "  a%u: { dhcp4: true }\n", i);
    refuses(f, seed_read_network, text.data,
            "seed:35:8: ethernets.a32: too many NICs, at most 32\n" NOT_USED);
    buffer_clear(&text);
    buffer_text(&text, "#cloud-config\nhostname: ");
    for (unsigned i = 0; i < 64; i++)
        buffer_char(&text, 'a');
    refuses(f, seed_read_user_data, text.data,
            "seed:2:11: hostname: a host's name is 1 to 63 letters, digits and hyphens\n");
    buffer_free(&text);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_cloud_config),       TEST(test_fqdn),
        TEST(test_site_file),          TEST(test_bad_user_data),
        TEST(test_no_secret_is_shown), TEST(test_meta_data),
        TEST(test_openstack),          TEST(test_version_2),
        TEST(test_version_1),          TEST(test_openstack_network),
        TEST(test_bad_network),        TEST(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
