/* Traffic for measuring: keeps a window of requests outstanding over QEMU's datagram sockets, and
 * checks every answer.
 *
 *   traffic icmp|udp COUNT WINDOW LOCAL REMOTE             to 10.0.0.2, MAC 52:54:00:00:00:01
 *   traffic forward COUNT WINDOW LOCAL REMOTE LOCAL2 REMOTE2   in at nic0, out at nic1 to 10.1.0.1
 *
 * Prints "sent N received N bad N". Bounded: ends after COUNT answers, or a second without any. */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/arp.h"
#include "wire/icmp.h"
#include "wire/udp.h"

enum {
    WINDOW_MAX = 1024,
    FRAME_MAX = 1514,
    BATCH = 64,
    ICMP_DATA = 56, /* what ping sends: a frame of 98 bytes */
    UDP_DATA = 18,  /* a frame of 60 bytes, 64 with FCS */
    QUIET_MS = 1000,
};

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

struct wire {
    int socket;
    struct sockaddr_un remote;
    uint8_t peer[6];
    uint32_t ip;
};

static const uint8_t own_mac[6] = {0x52, 0x54, 0, 0, 1, 0};

static struct wire wire_open(const char *local, const char *remote, unsigned nic, uint32_t ip)
{
    struct wire wire = {.ip = ip, .peer = {0x52, 0x54, 0, 0, 0, (uint8_t)(nic + 1)}};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    wire.remote.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", local);
    snprintf(wire.remote.sun_path, sizeof wire.remote.sun_path, "%s", remote);
    unlink(local);
    wire.socket = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (wire.socket < 0 || bind(wire.socket, (struct sockaddr *)&address, sizeof address) < 0) {
        perror(local);
        exit(2);
    }
    return wire;
}

static void wire_send(struct wire *wire, const void *frame, unsigned length)
{
    if (sendto(wire->socket, frame, length, 0, (struct sockaddr *)&wire->remote,
               sizeof wire->remote) < 0) {
        perror(wire->remote.sun_path);
        exit(2);
    }
}

static unsigned request_make(uint8_t *frame, const struct wire *wire, const char *mode,
                             uint32_t number)
{
    struct eth_header *eth = (struct eth_header *)frame;
    struct ipv4_header *ip = (struct ipv4_header *)(eth + 1);
    bool icmp = strcmp(mode, "icmp") == 0;
    unsigned data = icmp ? ICMP_DATA : UDP_DATA;
    memset(frame, 0, FRAME_MAX);
    eth_copy(eth->to, wire->peer);
    eth_copy(eth->from, own_mac);
    eth->type = be16(ETH_TYPE_IPV4);
    *ip = (struct ipv4_header){
        .version_length = 0x45,
        .total_length = be16((uint16_t)(IPV4_HEADER_MIN + 8 + data)),
        .id = be16((uint16_t)number),
        .ttl = 64,
        .protocol = icmp ? IPV4_ICMP : IPV4_UDP,
        .from = be32(wire->ip),
        .to = be32(strcmp(mode, "forward") == 0 ? IP(10, 1, 0, 1) : IP(10, 0, 0, 2)),
    };
    ipv4_checksum_set(ip);
    uint8_t *payload = (uint8_t *)(ip + 1) + 8;
    memcpy(payload, &number, sizeof number);
    for (unsigned i = sizeof number; i < data; i++)
        payload[i] = (uint8_t)(number + i);
    if (icmp) {
        struct icmp_header *header = (struct icmp_header *)(ip + 1);
        *header = (struct icmp_header){
            .type = ICMP_ECHO_REQUEST, .id = be16(1), .sequence = be16((uint16_t)number)};
        header->checksum = checksum_finish(checksum_add(0, header, 8 + data));
    } else {
        struct udp_header *header = (struct udp_header *)(ip + 1);
        *header = (struct udp_header){
            .from = be16(4000), .to = be16(UDP_PORT_ECHO), .length = be16((uint16_t)(8 + data))};
        header->checksum = checksum_finish(
            checksum_add(checksum_pseudo(ip, (uint16_t)(8 + data)), header, 8 + data));
    }
    return ETH_HEADER_LENGTH + IPV4_HEADER_MIN + 8 + data;
}

/* Whether an answer is right in every byte that matters. */
static bool answer_good(uint8_t *frame, unsigned length, const char *mode)
{
    struct ipv4_header *ip = (struct ipv4_header *)(frame + ETH_HEADER_LENGTH);
    bool icmp = strcmp(mode, "icmp") == 0, forward = strcmp(mode, "forward") == 0;
    unsigned data = icmp ? ICMP_DATA : UDP_DATA;
    if (length < ETH_HEADER_LENGTH + IPV4_HEADER_MIN + 8 + data)
        return false;
    if (checksum_fold(checksum_add(0, ip, IPV4_HEADER_MIN)) != 0xffff)
        return false;
    uint64_t sum = icmp ? 0 : checksum_pseudo(ip, (uint16_t)(8 + data));
    if (checksum_fold(checksum_add(sum, ip + 1, 8 + data)) != 0xffff)
        return false;
    if (be32_get(ip->to) != (forward ? IP(10, 1, 0, 1) : IP(10, 0, 0, 1)) ||
        (forward && ip->ttl != 63))
        return false;
    if (icmp && ((struct icmp_header *)(ip + 1))->type != ICMP_ECHO_REPLY)
        return false;
    uint8_t *payload = (uint8_t *)(ip + 1) + 8;
    uint32_t number;
    memcpy(&number, payload, sizeof number);
    for (unsigned i = sizeof number; i < data; i++)
        if (payload[i] != (uint8_t)(number + i))
            return false;
    return true;
}

/* Answers ARP for our address on a wire; whether the frame was ARP. */
static bool arp_answered(struct wire *wire, uint8_t *frame, unsigned length)
{
    struct eth_header *eth = (struct eth_header *)frame;
    struct arp_packet *arp = (struct arp_packet *)(eth + 1);
    if (length < ETH_HEADER_LENGTH + ARP_LENGTH || !be16_is(eth->type, ETH_TYPE_ARP))
        return false;
    if (be16_is(arp->operation, ARP_REQUEST) && be32_get(arp->target_ip) == wire->ip) {
        be32_t ours = arp->target_ip;
        arp->operation = be16(ARP_REPLY);
        eth_copy(arp->target_mac, arp->sender_mac);
        arp->target_ip = arp->sender_ip;
        eth_copy(arp->sender_mac, own_mac);
        arp->sender_ip = ours;
        eth_reply(eth, own_mac);
        wire_send(wire, frame, length);
    }
    return true;
}

struct tally {
    unsigned sent, received, bad;
};

static void take(struct wire *wire, const char *mode, bool answers, struct tally *tally)
{
    uint8_t frame[FRAME_MAX + 64];
    for (unsigned i = 0; i < BATCH; i++) {
        ssize_t length = recv(wire->socket, frame, sizeof frame, MSG_DONTWAIT);
        if (length < 0)
            return;
        if (arp_answered(wire, frame, (unsigned)length) || !answers)
            continue;
        tally->received++;
        if (!answer_good(frame, (unsigned)length, mode))
            tally->bad++;
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    bool forward = strcmp(mode, "forward") == 0;
    if (argc != (forward ? 8 : 6)) {
        fprintf(stderr,
                "usage: traffic icmp|udp|forward COUNT WINDOW LOCAL REMOTE [LOCAL2 REMOTE2]\n");
        return 2;
    }
    unsigned count = (unsigned)atoi(argv[2]), window = (unsigned)atoi(argv[3]);
    struct wire in = wire_open(argv[4], argv[5], 0, IP(10, 0, 0, 1)), out = {.socket = -1};
    if (forward)
        out = wire_open(argv[6], argv[7], 1, IP(10, 1, 0, 1));
    struct tally tally = {0, 0, 0};
    uint8_t frame[FRAME_MAX];
    while (tally.received < count) {
        /* Refill when half of the window is answered, so that the ring fills in bursts and does not
         * run empty. */
        unsigned open = tally.received ? window : 1; /* the first finds its way by ARP */
        if (tally.sent - tally.received <= open / 2)
            while (tally.sent < count && tally.sent - tally.received < open) {
                unsigned length = request_make(frame, &in, mode, tally.sent++);
                wire_send(&in, frame, length);
                take(&in, mode, !forward, &tally);
                if (forward)
                    take(&out, mode, true, &tally);
            }
        struct pollfd fds[2] = {{in.socket, POLLIN, 0}, {out.socket, POLLIN, 0}};
        if (poll(fds, forward ? 2 : 1, QUIET_MS) == 0)
            break;
        take(&in, mode, !forward, &tally);
        if (forward)
            take(&out, mode, true, &tally);
    }
    printf("sent %u received %u bad %u\n", tally.sent, tally.received, tally.bad);
    return tally.received == count && tally.bad == 0 ? 0 : 1;
}
