/* The packets themselves: requests are sent, what comes is checked, learned from and answered. */
#include "services/arp/arp.h"

void arp_ask(struct service_self *self, unsigned nic, uint32_t sender, uint32_t target,
             const uint8_t *to)
{
    static const uint8_t everybody[] = {255, 255, 255, 255, 255, 255};
    struct arp *arp = self->state;
    ++*arp->requests_sent;
    struct frame *frame = service_frame(self);
    if (!frame)
        return;
    const uint8_t *mac = service_nic(self, nic)->mac;
    struct eth_header *eth = (struct eth_header *)frame->data;
    struct arp_packet *packet = (struct arp_packet *)(eth + 1);
    eth_copy(eth->to, to ? to : everybody);
    eth_copy(eth->from, mac);
    eth->type = be16(ETH_TYPE_ARP);
    *packet = (struct arp_packet){
        .hardware = be16(ARP_HARDWARE_ETHERNET),
        .protocol = be16(ETH_TYPE_IPV4),
        .hardware_length = ETH_ADDRESS_LENGTH,
        .protocol_length = sizeof packet->sender_ip,
        .operation = be16(ARP_REQUEST),
        .sender_ip = be32(sender),
        .target_ip = be32(target),
    };
    eth_copy(packet->sender_mac, mac);
    frame->length = ETH_HEADER_LENGTH + ARP_LENGTH;
    frame->nic = (uint8_t)nic;
    frame->kind = FRAME_READY;
    service_send(self, frame);
}

static enum drop_reason arp_check(struct service_self *self, const struct frame *frame,
                                  const struct arp_packet *packet)
{
    if (!be16_is(packet->hardware, ARP_HARDWARE_ETHERNET) ||
        !be16_is(packet->protocol, ETH_TYPE_IPV4) ||
        packet->hardware_length != ETH_ADDRESS_LENGTH ||
        packet->protocol_length != sizeof packet->sender_ip ||
        (!be16_is(packet->operation, ARP_REQUEST) && !be16_is(packet->operation, ARP_REPLY)))
        return DROP_ARP_MALFORMED;
    uint32_t sender = be32_get(packet->sender_ip);
    uint8_t type = service_route_to(self, sender)->type;
    if (eth_is_group(packet->sender_mac) || eth_is_zero(packet->sender_mac) ||
        eth_equal(packet->sender_mac, service_nic(self, frame->nic)->mac) ||
        (sender && type != ROUTE_UNICAST && type != ROUTE_UNREACHABLE && type != ROUTE_LOCAL))
        return DROP_ARP_SENDER_INVALID;
    return DROP_NONE;
}

/* Who asked us will be answered by more than ARP: worth an entry, if it is on this link. */
static void arp_learn_asker(struct service_self *self, const struct frame *frame,
                            const struct arp_packet *packet)
{
    uint32_t sender = be32_get(packet->sender_ip);
    const struct route *route = service_route_to(self, sender);
    if (!sender || route->type != ROUTE_UNICAST || route->gateway || route->nic != frame->nic)
        return;
    struct arp_entry *entry = arp_new(self, arp_key(frame->nic, sender));
    if (entry)
        arp_learn(self, entry, packet->sender_mac);
}

static void arp_reply(struct service_self *self, struct frame *frame, struct arp_packet *packet)
{
    struct arp *arp = self->state;
    const uint8_t *mac = service_nic(self, frame->nic)->mac;
    be32_t ours = packet->target_ip;
    packet->operation = be16(ARP_REPLY);
    eth_copy(packet->target_mac, packet->sender_mac);
    packet->target_ip = packet->sender_ip;
    eth_copy(packet->sender_mac, mac);
    packet->sender_ip = ours;
    struct eth_header *eth = (struct eth_header *)frame->data;
    eth_copy(eth->to, packet->target_mac);
    eth_copy(eth->from, mac);
    frame->length = ETH_HEADER_LENGTH + ARP_LENGTH;
    frame->kind = FRAME_READY;
    ++*arp->replies_sent;
    service_send(self, frame);
}

static enum verdict arp_judge(struct service_self *self, struct frame *frame)
{
    struct arp *arp = self->state;
    struct arp_packet *packet = (struct arp_packet *)(frame->data + frame->l3);
    enum drop_reason wrong = arp_check(self, frame, packet);
    if (wrong)
        return service_drop_for(frame, wrong);
    bool request = be16_is(packet->operation, ARP_REQUEST);
    ++*(request ? arp->requests_received : arp->replies_received);
    if (arp_own_claimed(self, frame, packet)) {
        service_free(self, frame);
        return VERDICT_CONSUMED;
    }
    uint64_t key = arp_key(frame->nic, be32_get(packet->sender_ip));
    struct arp_entry *known = be32_get(packet->sender_ip) ? arp_find(arp, key) : NULL;
    if (known)
        arp_learn(self, known, packet->sender_mac);
    const struct route *target = service_route_to(self, be32_get(packet->target_ip));
    if (request && target->type == ROUTE_LOCAL && target->nic == frame->nic) {
        if (!known)
            arp_learn_asker(self, frame, packet);
        arp_reply(self, frame, packet);
        return VERDICT_CONSUMED;
    }
    if (request || !known)
        return service_drop_for(frame, DROP_ARP_NOT_FOR_US);
    service_free(self, frame);
    return VERDICT_CONSUMED;
}

void arp_receive(struct service_self *self, struct batch *batch)
{
    service_each(self, batch, arp_judge);
}
