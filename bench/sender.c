/* Sends frames by AF_PACKET and prints nanoseconds a frame.
 *
 *   sender NIC COUNT one|new MAC [GAP_US]
 *
 * UDP from 10.0.0.1 to 10.1.0.1, MAC; new: each of another source port and address. With a gap, every batch of 64 begins
 * so long after the one before: time in which the sender spins, which does not count.
 * On a veth pair all that the other end does with a frame is done by the sending core. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire/ethernet.h"
#include "wire/udp.h"

enum { BATCH = 64, FRAME = 60, PORTS = 60000, DATA = FRAME - 42 };

static void frame_make(uint8_t *frame, const unsigned *mac, uint32_t number)
{
    struct eth_header *eth = (struct eth_header *)frame;
    struct ipv4_header *ip = (struct ipv4_header *)(eth + 1);
    struct udp_header *udp = (struct udp_header *)(ip + 1);
    for (unsigned i = 0; i < 6; i++)
        eth->to[i] = (uint8_t)mac[i];
    eth->from[0] = 2;
    eth->type = be16(ETH_TYPE_IPV4);
    *ip = (struct ipv4_header){.version_length = 0x45,
                               .total_length = be16(FRAME - ETH_HEADER_LENGTH),
                               .ttl = 64,
                               .protocol = IPV4_UDP,
                               .from = be32(0x0a000001 + (number / PORTS << 8)),
                               .to = be32(0x0a010001)};
    ipv4_checksum_set(ip);
    *udp = (struct udp_header){
        .from = be16((uint16_t)(1024 + number % PORTS)), .to = be16(7), .length = be16(8 + DATA)};
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A packet socket bound to a nic, and this thread to the core it is on. */
static int sender_open(const char *nic)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(nic)};
    cpu_set_t core;
    CPU_ZERO(&core);
    CPU_SET((unsigned)sched_getcpu(), &core);
    sched_setaffinity(0, sizeof core, &core);
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0 || !to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        perror(nic);
        exit(1);
    }
    return fd;
}

/* How many of a batch were refused, as a queue is full: those are lost. */
static unsigned sender_batch(int fd, struct mmsghdr *message)
{
    unsigned refused = 0;
    for (unsigned sent = 0; sent < BATCH;) {
        int done = sendmmsg(fd, message + sent, BATCH - sent, 0);
        if (done <= 0)
            refused++;
        sent += done > 0 ? (unsigned)done : 1;
    }
    return refused;
}

int main(int argc, char **argv)
{
    static uint8_t frame[BATCH][FRAME];
    struct iovec part[BATCH];
    struct mmsghdr message[BATCH] = {0};
    unsigned mac[6];
    if ((argc != 5 && argc != 6) || sscanf(argv[4], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2],
                                           &mac[3], &mac[4], &mac[5]) != 6) {
        fprintf(stderr, "usage: sender NIC COUNT one|new MAC [GAP_US]\n");
        return 2;
    }
    int fd = sender_open(argv[1]);
    for (unsigned i = 0; i < BATCH; i++) {
        part[i] = (struct iovec){frame[i], FRAME};
        message[i].msg_hdr = (struct msghdr){.msg_iov = &part[i], .msg_iovlen = 1};
    }
    bool new = strcmp(argv[3], "new") == 0;
    uint32_t count = (uint32_t)atoi(argv[2]) / BATCH * BATCH, refused = 0;
    uint64_t took = 0, gap_ns = argc == 6 ? strtoull(argv[5], NULL, 10) * 1000 : 0;
    for (uint32_t number = 0; number < count; number += BATCH) {
        for (unsigned i = 0; i < BATCH; i++)
            frame_make(frame[i], mac, new ? number + i : 0);
        uint64_t from = now_ns();
        refused += sender_batch(fd, message);
        took += now_ns() - from;
        while (now_ns() - from < gap_ns)
            ;
    }
    if (count == 0 || refused) {
        fprintf(stderr, "sender: %u of %u frames refused\n", refused, count);
        return 1;
    }
    printf("sender_ns %.1f ns\n", (double)took / count);
    return 0;
}
