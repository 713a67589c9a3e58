/* What Piglet's UDP echo is measured against: the same server written for Linux, in four ways.
 *
 *   echo_server WAY PORT CORE           recvfrom, one at a time, sleeping in between (blocking)
 *                                       busy: the same, never sleeping
 *                                       recvmmsg: up to 64 at a time, sleeping in between
 *   echo_server xdp IFNAME CORE         a bare AF_XDP loop that swaps addresses and checks nothing
 *
 * Ends at SIGTERM with a line "answered N work_us X": the processor time of the whole process for
 * those that sleep; for those that spin the time between finding something and being done with it,
 * times the part of all time that Linux gave the process the core. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

#include <stdbool.h>

#include "measure.h"

enum { BATCH = 64, ROOM = 2048, RING = 512, CHUNKS = 2 * RING };

static volatile sig_atomic_t done;
static uint64_t answered, work_ticks;
static struct bench_clock tick;

static void stop(int signal_number)
{
    (void)signal_number;
    done = 1;
}

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static int bound(int port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        fail("bind");
    return fd;
}

static void one_at_a_time(int fd, int flags)
{
    char data[ROOM];
    while (!done) {
        struct sockaddr_in from;
        socklen_t bytes = sizeof from;
        uint64_t begin = bench_ticks();
        ssize_t length = recvfrom(fd, data, sizeof data, flags, (struct sockaddr *)&from, &bytes);
        if (length < 0)
            continue;
        (void)sendto(fd, data, (size_t)length, 0, (struct sockaddr *)&from, bytes);
        work_ticks += bench_ticks() - begin;
        answered++;
    }
}

static void many_at_a_time(int fd)
{
    static struct mmsghdr message[BATCH];
    static struct iovec piece[BATCH];
    static struct sockaddr_in from[BATCH];
    static char data[BATCH][ROOM];
    while (!done) {
        for (unsigned i = 0; i < BATCH; i++) {
            piece[i] = (struct iovec){data[i], ROOM};
            message[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                                 .msg_namelen = sizeof from[i],
                                                 .msg_iov = &piece[i],
                                                 .msg_iovlen = 1};
        }
        int count = recvmmsg(fd, message, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < count; i++)
            piece[i].iov_len = message[i].msg_len;
        for (int sent = 0; sent < count;) {
            int more = sendmmsg(fd, message + sent, (unsigned)(count - sent), 0);
            if (more <= 0)
                break;
            sent += more;
        }
        answered += count > 0 ? (unsigned)count : 0;
    }
}

static void swap(uint8_t *a, uint8_t *b, size_t bytes)
{
    uint8_t keep[8];
    memcpy(keep, a, bytes);
    memcpy(a, b, bytes);
    memcpy(b, keep, bytes);
}

struct bare {
    struct xsk_umem *umem;
    struct xsk_socket *socket;
    struct xsk_ring_prod fill, send;
    struct xsk_ring_cons full, sent;
    uint8_t *memory;
};

static void bare_start(struct bare *bare, const char *interface)
{
    const struct xsk_umem_config memory = {
        .fill_size = RING, .comp_size = RING, .frame_size = ROOM};
    const struct xsk_socket_config config = {.rx_size = RING,
                                             .tx_size = RING,
                                             .xdp_flags = XDP_FLAGS_DRV_MODE,
                                             .bind_flags = XDP_USE_NEED_WAKEUP};
    bare->memory = mmap(NULL, CHUNKS * ROOM, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    int error = xsk_umem__create(&bare->umem, bare->memory, CHUNKS * ROOM, &bare->fill, &bare->sent,
                                 &memory);
    if (!error)
        error = xsk_socket__create(&bare->socket, interface, 0, bare->umem, &bare->full,
                                   &bare->send, &config);
    if (error) {
        errno = -error;
        fail(interface);
    }
    uint32_t at = 0;
    xsk_ring_prod__reserve(&bare->fill, RING, &at);
    for (uint32_t i = 0; i < RING; i++)
        *xsk_ring_prod__fill_addr(&bare->fill, at + i) = (uint64_t)i * ROOM;
    xsk_ring_prod__submit(&bare->fill, RING);
}

/* What was sent may be received into again. */
static void bare_recycle(struct bare *bare)
{
    uint32_t from = 0, to = 0;
    unsigned count = xsk_ring_cons__peek(&bare->sent, RING, &from);
    if (count == 0 || xsk_ring_prod__reserve(&bare->fill, count, &to) != count)
        return;
    for (unsigned i = 0; i < count; i++)
        *xsk_ring_prod__fill_addr(&bare->fill, to + i) =
            *xsk_ring_cons__comp_addr(&bare->sent, from + i) & ~(uint64_t)(ROOM - 1);
    xsk_ring_prod__submit(&bare->fill, count);
    xsk_ring_cons__release(&bare->sent, count);
}

static unsigned bare_turn(struct bare *bare)
{
    uint32_t from = 0, to = 0;
    unsigned count = xsk_ring_cons__peek(&bare->full, BATCH, &from);
    if (count == 0)
        return 0;
    if (xsk_ring_prod__reserve(&bare->send, count, &to) != count)
        return 0;
    for (unsigned i = 0; i < count; i++) {
        struct xdp_desc desc = *xsk_ring_cons__rx_desc(&bare->full, from + i);
        uint8_t *frame = bare->memory + desc.addr;
        swap(frame, frame + 6, 6);
        swap(frame + 26, frame + 30, 4);
        swap(frame + 34, frame + 36, 2);
        *xsk_ring_prod__tx_desc(&bare->send, to + i) = desc;
    }
    xsk_ring_prod__submit(&bare->send, count);
    xsk_ring_cons__release(&bare->full, count);
    while (sendto(xsk_socket__fd(bare->socket), NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
           errno == EAGAIN && !done)
        ;
    bare_recycle(bare);
    return count;
}

static void bare_run(const char *interface)
{
    static struct bare bare;
    bare_start(&bare, interface);
    while (!done) {
        uint64_t begin = bench_ticks();
        unsigned count = bare_turn(&bare);
        if (count == 0)
            continue;
        work_ticks += bench_ticks() - begin;
        answered += count;
    }
    xsk_socket__delete(bare.socket);
    xsk_umem__delete(bare.umem);
}

static double processor_us(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

int main(int count, char **word)
{
    const char *wrong;
    struct sigaction action = {.sa_handler = stop};
    if (count != 4) {
        fprintf(stderr, "usage: echo_server recvfrom|busy|recvmmsg PORT CORE | xdp IFNAME CORE\n");
        return 1;
    }
    if ((wrong = bench_pin(atoi(word[3]))) || (wrong = bench_clock_calibrate(&tick))) {
        fprintf(stderr, "echo_server: %s\n", wrong);
        return 2;
    }
    sigaction(SIGTERM, &action, NULL);
    double before_us = processor_us();
    int64_t began_ns = bench_now_ns();
    bool spins = strcmp(word[1], "busy") == 0 || strcmp(word[1], "xdp") == 0;
    if (strcmp(word[1], "xdp") == 0)
        bare_run(word[2]);
    else if (strcmp(word[1], "recvmmsg") == 0)
        many_at_a_time(bound(atoi(word[2])));
    else
        one_at_a_time(bound(atoi(word[2])), spins ? MSG_DONTWAIT : 0);
    double given_us = processor_us() - before_us;
    double part = given_us * 1000 / (double)(bench_now_ns() - began_ns);
    double work_us =
        spins ? (double)work_ticks * tick.ns_per_tick / 1000 * (part < 1 ? part : 1) : given_us;
    printf("answered %llu work_us %.0f\n", (unsigned long long)answered, work_us);
    return 0;
}
