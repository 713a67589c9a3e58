/* The drivers that share or take over an interface of Linux': the packet driver's receive filter, by
 * what Linux then asks of the interface, and what xdp does where there is no AF_XDP. On a tap in a
 * network of its own, where this computer allows one. */
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

/* A nic with a core that has just what a driver may touch. */
static struct nic *nic_alone(const struct nic_driver *driver)
{
    assert_int_equal(hosted_memory_start(MEMORY_BYTES), 0);
    struct core *core = arch_memory_take(sizeof(*core), FRAME_METADATA);
    struct nic *nic = &core->nic[3];
    log_start(&core->log, LOG_ERROR);
    assert_int_equal(counter_registry_start(&core->counters), 0);
    assert_int_equal(frame_pool_start(&core->frames, FRAMES), 0);
    *nic = (struct nic){.index = 3, .name = "nic3", .core = core, .pool = &core->frames};
    nic->driver = driver;
    nic->mtu = FRAME_LENGTH_MAX - 14;
    nic->count.tx_errors = nic_counter(nic, "tx_errors", "");
    nic->count.tx_bytes = nic_counter(nic, "tx_bytes", "");
    return nic;
}

static int probe(struct nic *nic, const char *host)
{
    const struct arch_device device = {.bus = ARCH_BUS_HOST, .host = host};
    assert_true(nic->driver->match(&device));
    return nic->driver->probe(nic, &device);
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
    struct nic *nic = nic_alone(&linux_packet_driver);
    assert_int_equal(probe(nic, "packet:pig0"), 0);
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

static void xdp_01_words(void **state)
{
    (void)state;
    struct nic *nic = nic_alone(&linux_xdp_driver);
    assert_int_equal(probe(nic, "xdp:pig0,fast"), ERR_INVALID);
    assert_int_equal(probe(nic, "xdp:pig0,queues=9"), ERR_INVALID);
    assert_int_equal(probe(nic, "xdp:pig0,queues=2x"), ERR_INVALID);
    assert_int_equal(probe(nic, "xdp:pig0,"), ERR_INVALID);
    assert_int_equal(probe(nic, "xdp:a-name-that-is-too-long"), ERR_NOT_FOUND);
    assert_int_equal(probe(nic, "xdp:pig9,copy,busy,queues=2"), ERR_NOT_FOUND);
    assert_int_equal(nic->pool->free_count, FRAMES);
}

/* No driver of a tap can do without copying. */
static void xdp_02_falls_back_to_packet(void **state)
{
    (void)state;
    int tap = tap_alone();
    if (tap < 0)
        skip();
    struct nic *nic = nic_alone(&linux_xdp_driver);
    assert_int_equal(probe(nic, "xdp:pig0,zerocopy"), 0);
    assert_ptr_equal(nic->driver, &linux_packet_driver);
    assert_int_equal(nic->pool->free_count, FRAMES);
    struct nic_filter promiscuous = {.promiscuous = true};
    filter_to(nic, promiscuous, 1, 0);
    nic->driver->stop(nic);
    close(tap);
}

static void xdp_03_gives_all_frames_back(void **state)
{
    (void)state;
    int tap = tap_alone();
    if (tap < 0)
        skip();
    struct nic *nic = nic_alone(&linux_xdp_driver);
    assert_int_equal(probe(nic, "xdp:pig0,busy"), 0);
    if (nic->driver == &linux_packet_driver)
        skip(); /* this computer has no AF_XDP for us */
    assert_int_equal(nic->pool->free_count, FRAMES - FRAMES / 4);
    struct frame *frame = frame_alloc(nic->pool), *none[1], *others = frame_alloc(nic->pool);
    others->owner = FRAME_OF_RECEIVE_RING; /* in another nic's ring: not touched */
    others->nic = nic->index;
    frame->length = 60;
    assert_int_equal(nic->driver->transmit(nic, &frame, 1), 1);
    assert_int_equal(nic->driver->receive(nic, none, 1), 0);
    nic->driver->stop(nic);
    assert_int_equal(nic->pool->free_count, FRAMES - 1);
    assert_int_equal(others->owner, FRAME_OF_RECEIVE_RING);
    assert_int_equal(nic->driver->receive(nic, none, 1), 0);
    assert_int_equal(nic->driver->transmit(nic, &frame, 1), 0);
    close(tap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packet_01_filter),
        cmocka_unit_test(xdp_01_words),
        cmocka_unit_test(xdp_02_falls_back_to_packet),
        cmocka_unit_test(xdp_03_gives_all_frames_back),
    };
    return cmocka_run_group_tests_name("linux_packet", tests, NULL, NULL);
}
