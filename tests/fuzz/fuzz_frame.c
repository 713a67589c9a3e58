/* Fuzzes everything that looks into frames: the classifier, the services, ARP's cache, forwarding.
 *
 * The input is a series of frames: nic and time step (1 byte), length (2 bytes), bytes. Whatever
 * they are, no sanitizer may complain, nothing may panic, and every frame must be back in the pool
 * at the end. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/packet.h"
#include "tests/sim/sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t room);

enum { HEADER = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct core *core =
        sim_start(2, "ip=10.0.0.2/24 ip=10.1.0.2/24@nic1 route=10.2.0.0/16:10.1.0.9 "
                     "services=+echo,+forward log=error");
    while (bytes > HEADER) {
        size_t length = (size_t)data[1] << 8 | data[2];
        unsigned nic = data[0] & 1;
        uint64_t delay_us = data[0] & 0x80 ? 700000 : data[0] >> 1;
        if (length > bytes - HEADER)
            length = bytes - HEADER;
        if (length > 2048)
            length = 2048;
        sim_inject(core, nic, data + HEADER, length);
        if (data[0] & 0x40)
            sim_advance_us(core, delay_us);
        data += HEADER + length;
        bytes -= HEADER + length;
    }
    sim_advance_us(core, 1000);
    while (sim_sent(core, 0) || sim_sent(core, 1))
        ;
    if (sim_stop(core) != 0)
        abort(); /* a frame was lost */
    return 0;
}

static struct packet sample(unsigned which)
{
    static const uint8_t options[8] = {7, 7, 4, 0, 0, 0, 0, 0};
    struct packet packet;
    switch (which % 8) {
    case 0:
        return packet_arp_request(IP(10, 0, 0, 1), IP(10, 0, 0, 2));
    case 1:
        return packet_arp_reply(IP(10, 1, 0, 9), IP(10, 1, 0, 2));
    case 2:
        return packet_udp_to(IP(10, 0, 0, 1), 9, IP(10, 0, 0, 2), 7, 20);
    case 3:
        return packet_udp_to(IP(10, 0, 0, 1), 9, IP(10, 2, 0, 2), 7, 20);
    case 4:
        return packet_tcp_to(IP(10, 0, 0, 1), 9, IP(10, 0, 0, 2), 7, TCP_SYN);
    case 5:
        packet = packet_echo(IP(10, 0, 0, 1), IP(10, 0, 0, 2), 8);
        packet_insert_options(&packet, options, 2);
        return packet;
    case 6:
        return packet_udp_to(IP(10, 0, 0, 1), 9, IP(10, 0, 0, 2), 99, 20);
    default:
        return packet_echo(IP(10, 0, 0, 1), IP(10, 0, 0, 2), 56);
    }
}

/* Random bytes seldom have right checksums: half of the time, one of the frames is made a good one,
 * or its IPv4 checksum is put right. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned seed)
{
    srand(seed);
    bytes = LLVMFuzzerMutate(data, bytes, room);
    if (seed % 2)
        return bytes;
    if (seed % 4 == 0) {
        struct packet packet = sample((unsigned)rand());
        if (bytes + HEADER + packet.length > room)
            return bytes;
        uint8_t *at = data + bytes;
        at[0] = (uint8_t)rand();
        at[1] = (uint8_t)(packet.length >> 8);
        at[2] = (uint8_t)packet.length;
        memcpy(at + HEADER, packet.data, packet.length);
        eth_copy(at + HEADER, at[0] & 1 ? NIC1_MAC : NIC0_MAC);
        return bytes + HEADER + packet.length;
    }
    for (size_t at = 0; at + HEADER + 34 <= bytes;) {
        size_t length = (size_t)data[at + 1] << 8 | data[at + 2];
        struct ipv4_header *ip = (struct ipv4_header *)(data + at + HEADER + ETH_HEADER_LENGTH);
        if (at + HEADER + ETH_HEADER_LENGTH + ipv4_header_length(ip) <= bytes)
            ipv4_checksum_set(ip);
        at += HEADER + length;
    }
    return bytes;
}
