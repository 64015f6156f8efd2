/* SPDX-License-Identifier: Apache-2.0 */
/* The NIC commands on a made-up sysfs; a small fake of the kernel moves its drivers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/base/error.h"
#include "controlplane/cli/nic.h"

#define NIC "0000:03:00.0"
#define SEAT "0000:04:00.0" /* carries the session */

static char root[] = "/tmp/culvert-nic-XXXXXX";
static struct nic_list list;
static struct nic_host host;
static char why[NIC_WHY], trace[2048];

/* ---- the tree ---- */

static void tree_path(char path[PATH_MAX], const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

static void tree_file(const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *file;

    tree_path(path, name);
    file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "%s\n", text);
    fclose(file);
}

static void tree_link(const char *name, const char *target)
{
    char path[PATH_MAX];

    tree_path(path, name);
    unlink(path);
    assert_int_equal(symlink(target, path), 0);
}

static void tree_unlink(const char *name)
{
    char path[PATH_MAX];

    tree_path(path, name);
    unlink(path);
}

static void tree_pci(const char *address, const char *class, const char *driver)
{
    char name[128], target[128];

    snprintf(name, sizeof(name), "bus/pci/devices/%s/class", address);
    tree_file(name, class);
    snprintf(name, sizeof(name), "bus/pci/devices/%s/vendor", address);
    tree_file(name, "0x8086");
    snprintf(name, sizeof(name), "bus/pci/devices/%s/device", address);
    tree_file(name, "0x1572");
    snprintf(name, sizeof(name), "bus/pci/devices/%s/numa_node", address);
    tree_file(name, "1");
    snprintf(name, sizeof(name), "bus/pci/devices/%s/driver", address);
    snprintf(target, sizeof(target), "../../drivers/%s", driver);
    tree_link(name, target);
    snprintf(name, sizeof(name), "bus/pci/drivers/%s/bind", driver);
    tree_file(name, "");
}

static void tree_interface(const char *name, const char *place)
{
    char path[128], target[160];

    snprintf(path, sizeof(path), "devices/%s/net/%s/carrier", place, name);
    tree_file(path, "1");
    snprintf(path, sizeof(path), "devices/%s/net/%s/speed", place, name);
    tree_file(path, "10000");
    snprintf(path, sizeof(path), "class/net/%s", name);
    snprintf(target, sizeof(target), "../../devices/%s/net/%s", place, name);
    tree_link(path, target);
}

/* ---- the kernel ---- */

static struct {
    char override[32];
    const char *native; /* the driver that fits NIC */
    bool vfio_fails, load_fails, xdp, open;
    const char *program;     /* the XDP program's name */
    const char *write_fails; /* the last part of a path */
} kernel;

static void fake_bind(const char *driver)
{
    char target[64];

    snprintf(target, sizeof(target), "../../drivers/%s", driver);
    tree_link("bus/pci/devices/" NIC "/driver", target);
    if (!strcmp(driver, kernel.native))
        tree_interface("eth1", "pci0000:00/" NIC);
}

static int fake_write(struct nic_host *of, const char *path, const char *text)
{
    const char *last = strrchr(path, '/') + 1;
    size_t length = strlen(trace);

    assert_ptr_equal(of, &host);
    snprintf(trace + length, sizeof(trace) - length, "%s<%.*s|", last, (int)strcspn(text, "\n"),
             text);
    if (kernel.write_fails && !strcmp(last, kernel.write_fails))
        return -EINVAL;
    if (!strcmp(last, "driver_override")) {
        snprintf(kernel.override, sizeof(kernel.override), "%.*s", (int)strcspn(text, "\n"), text);
    } else if (!strcmp(last, "unbind")) {
        tree_unlink("bus/pci/devices/" NIC "/driver");
        tree_unlink("class/net/eth1");
    } else if (!strcmp(last, "drivers_probe") && !*kernel.override) {
        fake_bind(kernel.native);
    } else if (!strcmp(last, "drivers_probe") && !kernel.vfio_fails) {
        fake_bind(kernel.override);
    }
    return 0;
}

static bool fake_load(struct nic_host *of, const char *module)
{
    char name[96];

    (void)of;
    if (kernel.load_fails)
        return false;
    snprintf(name, sizeof(name), "bus/pci/drivers/%s/bind", module);
    tree_file(name, "");
    return true;
}

static bool fake_has_xdp(struct nic_host *of, const char *interface, char name[NIC_PROGRAM])
{
    (void)of;
    snprintf(name, NIC_PROGRAM, "%s", kernel.program);
    return kernel.xdp && !strcmp(interface, "eth1");
}

static bool fake_is_open(struct nic_host *of, const struct nic *nic)
{
    (void)of;
    (void)nic;
    return kernel.open;
}

static void fake_pause(struct nic_host *of)
{
    (void)of;
}

static int setup(void **state)
{
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    assert_non_null(mkdtemp(root));
    memset(&kernel, 0, sizeof(kernel));
    kernel.native = "i40e";
    trace[0] = why[0] = '\0';
    host = (struct nic_host){.sysfs = root,
                             .is_root = true,
                             .write = fake_write,
                             .load = fake_load,
                             .has_xdp = fake_has_xdp,
                             .is_open = fake_is_open,
                             .pause = fake_pause};
    tree_pci("0000:00:01.0", "0x060400", "pcieport");
    tree_pci(NIC, "0x020000", "i40e");
    tree_link("bus/pci/devices/" NIC "/iommu_group", "../../../kernel/iommu_groups/7");
    tree_interface("eth1", "pci0000:00/0000:00:01.0/" NIC);
    tree_pci(SEAT, "0x020000", "virtio-pci");
    tree_interface("eth0", "pci0000:00/" SEAT "/virtio2");
    tree_interface("mmio0", "platform/virtio-mmio.1/virtio1");
    tree_interface("lo", "virtual");
    tree_file("devices/virtual/net/bond0/carrier", "1");
    tree_link("class/net/bond0", "../../devices/virtual/net/bond0");
    tree_link("devices/virtual/net/bond0/lower_eth0", "../../eth0");
    tree_file("devices/virtual/net/bond0.7/carrier", "1");
    tree_link("class/net/bond0.7", "../../devices/virtual/net/bond0.7");
    tree_link("devices/virtual/net/bond0.7/lower_bond0", "../bond0");
    nic_names_add(&host.session, "bond0.7");
    nic_names_add_lower(&host.session, root);
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const struct nic *find(const char *name)
{
    assert_int_equal(nic_scan(&host, &list), 0);
    return nic_find(&list, name);
}

/* ---- list ---- */

static void test_list(void **state)
{
    struct buffer out = {0};

    (void)state;
    assert_ptr_equal(find("03:00.0"), find("eth1"));
    assert_int_equal(list.count, 3);
    nic_show(&list, false, &out);
    assert_string_equal(
        out.data,
        "PCI           INTERFACE  DRIVER      ID         NUMA  LINK             IOMMU  USE        "
        "\n"
        "0000:03:00.0  eth1       i40e        8086:1572     1  up, 10.0 Gbit/s  yes    xdp, dpdk  "
        "\n"
        "0000:04:00.0  eth0       virtio-pci  8086:1572     1  up, 10.0 Gbit/s  no     xdp, dpdk  "
        "your session\n"
        "-             mmio0      -           -             -  up, 10.0 Gbit/s  no     xdp        "
        "\n");
    buffer_clear(&out);
    nic_show_json(&list, &out);
    assert_non_null(strstr(out.data, "{\"pci\":\"" NIC "\",\"interfaces\":[\"eth1\"],\"driver\":"
                                     "\"i40e\",\"id\":\"8086:1572\",\"numa\":1,\"link\":true,"
                                     "\"speed_mbit\":10000,\"iommu\":true,\"use\":[\"xdp\","
                                     "\"dpdk\"],\"session\":false}"));
    buffer_free(&out);
}

/* ---- the session ---- */

static void test_session_goes_down_to_the_device(void **state)
{
    (void)state;
    assert_true(find("eth0")->session);
    assert_false(find("eth1")->session);
    nic_names_add(&host.session, "eth1:label");
    assert_true(find("eth1")->session);
}

static void routes(char *text, bool ipv6)
{
    FILE *file = fmemopen(text, strlen(text), "r");

    assert_non_null(file);
    nic_names_add_routes(&host.session, file, ipv6);
    fclose(file);
}

static void test_default_routes(void **state)
{
    char four[] = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n"
                  "a\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n"
                  "b\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\n"
                  "short\n";
    char six[] = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
                 "fe800000000000000000000000000001 00000400 00000001 00000000 00000003 c\n"
                 "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 "
                 "00000000000000000000000000000000 00000100 00000001 00000000 00000001 d\n"
                 "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
                 "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n";

    (void)state;
    memset(&host.session, 0, sizeof(host.session));
    routes(four, false);
    routes(six, true);
    assert_int_equal(host.session.count, 2);
    assert_true(nic_names_has(&host.session, "b"));
    assert_true(nic_names_has(&host.session, "c"));
}

/* ---- refusals ---- */

static void expect_refusal(const char *name, const char *driver, bool force, const char *told)
{
    struct nic_request request = {driver, force};

    assert_int_equal(nic_check_attach(&host, find(name), name, &request, why), CULVERT_EREJECTED);
    if (!strstr(why, told))
        print_error("%s: %s\n", name, why);
    assert_non_null(strstr(why, told));
    assert_string_equal(trace, "");
}

static void test_refusals(void **state)
{
    struct nic_request forced = {"uio_pci_generic", true};

    (void)state;
    expect_refusal("eth9", "vfio-pci", false, "no network device `eth9`");
    expect_refusal("00:01.0", "vfio-pci", false, "no network device"); /* a bridge */
    expect_refusal("mmio0", "vfio-pci", true, "not a PCI device");
    expect_refusal("eth0", "vfio-pci", true, "has no IOMMU");
    expect_refusal("eth0", "uio_pci_generic", false, "carries your session");
    assert_int_equal(nic_check_attach(&host, find("eth0"), "eth0", &forced, why), 0);
    kernel.xdp = true;
    kernel.program = "culvert_xdp";
    expect_refusal("eth1", "vfio-pci", true,
                   "eth1 carries culvert-xdp's packets: take it out of the");
    kernel.program = "xdp_pass";
    expect_refusal("eth1", "vfio-pci", true,
                   "is not culvert-xdp's, xdp_pass: end what has attached");
    kernel.program = "";
    expect_refusal("eth1", "vfio-pci", true, "is not culvert-xdp's: end what has attached it");
    host.is_root = false;
    expect_refusal("eth1", "vfio-pci", true, "needs root");
}

static void test_without_iommu(void **state)
{
    struct nic_request forced = {"vfio-pci", true};

    (void)state;
    tree_file("module/vfio/parameters/enable_unsafe_noiommu_mode", "N");
    expect_refusal("eth0", "vfio-pci", true, "has no IOMMU");
    tree_file("module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
    assert_int_equal(nic_check_attach(&host, find("eth0"), "eth0", &forced, why), 0);
}

static void test_shared_driver_stays(void **state)
{
    (void)state;
    tree_pci(NIC, "0x020000", "mlx5_core");
    expect_refusal("eth1", "vfio-pci", false, "stays with mlx5_core");
}

/* ---- moving ---- */

static void expect_driver(const char *driver)
{
    char name[32];

    nic_driver(&host, NIC, name, sizeof(name));
    assert_string_equal(name, driver);
}

static void test_attach_and_detach(void **state)
{
    (void)state;
    assert_int_equal(nic_attach(&host, find("eth1"), "vfio-pci", why), 0);
    assert_string_equal(trace, "driver_override<vfio-pci|unbind<" NIC "|drivers_probe<" NIC "|");
    expect_driver("vfio-pci");
    assert_null(find("eth1"));
    trace[0] = '\0';
    assert_int_equal(nic_attach(&host, find(NIC), "vfio-pci", why), 0); /* again: nothing to do */
    assert_string_equal(trace, "");

    assert_int_equal(nic_check_detach(&host, find(NIC), NIC, why), 0);
    assert_int_equal(nic_detach(&host, find(NIC), why), 0);
    assert_string_equal(trace, "driver_override<|unbind<" NIC "|drivers_probe<" NIC "|");
    expect_driver("i40e");
    assert_ptr_equal(find("eth1"), find(NIC));
}

static void test_detach_refusals(void **state)
{
    (void)state;
    assert_int_equal(nic_check_detach(&host, find(NIC), NIC, why), CULVERT_EREJECTED);
    assert_non_null(strstr(why, "with the kernel's driver i40e already"));
    assert_int_equal(nic_attach(&host, find(NIC), "vfio-pci", why), 0);
    kernel.open = true;
    assert_int_equal(nic_check_detach(&host, find(NIC), NIC, why), CULVERT_EREJECTED);
    assert_non_null(strstr(why, "in use by a process"));
}

static void test_module_is_absent(void **state)
{
    (void)state;
    kernel.load_fails = true;
    assert_int_equal(nic_attach(&host, find(NIC), "vfio-pci", why), CULVERT_EREJECTED);
    assert_non_null(strstr(why, "`modprobe vfio-pci` failed"));
    assert_string_equal(trace, "");
}

static void test_rollback(void **state)
{
    (void)state;
    kernel.vfio_fails = true;
    assert_int_equal(nic_attach(&host, find(NIC), "vfio-pci", why), CULVERT_ESYSTEM);
    assert_non_null(strstr(why, "given back to i40e"));
    expect_driver("i40e");
    assert_string_equal(kernel.override, "");
    assert_non_null(find("eth1"));
}

static void test_rollback_of_a_refused_unbind(void **state)
{
    (void)state;
    kernel.write_fails = "unbind";
    assert_int_equal(nic_attach(&host, find(NIC), "vfio-pci", why), CULVERT_ESYSTEM);
    assert_non_null(strstr(why, "given back to i40e"));
    assert_string_equal(kernel.override, "");
    expect_driver("i40e");
}

static void test_rollback_fails(void **state)
{
    (void)state;
    kernel.write_fails = "drivers_probe";
    assert_int_equal(nic_attach(&host, find(NIC), "vfio-pci", why), CULVERT_ESYSTEM);
    assert_non_null(strstr(why, "NOT given back"));
}

static void test_detach_fails(void **state)
{
    (void)state;
    assert_int_equal(nic_attach(&host, find(NIC), "vfio-pci", why), 0);
    kernel.write_fails = "drivers_probe";
    assert_int_equal(nic_detach(&host, find(NIC), why), CULVERT_ESYSTEM);
    assert_non_null(strstr(why, "it is with no driver"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_list),
        TEST(test_session_goes_down_to_the_device),
        TEST(test_default_routes),
        TEST(test_refusals),
        TEST(test_without_iommu),
        TEST(test_shared_driver_stays),
        TEST(test_attach_and_detach),
        TEST(test_detach_refusals),
        TEST(test_module_is_absent),
        TEST(test_rollback),
        TEST(test_rollback_of_a_refused_unbind),
        TEST(test_rollback_fails),
        TEST(test_detach_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
