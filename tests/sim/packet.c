/* Frames for tests. */
#include "tests/sim/packet.h"

#include <string.h>

enum { L3 = ETH_HEADER_LENGTH };

struct eth_header *packet_eth(struct packet *packet)
{
    return (struct eth_header *)packet->data;
}

struct ipv4_header *packet_ip(struct packet *packet)
{
    return (struct ipv4_header *)(packet->data + L3);
}

struct arp_packet *packet_arp(struct packet *packet)
{
    return (struct arp_packet *)(packet->data + L3);
}

static void *packet_l4(struct packet *packet)
{
    return packet->data + L3 + ipv4_header_length(packet_ip(packet));
}

struct icmp_header *packet_icmp(struct packet *packet)
{
    return packet_l4(packet);
}

struct udp_header *packet_udp(struct packet *packet)
{
    return packet_l4(packet);
}

struct tcp_header *packet_tcp(struct packet *packet)
{
    return packet_l4(packet);
}

static unsigned packet_payload(struct packet *packet)
{
    return be16_get(packet_ip(packet)->total_length) - ipv4_header_length(packet_ip(packet));
}

void packet_fix_ip(struct packet *packet)
{
    ipv4_checksum_set(packet_ip(packet));
}

void packet_fix_icmp(struct packet *packet)
{
    struct icmp_header *icmp = packet_icmp(packet);
    icmp->checksum = be16(0);
    icmp->checksum = checksum_finish(checksum_add(0, icmp, packet_payload(packet)));
}

static be16_t packet_transport_sum(struct packet *packet)
{
    unsigned bytes = packet_payload(packet);
    uint64_t sum = checksum_pseudo(packet_ip(packet), (uint16_t)bytes);
    return checksum_finish(checksum_add(sum, packet_l4(packet), bytes));
}

void packet_fix_udp(struct packet *packet)
{
    packet_udp(packet)->checksum = be16(0);
    packet_udp(packet)->checksum = packet_transport_sum(packet);
}

void packet_fix_tcp(struct packet *packet)
{
    packet_tcp(packet)->checksum = be16(0);
    packet_tcp(packet)->checksum = packet_transport_sum(packet);
}

struct packet packet_ipv4(uint32_t from, uint32_t to, uint8_t protocol, unsigned payload)
{
    struct packet packet = {.length = L3 + IPV4_HEADER_MIN + payload};
    struct eth_header *eth = packet_eth(&packet);
    struct ipv4_header *ip = packet_ip(&packet);
    eth_copy(eth->to, NIC0_MAC);
    eth_copy(eth->from, PEER_MAC);
    eth->type = be16(ETH_TYPE_IPV4);
    *ip = (struct ipv4_header){
        .version_length = 0x45,
        .total_length = be16((uint16_t)(IPV4_HEADER_MIN + payload)),
        .id = be16(0x1234),
        .ttl = 61,
        .protocol = protocol,
        .from = be32(from),
        .to = be32(to),
    };
    for (unsigned i = 0; i < payload; i++)
        packet.data[L3 + IPV4_HEADER_MIN + i] = (uint8_t)(i * 7 + 1);
    packet_fix_ip(&packet);
    if (packet.length < 60)
        packet.length = 60; /* Ethernet's minimum: zeros behind the packet */
    return packet;
}

struct packet packet_echo(uint32_t from, uint32_t to, unsigned bytes)
{
    struct packet packet = packet_ipv4(from, to, IPV4_ICMP, ICMP_HEADER_LENGTH + bytes);
    *packet_icmp(&packet) =
        (struct icmp_header){.type = ICMP_ECHO_REQUEST, .id = be16(0xbeef), .sequence = be16(1)};
    packet_fix_icmp(&packet);
    return packet;
}

struct packet packet_udp_to(uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
                            unsigned bytes)
{
    struct packet packet = packet_ipv4(from, to, IPV4_UDP, UDP_HEADER_LENGTH + bytes);
    *packet_udp(&packet) = (struct udp_header){
        .from = be16(from_port),
        .to = be16(to_port),
        .length = be16((uint16_t)(UDP_HEADER_LENGTH + bytes)),
    };
    packet_fix_udp(&packet);
    return packet;
}

struct packet packet_tcp_to(uint32_t from, uint16_t from_port, uint32_t to, uint16_t to_port,
                            uint8_t flags)
{
    struct packet packet = packet_ipv4(from, to, IPV4_TCP, TCP_HEADER_MIN);
    *packet_tcp(&packet) = (struct tcp_header){
        .from = be16(from_port),
        .to = be16(to_port),
        .sequence = be32(1000),
        .offset = 5 << 4,
        .flags = flags,
        .window = be16(1024),
    };
    packet_fix_tcp(&packet);
    return packet;
}

static struct packet packet_arp_of(uint16_t operation, uint32_t sender, uint32_t target)
{
    struct packet packet = {.length = 60};
    struct eth_header *eth = packet_eth(&packet);
    struct arp_packet *arp = packet_arp(&packet);
    eth_copy(eth->to, operation == ARP_REQUEST ? BROADCAST : NIC0_MAC);
    eth_copy(eth->from, PEER_MAC);
    eth->type = be16(ETH_TYPE_ARP);
    *arp = (struct arp_packet){
        .hardware = be16(ARP_HARDWARE_ETHERNET),
        .protocol = be16(ETH_TYPE_IPV4),
        .hardware_length = ETH_ADDRESS_LENGTH,
        .protocol_length = 4,
        .operation = be16(operation),
        .sender_ip = be32(sender),
        .target_ip = be32(target),
    };
    eth_copy(arp->sender_mac, PEER_MAC);
    if (operation == ARP_REPLY)
        eth_copy(arp->target_mac, NIC0_MAC);
    return packet;
}

struct packet packet_arp_request(uint32_t sender, uint32_t target)
{
    return packet_arp_of(ARP_REQUEST, sender, target);
}

struct packet packet_arp_reply(uint32_t sender, uint32_t target)
{
    return packet_arp_of(ARP_REPLY, sender, target);
}

void packet_insert_options(struct packet *packet, const uint8_t *options, unsigned words)
{
    struct ipv4_header *ip = packet_ip(packet);
    uint8_t *behind = (uint8_t *)(ip + 1);
    unsigned payload = packet_payload(packet);
    memmove(behind + words * 4, behind, payload);
    memcpy(behind, options, words * 4);
    ip->version_length = (uint8_t)(0x45 + words);
    ip->total_length = be16((uint16_t)(IPV4_HEADER_MIN + words * 4 + payload));
    packet->length = L3 + IPV4_HEADER_MIN + words * 4 + payload;
    if (packet->length < 60)
        packet->length = 60;
    packet_fix_ip(packet);
}
