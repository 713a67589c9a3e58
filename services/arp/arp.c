/* arp: answers for our addresses, finds the MAC addresses of others (RFC 826), and watches that
 * nobody else has ours (RFC 5227).
 *
 * Whoever sends a frame to a next hop marks it FRAME_RESOLVE; the transmit filter here writes the
 * MAC addresses, or holds the frame while it asks. An answer releases what waits; silence ends in a
 * host unreachable error for packets that were passed on, and a drop for our own.
 *
 * The cache learns from requests that are for us and from answers we wait for; from everything else
 * it only updates what it has, so a storm of ARP cannot grow it. Entries that are used are asked
 * again, by unicast, before they expire.
 *
 * Our addresses are in use from the first moment ("optimistic"), and probed for meanwhile: if
 * somebody else turns out to have one, it is given up, and probed for again every minute. While it
 * is in use, another's probe for it is answered; once given up, yielded to.
 *
 * Settings  arp.lifetime=SECONDS (60), arp.dad=on|off (on)
 * Shows     an entry a line: address, MAC address or -, nic, waiting, failed, reachable or
 *           verifying, and the seconds until it is attended to
 * Counters  arp.requests_received, replies_received, requests_sent, replies_sent, entries,
 *           expired, evicted, conflicts
 * Drops     arp-malformed, arp-sender-invalid, arp-not-for-us, arp-pending-full, arp-unresolved
 * Cost      a frame to a known next hop: 23 instructions in a batch. Every half second, a look at
 *           each entry of the cache; of those that are due, 64 are attended to in a turn */
#include <stdio.h>

#include "services/arp/arp.h"

extern const struct service service_arp;

enum { ARP_LIFETIME_S = 60, ARP_LIFETIME_MAX_S = 86400 };

static uint64_t arp_timeout(struct service_self *self, struct service_timer *timer)
{
    struct arp *arp = self->state;
    return timer == &arp->scan ? arp_scan(self) : arp_own_timeout(self, timer);
}

static void arp_notice(struct service_self *self, enum service_notice what, uint32_t about)
{
    for (unsigned i = 0; i < ADDRESSES_MAX; i++) {
        const struct address *address = service_address(self, i);
        bool its_nic = what == SERVICE_NIC_UP && address->ip && address->nic == about;
        if (its_nic || (what == SERVICE_ADDRESS_ADDED && address->ip == about))
            arp_own_start(self, i);
    }
}

/* What is known gets the new lifetime from when it was learned; without detection, no address of
 * ours waits for its outcome any longer. */
static void arp_changed(struct service_self *self)
{
    struct arp *arp = self->state;
    uint64_t lifetime_ns = arp->lifetime_s * NS_PER_SECOND;
    for (unsigned i = 0; i < ARP_PLACES; i++)
        if (arp->entry[i].state == ARP_KNOWN)
            arp->entry[i].due_ns += lifetime_ns - arp->lifetime_ns;
    arp->lifetime_ns = lifetime_ns;
    if (!arp->dad)
        arp_own_settle(self);
}

static int arp_start(struct service_self *self)
{
    struct arp *arp = self->state;
    arp->lifetime_ns = arp->lifetime_s * NS_PER_SECOND;
    arp->requests_received = service_counter(self, "requests_received", "ARP requests received");
    arp->replies_received = service_counter(self, "replies_received", "ARP replies received");
    arp->requests_sent =
        service_counter(self, "requests_sent", "probes and announcements included");
    arp->replies_sent = service_counter(self, "replies_sent", "answers for our addresses");
    arp->entries = service_counter(self, "entries", "entries in the cache now");
    arp->expired = service_counter(self, "expired", "entries that were not renewed");
    arp->evicted = service_counter(self, "evicted", "entries that made room for others");
    arp->conflicts =
        service_counter(self, "conflicts", "times another station claimed our address");
    for (unsigned i = 0; i < ADDRESSES_MAX; i++)
        if (service_address(self, i)->ip)
            arp_own_start(self, i);
    return 0;
}

static void arp_stop(struct service_self *self)
{
    struct arp *arp = self->state;
    for (unsigned i = 0; i < ARP_PLACES; i++) {
        struct arp_entry *entry = &arp->entry[i];
        for (struct frame *frame; (frame = arp_unhold(arp, entry));)
            service_drop(self, frame, DROP_SERVICE_STOPPED);
        if (entry->key)
            arp_free(arp, entry);
    }
    for (unsigned i = 0; i < ADDRESSES_MAX; i++)
        service_timer_cancel(self, &arp->own[i].timer);
    service_timer_cancel(self, &arp->scan);
}

/* "10.0.0.1 52:54:00:12:34:56 nic0 reachable 34s", the seconds being until it is attended to. */
static bool arp_show(struct service_self *self, unsigned *next, char *text, size_t room)
{
    static const char *const state_name[] = {"free", "waiting", "failed", "reachable", "verifying"};
    const struct arp *arp = self->state;
    *text = 0;
    for (unsigned looked = 0; looked < SERVICE_SHOW_BUDGET; looked++) {
        if (*next >= ARP_PLACES)
            return false;
        const struct arp_entry *entry = &arp->entry[(*next)++];
        if (entry->state == ARP_FREE)
            continue;
        uint64_t now_ns = service_now_ns(self);
        uint64_t left_ns = entry->due_ns > now_ns ? entry->due_ns - now_ns : 0;
        snprintf(text, room, "%s %s %s %s %us", ip_text(arp_ip(entry)).text,
                 entry->state < ARP_KNOWN ? "-" : mac_text(entry->macs).text,
                 service_nic(self, arp_nic(entry))->name, state_name[entry->state],
                 (unsigned)((left_ns + NS_PER_SECOND - 1) / NS_PER_SECOND));
        return true;
    }
    return true;
}

static const struct service_setting arp_settings[] = {
    SERVICE_NUMBER("lifetime", arp, lifetime_s, 1, ARP_LIFETIME_MAX_S, ARP_LIFETIME_S,
                   "seconds until an entry is verified, or dropped if it was not used"),
    SERVICE_SWITCH("dad", arp, dad, true, "probe for duplicates of our addresses (RFC 5227)"),
    {0},
};

const struct service service_arp = {
    .name = "arp",
    .help = "arp.lifetime=1..86400, arp.dad=on|off",
    .on_by_default = true,
    .receive_kinds = FRAME_ARP,
    .transmit_kinds = FRAME_RESOLVE,
    .state_bytes = sizeof(struct arp),
    .settings = arp_settings,
    .start = arp_start,
    .stop = arp_stop,
    .changed = arp_changed,
    .receive = arp_receive,
    .transmit = arp_transmit,
    .timeout = arp_timeout,
    .notice = arp_notice,
    .show = arp_show,
};
