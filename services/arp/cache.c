/* The cache: who is where. Entries are found by a hash, evicted when their places are full, and
 * attended to by a scan. */
#include "services/arp/arp.h"

enum {
    ARP_TRIES = 3, /* requests, one a second (RFC 1122 2.3.2.1: at most one a second) */
    ARP_SCAN_MS = 500,
    ARP_SCAN_BUDGET = 64, /* entries attended to in a turn: each may send, and NIC_OUT_MAX is all */
};

enum arp_gateway { ARP_GATEWAY_UNKNOWN, ARP_GATEWAY_ANSWERS, ARP_GATEWAY_SILENT };

void arp_free(struct arp *arp, struct arp_entry *entry)
{
    *entry = (struct arp_entry){0};
    --*arp->entries;
}

/* A free entry where the key may lie; if there is none, the least worth keeping of those that hold
 * no frames. NULL: all hold frames. */
struct arp_entry *arp_new(struct service_self *self, uint64_t key)
{
    struct arp *arp = self->state;
    struct arp_entry *slot = arp_slots(arp, key), *best = NULL;
    for (unsigned i = 0; i < ARP_PROBE_SLOTS; i++, slot++) {
        if (slot->state == ARP_FREE) {
            best = slot;
            break;
        }
        if (slot->held)
            continue;
        if (!best || slot->used < best->used ||
            (slot->used == best->used && slot->due_ns < best->due_ns))
            best = slot;
    }
    if (!best)
        return NULL;
    if (best->state != ARP_FREE) {
        arp_free(arp, best);
        ++*arp->evicted;
    }
    best->key = key;
    ++*arp->entries;
    if (!timer_armed(&arp->scan.timer))
        service_timer_arm(self, &arp->scan, ARP_SCAN_MS * 1000);
    return best;
}

void arp_begin(struct service_self *self, struct arp_entry *entry)
{
    entry->state = ARP_WAITING;
    entry->tries = 1;
    entry->due_ns = service_now_ns(self) + NS_PER_SECOND;
    arp_ask(self, arp_nic(entry), service_source(self, arp_nic(entry), arp_ip(entry)),
            arp_ip(entry), NULL);
}

/* Says when a gateway begins or ceases to answer: part of the boot's self-test. */
static void arp_say_gateway(struct service_self *self, const struct arp_entry *entry,
                            enum arp_gateway now)
{
    struct arp *arp = self->state;
    for (unsigned i = 0; i < ADDRESSES_MAX; i++) {
        const struct address *address = service_address(self, i);
        if (!address->ip || address->gateway != arp_ip(entry) || arp->own[i].gateway == now)
            continue;
        arp->own[i].gateway = (uint8_t)now;
        if (now == ARP_GATEWAY_ANSWERS)
            service_log(self, LOG_INFO, "gateway %s on %s is at %s", ip_text(arp_ip(entry)).text,
                        service_nic(self, arp_nic(entry))->name, mac_text(entry->macs).text);
        else
            service_log(self, LOG_WARNING, "gateway %s on %s does not answer",
                        ip_text(arp_ip(entry)).text, service_nic(self, arp_nic(entry))->name);
    }
}

void arp_learn(struct service_self *self, struct arp_entry *entry, const uint8_t *mac)
{
    struct arp *arp = self->state;
    eth_copy(entry->macs, mac);
    eth_copy(entry->macs + ETH_ADDRESS_LENGTH, service_nic(self, arp_nic(entry))->mac);
    entry->state = ARP_KNOWN;
    entry->tries = 0;
    entry->used = entry->held_count != 0;
    entry->due_ns = service_now_ns(self) + arp->lifetime_ns;
    arp_say_gateway(self, entry, ARP_GATEWAY_ANSWERS);
    for (struct frame *frame; (frame = arp_unhold(arp, entry));) {
        memcpy(frame->data, entry->macs, sizeof entry->macs);
        frame->kind = FRAME_READY;
        service_send(self, frame);
    }
}

/* Does what is due about one entry. */
static void arp_attend(struct service_self *self, struct arp_entry *entry)
{
    struct arp *arp = self->state;
    uint64_t now_ns = service_now_ns(self);
    uint32_t source = service_source(self, arp_nic(entry), arp_ip(entry));
    entry->due_ns = now_ns + NS_PER_SECOND;
    switch (entry->state) {
    case ARP_WAITING:
        if (entry->tries++ < ARP_TRIES) {
            arp_ask(self, arp_nic(entry), source, arp_ip(entry), NULL);
            return;
        }
        entry->state = ARP_FAILED;
        arp_say_gateway(self, entry, ARP_GATEWAY_SILENT);
        for (struct frame *frame; (frame = arp_unhold(arp, entry));)
            arp_refuse(self, frame);
        return;
    case ARP_KNOWN:
        if (!entry->used)
            break;
        entry->state = ARP_ASKED_AGAIN;
        entry->tries = 0;
        __attribute__((fallthrough));
    case ARP_ASKED_AGAIN:
        if (entry->tries++ < ARP_TRIES) {
            arp_ask(self, arp_nic(entry), source, arp_ip(entry), entry->macs);
            return;
        }
        arp_say_gateway(self, entry, ARP_GATEWAY_SILENT);
        break;
    default: /* ARP_FAILED: may be asked for again */
        break;
    }
    arp_free(arp, entry);
    ++*arp->expired;
}

uint64_t arp_scan(struct service_self *self)
{
    struct arp *arp = self->state;
    unsigned attended = 0;
    for (unsigned i = 0; i < ARP_PLACES; i++) {
        if (!arp->entry[i].key || arp->entry[i].due_ns > service_now_ns(self))
            continue;
        if (attended++ == ARP_SCAN_BUDGET)
            return 0; /* what is done is no longer due: the next turn finds the rest */
        arp_attend(self, &arp->entry[i]);
    }
    return *arp->entries ? ARP_SCAN_MS * 1000 : TIMER_NONE;
}
