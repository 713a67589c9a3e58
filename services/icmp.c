/* icmp: answers echo requests, and tells senders why their packets were not delivered (RFC 792, RFC
 * 1122 3.2.2, RFC 1812 4.3).
 *
 * Last in the chain: UDP, TCP and other protocols that reach it were wanted by nobody, and are
 * answered by port unreachable, a TCP reset, protocol unreachable. Frames that other services
 * rejected carry the error to send. Errors go back the way the packet came, at a limited rate;
 * never about an error, a broadcast or a fragment behind the first.
 *
 * Settings  icmp.rate=N (1000): errors and resets a second, in bursts of up to 50
 * Counters  icmp.echo_replies, icmp.errors_sent, icmp.resets_sent, icmp.errors_rate_limited,
 *           icmp.errors_suppressed, icmp.replies_received, icmp.errors_received
 * Drops     icmp-broadcast, icmp-unknown-type, tcp-checksum; those it answers for: udp-no-port,
 *           tcp-no-port, ip-protocol, and whatever a service rejected a frame for
 * Cost      echo: about ninety instructions, in place. Errors: no copy, headers are put in front */
#include "kernel/service.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/tcp.h"

extern const struct service service_icmp;

enum {
    ICMP_RATE_DEFAULT =
        1000, /* errors a second: enough for any traceroute, too few to be a weapon */
    ICMP_RATE_MAX = 1000000,
    ICMP_BURST = 50,
    ICMP_ERROR_MAX = 576, /* bytes of an error, IPv4 header included (RFC 1812 4.3.2.3) */
    ICMP_ERROR_HEADERS = IPV4_HEADER_MIN + ICMP_HEADER_LENGTH,
};

#define NS_PER_SECOND 1000000000ull

struct icmp {
    uint32_t rate;        /* errors a second */
    uint64_t interval_ns; /* what one error costs */
    uint64_t credit_ns;   /* errors up to this time are spent */
    uint64_t *echo_replies, *errors_sent, *resets_sent, *rate_limited, *suppressed;
    uint64_t *replies_received, *errors_received;
};

/* A new rate begins with a full burst: what was spent was counted at the old one. */
static void icmp_changed(struct service_self *self)
{
    struct icmp *icmp = self->state;
    icmp->interval_ns = NS_PER_SECOND / icmp->rate;
    icmp->credit_ns = 0;
}

static int icmp_start(struct service_self *self)
{
    struct icmp *icmp = self->state;
    icmp_changed(self);
    icmp->echo_replies = service_counter(self, "echo_replies", "echo requests answered");
    icmp->errors_sent = service_counter(self, "errors_sent", "ICMP errors sent");
    icmp->resets_sent = service_counter(self, "resets_sent", "TCP resets sent");
    icmp->rate_limited =
        service_counter(self, "errors_rate_limited", "errors not sent: too many in a second");
    icmp->suppressed =
        service_counter(self, "errors_suppressed", "errors not sent: RFC 1122 3.2.2 forbids them");
    icmp->replies_received = service_counter(self, "replies_received", "echo replies to us");
    icmp->errors_received = service_counter(self, "errors_received", "ICMP errors to us");
    return 0;
}

/* Token bucket; for errors only, so its cost is not the fast path's. */
static bool icmp_may_send(struct service_self *self)
{
    struct icmp *icmp = self->state;
    uint64_t burst_ns = ICMP_BURST * icmp->interval_ns;
    uint64_t now_ns =
        service_now_ns(self) + burst_ns; /* a full burst is there from the first moment */
    if (icmp->credit_ns + burst_ns < now_ns + icmp->interval_ns)
        icmp->credit_ns = now_ns + icmp->interval_ns - burst_ns;
    if (icmp->credit_ns > now_ns) {
        ++*icmp->rate_limited;
        return false;
    }
    icmp->credit_ns += icmp->interval_ns;
    return true;
}

/* ---- echo ------------------------------------------------------------------------------------ */

/* Takes IPv4 options out by moving the headers in front of them. */
static __attribute__((noinline)) struct ipv4_header *icmp_strip_options(struct frame *frame)
{
    unsigned options = (unsigned)(frame->l4 - frame->l3) - IPV4_HEADER_MIN;
    memmove(frame->data + options, frame->data, (size_t)frame->l3 + IPV4_HEADER_MIN);
    frame->data += options;
    frame->l4 = (uint16_t)(frame->l4 - options);
    frame->end = (uint16_t)(frame->end - options);
    struct ipv4_header *ip = (struct ipv4_header *)(frame->data + frame->l3);
    ip->version_length = 0x45;
    ip->total_length = be16((uint16_t)(frame->end - frame->l3));
    ipv4_checksum_set(ip);
    return ip;
}

static inline enum verdict icmp_echo(struct service_self *self, struct frame *frame)
{
    struct icmp *state = self->state;
    if (__builtin_expect(frame->flags & FRAME_TO_BROADCAST, 0))
        return service_drop_for(frame, DROP_ICMP_BROADCAST);
    struct ipv4_header *ip = (struct ipv4_header *)(frame->data + frame->l3);
    if (__builtin_expect(frame->l4 - frame->l3 != IPV4_HEADER_MIN, 0))
        ip = icmp_strip_options(frame);
    eth_reply((struct eth_header *)frame->data, service_nic(self, frame->nic)->mac);
    be32_t to = ip->to;
    ip->to = ip->from;
    ip->from = to;
    /* Swapping addresses leaves the sum as it is; a fresh time to live changes it (RFC 1624). */
    be16_t old = {0}, now = {0};
    memcpy(&old, &ip->ttl, 2);
    ip->ttl = IPV4_TTL_DEFAULT;
    memcpy(&now, &ip->ttl, 2);
    ip->checksum = checksum_update(ip->checksum, old, now);

    /* Type 8 becomes 0: the first word shrinks by 0x0800, so the checksum grows by it, end-around.
     */
    struct icmp_header *icmp = (struct icmp_header *)(frame->data + frame->l4);
    uint32_t sum = (uint32_t)icmp->checksum.raw + be16(ICMP_ECHO_REQUEST << 8).raw;
    icmp->checksum.raw = (uint16_t)(sum + (sum >> 16));
    icmp->type = ICMP_ECHO_REPLY;
    frame->length = frame->end;
    frame->kind = FRAME_READY;
    ++*state->echo_replies;
    service_send(self, frame);
    return VERDICT_CONSUMED;
}

static inline enum verdict icmp_message(struct service_self *self, struct frame *frame)
{
    struct icmp *state = self->state;
    const struct icmp_header *icmp = (const struct icmp_header *)(frame->data + frame->l4);
    if (__builtin_expect(icmp->type == ICMP_ECHO_REQUEST, 1))
        return icmp_echo(self, frame);
    if (icmp->type == ICMP_ECHO_REPLY)
        ++*state->replies_received;
    else if (icmp_is_error(icmp->type))
        ++*state->errors_received;
    else
        return service_drop_for(frame, DROP_ICMP_UNKNOWN_TYPE);
    service_free(self, frame);
    return VERDICT_CONSUMED;
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* Our side of an answer: the address the packet was sent to, if it is ours, else one of the nic's.
 */
static uint32_t icmp_source(struct service_self *self, const struct frame *frame,
                            const struct ipv4_header *ip)
{
    if (service_route_to(self, be32_get(ip->to))->type == ROUTE_LOCAL)
        return be32_get(ip->to);
    return service_source(self, frame->nic, be32_get(ip->from));
}

static bool icmp_error_allowed(const struct frame *frame, const struct ipv4_header *ip)
{
    if (frame->flags & FRAME_TO_BROADCAST || be16_get(ip->fragment) & IPV4_FRAGMENT_OFFSET)
        return false;
    if (ip->protocol != IPV4_ICMP)
        return true;
    const struct icmp_header *icmp = (const struct icmp_header *)(frame->data + frame->l4);
    return frame->end - frame->l4 >= ICMP_HEADER_LENGTH && !icmp_is_error(icmp->type);
}

/* Sends a packet built at `ip` back the way the frame came. */
static void icmp_send_back(struct service_self *self, struct frame *frame, struct ipv4_header *ip,
                           unsigned bytes, uint8_t protocol, uint32_t from, be32_t to)
{
    struct eth_header *eth = (struct eth_header *)((uint8_t *)ip - ETH_HEADER_LENGTH);
    *ip = (struct ipv4_header){
        .version_length = 0x45,
        .total_length = be16((uint16_t)bytes),
        .id = be16(service_ip_id(self)),
        .ttl = IPV4_TTL_DEFAULT,
        .protocol = protocol,
        .from = be32(from),
        .to = to,
    };
    ipv4_checksum_set(ip);
    memmove(eth, frame->data, ETH_HEADER_LENGTH);
    eth_reply(eth, service_nic(self, frame->nic)->mac);
    frame->data = (uint8_t *)eth;
    frame->length = (uint16_t)(ETH_HEADER_LENGTH + bytes);
    frame->kind = FRAME_READY;
    service_send(self, frame);
}

/* Tells the packet's sender, in the packet's own frame: the quotation stays where it is, and the
 * headers go in front of it, into the headroom. */
static enum verdict icmp_error(struct service_self *self, struct frame *frame)
{
    struct icmp *state = self->state;
    const struct ipv4_header *about = (const struct ipv4_header *)(frame->data + frame->l3);
    uint32_t from = icmp_source(self, frame, about);
    if (!icmp_error_allowed(frame, about) || !from) {
        ++*state->suppressed;
        return VERDICT_DROP;
    }
    if (!icmp_may_send(self))
        return VERDICT_DROP;
    service_count_drop(self, frame, frame->reason);
    unsigned quoted = (unsigned)frame->end - frame->l3;
    if (quoted > ICMP_ERROR_MAX - ICMP_ERROR_HEADERS)
        quoted = ICMP_ERROR_MAX - ICMP_ERROR_HEADERS;
    be32_t to = about->from;
    struct icmp_header *icmp = (struct icmp_header *)((uint8_t *)about - ICMP_HEADER_LENGTH);
    struct ipv4_header *ip = (struct ipv4_header *)icmp - 1;
    /* The Ethernet header is in the way of the ICMP header; move it out first. */
    uint8_t *eth = (uint8_t *)ip - ETH_HEADER_LENGTH;
    memmove(eth, frame->data, ETH_HEADER_LENGTH);
    frame->data = eth;
    *icmp = (struct icmp_header){
        .type = frame->icmp_type, .code = frame->icmp_code, .sequence = be16(frame->icmp_value)};
    icmp->checksum = checksum_finish(checksum_add(0, icmp, ICMP_HEADER_LENGTH + quoted));
    ++*state->errors_sent;
    icmp_send_back(self, frame, ip, ICMP_ERROR_HEADERS + quoted, IPV4_ICMP, from, to);
    return VERDICT_CONSUMED;
}

/* RFC 9293 3.10.7.1: what comes for a connection that does not exist is answered by a reset. */
static enum verdict icmp_tcp_reset(struct service_self *self, struct frame *frame)
{
    struct icmp *state = self->state;
    struct ipv4_header *ip = (struct ipv4_header *)(frame->data + frame->l3);
    struct tcp_header *tcp = (struct tcp_header *)(frame->data + frame->l4);
    uint16_t bytes = (uint16_t)(frame->end - frame->l4);
    uint64_t sum = checksum_add(checksum_pseudo(ip, bytes), tcp, bytes);
    if (checksum_fold(sum) != 0xffff && !(frame->flags & FRAME_CHECKED))
        return service_drop_for(frame, DROP_TCP_CHECKSUM);
    if (tcp->flags & TCP_RST || frame->flags & FRAME_TO_BROADCAST) {
        ++*state->suppressed;
        return VERDICT_DROP;
    }
    if (!icmp_may_send(self))
        return VERDICT_DROP;
    service_count_drop(self, frame, frame->reason);
    struct tcp_header reset = {
        .from = tcp->to, .to = tcp->from, .offset = TCP_HEADER_MIN / 4 << 4, .flags = TCP_RST};
    if (tcp->flags & TCP_ACK) {
        reset.sequence = tcp->acknowledgement;
    } else {
        uint32_t length = bytes - (tcp->offset >> 4) * 4u;
        length += !!(tcp->flags & TCP_SYN) + !!(tcp->flags & TCP_FIN);
        reset.acknowledgement = be32(be32_get(tcp->sequence) + length);
        reset.flags |= TCP_ACK;
    }
    be32_t to = ip->from;
    uint32_t from = be32_get(ip->to);
    struct tcp_header *out = (struct tcp_header *)(ip + 1);
    *out = reset;
    ip->from = be32(from);
    ip->to = to;
    ip->protocol = IPV4_TCP;
    out->checksum =
        checksum_finish(checksum_add(checksum_pseudo(ip, TCP_HEADER_MIN), out, TCP_HEADER_MIN));
    ++*state->resets_sent;
    icmp_send_back(self, frame, ip, IPV4_HEADER_MIN + TCP_HEADER_MIN, IPV4_TCP, from, to);
    return VERDICT_CONSUMED;
}

static __attribute__((noinline)) enum verdict icmp_unclaimed(struct service_self *self,
                                                             struct frame *frame)
{
    switch (frame->kind) {
    case FRAME_TCP:
        frame->reason = DROP_TCP_NO_PORT;
        return icmp_tcp_reset(self, frame);
    case FRAME_UDP:
        service_reject(frame, DROP_UDP_NO_PORT, ICMP_UNREACHABLE, ICMP_UNREACHABLE_PORT, 0);
        break;
    case FRAME_IP_OTHER:
        service_reject(frame, DROP_IP_PROTOCOL, ICMP_UNREACHABLE, ICMP_UNREACHABLE_PROTOCOL, 0);
        break;
    default: /* FRAME_REJECTED: says itself what to answer */
        if (frame->icmp_type == SERVICE_RESET)
            return icmp_tcp_reset(self, frame);
        break;
    }
    return icmp_error(self, frame);
}

static inline enum verdict icmp_judge(struct service_self *self, struct frame *frame)
{
    if (__builtin_expect(frame->kind == FRAME_ICMP, 1))
        return icmp_message(self, frame);
    return icmp_unclaimed(self, frame);
}

static void icmp_receive(struct service_self *self, struct batch *batch)
{
    service_each(self, batch, icmp_judge);
}

static const struct service_setting icmp_settings[] = {
    SERVICE_NUMBER("rate", icmp, rate, 1, ICMP_RATE_MAX, ICMP_RATE_DEFAULT,
                   "errors and resets a second, at most"),
    {0},
};

const struct service service_icmp = {
    .name = "icmp",
    .help = "icmp.rate=1..1000000",
    .on_by_default = true,
    .receive_kinds = FRAME_ICMP | FRAME_UDP | FRAME_TCP | FRAME_IP_OTHER | FRAME_REJECTED,
    .state_bytes = sizeof(struct icmp),
    .settings = icmp_settings,
    .start = icmp_start,
    .changed = icmp_changed,
    .receive = icmp_receive,
};
