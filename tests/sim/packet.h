/* Frames for tests: built from a few words, right in every field unless the test spoils one
 * afterwards. */
#ifndef SIM_PACKET_H
#define SIM_PACKET_H

#include <stdint.h>

#include "wire/arp.h"
#include "wire/icmp.h"
#include "wire/tcp.h"
#include "wire/udp.h"

/* The station on the other end of a wire, and the Piglet's own nics. */
#define PEER_MAC  ((const uint8_t[6]){0x52, 0x54, 0, 0, 0, 0x77})
#define NIC0_MAC  ((const uint8_t[6]){2, 0, 0, 0, 0, 1})
#define NIC1_MAC  ((const uint8_t[6]){2, 0, 0, 0, 0, 2})
#define BROADCAST ((const uint8_t[6]){0xff, 0xff, 0xff, 0xff, 0xff, 0xff})

#define IP(a, b, c, d)                                                                             \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

struct packet {
    unsigned length;
    uint8_t data[2048];
};

/* Views into a packet; they point wherever the header would be with no options. */
struct eth_header *packet_eth(struct packet *packet);
struct ipv4_header *packet_ip(struct packet *packet);
struct icmp_header *packet_icmp(struct packet *packet);
struct udp_header *packet_udp(struct packet *packet);
struct tcp_header *packet_tcp(struct packet *packet);
struct arp_packet *packet_arp(struct packet *packet);

/* An IPv4 packet with `payload` bytes behind the header, to NIC0_MAC from PEER_MAC; payload is a
 * pattern. */
struct packet packet_ipv4(uint32_t from, uint32_t to, uint8_t protocol, unsigned payload);

/* An echo request with `bytes` of data. */
struct packet packet_echo(uint32_t from, uint32_t to, unsigned bytes);
struct packet packet_udp_to(uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
                            unsigned bytes);
struct packet packet_tcp_to(uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
                            uint8_t flags);

/* A request is sent to BROADCAST, a reply to NIC0_MAC. */
struct packet packet_arp_request(uint32_t sender, uint32_t target);
struct packet packet_arp_reply(uint32_t sender, uint32_t target);

/* Puts `words` * 4 bytes of options between IPv4 header and payload, and rights lengths and
 * checksum. */
void packet_insert_options(struct packet *packet, const uint8_t *options, unsigned words);

/* Make the checksums right again after a change. */
void packet_fix_ip(struct packet *packet);
void packet_fix_icmp(struct packet *packet);
void packet_fix_udp(struct packet *packet);
void packet_fix_tcp(struct packet *packet);

#endif
