/* forward: passes IPv4 packets on between nics (RFC 1812 5).
 *
 * The classifier has looked up the route; forward checks what RFC 1812 wants checked, counts the
 * time to live down and sends the frame towards the next hop, whose MAC address arp's transmit
 * filter fills in. It does not fragment: a packet too big for the next link is answered by
 * "fragmentation needed" whether it allows fragments or not, as IPv6 does. It sends no redirects,
 * and obeys no source routes (the classifier drops them).
 *
 * Counters  forward.forwarded
 * Drops     ip-ttl (told to the sender), ip-no-route (told), ip-too-big (told), nic-down (told)
 * Cost      one frame: under fifty instructions in a batch */
#include "kernel/service.h"
#include "wire/icmp.h"

extern const struct service service_forward;

struct forward {
    uint64_t *forwarded;
};

static int forward_start(struct service_self *self)
{
    struct forward *forward = self->state;
    forward->forwarded = service_counter(self, "forwarded", "packets passed on");
    return 0;
}

/* Why it cannot be passed on. RFC 1812 5.2.7. */
static __attribute__((noinline)) enum verdict forward_refuse(struct service_self *self,
                                                             struct frame *frame)
{
    const struct ipv4_header *ip = (const struct ipv4_header *)(frame->data + frame->l3);
    const struct nic *out = service_nic(self, frame->leaves_by);
    if (frame->leaves_by == NIC_NOWHERE)
        return service_reject(frame, DROP_IP_NO_ROUTE, ICMP_UNREACHABLE, ICMP_UNREACHABLE_NET, 0);
    if (ip->ttl <= 1)
        return service_reject(frame, DROP_IP_TTL, ICMP_TIME_EXCEEDED, ICMP_TIME_EXCEEDED_TTL, 0);
    if ((unsigned)frame->end - frame->l3 > out->mtu)
        return service_reject(frame, DROP_IP_TOO_BIG, ICMP_UNREACHABLE, ICMP_UNREACHABLE_TOO_BIG,
                              out->mtu);
    return service_reject(frame, DROP_NIC_DOWN, ICMP_UNREACHABLE, ICMP_UNREACHABLE_HOST, 0);
}

static inline enum verdict forward_judge(struct service_self *self, struct frame *frame)
{
    struct ipv4_header *ip = (struct ipv4_header *)(frame->data + frame->l3);
    unsigned bytes = (unsigned)frame->end - frame->l3;
    unsigned nic = frame->leaves_by;
    if (__builtin_expect(bytes > service_nic(self, nic)->carries || ip->ttl <= 1, 0))
        return forward_refuse(self, frame);

    /* RFC 1624: the word of ttl and protocol shrinks by 0x0100, so the checksum grows by it,
     * end-around. */
    uint32_t sum = (uint32_t)ip->checksum.raw + be16(0x0100).raw;
    ip->checksum.raw = (uint16_t)(sum + (sum >> 16));
    ip->ttl--;
    frame->length = frame->end;
    frame->kind = FRAME_RESOLVE;
    service_pass_on(self, frame, nic);
    return VERDICT_CONSUMED;
}

static void forward_receive(struct service_self *self, struct batch *batch)
{
    struct forward *forward = self->state;
    unsigned count = batch->count;
    service_each(self, batch, forward_judge);
    *forward->forwarded += count - batch->count;
}

const struct service service_forward = {
    .name = "forward",
    .help = "has no settings",
    .receive_kinds = FRAME_FORWARD,
    .state_bytes = sizeof(struct forward),
    .start = forward_start,
    .receive = forward_receive,
};
