/* The pair driver on the hosted machine, over real unix sockets: order, batches, ends that come and
 * go, frames too long, and every frame back in the pool. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/hosted/hosted.h"
#include "drivers/linux/common.h"
#include "drivers/linux/linux.h"
#include "kernel/core.h"

enum {
    FRAMES = 512,
    MEMORY_BYTES = 8 << 20,
    PATH_ROOM = 100,
    ETHERNET_MIN = 60,
    ETHERNET_MAX = 1514,
};

/* A nic with a core that has just what a driver may touch, and the socket at its other end. */
struct end {
    struct core *core;
    struct nic *nic;
    struct arch_device device;
    char folder[32];
    char host[8 + 2 * PATH_ROOM], local[PATH_ROOM], remote[PATH_ROOM];
    int peer;
};

static void count_start(struct core *core, struct nic *nic)
{
    core->drop = counter_new(&core->counters, "drop", "first", "");
    for (unsigned i = 1; i < DROP_REASON_COUNT; i++) {
        char name[8];
        snprintf(name, sizeof(name), "%u", i);
        counter_new(&core->counters, "drop", name, "");
    }
    core->frames.exhausted = &core->drop[DROP_NO_FRAME];
    nic->count.tx_errors = nic_counter(nic, "tx_errors", "");
    nic->count.tx_bytes = nic_counter(nic, "tx_bytes", "");
    nic->count.link_changes = nic_counter(nic, "link_changes", "");
}

static int setup(void **state)
{
    struct end *end = calloc(1, sizeof(*end));
    assert_int_equal(hosted_memory_start(MEMORY_BYTES), 0);
    struct core *core = end->core = arch_memory_take(sizeof(*core), FRAME_METADATA);
    struct nic *nic = end->nic = &core->nic[3];
    log_start(&core->log, LOG_ERROR);
    assert_int_equal(counter_registry_start(&core->counters), 0);
    assert_int_equal(frame_pool_start(&core->frames, FRAMES), 0);
    *nic = (struct nic){.index = 3, .name = "nic3", .core = core, .pool = &core->frames};
    count_start(core, nic);
    strcpy(end->folder, "/tmp/piglet-pair-XXXXXX");
    assert_non_null(mkdtemp(end->folder));
    snprintf(end->local, PATH_ROOM, "%s/a", end->folder);
    snprintf(end->remote, PATH_ROOM, "%s/a.peer", end->folder);
    snprintf(end->host, sizeof(end->host), "pair:%s", end->local);
    end->device = (struct arch_device){.bus = ARCH_BUS_HOST, .host = end->host};
    end->peer = -1;
    *state = end;
    return 0;
}

static int teardown(void **state)
{
    struct end *end = *state;
    if (end->peer >= 0)
        close(end->peer);
    unlink(end->local);
    unlink(end->remote);
    assert_int_equal(rmdir(end->folder), 0);
    arch_idle(0); /* forgets descriptors that were closed */
    free(end);
    return 0;
}

static uint64_t counted(const struct end *end, const char *what)
{
    char name[COUNTER_NAME_MAX];
    snprintf(name, sizeof(name), "nic3.%s", what);
    const uint64_t *counter = counter_find(&end->core->counters, name);
    assert_non_null(counter);
    return *counter;
}

static void start(struct end *end)
{
    assert_true(linux_pair_driver.match(&end->device));
    assert_int_equal(linux_pair_driver.probe(end->nic, &end->device), 0);
    assert_true(end->nic->link_up);
    assert_true(end->nic->interrupts_work);
}

static void stop(struct end *end)
{
    linux_pair_driver.stop(end->nic);
    assert_int_equal(end->core->frames.free_count, FRAMES);
    assert_int_equal(access(end->local, F_OK), -1);
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    return address;
}

static void peer_come(struct end *end)
{
    struct sockaddr_un address = address_of(end->remote);
    end->peer = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(end->peer, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void peer_go(struct end *end, bool tidy)
{
    close(end->peer);
    end->peer = -1;
    if (tidy)
        unlink(end->remote);
}

/* Sends `bytes` bytes that begin with `mark`. False: the nic's queue is full. */
static bool peer_send(struct end *end, uint8_t mark, size_t bytes)
{
    static uint8_t frame[4096];
    struct sockaddr_un address = address_of(end->local);
    memset(frame, 0x5a, sizeof(frame));
    frame[0] = mark;
    ssize_t sent = sendto(end->peer, frame, bytes, 0, (struct sockaddr *)&address, sizeof(address));
    assert_true(sent == (ssize_t)bytes || errno == EAGAIN);
    return sent >= 0;
}

/* The next frame's length, its first byte in *mark; -1: none. */
static int peer_take(struct end *end, uint8_t frame[4096])
{
    return (int)recv(end->peer, frame, 4096, 0);
}

static struct frame *frame_of(struct end *end, uint8_t mark, uint16_t length)
{
    struct frame *frame = frame_alloc(&end->core->frames);
    assert_non_null(frame);
    memset(frame->data, 0xa5, FRAME_ROOM);
    frame->data[0] = mark;
    frame->length = length;
    return frame;
}

/* Sends `count` frames marked from `mark` on; frees those not taken and returns how many were. */
static unsigned nic_send(struct end *end, uint8_t mark, unsigned count)
{
    struct frame *frames[BATCH_MAX];
    for (unsigned i = 0; i < count; i++)
        frames[i] = frame_of(end, (uint8_t)(mark + i), ETHERNET_MIN);
    unsigned taken = linux_pair_driver.transmit(end->nic, frames, count);
    for (unsigned i = taken; i < count; i++) {
        assert_int_equal(frames[i]->owner, FRAME_OF_LOOP);
        frame_free(&end->core->frames, frames[i]);
    }
    return taken;
}

static void free_all(struct end *end, struct frame **frames, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        frame_free(&end->core->frames, frames[i]);
}

static void pair_01_receives_in_order(void **state)
{
    struct end *end = *state;
    struct frame *frames[BATCH_MAX];
    start(end);
    peer_come(end);
    assert_int_equal(linux_pair_driver.receive(end->nic, frames, BATCH_MAX), 0);
    for (uint8_t i = 0; i < 5; i++)
        assert_true(peer_send(end, i, ETHERNET_MIN + i));
    assert_int_equal(linux_pair_driver.receive(end->nic, frames, BATCH_MAX), 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(frames[i]->data[0], i);
        assert_int_equal(frames[i]->data[1], 0x5a);
        assert_int_equal(frames[i]->length, ETHERNET_MIN + i);
        assert_int_equal(frames[i]->owner, FRAME_OF_LOOP);
        assert_int_equal(frames[i]->nic, 3);
        assert_int_equal(frames[i]->flags, 0);
    }
    free_all(end, frames, 5);
    stop(end);
}

/* Round after round through the same slots: each receives into the fresh frame it was given. */
static void pair_02_batches_up_to_max(void **state)
{
    struct end *end = *state;
    struct frame *frames[BATCH_MAX];
    uint8_t sent = 0, received = 0;
    start(end);
    peer_come(end);
    while (sent < 200) {
        while (sent < 200 && peer_send(end, sent, ETHERNET_MIN))
            sent++;
        unsigned got = linux_pair_driver.receive(end->nic, frames, 4);
        assert_in_range(got, 1, 4);
        for (unsigned i = 0; i < got; i++)
            assert_int_equal(frames[i]->data[0], received++);
        free_all(end, frames, got);
    }
    while (received < 200) {
        unsigned got = linux_pair_driver.receive(end->nic, frames, BATCH_MAX);
        assert_true(got > 0);
        for (unsigned i = 0; i < got; i++)
            assert_int_equal(frames[i]->data[0], received++);
        free_all(end, frames, got);
    }
    stop(end);
}

static void pair_03_sends_in_order_and_pads(void **state)
{
    static const uint16_t length[] = {14, 59, 60, ETHERNET_MAX};
    struct end *end = *state;
    struct frame *frames[4];
    uint8_t wire[4096];
    start(end);
    peer_come(end);
    for (unsigned i = 0; i < 4; i++)
        frames[i] = frame_of(end, (uint8_t)i, length[i]);
    assert_int_equal(linux_pair_driver.transmit(end->nic, frames, 4), 4);
    for (unsigned i = 0; i < 4; i++) {
        int bytes = length[i] < ETHERNET_MIN ? ETHERNET_MIN : length[i];
        assert_int_equal(peer_take(end, wire), bytes);
        assert_int_equal(wire[0], i);
        assert_int_equal(wire[length[i] - 1], 0xa5);
        for (int at = length[i]; at < bytes; at++)
            assert_int_equal(wire[at], 0);
    }
    assert_int_equal(peer_take(end, wire), -1);
    stop(end);
}

/* A peer that does not read: what has no room stays the caller's, and nothing is lost or doubled.
 */
static void pair_04_full_peer_takes_a_part(void **state)
{
    struct end *end = *state;
    uint8_t wire[4096];
    unsigned sent = 0, received = 0, rounds = 0, full = 0;
    start(end);
    peer_come(end);
    for (; rounds < 50; rounds++) {
        unsigned taken = nic_send(end, (uint8_t)sent, BATCH_MAX);
        sent += taken;
        if (taken == BATCH_MAX)
            continue;
        full++;
        while (peer_take(end, wire) == ETHERNET_MIN)
            assert_int_equal(wire[0], (uint8_t)received++);
    }
    assert_true(full > 0);
    while (peer_take(end, wire) == ETHERNET_MIN)
        assert_int_equal(wire[0], (uint8_t)received++);
    assert_int_equal(received, sent);
    assert_int_equal(counted(end, "tx_no_peer"), 0);
    stop(end);
}

static void pair_05_peer_comes_and_goes(void **state)
{
    struct end *end = *state;
    struct frame *frame;
    uint8_t wire[4096];
    start(end);
    uint64_t lines = end->core->log.written;
    for (unsigned round = 1; round <= 3; round++) {
        assert_int_equal(nic_send(end, 1, BATCH_MAX), BATCH_MAX);
        assert_int_equal(counted(end, "tx_no_peer"), round * BATCH_MAX);
        linux_pair_driver.attend(end->nic);
        linux_pair_driver.attend(end->nic);
        assert_int_equal(end->core->log.written, lines + round); /* said once */

        unlink(end->remote);
        peer_come(end);
        assert_int_equal(nic_send(end, 7, 1), 1);
        linux_pair_driver.attend(end->nic);
        assert_int_equal(peer_take(end, wire), ETHERNET_MIN);
        assert_int_equal(wire[0], 7);
        assert_true(peer_send(end, 8, ETHERNET_MIN));
        assert_int_equal(linux_pair_driver.receive(end->nic, &frame, 1), 1);
        assert_int_equal(frame->data[0], 8);
        frame_free(&end->core->frames, frame);
        /* Once its socket file stays behind, with nobody listening. */
        peer_go(end, round != 1);
    }
    assert_true(end->nic->link_up);
    stop(end);
}

static void pair_06_too_long_is_counted(void **state)
{
    static const size_t length[] = {ETHERNET_MAX + 1, 4096, 5, ETHERNET_MAX, 2047, 0};
    struct end *end = *state;
    struct frame *frames[BATCH_MAX];
    start(end);
    peer_come(end);
    for (unsigned i = 0; i < sizeof(length) / sizeof(*length); i++)
        assert_true(peer_send(end, (uint8_t)i, length[i]));
    assert_int_equal(linux_pair_driver.receive(end->nic, frames, BATCH_MAX), 3);
    assert_int_equal(frames[0]->length, 5);
    assert_int_equal(frames[1]->length, ETHERNET_MAX);
    assert_int_equal(frames[2]->length, 0);
    assert_int_equal(counted(end, "rx_oversized"), 3);
    free_all(end, frames, 3);
    stop(end);
}

static void pair_07_empty_pool_drops_and_recovers(void **state)
{
    struct end *end = *state;
    struct frame *held[FRAMES], *frames[BATCH_MAX];
    unsigned holding = 0;
    start(end);
    peer_come(end);
    while (end->core->frames.free_count > 0)
        held[holding++] = frame_alloc(&end->core->frames);
    for (uint8_t i = 0; i < 3; i++)
        assert_true(peer_send(end, i, ETHERNET_MIN));
    uint64_t drops = end->core->drop[DROP_NO_FRAME];
    assert_int_equal(linux_pair_driver.receive(end->nic, frames, BATCH_MAX), 0);
    assert_true(end->core->drop[DROP_NO_FRAME] >= drops + 3);
    frame_free(&end->core->frames, held[--holding]);
    assert_true(peer_send(end, 9, ETHERNET_MIN));
    assert_int_equal(linux_pair_driver.receive(end->nic, frames, BATCH_MAX), 1);
    assert_int_equal(frames[0]->data[0], 9);
    free_all(end, frames, 1);
    free_all(end, held, holding);
    stop(end);
}

static void pair_08_stop_takes_back_what_is_waiting(void **state)
{
    struct end *end = *state;
    start(end);
    peer_come(end);
    for (uint8_t i = 0; i < 3; i++)
        assert_true(peer_send(end, i, ETHERNET_MIN));
    stop(end);
}

static void pair_09_stale_socket_is_replaced(void **state)
{
    struct end *end = *state;
    struct sockaddr_un address = address_of(end->local);
    int other = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(other, (struct sockaddr *)&address, sizeof(address)), 0);
    /* Somebody lives there. */
    assert_int_equal(linux_pair_driver.probe(end->nic, &end->device), ERR_BUSY);
    assert_int_equal(access(end->local, F_OK), 0);
    assert_int_equal(end->core->frames.free_count, FRAMES);
    /* And now nobody any more. */
    close(other);
    assert_int_equal(access(end->local, F_OK), 0);
    start(end);
    stop(end);
}

static void pair_10_foreign_file_is_kept(void **state)
{
    struct end *end = *state;
    int file = open(end->local, O_CREAT | O_WRONLY, 0600);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(linux_pair_driver.probe(end->nic, &end->device), ERR_BUSY);
    assert_int_equal(access(end->local, F_OK), 0);
}

static void pair_11_failed_probe_leaves_nothing(void **state)
{
    struct end *end = *state;
    struct frame *held[FRAMES];
    unsigned holding = 0;
    while (end->core->frames.free_count >= BATCH_MAX)
        held[holding++] = frame_alloc(&end->core->frames);
    assert_int_equal(linux_pair_driver.probe(end->nic, &end->device), ERR_NO_MEMORY);
    assert_int_equal(access(end->local, F_OK), -1);
    free_all(end, held, holding);
    assert_int_equal(end->core->frames.free_count, FRAMES);
    memset(end->host + 5, 'x', sizeof(end->host) - 6);
    assert_int_equal(linux_pair_driver.probe(end->nic, &end->device), ERR_INVALID);
    strcpy(end->host, "pair:/nowhere/to/be/found");
    assert_int_equal(linux_pair_driver.probe(end->nic, &end->device), ERR_NOT_FOUND);
    strcpy(end->host, "pair:,b");
    assert_int_equal(linux_pair_driver.probe(end->nic, &end->device), ERR_INVALID);
    assert_int_equal(end->core->frames.free_count, FRAMES);
}

static void pair_12_both_ends_named(void **state)
{
    struct end *end = *state;
    uint8_t wire[4096];
    snprintf(end->remote, PATH_ROOM, "%s/b", end->folder);
    snprintf(end->host, sizeof(end->host), "pair:%s,%s", end->local, end->remote);
    start(end);
    peer_come(end);
    assert_int_equal(nic_send(end, 4, 1), 1);
    assert_int_equal(peer_take(end, wire), ETHERNET_MIN);
    stop(end);
}

/* A frame that came before the sleep must end it at once; without one it lasts. */
static void pair_13_wakes_the_idle_machine(void **state)
{
    struct end *end = *state;
    struct frame *frame;
    start(end);
    peer_come(end);
    assert_true(peer_send(end, 1, ETHERNET_MIN));
    for (unsigned i = 0; i < 2; i++) {
        uint64_t begin_ns = arch_clock_ns();
        arch_idle(begin_ns + 10000000000u);
        assert_true(arch_clock_ns() - begin_ns < 5000000000u);
    }
    assert_int_equal(linux_pair_driver.receive(end->nic, &frame, 1), 1);
    frame_free(&end->core->frames, frame);
    uint64_t until_ns = arch_clock_ns() + 20000000;
    arch_idle(until_ns);
    assert_true(arch_clock_ns() >= until_ns);
    stop(end);
}

static void linux_14_kinds_and_addresses(void **state)
{
    static const char *const host[] = {"tap:x", "packet:x", "pair:x", "pairs:x", "tap", "disk:x"};
    struct arch_device pci = {.bus = ARCH_BUS_PCI};
    uint8_t a[6], again[6], b[6];
    (void)state;
    for (unsigned i = 0; i < sizeof(host) / sizeof(*host); i++) {
        struct arch_device device = {.bus = ARCH_BUS_HOST, .host = host[i]};
        assert_int_equal(linux_tap_driver.match(&device), i == 0);
        assert_int_equal(linux_packet_driver.match(&device), i == 1);
        assert_int_equal(linux_pair_driver.match(&device), i == 2);
    }
    assert_false(linux_pair_driver.match(&pci));
    linux_mac("pig0", a);
    linux_mac("pig0", again);
    linux_mac("pig1", b);
    assert_memory_equal(a, again, 6);
    assert_memory_not_equal(a, b, 6);
    assert_int_equal(a[0] & 3, 2); /* locally administered, no group address */
}

#define PAIR_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(pair_01_receives_in_order),
        PAIR_TEST(pair_02_batches_up_to_max),
        PAIR_TEST(pair_03_sends_in_order_and_pads),
        PAIR_TEST(pair_04_full_peer_takes_a_part),
        PAIR_TEST(pair_05_peer_comes_and_goes),
        PAIR_TEST(pair_06_too_long_is_counted),
        PAIR_TEST(pair_07_empty_pool_drops_and_recovers),
        PAIR_TEST(pair_08_stop_takes_back_what_is_waiting),
        PAIR_TEST(pair_09_stale_socket_is_replaced),
        PAIR_TEST(pair_10_foreign_file_is_kept),
        PAIR_TEST(pair_11_failed_probe_leaves_nothing),
        PAIR_TEST(pair_12_both_ends_named),
        PAIR_TEST(pair_13_wakes_the_idle_machine),
        cmocka_unit_test(linux_14_kinds_and_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
