/* clients: hands received frames to the framesets they are for. A service like any other, behind
 * those of the kernel and in front of icmp, which answers for what nobody took.
 *
 * Counters  clients.rx_frames, clients.dropped
 * Drops     client-full
 * Cost      not called while no frameset is started; a datagram to a bound port: one table look-up
 *           and the copy; other packets: a look at each frameset with a peer (at most 32) */
#include "kernel/service.h"
#include "psr/frameset.h"
#include "wire/icmp.h"

extern const struct service service_clients;

enum { DELIVER_KINDS = FRAME_UDP | FRAME_TCP | FRAME_ICMP | FRAME_IP_OTHER | FRAME_OTHER };

void deliver_changed(struct clients *clients)
{
    struct service_self *self = clients->service;
    if (self)
        clients->core->receive_kinds[self->index] =
            self->running && clients->framesets ? DELIVER_KINDS : 0;
}

static void about_fill(struct piglet_frame *about, const struct frame *frame)
{
    const struct ipv4_header *ip = (const struct ipv4_header *)(frame->data + frame->l3);
    *about = (struct piglet_frame){
        .nic = frame->nic,
        .flags = frame->flags & FRAME_TO_BROADCAST ? PIGLET_FRAME_BROADCAST : 0,
    };
    if (frame->kind == FRAME_OTHER)
        return;
    about->address = be32_get(ip->from);
    about->to = be32_get(ip->to);
}

static bool peer_matches(const struct peer *peer, uint32_t address, uint16_t port)
{
    return (!peer->address || peer->address == address) && (!peer->port || peer->port == port);
}

static enum verdict deliver_udp(struct frameset *frameset, struct frame *frame,
                                struct piglet_frame *about)
{
    const struct udp_header *udp = (const struct udp_header *)(frame->data + frame->l4);
    about->port = be16_get(udp->from);
    if (!frameset->started || !peer_matches(&frameset->peer, about->address, about->port))
        return VERDICT_PASS;
    if (!frameset_deliver(frameset, udp + 1, be16_get(udp->length) - sizeof *udp, about))
        return service_drop_for(frame, DROP_CLIENT_FULL);
    return VERDICT_CONSUMED;
}

/* Echo requests are Piglet's own to answer. */
static bool is_echo_request(const struct frame *frame)
{
    return frame->kind == FRAME_ICMP &&
           ((const struct icmp_header *)(frame->data + frame->l4))->type == ICMP_ECHO_REQUEST;
}

static enum verdict deliver_listed(struct clients *clients, struct frame *frame,
                                   struct piglet_frame *about)
{
    const struct ipv4_header *ip = (const struct ipv4_header *)(frame->data + frame->l3);
    const struct eth_header *eth = (const struct eth_header *)frame->data;
    for (unsigned i = 0; i < clients->listed_count; i++) {
        struct frameset *frameset = clients->listed[i];
        const struct peer *peer = &frameset->peer;
        unsigned from = frame->l4, end = frame->end;
        if (frame->kind == FRAME_OTHER) {
            if (peer->protocol <= UINT8_MAX || !be16_is(eth->type, peer->protocol) ||
                frame->nic != frameset->nic)
                continue; /* below PIGLET_ETHERTYPE_MIN is a length, no protocol */
            from = 0;
            end = frame->length;
        } else if (peer->protocol > UINT8_MAX || !peer_matches(peer, about->address, 0) ||
                   (peer->protocol && peer->protocol != ip->protocol) || is_echo_request(frame)) {
            continue;
        } else if (peer->protocol == 0) {
            from = frame->l3;
        }
        if (!frameset_deliver(frameset, frame->data + from, end - from, about))
            return service_drop_for(frame, DROP_CLIENT_FULL);
        return VERDICT_CONSUMED;
    }
    return VERDICT_PASS;
}

static enum verdict deliver_judge(struct service_self *self, struct frame *frame)
{
    struct clients *clients = self->core->clients;
    struct piglet_frame about;
    enum verdict verdict = VERDICT_PASS;
    about_fill(&about, frame);
    if (frame->kind == FRAME_UDP) {
        const struct udp_header *udp = (const struct udp_header *)(frame->data + frame->l4);
        unsigned name = clients->port[be16_get(udp->to)];
        if (name)
            verdict = deliver_udp(frameset_named(clients, name), frame, &about);
    }
    if (verdict == VERDICT_PASS && clients->listed_count)
        verdict = deliver_listed(clients, frame, &about);
    if (verdict == VERDICT_CONSUMED)
        service_free(self, frame);
    return verdict;
}

static void deliver_receive(struct service_self *self, struct batch *batch)
{
    if (!self->core->clients)
        return;
    service_each(self, batch, deliver_judge);
    framesets_publish(self->core->clients);
}

const struct service service_clients = {
    .name = "clients",
    .help = "no settings",
    .on_by_default = true,
    .receive_kinds = DELIVER_KINDS,
    .state_bytes = 8,
    .receive = deliver_receive,
};
