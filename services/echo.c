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
    uint16_t port; /* 0: the standard one */
    uint64_t *replies;
};

static int echo_start(struct service_self *self)
{
    struct echo *echo = self->state;
    if (!echo->port)
        echo->port = UDP_PORT_ECHO;
    echo->replies = service_counter(self, "replies", "datagrams sent back");
    return 0;
}

static int echo_configure(struct service_self *self, const char *key, const char *value)
{
    struct echo *echo = self->state;
    uint64_t port;
    if (strcmp(key, "port") != 0)
        return ERR_NOT_FOUND;
    int error = service_number(value, 1, UINT16_MAX, &port);
    if (error == 0)
        echo->port = (uint16_t)port;
    return error;
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

const struct service service_echo = {
    .name = "echo",
    .help = "echo.port=1..65535",
    .receive_kinds = FRAME_UDP,
    .state_bytes = sizeof(struct echo),
    .start = echo_start,
    .configure = echo_configure,
    .receive = echo_receive,
};
