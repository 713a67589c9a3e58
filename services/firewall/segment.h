/* The numbers of a TCP segment, and the windows they must be in: for all segments, and for the quick
 * way of data, where this is inlined. */
#ifndef FIREWALL_SEGMENT_H
#define FIREWALL_SEGMENT_H

#include "services/firewall/state.h"
#include "wire/tcp.h"

enum { ACK_LAG_MIN = 66000 }; /* how old an acknowledgement may be, whatever the window */

/* A segment's numbers. */
struct segment {
    uint32_t sequence, end, acknowledgement, window;
    uint8_t flags;
};

/* a <= b, of sequence numbers. */
static inline bool not_after(uint32_t a, uint32_t b)
{
    return (int32_t)(b - a) >= 0;
}

static inline uint32_t at_least_one(uint32_t window)
{
    return window ? window : 1; /* a closed window is probed by one octet (RFC 9293 3.8.6.1) */
}

/* The four bounds, the signs of four differences taken together. */
static inline bool tcp_in_window(const struct flow_side *sender, const struct flow_side *receiver,
                                 const struct segment *segment)
{
    uint32_t lag = sender->window > ACK_LAG_MIN ? sender->window : ACK_LAG_MIN;
    uint32_t data =
        (sender->end_max - segment->end) | (segment->sequence - (sender->end - receiver->window));
    uint32_t acknowledged = (receiver->end - segment->acknowledgement) |
                            (segment->acknowledgement - (receiver->end - lag));
    return (int32_t)(segment->flags & TCP_ACK ? data | acknowledged : data) >= 0;
}

static inline void tcp_advance(struct flow_side *sender, struct flow_side *receiver,
                               const struct segment *segment)
{
    sender->end = not_after(sender->end, segment->end) ? segment->end : sender->end;
    sender->window = segment->window > sender->window ? segment->window : sender->window;
    uint32_t offered = segment->acknowledgement + at_least_one(segment->window);
    if (segment->flags & TCP_ACK && not_after(receiver->end_max, offered))
        receiver->end_max = offered;
}

/* Data of an established connection, inside its windows: like flow_follow. False: it is not that, and
 * nothing changed. `tcp` has `bytes` bytes, 20 at least. */
static inline bool flow_tcp_data(struct flow *flow, const uint8_t *tcp, unsigned bytes, bool reply)
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
    struct flow_side *sender = flow->side + reply, *receiver = flow->side + 1 - reply;
    if (!tcp_in_window(sender, receiver, &segment))
        return false;
    tcp_advance(sender, receiver, &segment);
    return true;
}

#endif
