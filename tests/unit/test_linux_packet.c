/* The packet driver's receive filter, by what Linux then asks of the interface: a tap in a network
 * of its own, where this computer allows one. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/hosted/hosted.h"
#include "drivers/linux/linux.h"
#include "kernel/core.h"

enum { FRAMES = 512, MEMORY_BYTES = 8 << 20 };

/* Enters a network namespace, without root one of a user namespace, and makes an interface pig0.
 * Its descriptor, or -1: not allowed here. */
static int tap_alone(void)
{
    struct ifreq request = {.ifr_name = "pig0", .ifr_flags = IFF_TAP | IFF_NO_PI};
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return -1;
    int tap = open("/dev/net/tun", O_RDWR);
    if (tap < 0 || ioctl(tap, TUNSETIFF, &request) != 0)
        return -1;
    int any = socket(AF_UNIX, SOCK_DGRAM, 0);
    request.ifr_flags = IFF_UP; /* a list of stations has an effect on no other */
    assert_int_equal(ioctl(any, SIOCSIFFLAGS, &request), 0);
    close(any);
    return tap;
}

/* A nic with a core that has just what the driver may touch. */
static struct nic *nic_probed(void)
{
    static struct arch_device device = {.bus = ARCH_BUS_HOST, .host = "packet:pig0"};
    assert_int_equal(hosted_memory_start(MEMORY_BYTES), 0);
    struct core *core = arch_memory_take(sizeof(*core), FRAME_METADATA);
    struct nic *nic = &core->nic[3];
    log_start(&core->log, LOG_ERROR);
    assert_int_equal(counter_registry_start(&core->counters), 0);
    assert_int_equal(frame_pool_start(&core->frames, FRAMES), 0);
    *nic = (struct nic){.index = 3, .name = "nic3", .core = core, .pool = &core->frames};
    nic->driver = &linux_packet_driver;
    nic->count.tx_errors = nic_counter(nic, "tx_errors", "");
    assert_int_equal(nic->driver->probe(nic, &device), 0);
    return nic;
}

/* How often Linux is asked for all of pig0's frames ("promiscuity ") or groups ("allmulti "). */
static unsigned asked(const char *what)
{
    char text[4096] = "";
    FILE *ip = popen("ip -d -o link show dev pig0", "r");
    assert_non_null(ip);
    size_t bytes = fread(text, 1, sizeof(text) - 1, ip);
    assert_int_equal(pclose(ip), 0);
    text[bytes] = 0;
    const char *at = strstr(text, what);
    assert_non_null(at);
    return (unsigned)strtoul(at + strlen(what), NULL, 10);
}

static void filter_to(struct nic *nic, struct nic_filter filter, unsigned promiscuous,
                      unsigned all_multicast)
{
    assert_int_equal(nic_filter(nic, &filter), 0);
    assert_int_equal(asked("promiscuity "), promiscuous);
    assert_int_equal(asked("allmulti "), all_multicast);
}

/* A tap holds no list of stations: for as long as there is one, Linux makes it take everything. */
static void packet_01_filter(void **state)
{
    (void)state;
    struct nic_filter none = {.stations = 0}, wrong = {.promiscuous = true, .stations = 1};
    int tap = tap_alone();
    if (tap < 0)
        skip();
    struct nic *nic = nic_probed();
    assert_int_equal(asked("promiscuity "), 0);
    filter_to(nic, none, 0, 0);
    filter_to(nic, (struct nic_filter){.all_multicast = true}, 0, 1);
    filter_to(nic, (struct nic_filter){.all_multicast = true}, 0, 1);
    filter_to(nic, (struct nic_filter){.all_multicast = true, .promiscuous = true}, 1, 1);
    filter_to(nic, (struct nic_filter){.stations = 2, .station = {{2, 1}, {2, 2}}}, 1, 0);
    filter_to(nic, (struct nic_filter){.stations = 1, .station = {{2, 2}}}, 1, 0);
    filter_to(nic, none, 0, 0);
    wrong.station[0][0] = 1;
    assert_int_equal(nic_filter(nic, &wrong), ERR_INVALID);
    assert_int_equal(asked("promiscuity "), 0);
    filter_to(nic, (struct nic_filter){.promiscuous = true}, 1, 0);
    linux_packet_driver.stop(nic);
    assert_int_equal(asked("promiscuity "), 0);
    assert_int_equal(nic_filter(nic, &none), ERR_NOT_FOUND);
    close(tap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(packet_01_filter)};
    return cmocka_run_group_tests_name("linux_packet", tests, NULL, NULL);
}
