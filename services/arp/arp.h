/* The arp service's own: the cache, what it knows of our addresses, and what its files do for each
 * other. */
#ifndef SERVICES_ARP_ARP_H
#define SERVICES_ARP_ARP_H

#include "kernel/service.h"
#include "wire/arp.h"

#define NS_PER_SECOND 1000000000ull
#define ARP_HASH      0x9e3779b97f4a7c15ull /* 2^64 / golden ratio: spreads neighbouring addresses */

enum {
    ARP_ENTRIES = 1024, /* a power of two: a /22 of busy neighbours */
    ARP_ENTRIES_BITS = 10,
    ARP_PROBE_SLOTS = 8, /* an entry is at most this far from where its hash points */
    ARP_PLACES = ARP_ENTRIES + ARP_PROBE_SLOTS,
};

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

/* One of our addresses, under watch. */
struct arp_own {
    struct service_timer timer;
    uint32_t ip;     /* 0: none */
    uint8_t phase;   /* own.c: enum arp_phase */
    uint8_t probes;  /* sent */
    uint8_t gateway; /* cache.c: enum arp_gateway, what was last said of it */
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

/* ---- cache.c: who is where ------------------------------------------------------------------- */

static inline uint64_t arp_key(unsigned nic, uint32_t ip)
{
    return (uint64_t)nic << 32 | ip;
}

static inline unsigned arp_nic(const struct arp_entry *entry)
{
    return (unsigned)(entry->key >> 32);
}

static inline uint32_t arp_ip(const struct arp_entry *entry)
{
    return (uint32_t)entry->key;
}

static inline struct arp_entry *arp_slots(struct arp *arp, uint64_t key)
{
    return &arp->entry[key * ARP_HASH >> (64 - ARP_ENTRIES_BITS)];
}

/* NULL: none. Inline, as it is looked for per frame. */
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

/* An entry for a key that has none. NULL: all places where it may lie hold frames. */
struct arp_entry *arp_new(struct service_self *self, uint64_t key);

void arp_free(struct arp *arp, struct arp_entry *entry);

/* Asks everybody, for the first time. */
void arp_begin(struct service_self *self, struct arp_entry *entry);

/* Notes where somebody is, and lets go what waited for it. */
void arp_learn(struct service_self *self, struct arp_entry *entry, const uint8_t *mac);

/* Attends to the entries that are due; returns when to look again, as a timeout does. */
uint64_t arp_scan(struct service_self *self);

/* ---- resolve.c: the transmit filter, and the frames that wait ---------------------------------- */

void arp_transmit(struct service_self *self, struct batch *batch);

/* Takes the oldest frame that waits for an entry. NULL: none does. */
struct frame *arp_unhold(struct arp *arp, struct arp_entry *entry);

/* A frame whose next hop does not answer: its sender is told, if it is not we. */
void arp_refuse(struct service_self *self, struct frame *frame);

/* ---- own.c: our own addresses, and whether others claim them ---------------------------------- */

/* Begins to watch over an address: when it comes, and when its link does. */
void arp_own_start(struct service_self *self, unsigned index);

/* Begins anew with those whose detection has not come to a good end: it was switched off. */
void arp_own_settle(struct service_self *self);

/* The timer of one of them; returns when it is due again. */
uint64_t arp_own_timeout(struct service_self *self, struct service_timer *timer);

/* Whether the sender claims an address of ours, which is then dealt with. */
bool arp_own_claimed(struct service_self *self, const struct frame *frame,
                     const struct arp_packet *packet);

/* ---- packet.c: what comes and what is sent --------------------------------------------------- */

void arp_receive(struct service_self *self, struct batch *batch);

/* Asks for an address: everybody (`to` NULL), or the one station that had it. `sender` 0: a probe;
 * the same as `target`: an announcement. */
void arp_ask(struct service_self *self, unsigned nic, uint32_t sender, uint32_t target,
             const uint8_t *to);

#endif
