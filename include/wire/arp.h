/* ARP for IPv4 over Ethernet (RFC 826; probes and announcements: RFC 5227).
 *
 *    0      2      4    5    6    8         14        18        24        28
 *   +------+------+----+----+----+---------+---------+---------+---------+
 *   | htype| ptype|hlen|plen| op | sender  | sender  | target  | target  |
 *   | 1    |0x800 | 6  | 4  |    | MAC     | IPv4    | MAC     | IPv4    |
 *   +------+------+----+----+----+---------+---------+---------+---------+ */
#ifndef WIRE_ARP_H
#define WIRE_ARP_H

#include "wire/ethernet.h"

enum {
    ARP_LENGTH = 28,
    ARP_HARDWARE_ETHERNET = 1,
    ARP_REQUEST = 1,
    ARP_REPLY = 2,
};

struct arp_packet {
    be16_t hardware;
    be16_t protocol;
    uint8_t hardware_length;
    uint8_t protocol_length;
    be16_t operation;
    uint8_t sender_mac[ETH_ADDRESS_LENGTH];
    be32_t sender_ip;
    uint8_t target_mac[ETH_ADDRESS_LENGTH];
    be32_t target_ip;
} WIRE_PACKED;
_Static_assert(sizeof(struct arp_packet) == ARP_LENGTH, "RFC 826");

#endif
