/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's parts that need no kernel: messages, names of pins, next hops, options. */
#include <arpa/inet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/neighbour.h>

#include "controlplane/base/error.h"
#include "dataplane/kernel/devices.h"
#include "dataplane/kernel/routes.h"
#include "dataplane/plane/status.h"
#include "dataplane/xdp/options.h"
#include "dataplane/xdp/pins.h"

static const struct nlmsghdr *header(const struct rtnl_request *request)
{
    return (const struct nlmsghdr *)request->bytes;
}

/* ---- rtnetlink messages ---- */

static void attributes_are_found_and_lengths_checked(void **state)
{
    struct rtmsg body = {.rtm_family = AF_INET};
    struct rtnl_request request;
    const struct rtattr *at[RTA_VIA + 1];
    uint32_t number = 77;
    uint8_t address[16];

    rtnl_begin(&request, RTM_NEWROUTE, 0, &body, sizeof(body));
    rtnl_add(&request, RTA_OIF, &number, sizeof(number));
    rtnl_add(&request, RTA_DST, "\x0a\x00\x00\x07", 4);
    rtnl_add(&request, RTA_PRIORITY, "\x01\x02", 2);
    assert_true(rtnl_attributes(header(&request), sizeof(body), at, RTA_VIA));
    assert_int_equal(rtnl_u32(at[RTA_OIF]), 77);
    assert_int_equal(rtnl_u32(at[RTA_PRIORITY]), 0); /* too short for one */
    assert_null(at[RTA_GATEWAY]);
    assert_true(rtnl_address(at[RTA_DST], address));
    assert_memory_equal(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x07", 16);
    assert_false(rtnl_address(at[RTA_PRIORITY], address));
    assert_false(rtnl_address(NULL, address));
}

static void damaged_messages_are_not_read_beyond_their_end(void **state)
{
    struct rtmsg body = {.rtm_family = AF_INET};
    struct rtnl_request request;
    const struct rtattr *at[RTA_VIA + 1];
    struct nlmsghdr *message = (struct nlmsghdr *)request.bytes;

    rtnl_begin(&request, RTM_NEWROUTE, 0, &body, sizeof(body));
    rtnl_add(&request, RTA_DST, "\x0a\x00\x00\x07", 4);
    for (uint32_t length = 0; length < message->nlmsg_len; length++) {
        struct rtnl_request cut = request;

        ((struct nlmsghdr *)cut.bytes)->nlmsg_len = length;
        if (rtnl_attributes(header(&cut), sizeof(body), at, RTA_VIA))
            assert_null(at[RTA_DST]);
        else
            assert_true(length < NLMSG_LENGTH(sizeof(body)));
    }
    ((struct rtattr *)(request.bytes + NLMSG_LENGTH(sizeof(body))))->rta_len = 200;
    assert_true(rtnl_attributes(header(&request), sizeof(body), at, RTA_VIA));
    assert_null(at[RTA_DST]);
}

static void strings_are_cut_and_ended(void **state)
{
    struct rtmsg body = {0};
    struct rtnl_request request;
    const struct rtattr *at[RTA_VIA + 1];
    char text[4] = "???";

    rtnl_begin(&request, RTM_NEWROUTE, 0, &body, sizeof(body));
    rtnl_add(&request, RTA_DST, "longer", 6); /* no NUL */
    assert_true(rtnl_attributes(header(&request), sizeof(body), at, RTA_VIA));
    rtnl_string(at[RTA_DST], text, sizeof(text));
    assert_string_equal(text, "lon");
    rtnl_string(NULL, text, sizeof(text));
    assert_string_equal(text, "");
}

static void neighbours_are_parsed(void **state)
{
    struct ndmsg body = {.ndm_family = AF_INET, .ndm_ifindex = 3, .ndm_state = NUD_STALE};
    struct rtnl_request request;
    struct neighbour neighbour;
    uint8_t ours = RTNL_PROTOCOL_CULVERT;
    uint8_t address[16];
    uint32_t ifindex;

    rtnl_begin(&request, RTM_NEWNEIGH, 0, &body, sizeof(body));
    rtnl_add(&request, NDA_DST, "\x0a\x00\x00\x07", 4);
    assert_true(neighbour_parse(header(&request), &ifindex, address, &neighbour));
    assert_false(neighbour_is_usable(&neighbour)); /* no address to send to */
    rtnl_add(&request, NDA_LLADDR, "\2\0\0\0\0\7", 6);
    rtnl_add(&request, NDA_PROTOCOL, &ours, 1);
    assert_true(neighbour_parse(header(&request), &ifindex, address, &neighbour));
    assert_int_equal(ifindex, 3);
    assert_true(neighbour.ours);
    assert_true(neighbour_is_usable(&neighbour));
    assert_memory_equal(neighbour.mac, "\2\0\0\0\0\7", 6);
    ((struct nlmsghdr *)request.bytes)->nlmsg_type = RTM_DELNEIGH;
    assert_true(neighbour_parse(header(&request), &ifindex, address, &neighbour));
    assert_false(neighbour_is_usable(&neighbour));
    body.ndm_family = AF_BRIDGE;
    rtnl_begin(&request, RTM_NEWNEIGH, 0, &body, sizeof(body));
    rtnl_add(&request, NDA_DST, "\x0a\x00\x00\x07", 4);
    assert_false(neighbour_parse(header(&request), &ifindex, address, &neighbour));
}

/* ---- devices and next hops ---- */

static void begin_device(struct rtnl_request *request, uint32_t ifindex, const char *name,
                         uint32_t mtu)
{
    struct ifinfomsg body = {
        .ifi_index = (int)ifindex, .ifi_type = ARPHRD_ETHER, .ifi_flags = IFF_UP};

    rtnl_begin(request, RTM_NEWLINK, 0, &body, sizeof(body));
    rtnl_add(request, IFLA_IFNAME, name, strlen(name) + 1);
    rtnl_add(request, IFLA_MTU, &mtu, sizeof(mtu));
    rtnl_add(request, IFLA_ADDRESS, "\2\0\0\0\0\1", 6);
}

static void add_kind(struct rtnl_request *request, const char *kind, uint16_t vlan, uint32_t parent)
{
    size_t info, data;

    rtnl_add(request, IFLA_LINK, &parent, sizeof(parent));
    info = rtnl_nest(request, IFLA_LINKINFO);
    rtnl_add(request, IFLA_INFO_KIND, kind, strlen(kind) + 1);
    data = rtnl_nest(request, IFLA_INFO_DATA);
    rtnl_add(request, IFLA_VLAN_ID, &vlan, sizeof(vlan));
    rtnl_end(request, data);
    rtnl_end(request, info);
}

/* eth0 (2), its VLAN 100 (3), the bridge br0 (4), a VLAN on the bridge (5). */
static void make_devices(struct devices *devices)
{
    struct rtnl_request request;
    struct device changed;

    memset(devices, 0, sizeof(*devices));
    begin_device(&request, 2, "eth0", 9000);
    assert_true(devices_update(devices, header(&request), &changed));
    assert_false(devices_update(devices, header(&request), &changed)); /* nothing new */
    begin_device(&request, 3, "eth0.100", 1500);
    add_kind(&request, "vlan", 100, 2);
    assert_true(devices_update(devices, header(&request), &changed));
    begin_device(&request, 4, "br0", 1500);
    add_kind(&request, "bridge", 0, 0);
    assert_true(devices_update(devices, header(&request), &changed));
    begin_device(&request, 5, "br0.7", 1500);
    add_kind(&request, "vlan", 7, 4);
    assert_true(devices_update(devices, header(&request), &changed));
    assert_int_equal(devices->count, 4);
    devices->all[0].takes_frames = true;
}

static void next_hop_of_a_plain_device(void **state)
{
    struct route route = {.ifindex = 2, .mtu = 1400, .onlink = true, .source = {1}};
    struct devices devices;
    struct fp_nexthop out;
    const char *why;

    make_devices(&devices);
    assert_int_equal(nexthop_compose(&devices, &route, (uint8_t *)"\2\0\0\0\0\7", &out, &why), 0);
    assert_int_equal(out.ifindex, 2);
    assert_int_equal(out.vlan, 0);
    assert_int_equal(out.mtu, 1400);
    assert_int_equal(out.flags, FP_NEXTHOP_ONLINK);
    assert_memory_equal(out.dmac, "\2\0\0\0\0\7", 6);
    assert_memory_equal(out.smac, "\2\0\0\0\0\1", 6);
    assert_int_equal(out.source[0], 1);
    devices.all[0].takes_frames = false;
    assert_int_equal(nexthop_compose(&devices, &route, out.dmac, &out, &why), CULVERT_EUNSUPPORTED);
    assert_string_equal(why, "the route's device takes no frames from the data plane");
    devices_free(&devices);
}

static void next_hop_of_a_vlan_names_its_parent(void **state)
{
    struct route route = {.ifindex = 3};
    struct devices devices;
    struct fp_nexthop out;
    const char *why;
    uint8_t mac[6] = {2};

    make_devices(&devices);
    assert_int_equal(nexthop_compose(&devices, &route, mac, &out, &why), 0);
    assert_int_equal(out.ifindex, 2);
    assert_int_equal(out.vlan, 0x1000 | 100);
    assert_int_equal(out.mtu, 1500);
    assert_int_equal(out.flags, 0);
    devices_free(&devices);
}

static void next_hop_that_xdp_can_not_serve(void **state)
{
    static const uint32_t bad[] = {4, 5, 99};
    struct devices devices;
    struct fp_nexthop out;
    uint8_t mac[6] = {2};

    make_devices(&devices);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct route route = {.ifindex = bad[i]};
        const char *why = NULL;

        assert_int_equal(nexthop_compose(&devices, &route, mac, &out, &why), CULVERT_EUNSUPPORTED);
        assert_non_null(why);
    }
    devices_free(&devices);
}

static void device_that_goes(void **state)
{
    struct rtnl_request request;
    struct devices devices;
    struct device changed;

    make_devices(&devices);
    begin_device(&request, 2, "eth0", 9000);
    ((struct nlmsghdr *)request.bytes)->nlmsg_type = RTM_DELLINK;
    assert_true(devices_update(&devices, header(&request), &changed));
    assert_string_equal(changed.name, "eth0");
    assert_false(devices_update(&devices, header(&request), &changed));
    assert_null(device_by_index(&devices, 2));
    assert_non_null(device_by_name(&devices, "br0"));
    devices_free(&devices);
}

/* ---- pins and options ---- */

static void names_of_pins_go_both_ways(void **state)
{
    static const char *const names[] = {"eth0", "eth0.100", "a%2eb", "....", "%%%%%%%%%%%%%%%"};
    static const char *const wrong[] = {"", ".x", "a%", "a%2", "a%41", "0123456789abcdefg"};
    char path[PINS_PATH_BYTES];
    char name[16];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        pins_link_path("/pin", names[i], path);
        assert_null(strchr(path, '.'));
        assert_memory_equal(path, "/pin/links/", 11);
        assert_true(pins_link_name(path + 11, name, sizeof(name)));
        assert_string_equal(name, names[i]);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(pins_link_name(wrong[i], name, sizeof(name)));
}

static int parse(struct options *options, const char *option, const char *value)
{
    char *argv[] = {(char *)"culvert-xdp", (char *)option, (char *)value, NULL};

    optind = 0; /* glibc: start anew */
    return options_parse(options, value ? 3 : 2, argv);
}

static void memory_sizes(void **state)
{
    static const char *const wrong[] = {"",    "1",  "G",  "-1G", "5G",
                                        "63M", "64", "1T", "1GB", "99999999999999999999G"};
    struct options options;

    assert_int_equal(parse(&options, "--memory", "64M"), 0);
    assert_int_equal(options.common.memory, 64u << 20);
    assert_int_equal(parse(&options, "--memory", "4G"), 0);
    assert_true(options.common.memory == (size_t)4 << 30);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(parse(&options, "--memory", wrong[i]), CULVERT_EINVAL);
    assert_int_equal(parse(&options, "--detach", NULL), 0);
    assert_int_equal(options.common.action, ARGUMENTS_DETACH);
    assert_string_equal(options.common.run_dir, "/run/culvert");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_are_found_and_lengths_checked),
        cmocka_unit_test(damaged_messages_are_not_read_beyond_their_end),
        cmocka_unit_test(strings_are_cut_and_ended),
        cmocka_unit_test(neighbours_are_parsed),
        cmocka_unit_test(next_hop_of_a_plain_device),
        cmocka_unit_test(next_hop_of_a_vlan_names_its_parent),
        cmocka_unit_test(next_hop_that_xdp_can_not_serve),
        cmocka_unit_test(device_that_goes),
        cmocka_unit_test(names_of_pins_go_both_ways),
        cmocka_unit_test(memory_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
