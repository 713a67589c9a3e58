/* Headers as rules and flows see them. */
#include "services/firewall/firewall.h"
#include "wire/icmp.h"
#include "wire/tcp.h"
#include "wire/udp.h"

enum {
    PROTOCOL_DCCP = 33,
    PROTOCOL_SCTP = 132,
    PROTOCOL_UDP_LITE = 136,
    PORTS_BYTES = 4,  /* all of these begin with two ports */
    QUOTED_BYTES = 8, /* of the transport header, in an ICMP error (RFC 792) */
};

/* Bytes of transport header that must be there; 0: none that we know. */
static unsigned packet_header_min(uint8_t protocol)
{
    switch (protocol) {
    case IPV4_TCP:
        return TCP_HEADER_MIN;
    case IPV4_UDP:
    case PROTOCOL_UDP_LITE:
        return UDP_HEADER_LENGTH;
    case IPV4_ICMP:
        return ICMP_HEADER_LENGTH;
    case PROTOCOL_DCCP:
    case PROTOCOL_SCTP:
        return PORTS_BYTES;
    default:
        return 0;
    }
}

/* Addresses, and what finds the flow: ports, or the id of an ICMP query. */
static void packet_ends(struct flow_packet *packet, const struct ipv4_header *ip, const uint8_t *l4,
                        bool transport)
{
    packet->from = be32_get(ip->from);
    packet->to = be32_get(ip->to);
    packet->protocol = ip->protocol;
    if (!transport)
        return;
    const struct udp_header *ports = (const struct udp_header *)l4;
    const struct icmp_header *icmp = (const struct icmp_header *)l4;
    if (ip->protocol == IPV4_ICMP) {
        packet->icmp_type = icmp->type;
        /* The asker's alone, as hosts may ask each other with one id (that of Windows is always 1). */
        bool reply = icmp->type == ICMP_ECHO_REPLY;
        packet->from_port = reply ? 0 : be16_get(icmp->id);
        packet->to_port = reply ? be16_get(icmp->id) : 0;
    } else {
        packet->from_port = be16_get(ports->from);
        packet->to_port = be16_get(ports->to);
    }
}

/* What an ICMP error is about. It must be sent to who sent that. */
static __attribute__((noinline)) void packet_quoted(struct firewall_packet *packet,
                                                    const uint8_t *at, unsigned bytes)
{
    const struct ipv4_header *ip = (const struct ipv4_header *)at;
    if (bytes < IPV4_HEADER_MIN + QUOTED_BYTES || ip->version_length >> 4 != 4)
        return;
    unsigned header = ipv4_header_length(ip);
    bool transport = packet_header_min(ip->protocol);
    if (header < IPV4_HEADER_MIN || header + QUOTED_BYTES > bytes ||
        be16_get(ip->fragment) & IPV4_FRAGMENT_OFFSET || be32_get(ip->from) != packet->flow.to)
        return;
    packet_ends(&packet->quoted, ip, at + header, transport);
}

static void packet_tcp(struct firewall_packet *packet, const uint8_t *l4, unsigned bytes)
{
    const struct tcp_header *tcp = (const struct tcp_header *)l4;
    packet->flow.header = (uint8_t)((tcp->offset >> 4) * 4u);
    packet->flow.tcp = l4;
    packet->flow.bytes = bytes;
    packet->flow.tcp_flags = tcp->flags;
    packet->key.detail = tcp->flags;
}

void firewall_read(const struct frame *frame, uint8_t direction, uint8_t nic_in, uint8_t nic_out,
                   struct firewall_packet *packet)
{
    const struct ipv4_header *ip = (const struct ipv4_header *)(frame->data + frame->l3);
    const uint8_t *header = frame->data + frame->l4;
    unsigned bytes = (unsigned)frame->end - frame->l4, field = be16_get(ip->fragment);
    unsigned least = packet_header_min(ip->protocol);
    bool later = field & IPV4_FRAGMENT_OFFSET, transport = least && bytes >= least && !later;
    if (transport && ip->protocol == IPV4_TCP) {
        unsigned whole = (((const struct tcp_header *)header)->offset >> 4) * 4u;
        transport = whole >= TCP_HEADER_MIN && whole <= bytes;
    }
    packet->fragment = later;
    packet->cut = least && !transport && !later;
    packet->flow = (struct flow_packet){0};
    packet->quoted.protocol = 0;
    packet->key.detail = 0;
    packet_ends(&packet->flow, ip, header, transport);
    if (transport && ip->protocol == IPV4_TCP) {
        packet_tcp(packet, header, bytes);
    } else if (transport && ip->protocol == IPV4_ICMP) {
        packet->key.detail = (uint16_t)(header[0] << 8 | header[1]);
        if (icmp_is_error(header[0]))
            packet_quoted(packet, header + ICMP_HEADER_LENGTH, bytes - ICMP_HEADER_LENGTH);
    }
    bool ports = ip->protocol != IPV4_ICMP;
    unsigned fragment = later                         ? PIGLET_FRAGMENT_LATER
                        : field & IPV4_MORE_FRAGMENTS ? PIGLET_FRAGMENT_FIRST
                                                      : PIGLET_FRAGMENT_WHOLE;
    packet->key.addresses = (uint64_t)packet->flow.from << 32 | packet->flow.to;
    packet->key.rest = rules_rest(ports ? packet->flow.from_port : 0,
                                  ports ? packet->flow.to_port : 0, ip->protocol, nic_in, nic_out);
    packet->key.groups =
        (uint16_t)((unsigned)direction << KEY_DIRECTION | fragment << KEY_FRAGMENT |
                   (transport ? KEY_TRANSPORT : KEY_NO_TRANSPORT));
    packet->key.packet = frame->data;
    packet->key.packet_bytes = frame->end;
}

struct rules_key firewall_flow_key(const struct flow *flow)
{
    struct flow_end_point from = flow_side_of(flow, 0), to = flow_side_of(flow, 1);
    uint8_t protocol = (uint8_t)(flow->low >> 48);
    bool ports = protocol != IPV4_ICMP;
    struct rules_key key = {
        .addresses = (uint64_t)from.ip << 32 | to.ip,
        .rest = rules_rest(ports ? from.port : 0, ports ? to.port : 0, protocol, flow->nic_in,
                           flow->nic_out),
        .groups = (uint16_t)((unsigned)flow->direction << KEY_DIRECTION |
                             PIGLET_FRAGMENT_WHOLE << KEY_FRAGMENT | PIGLET_STATE_NEW << KEY_STATE |
                             (packet_header_min(protocol) ? KEY_TRANSPORT : KEY_NO_TRANSPORT)),
    };
    if (protocol == IPV4_TCP)
        key.detail = flow->flags & FLOW_LIBERAL ? TCP_ACK : TCP_SYN;
    else if (protocol == IPV4_ICMP)
        key.detail = ICMP_ECHO_REQUEST << 8;
    return key;
}
