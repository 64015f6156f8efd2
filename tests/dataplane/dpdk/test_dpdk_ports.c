/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports as the product opens them, in a network namespace of the test's own: what queues a device
 * gets, a NIC that asks to be reset, a pool without buffers. The NIC is a TAP device, whose
 * kernel's side the test speaks through: echo requests to a virtual IP come back answered.
 */
#define ALLOW_EXPERIMENTAL_API /* rte_eth_dev_conf_get() */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dataplane/dpdk/device.h"
#include "dataplane/plane/grace.h"
#include "tests/dataplane/dpdk/ring_rig.h"
#include "tests/dataplane/fastpath/site.h"

#define BUFFERS 8191u
#define LOSSES 20u
#define WAIT_SECONDS 20
#define NIC "nic0"

/* Of DPDK's header for drivers, which Debian does not install: what a driver calls when its NIC
 * has been reset. */
struct rte_eth_dev;
struct rte_eth_dev *rte_eth_dev_allocated(const char *name);
int rte_eth_dev_callback_process(struct rte_eth_dev *dev, enum rte_eth_event_type event,
                                 void *result);

static struct ports ports;
static struct rtnl rtnl = {.fd = -1};
static struct devices devices;
static struct tables *tables;
static void *region;
static unsigned workers;

/* ---- the NIC's kernel side ---- */

/* A socket on the NIC's kernel side, which is brought up. */
static int plug(void)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    struct ifreq request = {.ifr_name = NIC};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);

    rig_need(fd >= 0, "socket");
    rig_need(!ioctl(fd, SIOCGIFINDEX, &request), "the NIC's kernel side");
    to.sll_ifindex = request.ifr_ifindex;
    rig_need(!ioctl(fd, SIOCGIFFLAGS, &request), "flags");
    request.ifr_flags |= IFF_UP;
    rig_need(!ioctl(fd, SIOCSIFFLAGS, &request), "up");
    rig_need(!bind(fd, (struct sockaddr *)&to, sizeof(to)), "bind");
    return fd;
}

static void send_echo(int fd, uint16_t number)
{
    struct fp_build_spec spec = {.family = 4, .protocol = FP_IP_ICMP, .type = 8, .rest = number};
    uint8_t frame[256];

    fp_build_ipv4(spec.source, 198, 18, 0, 1);
    fp_build_ipv4(spec.destination, 192, 0, 2, 10);
    rig_need(send(fd, frame, fp_build_frame(frame, sizeof(frame), &spec), 0) > 0, "send");
}

/* Takes what came. True: the answer is among it. */
static bool take(int fd, uint16_t number)
{
    struct sockaddr_ll from = {0};
    socklen_t size = sizeof(from);
    uint8_t frame[2048];
    ssize_t length;
    bool found = false;

    while ((length = recvfrom(fd, frame, sizeof(frame), MSG_DONTWAIT, (struct sockaddr *)&from,
                              &size)) > 0) {
        const uint8_t *icmp = frame + FP_ETH_BYTES + FP_IPV4_BYTES;

        found |= from.sll_pkttype != PACKET_OUTGOING && length >= 42 && frame[23] == FP_IP_ICMP &&
                 icmp[0] == 0 && icmp[6] == number >> 8 && icmp[7] == (number & 0xff);
    }
    return found;
}

/* Asks again and again, as the event loop's clock goes on; whether an answer came. */
static bool answers(int fd)
{
    static uint16_t number;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    time_t deadline = time(NULL) + WAIT_SECONDS;

    for (number++; time(NULL) < deadline;) {
        send_echo(fd, number);
        poll(&ready, 1, 10);
        if (take(fd, number))
            return true;
        ports_retry(&ports);
    }
    return false;
}

/* ---- the site ---- */

static void fill(void)
{
    struct fp_interface wan0 = {
        .driver = FP_DRIVER_DPDK, .queues = 1, .name = "wan0", .device = "net_tap0,iface=" NIC};
    struct fp_config config = {.dns_key = {1, 2}, .flow_seed = 3};
    struct fp_address vip = {.flags = FP_ADDRESS_VIP};

    assert_int_equal(tables_begin(tables), 0);
    site_put(tables, site_number(FP_KIND_CONFIG, 0), &config, sizeof(config));
    site_put(tables, site_number(FP_KIND_INTERFACE, 0), &wan0, sizeof(wan0));
    site_put(tables, site_key(FP_KIND_ADDRESS, "192.0.2.10", 0), &vip, sizeof(vip));
    assert_int_equal(tables_commit(tables, 1), 0);
}

static int set_up(void **state)
{
    struct tables_options options = {.size = SITE_BYTES, .cpus = workers, .grace = grace_wait};

    (void)state;
    region = eal_tables_memory(SITE_BYTES, false);
    options.base = region;
    grace_use(workers_wait);
    assert_int_equal(tables_open(&tables, &options), 0);
    assert_int_equal(ports_open(&ports, BUFFERS, workers, workers_wait), 0);
    ports.rtnl = &rtnl;
    ports.devices = &devices;
    fill();
    ports_sync(&ports, tables);
    assert_int_equal(ports.count, 1);
    assert_string_equal(ports.all[0]->reason, "");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    workers_stop();
    ports_close(&ports);
    tables_close(tables);
    grace_use(NULL);
    return 0;
}

static struct status_interface status(void)
{
    struct status_interface all[PORTS_MAX];

    assert_int_equal(ports_status(&ports, all), 1);
    return all[0];
}

/* ---- tests ---- */

static void check_queues(const char *device, uint16_t receive, uint16_t send, uint16_t has_receive,
                         uint16_t has_send)
{
    struct rte_mempool *pool =
        rte_pktmbuf_pool_create("queues", BUFFERS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    const struct device_request request = {.pool = pool, .receive = receive, .send = send};
    struct rte_eth_dev_info info;
    struct rte_eth_conf conf;
    uint16_t id, got_receive, got_send;

    assert_non_null(pool);
    if (device_open(device, &request, &id, &got_receive, &got_send))
        fail_msg("%s: %s", device, eal_complaint());
    assert_int_equal(got_receive, has_receive);
    assert_int_equal(got_send, has_send);
    assert_int_equal(rte_eth_dev_info_get(id, &info), 0);
    assert_int_equal(info.nb_rx_queues, has_receive);
    assert_int_equal(info.nb_tx_queues, has_send);
    assert_int_equal(rte_eth_dev_conf_get(id, &conf), 0);
    assert_int_equal(conf.rxmode.mq_mode, has_receive > 1 ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE);
    if (has_receive > 1) /* ports too, as far as the device can */
        assert_int_equal(conf.rx_adv_conf.rss_conf.rss_hf,
                         info.flow_type_rss_offloads &
                             (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP));
    device_close(id);
    rte_mempool_free(pool);
}

static void test_queues(void **state)
{
    (void)state;
    check_queues("net_null0", 1, 1, 1, 1);
    check_queues("net_null0", 4, 2, 4, 2);
    check_queues("net_null0", 2, 4, 2, 4);
    check_queues("net_tap1,iface=q0", 2, 1, 2, 2); /* in pairs */
    check_queues("net_tap1,iface=q0", 1, 4, 1, 1);
    check_queues("net_af_packet0,iface=lo", 4, 4, 1, 1); /* no more than it has */
}

static void test_reset(void **state)
{
    char name[RTE_ETH_NAME_MAX_LEN];
    int fd = plug();

    (void)state;
    assert_int_equal(workers_start(&ports, region, NULL), 0);
    assert_true(answers(fd));
    for (unsigned times = 1; times <= 2; times++) {
        assert_int_equal(rte_eth_dev_get_name_by_port(ports.all[0]->nic.id, name), 0);
        assert_int_equal(rte_eth_dev_callback_process(rte_eth_dev_allocated(name),
                                                      RTE_ETH_EVENT_INTR_RESET, NULL),
                         0);
        ports.changed = false;
        ports_retry(&ports);
        assert_true(ports.changed);
        assert_true(status().attached);
        assert_int_equal(status().resets, times);
        close(fd);
        fd = plug(); /* the old one's kernel side went with it */
        assert_true(answers(fd));
    }
    ports_retry(&ports); /* once is enough */
    assert_int_equal(status().resets, 2);
    close(fd);
}

static void test_no_buffers(void **state)
{
    static struct rte_mbuf *held[BUFFERS];
    time_t deadline = time(NULL) + WAIT_SECONDS;
    unsigned count = 0;
    int fd = plug();
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    (void)state;
    while (count < BUFFERS && (held[count] = rte_pktmbuf_alloc(ports.pool)) != NULL)
        count++;
    assert_true(count > 0);
    assert_int_equal(status().lost_in, 0);
    assert_int_equal(workers_start(&ports, region, NULL), 0);
    while (status().lost_in < LOSSES && time(NULL) < deadline) {
        send_echo(fd, 0);
        poll(&ready, 1, 1); /* not faster than it takes: a full TAP wakes nobody */
        assert_false(take(fd, 0));
    }
    assert_true(status().lost_in >= LOSSES);
    rte_pktmbuf_free_bulk(held, count);
    assert_true(answers(fd));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queues),
        cmocka_unit_test_setup_teardown(test_reset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_buffers, set_up, tear_down),
    };
    struct rig rig;
    int failed;

    if (unshare(CLONE_NEWNET)) {
        fprintf(stderr, "a network namespace is needed: root\n");
        return RIG_SKIPPED;
    }
    if (!rig_open_eal(&rig, 1, 256)) {
        fprintf(stderr, "two cores are needed\n");
        return RIG_SKIPPED;
    }
    workers = rig.workers;
    rig_need(!rtnl_open(&rtnl), "netlink");
    rig_need(!devices_load(&devices, &rtnl), "devices");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    devices_free(&devices);
    rtnl_close(&rtnl);
    eal_close();
    return failed;
}
