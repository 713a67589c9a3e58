/* What TCP packets do to a flow: its state, and whether their numbers can be right.
 *
 * The bounds are those of van Rooij (2000), which Linux and the BSDs use too: a segment may not end
 * beyond what its receiver offered, nor begin a whole window before what is already there; an
 * acknowledgement may not be of what was never sent, nor of what is long past.
 * A connection that was picked up on its way is followed by its flags alone.
 *
 * Simpler than a real TCP: SACK and timestamps are not looked at; simultaneous open is invalid; a
 * SYN inside an open connection passes and changes nothing (its receiver answers by RFC 5961 5). */
#include "services/firewall/state.h"
#include "wire/tcp.h"

enum {
    ACK_LAG_MIN = 66000, /* how old an acknowledgement may be, whatever the window */
    SCALE_MAX = 14,      /* RFC 7323 2.3 */
    OPTION_END = 0,
    OPTION_NOP = 1,
    OPTION_SCALE = 3,
};

/* A segment's numbers. */
struct segment {
    uint32_t sequence, end, acknowledgement, window;
    uint8_t flags;
};

static struct segment segment_read(const struct flow_packet *packet, uint8_t scale)
{
    const struct tcp_header *tcp = (const struct tcp_header *)packet->tcp;
    struct segment segment = {.sequence = be32_get(tcp->sequence),
                              .acknowledgement = be32_get(tcp->acknowledgement),
                              .window = be16_get(tcp->window),
                              .flags = tcp->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)};
    segment.end = segment.sequence + packet->bytes - packet->header + !!(segment.flags & TCP_SYN) +
                  !!(segment.flags & TCP_FIN);
    if (!(segment.flags & TCP_SYN))
        segment.window <<= scale;
    return segment;
}

/* The window scale a SYN offers; -1: none. At most 40 bytes are looked at. */
static int segment_scale(const struct flow_packet *packet)
{
    for (unsigned at = TCP_HEADER_MIN; at < packet->header;) {
        unsigned kind = packet->tcp[at];
        if (kind == OPTION_END)
            break;
        if (kind == OPTION_NOP) {
            at++;
            continue;
        }
        unsigned room = packet->header - at;
        if (room < 2 || packet->tcp[at + 1] < 2 || packet->tcp[at + 1] > room)
            break;
        if (kind == OPTION_SCALE && packet->tcp[at + 1] == 3)
            return packet->tcp[at + 2] < SCALE_MAX ? packet->tcp[at + 2] : SCALE_MAX;
        at += packet->tcp[at + 1];
    }
    return -1;
}

/* a <= b, of sequence numbers. */
static inline bool not_after(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) <= 0;
}

static inline uint32_t at_least_one(uint32_t window)
{
    return window ? window : 1; /* a closed window is probed by one octet (RFC 9293 3.8.6.1) */
}

void flow_tcp_begin(struct flow *flow, const struct flow_packet *packet)
{
    flow->flags &= (uint8_t) ~(FLOW_SCALES | FLOW_LIBERAL);
    if (!(packet->tcp_flags & TCP_SYN)) {
        flow->flags |= FLOW_LIBERAL;
        return;
    }
    struct segment segment = segment_read(packet, 0);
    int scale = segment_scale(packet);
    /* end_max: what the answer acknowledges at least, the SYN, which may carry data (RFC 7413). */
    flow->side[0] = (struct flow_side){.end = segment.end,
                                       .end_max = segment.sequence + 1,
                                       .window = at_least_one(segment.window)};
    flow->flags |= scale >= 0 ? FLOW_SCALES : 0;
    flow->scale[0] = (uint8_t)(scale >= 0 ? scale : 0);
}

/* A SYN that is not the first of its flow. One that was picked up is open for all we know. */
static bool tcp_syn(struct flow *flow, const struct flow_packet *packet, bool reply)
{
    if (flow->state == FLOW_TCP_OPENING && !(flow->flags & FLOW_LIBERAL)) {
        if (reply)
            return false;
        flow_tcp_begin(flow, packet); /* again, and perhaps with another number */
    }
    return true;
}

/* Whether a segment acknowledges the SYN of who began, and no more than was sent with it. */
static bool tcp_answers(const struct flow_side *beginner, const struct segment *segment)
{
    return not_after(beginner->end_max, segment->acknowledgement) &&
           not_after(segment->acknowledgement, beginner->end);
}

static bool tcp_syn_ack(struct flow *flow, const struct flow_packet *packet,
                        const struct segment *segment, bool reply)
{
    if (!reply)
        return false;
    if (flow->flags & FLOW_LIBERAL)
        return true;
    if (flow->state != FLOW_TCP_OPENING) /* again: it must be the same one, or is not believed */
        return flow->state != FLOW_TCP_ANSWERED || segment->end == flow->side[1].end;
    if (!tcp_answers(&flow->side[0], segment))
        return false;
    int scale = segment_scale(packet);
    bool scales = scale >= 0 && flow->flags & FLOW_SCALES;
    flow->scale[0] = scales ? flow->scale[0] : 0;
    flow->scale[1] = (uint8_t)(scales ? scale : 0);
    flow->side[1] = (struct flow_side){.end = segment->end,
                                       .end_max = segment->end + flow->side[0].window,
                                       .window = at_least_one(segment->window)};
    flow->side[0].end_max = segment->acknowledgement + at_least_one(segment->window);
    flow->state = FLOW_TCP_ANSWERED;
    return true;
}

static inline bool tcp_in_window(const struct flow_side *sender, const struct flow_side *receiver,
                                 const struct segment *segment)
{
    if (!not_after(segment->end, sender->end_max) ||
        !not_after(sender->end - receiver->window, segment->sequence))
        return false;
    if (!(segment->flags & TCP_ACK))
        return true;
    uint32_t lag = sender->window > ACK_LAG_MIN ? sender->window : ACK_LAG_MIN;
    return not_after(segment->acknowledgement, receiver->end) &&
           not_after(receiver->end - lag, segment->acknowledgement);
}

static inline void tcp_advance(struct flow_side *sender, struct flow_side *receiver,
                               const struct segment *segment)
{
    if (not_after(sender->end, segment->end))
        sender->end = segment->end;
    if (segment->window > sender->window)
        sender->window = segment->window;
    uint32_t offered = segment->acknowledgement + at_least_one(segment->window);
    if (segment->flags & TCP_ACK && not_after(receiver->end_max, offered))
        receiver->end_max = offered;
}

static bool tcp_reset(struct flow *flow, const struct segment *segment, bool reply)
{
    const struct flow_side *sender = &flow->side[reply], *receiver = &flow->side[!reply];
    bool good = flow->flags & FLOW_LIBERAL;
    if (!good && flow->state == FLOW_TCP_OPENING)
        /* Refused (RFC 9293 3.10.7.3), or given up by who began. */
        good = reply ? segment->flags & TCP_ACK && tcp_answers(receiver, segment)
                     : segment->sequence == sender->end || segment->sequence + 1 == sender->end;
    else if (!good)
        good = not_after(segment->end, sender->end_max) &&
               not_after(sender->end - receiver->window, segment->sequence);
    if (good)
        flow->state = FLOW_TCP_CLOSED;
    return good;
}

/* The state after a segment that was right. */
static void tcp_state(struct flow *flow, const struct segment *segment, bool reply)
{
    if (flow->state == FLOW_TCP_OPENING && reply) /* of one that was picked up */
        flow->state = FLOW_TCP_ANSWERED;
    if (flow->state == FLOW_TCP_ANSWERED && !reply &&
        (flow->flags & FLOW_LIBERAL || segment->acknowledgement == flow->side[1].end))
        flow->state = FLOW_TCP_ESTABLISHED;
    if (segment->flags & TCP_FIN) {
        flow->flags |= reply ? FLOW_FIN_1 : FLOW_FIN_0;
        if (flow->state == FLOW_TCP_ESTABLISHED || flow->state == FLOW_TCP_ANSWERED)
            flow->state = FLOW_TCP_CLOSING;
    }
    if ((flow->flags & (FLOW_FIN_0 | FLOW_FIN_1)) == (FLOW_FIN_0 | FLOW_FIN_1))
        flow->state = FLOW_TCP_CLOSED;
}

bool flow_tcp_follow(struct flow *flow, const struct flow_packet *packet, bool reply)
{
    struct segment segment = segment_read(packet, flow->scale[reply]);
    struct flow_side *sender = &flow->side[reply], *receiver = &flow->side[!reply];
    if (segment.flags & TCP_FIN && segment.flags & (TCP_SYN | TCP_RST))
        return false;
    switch (segment.flags & (TCP_SYN | TCP_ACK | TCP_RST)) {
    case TCP_SYN:
        return tcp_syn(flow, packet, reply);
    case TCP_SYN | TCP_ACK:
        return tcp_syn_ack(flow, packet, &segment, reply);
    case TCP_RST:
    case TCP_RST | TCP_ACK:
        return tcp_reset(flow, &segment, reply);
    case TCP_ACK:
        break;
    default:
        return false;
    }
    /* Before the other side has answered, nothing but its word that it knows of another connection
     * (RFC 9293 3.5.1): an acknowledgement, which the beginner resets. */
    if (flow->state == FLOW_TCP_OPENING && !(flow->flags & FLOW_LIBERAL))
        return reply && segment.end == segment.sequence;
    if (!(flow->flags & FLOW_LIBERAL)) {
        if (!tcp_in_window(sender, receiver, &segment))
            return false;
        tcp_advance(sender, receiver, &segment);
    }
    tcp_state(flow, &segment, reply);
    return true;
}

bool flow_tcp_data(struct flow *flow, const uint8_t *tcp, unsigned bytes, bool reply)
{
    const struct tcp_header *header = (const struct tcp_header *)tcp;
    unsigned length = (header->offset >> 4) * 4u;
    if ((header->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_ACK ||
        length < TCP_HEADER_MIN || length > bytes)
        return false;
    if (flow->flags & FLOW_LIBERAL)
        return true;
    struct segment segment = {.sequence = be32_get(header->sequence),
                              .acknowledgement = be32_get(header->acknowledgement),
                              .window = (uint32_t)be16_get(header->window) << flow->scale[reply],
                              .flags = TCP_ACK};
    segment.end = segment.sequence + bytes - length;
    if (!tcp_in_window(&flow->side[reply], &flow->side[!reply], &segment))
        return false;
    tcp_advance(&flow->side[reply], &flow->side[!reply], &segment);
    return true;
}
