/* Our own addresses: probed for, announced, and defended or given up (RFC 5227). */
#include "services/arp/arp.h"

#define US_PER_SECOND 1000000ull

enum {
    ARP_PROBES = 3, /* this and the next three: RFC 5227 1.1 */
    ARP_PROBE_INTERVAL_S = 1,
    ARP_ANNOUNCE_INTERVAL_S = 2,
    ARP_DEFEND_INTERVAL_S = 10,
    ARP_DUPLICATE_RETRY_S = 60, /* an address that was given up is probed for again */
};

enum arp_phase { ARP_PROBING, ARP_ANNOUNCING, ARP_QUIET, ARP_GIVEN_UP };

static void arp_announce(struct service_self *self, const struct address *address)
{
    arp_ask(self, address->nic, address->ip, address->ip, NULL);
}

/* The next step of watching over an address; returns when the one after it is due. */
static uint64_t arp_own_step(struct service_self *self, struct arp_own *own,
                             const struct address *address)
{
    const struct arp *arp = self->state;
    if (!service_nic(self, address->nic)->link_up)
        return TIMER_NONE; /* silence would mean nothing; the link's return begins anew */
    switch (own->phase) {
    case ARP_GIVEN_UP:
        own->phase = ARP_PROBING;
        own->probes = 0;
        __attribute__((fallthrough));
    case ARP_PROBING:
        if (arp->dad && own->probes++ < ARP_PROBES) {
            arp_ask(self, address->nic, 0, address->ip, NULL);
            return ARP_PROBE_INTERVAL_S * US_PER_SECOND;
        }
        if (address->state == ADDRESS_DUPLICATE)
            service_log(self, LOG_INFO, "%s is used again", ip_text(address->ip).text);
        service_address_state(self, address->ip, ADDRESS_ACTIVE);
        own->phase = ARP_ANNOUNCING;
        arp_announce(self, address);
        return ARP_ANNOUNCE_INTERVAL_S * US_PER_SECOND;
    case ARP_ANNOUNCING:
        arp_announce(self, address);
        own->phase = ARP_QUIET;
        return TIMER_NONE;
    default:
        return TIMER_NONE;
    }
}

void arp_own_start(struct service_self *self, unsigned index)
{
    struct arp *arp = self->state;
    struct arp_own *own = &arp->own[index];
    const struct address *address = service_address(self, index);
    service_timer_cancel(self, &own->timer);
    *own = (struct arp_own){.ip = address->ip};
    if (!address->ip || !service_nic(self, address->nic)->link_up)
        return;
    service_timer_arm(self, &own->timer, arp_own_step(self, own, address));
    uint64_t key = arp_key(address->nic, address->gateway);
    if (address->gateway && !arp_find(arp, key)) {
        struct arp_entry *entry = arp_new(self, key);
        if (entry)
            arp_begin(self, entry);
    }
}

static void arp_conflict(struct service_self *self, struct arp_own *own,
                         const struct address *address, const uint8_t *mac)
{
    struct arp *arp = self->state;
    uint64_t now_ns = service_now_ns(self);
    ++*arp->conflicts;
    if (own->phase == ARP_GIVEN_UP)
        return;
    if (own->phase == ARP_PROBING) {
        if (address->state != ADDRESS_DUPLICATE)
            service_log(self, LOG_ERROR, "address %s on %s is in use by %s: given up",
                        ip_text(address->ip).text, service_nic(self, address->nic)->name,
                        mac_text(mac).text);
        service_address_state(self, address->ip, ADDRESS_DUPLICATE);
        own->phase = ARP_GIVEN_UP;
        service_timer_arm(self, &own->timer, ARP_DUPLICATE_RETRY_S * US_PER_SECOND);
        return;
    }
    /* RFC 5227 2.4 (b), but never giving in: an appliance's address is configured, not guessed. */
    if (own->defended_ns && now_ns - own->defended_ns < ARP_DEFEND_INTERVAL_S * NS_PER_SECOND)
        return;
    own->defended_ns = now_ns;
    service_log(self, LOG_ERROR, "address %s on %s is claimed by %s too: defended",
                ip_text(address->ip).text, service_nic(self, address->nic)->name,
                mac_text(mac).text);
    arp_announce(self, address);
}

/* A probe (from 0.0.0.0) claims what it asks for, unless we use that: RFC 5227 2.1.1. */
bool arp_own_claimed(struct service_self *self, const struct frame *frame,
                     const struct arp_packet *packet)
{
    struct arp *arp = self->state;
    uint32_t sender = be32_get(packet->sender_ip);
    uint32_t claimed = sender ? sender : be32_get(packet->target_ip);
    for (unsigned i = 0; claimed && i < ADDRESSES_MAX; i++) {
        const struct address *address = service_address(self, i);
        if (address->ip != claimed || address->nic != frame->nic ||
            (!sender && address->state != ADDRESS_DUPLICATE))
            continue;
        arp_conflict(self, &arp->own[i], address, packet->sender_mac);
        return true;
    }
    return false;
}

void arp_own_settle(struct service_self *self)
{
    struct arp *arp = self->state;
    for (unsigned i = 0; i < ADDRESSES_MAX; i++)
        if (arp->own[i].phase == ARP_PROBING || arp->own[i].phase == ARP_GIVEN_UP)
            arp_own_start(self, i);
}

uint64_t arp_own_timeout(struct service_self *self, struct service_timer *timer)
{
    const struct arp *arp = self->state;
    struct arp_own *own = (struct arp_own *)timer; /* its first member */
    const struct address *address = service_address(self, (unsigned)(own - arp->own));
    return address->ip == own->ip && own->ip ? arp_own_step(self, own, address) : TIMER_NONE;
}
_Static_assert(offsetof(struct arp_own, timer) == 0, "the address is found by its timer");
