/* Frames of many kinds. */
#include "tests/fuzz/sample.h"

#include <string.h>

struct packet sample(uint8_t what, uint8_t detail)
{
    static const uint16_t port[] = {7, 9, 99, 49152, 49153, 65535, 5353, 1};
    static const uint32_t us[] = {IP(10, 0, 0, 2), IP(10, 1, 0, 2), IP(10, 0, 0, 3),
                                  IP(10, 2, 0, 9)};
    uint32_t to = us[detail % 4], from = detail & 4 ? IP(10, 1, 0, 9) : IP(10, 0, 0, 1);
    struct packet packet;
    switch (what % 8) {
    case 0:
        return packet_arp_reply(from, to);
    case 1:
        return packet_arp_request(from, to);
    case 2:
        return packet_echo(from, to, detail);
    case 3:
        return packet_tcp_to(from, 9, to, 7, TCP_SYN);
    case 4:
        return packet_ipv4(from, to, 253, detail);
    case 5:
        packet = packet_ipv4(from, to, 253, 1480); /* another EtherType */
        packet.length = detail & 8 ? 2048 : 60;
        memcpy(packet.data + 12, (uint8_t[]){0x88, 0xb5}, 2);
        return packet;
    default:
        return packet_udp_to(from, 9, to, port[detail / 8 % 8], what & 0x80 ? 1400 : 20);
    }
}
