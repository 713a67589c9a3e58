/* echo: sends UDP datagrams back (RFC 862).
 *
 * Settings  echo.port=N (7)
 * Counters  echo.replies
 * Drops     udp-loop (from an echo port, ours or the standard one: two echoes would never end),
 *           udp-broadcast
 * Cost      one frame: swaps addresses and ports in place; the checksums stay right by themselves
 */
#include "kernel/service.h"
#include "wire/ethernet.h"
#include "wire/udp.h"

extern const struct service service_echo;

struct echo {
    uint16_t port;
    uint64_t *replies;
};

static int echo_start(struct service_self *self)
{
    struct echo *echo = self->state;
    echo->replies = service_counter(self, "replies", "datagrams sent back");
    return 0;
}

static inline enum verdict echo_judge(struct service_self *self, struct frame *frame)
{
    struct echo *echo = self->state;
    struct eth_header *eth = (struct eth_header *)frame->data;
    struct ipv4_header *ip = (struct ipv4_header *)(frame->data + frame->l3);
    struct udp_header *udp = (struct udp_header *)(frame->data + frame->l4);
    if (!be16_is(udp->to, echo->port))
        return VERDICT_PASS;
    if (frame->flags & FRAME_TO_BROADCAST)
        return service_drop_for(frame, DROP_UDP_BROADCAST);
    if (be16_is(udp->from, echo->port) || be16_is(udp->from, UDP_PORT_ECHO))
        return service_drop_for(frame, DROP_UDP_LOOP);

    eth_reply(eth, service_nic(self, frame->nic)->mac);
    be32_t to = ip->to;
    ip->to = ip->from;
    ip->from = to;
    be16_t port = udp->to;
    udp->to = udp->from;
    udp->from = port;
    frame->length = frame->end;
    frame->kind = FRAME_READY;
    ++*echo->replies;
    service_send(self, frame);
    return VERDICT_CONSUMED;
}

static void echo_receive(struct service_self *self, struct batch *batch)
{
    service_each(self, batch, echo_judge);
}

static const struct service_setting echo_settings[] = {
    SERVICE_NUMBER("port", echo, port, 1, UINT16_MAX, UDP_PORT_ECHO, "UDP port that is answered"),
    {0},
};

const struct service service_echo = {
    .name = "echo",
    .help = "echo.port=1..65535",
    .receive_kinds = FRAME_UDP,
    .state_bytes = sizeof(struct echo),
    .settings = echo_settings,
    .start = echo_start,
    .receive = echo_receive,
};
