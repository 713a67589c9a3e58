/* What we say to DHCP servers. RFC 2131 4.4.1, table 5, says which message carries what. */
#include "services/dhcp/dhcp.h"

enum {
    /* The longest answer we take: an IPv4 packet without options that fills a frame. */
    MESSAGE_ANSWER_MAX = FRAME_LENGTH_MAX - ETH_HEADER_LENGTH - IPV4_HEADER_MIN - UDP_HEADER_LENGTH,
};

/* While a lease is renewed, and when it is given back, its address is in use and speaks for itself;
 * before, and when it is doubtful, it is a wish. */
static bool message_from_address(const struct dhcp_nic *nic, enum dhcp_type type)
{
    return type == DHCP_RELEASE ||
           (type == DHCP_REQUEST && (nic->state == DHCP_RENEWING || nic->state == DHCP_REBINDING));
}

static uint8_t *message_options(const struct dhcp_nic *nic, enum dhcp_type type, const uint8_t *mac,
                                uint8_t *at)
{
    static const uint8_t wanted[] = {DHCP_OPTION_MASK,   DHCP_OPTION_ROUTER,  DHCP_OPTION_LEASE_S,
                                     DHCP_OPTION_SERVER, DHCP_OPTION_RENEW_S, DHCP_OPTION_REBIND_S};
    bool chosen = type == DHCP_REQUEST && nic->state == DHCP_REQUESTING;
    uint32_t requested = chosen ? nic->offered_ip : nic->lease.ip;
    uint32_t server = chosen ? nic->offered_server : nic->lease.server;
    const uint8_t client[] = {
        DHCP_HARDWARE_ETHERNET, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]};
    const uint8_t type_byte = (uint8_t)type;
    be16_t longest = be16(MESSAGE_ANSWER_MAX);
    at = dhcp_option_put(at, DHCP_OPTION_TYPE, &type_byte, 1);
    at = dhcp_option_put(at, DHCP_OPTION_CLIENT, client, sizeof client);
    if (requested && !message_from_address(nic, type))
        at = dhcp_option_put32(at, DHCP_OPTION_REQUESTED, requested);
    if (chosen || type == DHCP_DECLINE || type == DHCP_RELEASE)
        at = dhcp_option_put32(at, DHCP_OPTION_SERVER, server);
    if (type == DHCP_DISCOVER || type == DHCP_REQUEST) {
        at = dhcp_option_put(at, DHCP_OPTION_LENGTH_MAX, &longest, sizeof longest);
        at = dhcp_option_put(at, DHCP_OPTION_PARAMETERS, wanted, sizeof wanted);
    }
    *at++ = DHCP_OPTION_END;
    return at;
}

/* Returns the message's length. */
static size_t message_write(struct service_self *self, const struct dhcp_nic *nic,
                            enum dhcp_type type, struct dhcp_message *message)
{
    const uint8_t *mac = dhcp_wire(self, nic)->mac;
    bool from_address = message_from_address(nic, type);
    bool asks = type == DHCP_DISCOVER || type == DHCP_REQUEST;
    memset(message, 0, DHCP_LENGTH_MIN);
    message->op = DHCP_OP_REQUEST;
    message->hardware = DHCP_HARDWARE_ETHERNET;
    message->hardware_length = ETH_ADDRESS_LENGTH;
    message->xid = be32(nic->xid);
    if (asks)
        message->seconds = be16(nic->seconds);
    if (asks && !from_address)
        message->flags = be16(DHCP_FLAG_BROADCAST);
    if (from_address)
        message->client = be32(nic->lease.ip);
    eth_copy(message->client_mac, mac);
    message->cookie = be32(DHCP_COOKIE);
    uint8_t *end = message_options(nic, type, mac, (uint8_t *)(message + 1));
    size_t length = (size_t)(end - (uint8_t *)message);
    return length < DHCP_LENGTH_MIN ? DHCP_LENGTH_MIN : length;
}

/* Where on the link it goes: to the MAC address the lease came from, if that must do (a release, as
 * arp may be stopped already); to a next hop that arp finds; or to everybody, also when the server
 * is not to be reached by this nic. */
static uint32_t message_address(struct service_self *self, const struct dhcp_nic *nic,
                                enum dhcp_type type, struct frame *frame)
{
    static const uint8_t everybody[] = {255, 255, 255, 255, 255, 255};
    struct eth_header *eth = (struct eth_header *)frame->data;
    uint32_t server = nic->lease.server;
    const struct route *route = service_route_to(self, server);
    frame->kind = FRAME_READY;
    eth_copy(eth->to, type == DHCP_RELEASE ? nic->lease.from : everybody);
    eth_copy(eth->from, dhcp_wire(self, nic)->mac);
    eth->type = be16(ETH_TYPE_IPV4);
    if (type == DHCP_RELEASE)
        return server;
    if (type != DHCP_REQUEST || nic->state != DHCP_RENEWING || route->type != ROUTE_UNICAST ||
        route->nic != frame->nic)
        return UINT32_MAX;
    frame->kind = FRAME_RESOLVE;
    frame->next_hop = route->gateway ? route->gateway : server;
    return server;
}

void dhcp_message_send(struct service_self *self, const struct dhcp_nic *nic, enum dhcp_type type)
{
    struct frame *frame = service_frame(self);
    if (!frame)
        return;
    frame->nic = (uint8_t)dhcp_index(self, nic);
    uint32_t to = message_address(self, nic, type, frame);
    struct ipv4_header *ip = (struct ipv4_header *)(frame->data + ETH_HEADER_LENGTH);
    struct udp_header *udp = (struct udp_header *)(ip + 1);
    uint16_t length =
        (uint16_t)(sizeof *udp + message_write(self, nic, type, (struct dhcp_message *)(udp + 1)));
    *ip = (struct ipv4_header){
        .version_length = 0x45,
        .total_length = be16((uint16_t)(sizeof *ip + length)),
        .id = be16(service_ip_id(self)),
        .ttl = IPV4_TTL_DEFAULT,
        .protocol = IPV4_UDP,
        .from = be32(message_from_address(nic, type) ? nic->lease.ip : 0),
        .to = be32(to),
    };
    ipv4_checksum_set(ip);
    *udp = (struct udp_header){
        .from = be16(DHCP_PORT_CLIENT), .to = be16(DHCP_PORT_SERVER), .length = be16(length)};
    udp->checksum = checksum_finish(checksum_add(checksum_pseudo(ip, length), udp, length));
    if (udp->checksum.raw == 0) /* RFC 768: that would say "none" */
        udp->checksum.raw = UINT16_MAX;
    frame->l3 = ETH_HEADER_LENGTH;
    frame->l4 = ETH_HEADER_LENGTH + sizeof *ip;
    frame->end = frame->length = (uint16_t)(ETH_HEADER_LENGTH + sizeof *ip + length);
    service_send(self, frame);
}
