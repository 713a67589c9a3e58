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
 * Cost      a frame to a known next hop: under forty instructions. Every half second, a look at
 *           each entry of the cache; of those that are due, 64 are attended to in a turn */
#include <stdio.h>

#include "kernel/service.h"
#include "wire/arp.h"
#include "wire/icmp.h"

extern const struct service service_arp;

enum {
    ARP_ENTRIES = 1024, /* a power of two: a /22 of busy neighbours */
    ARP_ENTRIES_BITS = 10,
    ARP_PROBE_SLOTS = 8, /* an entry is at most this far from where its hash points */
    ARP_PLACES = ARP_ENTRIES + ARP_PROBE_SLOTS,
    ARP_HELD_PER_ENTRY = 8,
    ARP_HELD_MAX = 128,
    ARP_TRIES = 3, /* requests, one a second (RFC 1122 2.3.2.1: at most one a second) */
    ARP_SCAN_MS = 500,
    ARP_SCAN_BUDGET = 64, /* entries attended to in a turn: each may send, and NIC_OUT_MAX is all */
    ARP_LIFETIME_S = 60,
    ARP_LIFETIME_MAX_S = 86400,
    /* RFC 5227 1.1 */
    ARP_PROBES = 3,
    ARP_PROBE_INTERVAL_S = 1,
    ARP_ANNOUNCE_INTERVAL_S = 2,
    ARP_DEFEND_INTERVAL_S = 10,
    ARP_DUPLICATE_RETRY_S = 60,
};

#define NS_PER_SECOND 1000000000ull
#define US_PER_SECOND 1000000ull
#define ARP_HASH      0x9e3779b97f4a7c15ull /* 2^64 / golden ratio: spreads neighbouring addresses */

enum arp_state {
    ARP_FREE,
    ARP_WAITING, /* asked, not answered yet; frames are held */
    ARP_FAILED,  /* not answered: frames are refused for a while */
    ARP_KNOWN,
    ARP_ASKED_AGAIN, /* known, being verified */
};

struct arp_entry {
    uint64_t key;     /* nic << 32 | address; 0: free */
    uint8_t macs[12]; /* theirs, then our nic's: an Ethernet header's first 12 bytes */
    uint8_t state;    /* enum arp_state */
    uint8_t used;     /* since it was last verified */
    uint8_t tries;
    uint8_t held_count;
    uint64_t due_ns;    /* when the scan does the next thing about it */
    struct frame *held; /* oldest first */
};

enum arp_gateway { ARP_GATEWAY_UNKNOWN, ARP_GATEWAY_ANSWERS, ARP_GATEWAY_SILENT };

enum arp_phase { ARP_PROBING, ARP_ANNOUNCING, ARP_QUIET, ARP_GIVEN_UP };

/* One of our addresses, under watch. */
struct arp_own {
    struct service_timer timer;
    uint32_t ip; /* 0: none */
    uint8_t phase;
    uint8_t probes;
    uint8_t gateway; /* enum arp_gateway: what was last said of it */
    uint64_t defended_ns;
};

struct arp {
    struct arp_entry entry[ARP_PLACES];
    struct arp_own own[ADDRESSES_MAX]; /* by place in the list of addresses */
    struct service_timer scan;
    unsigned held;
    uint32_t lifetime_s;
    uint64_t lifetime_ns; /* what the entries' due_ns were set by */
    bool dad;
    uint64_t *requests_received, *replies_received, *requests_sent, *replies_sent;
    uint64_t *entries, *expired, *evicted, *conflicts;
};

/* ---- sending --------------------------------------------------------------------------------- */

static void arp_send(struct service_self *self, unsigned nic, uint16_t operation, const uint8_t *to,
                     uint32_t sender, const uint8_t *target_mac, uint32_t target)
{
    static const uint8_t nobody[ETH_ADDRESS_LENGTH], everybody[] = {255, 255, 255, 255, 255, 255};
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
        .operation = be16(operation),
        .sender_ip = be32(sender),
        .target_ip = be32(target),
    };
    eth_copy(packet->sender_mac, mac);
    eth_copy(packet->target_mac, target_mac ? target_mac : nobody);
    frame->length = ETH_HEADER_LENGTH + ARP_LENGTH;
    frame->nic = (uint8_t)nic;
    frame->kind = FRAME_READY;
    service_send(self, frame);
}

/* Asks for an address: everybody, or the one station that had it. */
static void arp_ask(struct service_self *self, unsigned nic, uint32_t sender, uint32_t target,
                    const uint8_t *to)
{
    struct arp *arp = self->state;
    arp_send(self, nic, ARP_REQUEST, to, sender, NULL, target);
    ++*arp->requests_sent;
}

/* ---- the cache ------------------------------------------------------------------------------- */

static inline uint64_t arp_key(unsigned nic, uint32_t ip)
{
    return (uint64_t)nic << 32 | ip;
}

static inline struct arp_entry *arp_slots(struct arp *arp, uint64_t key)
{
    return &arp->entry[key * ARP_HASH >> (64 - ARP_ENTRIES_BITS)];
}

static inline struct arp_entry *arp_find(struct arp *arp, uint64_t key)
{
    struct arp_entry *entry = arp_slots(arp, key);
    if (__builtin_expect(entry->key == key, 1))
        return entry;
    for (unsigned i = 1; i < ARP_PROBE_SLOTS; i++)
        if (entry[i].key == key)
            return &entry[i];
    return NULL;
}

static unsigned arp_nic(const struct arp_entry *entry)
{
    return (unsigned)(entry->key >> 32);
}

static uint32_t arp_ip(const struct arp_entry *entry)
{
    return (uint32_t)entry->key;
}

static struct frame *arp_unhold(struct arp *arp, struct arp_entry *entry)
{
    struct frame *frame = entry->held;
    if (frame) {
        entry->held = frame->next;
        entry->held_count--;
        arp->held--;
    }
    return frame;
}

static void arp_free(struct arp *arp, struct arp_entry *entry)
{
    *entry = (struct arp_entry){0};
    --*arp->entries;
}

/* A free entry where the key may lie; if there is none, the least worth keeping of those that hold
 * no frames. NULL: all hold frames. */
static struct arp_entry *arp_new(struct service_self *self, uint64_t key)
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

/* Notes where somebody is, and lets go what waited for it. */
static void arp_learn(struct service_self *self, struct arp_entry *entry, const uint8_t *mac)
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

/* A frame whose next hop does not answer: its sender is told, if it is not we. */
static void arp_refuse(struct service_self *self, struct frame *frame)
{
    if (!(frame->flags & FRAME_FORWARDED)) {
        service_drop(self, frame, DROP_ARP_UNRESOLVED);
        return;
    }
    frame->nic = frame->received_on;
    service_reject(frame, DROP_ARP_UNRESOLVED, ICMP_UNREACHABLE, ICMP_UNREACHABLE_HOST, 0);
    service_requeue(self, frame);
}

static void arp_hold(struct service_self *self, struct arp_entry *entry, struct frame *frame)
{
    struct arp *arp = self->state;
    if (entry->held_count ==
        ARP_HELD_PER_ENTRY) /* the newest is the likeliest to be still of use */
        service_drop(self, arp_unhold(arp, entry), DROP_ARP_PENDING_FULL);
    if (arp->held == ARP_HELD_MAX) {
        service_drop(self, frame, DROP_ARP_PENDING_FULL);
        return;
    }
    struct frame **last = &entry->held;
    while (*last)
        last = &(*last)->next;
    *last = frame;
    frame->next = NULL;
    frame->owner = FRAME_OF_SERVICE;
    entry->held_count++;
    arp->held++;
}

static void arp_begin(struct service_self *self, struct arp_entry *entry)
{
    entry->state = ARP_WAITING;
    entry->tries = 1;
    entry->due_ns = service_now_ns(self) + NS_PER_SECOND;
    arp_ask(self, arp_nic(entry), service_source(self, arp_nic(entry), arp_ip(entry)),
            arp_ip(entry), NULL);
}

static __attribute__((noinline)) enum verdict arp_resolve(struct service_self *self,
                                                          struct frame *frame)
{
    struct arp *arp = self->state;
    uint64_t key = arp_key(frame->nic, frame->next_hop);
    struct arp_entry *entry = arp_find(arp, key);
    if (!entry) {
        entry = arp_new(self, key);
        if (!entry)
            return service_drop_for(frame, DROP_ARP_PENDING_FULL);
        arp_begin(self, entry);
    }
    if (entry->state == ARP_FAILED)
        arp_refuse(self, frame);
    else
        arp_hold(self, entry, frame);
    return VERDICT_CONSUMED;
}

static inline void arp_address(struct arp_entry *entry, struct frame *frame)
{
    memcpy(frame->data, entry->macs, sizeof entry->macs);
    entry->used = 1;
    frame->kind = FRAME_READY;
}

static inline enum verdict arp_filter(struct service_self *self, struct frame *frame)
{
    struct arp_entry *entry = arp_find(self->state, arp_key(frame->nic, frame->next_hop));
    if (__builtin_expect(!entry || entry->state < ARP_KNOWN, 0))
        return arp_resolve(self, frame);
    arp_address(entry, frame);
    return VERDICT_PASS;
}

/* Nearly always all next hops are known, and mostly it is the same one for the whole batch: what
 * comes before the first that is not needs no moving about, and a lookup only where the next hop
 * changes. */
static void arp_transmit(struct service_self *self, struct batch *batch)
{
    struct arp *arp = self->state;
    struct arp_entry *entry = arp->entry;
    unsigned known = 0, count = batch->count;
    for (; known < count; known++) {
        struct frame *frame = batch->frame[known];
        uint64_t key = arp_key(frame->nic, frame->next_hop);
        if (entry->key != key && !(entry = arp_find(arp, key)))
            break;
        if (__builtin_expect(entry->state < ARP_KNOWN, 0))
            break;
        arp_address(entry, frame);
    }
    batch->kinds = FRAME_READY;
    if (known == count)
        return;
    struct batch rest = {.count = count - known, .frame = batch->frame + known};
    service_each(self, &rest, arp_filter);
    batch->count = known + rest.count;
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

static uint64_t arp_scan(struct service_self *self)
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

/* ---- our own addresses ----------------------------------------------------------------------- */

static void arp_announce(struct service_self *self, const struct address *address)
{
    struct arp *arp = self->state;
    arp_send(self, address->nic, ARP_REQUEST, NULL, address->ip, NULL, address->ip);
    ++*arp->requests_sent;
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

/* Begins to watch over an address: when it comes, and when its link does. */
static void arp_own_start(struct service_self *self, unsigned index)
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

/* Whether the sender claims an address of ours, which is then dealt with. A probe (from 0.0.0.0)
 * claims what it asks for, unless we use that: RFC 5227 2.1.1. */
static bool arp_check_conflict(struct service_self *self, const struct frame *frame,
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

/* ---- receiving ------------------------------------------------------------------------------- */

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
    if (arp_check_conflict(self, frame, packet)) {
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

static void arp_receive(struct service_self *self, struct batch *batch)
{
    service_each(self, batch, arp_judge);
}

/* ---- the service ----------------------------------------------------------------------------- */

static uint64_t arp_timeout(struct service_self *self, struct service_timer *timer)
{
    struct arp *arp = self->state;
    if (timer == &arp->scan)
        return arp_scan(self);
    struct arp_own *own = (struct arp_own *)timer; /* its first member */
    const struct address *address = service_address(self, (unsigned)(own - arp->own));
    return address->ip == own->ip && own->ip ? arp_own_step(self, own, address) : TIMER_NONE;
}
_Static_assert(offsetof(struct arp_own, timer) == 0, "arp_timeout finds the address by its timer");

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
    for (unsigned i = 0; i < ADDRESSES_MAX && !arp->dad; i++)
        if (arp->own[i].phase == ARP_PROBING || arp->own[i].phase == ARP_GIVEN_UP)
            arp_own_start(self, i);
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
