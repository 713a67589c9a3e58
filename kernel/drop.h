/* Why a frame was dropped: one table of sentences, one counter each ("drop.NAME"). Append-only:
 * clients see the numbers. Every reason has a test that provokes it. */
#ifndef KERNEL_DROP_H
#define KERNEL_DROP_H

/* enum, counter name, the sentence */
#define DROP_REASONS(X)                                                                            \
    X(NONE, "none", "not dropped")                                                                 \
    X(ETH_TOO_SHORT, "eth-too-short", "shorter than an Ethernet header")                           \
    X(ETH_NOT_FOR_US, "eth-not-for-us", "sent to another station's MAC address")                   \
    X(ETH_SOURCE_INVALID, "eth-source-invalid", "source MAC address is a group address")           \
    X(ETH_UNKNOWN_TYPE, "eth-unknown-type", "no service for this EtherType")                       \
    X(ARP_MALFORMED, "arp-malformed", "ARP packet too short or not Ethernet and IPv4")             \
    X(ARP_SENDER_INVALID, "arp-sender-invalid",                                                    \
      "ARP sender is a group or zero address, or has our own MAC address")                         \
    X(ARP_NOT_FOR_US, "arp-not-for-us", "ARP about an address that is not ours")                   \
    X(ARP_PENDING_FULL, "arp-pending-full", "too many frames wait for the next hop's address")     \
    X(ARP_UNRESOLVED, "arp-unresolved", "the next hop did not answer ARP")                         \
    X(IP_TOO_SHORT, "ip-too-short", "frame ends inside the IPv4 header")                           \
    X(IP_VERSION, "ip-version", "IP version is not 4")                                             \
    X(IP_HEADER_LENGTH, "ip-header-length", "IPv4 header length is below 20 or beyond the frame")  \
    X(IP_TOTAL_LENGTH, "ip-total-length",                                                          \
      "IPv4 total length is below the header or beyond "                                           \
      "the frame")                                                                                 \
    X(IP_CHECKSUM, "ip-checksum", "IPv4 header checksum is wrong")                                 \
    X(IP_SOURCE_INVALID, "ip-source-invalid", "IPv4 source is a group, loopback or zero network")  \
    X(IP_SOURCE_OURS, "ip-source-ours", "IPv4 source is one of our own addresses (land)")          \
    X(IP_OPTIONS_MALFORMED, "ip-options-malformed", "an IPv4 option's length lies")                \
    X(IP_SOURCE_ROUTE, "ip-source-route", "IPv4 source routing is not obeyed")                     \
    X(IP_FRAGMENT, "ip-fragment", "a fragment to us, and we do not reassemble")                    \
    X(IP_FRAGMENT_INVALID, "ip-fragment-invalid",                                                  \
      "a fragment that ends beyond 65,535 bytes or "                                               \
      "is cut off the grid of eight")                                                              \
    X(IP_NOT_FOR_US, "ip-not-for-us", "IPv4 for somebody else, and forwarding is off")             \
    X(IP_NO_ROUTE, "ip-no-route", "no route to the destination")                                   \
    X(IP_TTL, "ip-ttl", "time to live ran out on the way")                                         \
    X(IP_TOO_BIG, "ip-too-big", "too big for the next link, and not to be fragmented")             \
    X(IP_PROTOCOL, "ip-protocol", "no service for this IPv4 protocol")                             \
    X(IP_MULTICAST, "ip-multicast", "a multicast group we are no member of")                       \
    X(ICMP_TOO_SHORT, "icmp-too-short", "packet ends inside the ICMP header")                      \
    X(ICMP_CHECKSUM, "icmp-checksum", "ICMP checksum is wrong")                                    \
    X(ICMP_BROADCAST, "icmp-broadcast", "an echo request to a broadcast address (smurf)")          \
    X(ICMP_UNKNOWN_TYPE, "icmp-unknown-type", "an ICMP type we do not answer")                     \
    X(UDP_TOO_SHORT, "udp-too-short", "packet ends inside the UDP header")                         \
    X(UDP_LENGTH, "udp-length", "UDP length is below 8 or beyond the packet")                      \
    X(UDP_CHECKSUM, "udp-checksum", "UDP checksum is wrong")                                       \
    X(UDP_NO_PORT, "udp-no-port", "nobody listens on this UDP port")                               \
    X(UDP_LOOP, "udp-loop", "an echo between two echo ports would never end")                      \
    X(UDP_BROADCAST, "udp-broadcast", "an echo to a broadcast address would be amplified")         \
    X(TCP_TOO_SHORT, "tcp-too-short", "packet ends inside the TCP header")                         \
    X(TCP_CHECKSUM, "tcp-checksum", "TCP checksum is wrong, and so its sender is not answered")    \
    X(TCP_NO_PORT, "tcp-no-port", "nobody listens on this TCP port")                               \
    X(NIC_DOWN, "nic-down", "the nic to send by is down")                                          \
    X(NIC_RING_FULL, "nic-ring-full", "the nic's transmit ring is full")                           \
    X(SEND_BACKLOG, "send-backlog", "more frames sent in one turn than a nic's backlog holds")     \
    X(YIELD_BACKLOG, "yield-backlog", "too many frames wait for a service that yielded")           \
    X(NO_FRAME, "no-frame", "the frame pool is exhausted")                                         \
    X(SERVICE_STOPPED, "service-stopped", "the service that held the frame was stopped")           \
    X(CLIENT_FULL, "client-full", "the client it is for does not take its frames")                 \
    X(DHCP_MALFORMED, "dhcp-malformed", "a DHCP answer cut short, or with an option that lies")    \
    X(DHCP_UNEXPECTED, "dhcp-unexpected", "a DHCP answer to another station, or not asked for")    \
    X(DHCP_UNUSABLE, "dhcp-unusable", "a DHCP answer without a usable address, mask or time")      \
    X(SHAPER_LIMIT, "shaper-limit", "its class, or the shaper, holds as many frames as it may")    \
    X(SHAPER_CODEL, "shaper-codel", "its flow's frames wait too long in their class (CoDel)")      \
    X(FIREWALL_DROP, "firewall-drop", "a rule or a default of the firewall says so")               \
    X(FIREWALL_INVALID, "firewall-invalid", "of no connection, or outside of its windows")         \
    X(FIREWALL_LIMIT, "firewall-limit", "its sender has as many connections as the rule allows")   \
    X(FIREWALL_STATE_FULL, "firewall-state-full", "no room for another connection")

enum drop_reason {
#define DROP_ENUM(name, text, sentence) DROP_##name,
    DROP_REASONS(DROP_ENUM)
#undef DROP_ENUM
        DROP_REASON_COUNT
};

struct drop_text {
    const char *name, *sentence;
};

extern const struct drop_text drop_text[DROP_REASON_COUNT];

#endif
