/* The transmit filter: writes the next hop's MAC address, or holds the frame until it is known. */
#include "services/arp/arp.h"
#include "wire/icmp.h"

enum { ARP_HELD_PER_ENTRY = 8, ARP_HELD_MAX = 128 };

struct frame *arp_unhold(struct arp *arp, struct arp_entry *entry)
{
    struct frame *frame = entry->held;
    if (frame) {
        entry->held = frame->next;
        entry->held_count--;
        arp->held--;
    }
    return frame;
}

void arp_refuse(struct service_self *self, struct frame *frame)
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
void arp_transmit(struct service_self *self, struct batch *batch)
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
