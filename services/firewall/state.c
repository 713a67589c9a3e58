/* The table of flows: finding, making, ending them. What TCP packets do to one is in tcp.c. */
#include "services/firewall/state.h"

#include "wire/icmp.h"
#include "wire/tcp.h"

const char *const flow_state_name[FLOW_STATES] = {
    "free", "opening", "answered", "established", "closing",        "closed",
    "udp",  "udp",     "icmp",     "icmp",        "connectionless", "connectionless",
};

void flow_table_start(struct flow_table *table, uint64_t seed)
{
    table->seed = seed ^ FLOW_HASH_A;
    for (unsigned i = 1; i < FLOWS_MAX; i++) {
        table->flow[i].next = (uint16_t)(i + 1 < FLOWS_MAX ? i + 1 : 0);
        table->source[i].next = (uint16_t)(i + 1 < FLOWS_MAX ? i + 1 : 0);
    }
    table->free = table->source_free = 1;
}

static struct flow_key flow_key(const struct flow_packet *packet)
{
    return flow_key_of(be32(packet->from).raw, be32(packet->to).raw, be16(packet->from_port).raw,
                       be16(packet->to_port).raw, packet->protocol);
}

struct flow_end_point flow_side_of(const struct flow *flow, unsigned side)
{
    bool high = ((flow->flags & FLOW_BEGUN_BY_HIGH) != 0) != side;
    uint64_t at = high ? flow->high : flow->low;
    return (struct flow_end_point){be32_get((be32_t){(uint32_t)at}),
                                   be16_get((be16_t){(uint16_t)(at >> 32)})};
}

/* ---- the queue of half-open flows ------------------------------------------------------------- */

static void flow_queue(struct flow_table *table, struct flow *flow)
{
    uint16_t number = (uint16_t)(flow - table->flow);
    flow->flags |= FLOW_HALF_OPEN;
    flow->older = table->newest;
    flow->newer = 0;
    if (table->newest)
        table->flow[table->newest].newer = number;
    else
        table->oldest = number;
    table->newest = number;
    table->half_open++;
}

static void flow_unqueue(struct flow_table *table, struct flow *flow)
{
    if (!(flow->flags & FLOW_HALF_OPEN))
        return;
    flow->flags &= (uint8_t)~FLOW_HALF_OPEN;
    if (flow->older)
        table->flow[flow->older].newer = flow->newer;
    else
        table->oldest = flow->newer;
    if (flow->newer)
        table->flow[flow->newer].older = flow->older;
    else
        table->newest = flow->older;
    table->half_open--;
}

/* ---- limits of sources ------------------------------------------------------------------------ */

static uint16_t *source_chain(struct flow_table *table, uint32_t address, uint32_t key)
{
    return &table->source_chain[flow_hash(table, address, key)];
}

bool flow_limit(struct flow_table *table, struct flow *flow, uint32_t address, uint32_t key,
                uint32_t limit)
{
    uint16_t *chain = source_chain(table, address, key);
    uint16_t number = *chain;
    struct flow_source *source = &table->source[number];
    for (unsigned looked = 0; number; looked++) {
        if (source->address == address && source->key == key)
            break;
        if (looked == CHAIN_MAX)
            return false;
        number = source->next;
        source = &table->source[number];
    }
    if (!number) {
        number = table->source_free; /* there are as many as flows, so there is one */
        source = &table->source[number];
        table->source_free = source->next;
        *source = (struct flow_source){.address = address, .key = key, .next = *chain};
        *chain = number;
    }
    if (source->count >= limit)
        return false;
    source->count++;
    flow->source = number;
    return true;
}

void flow_unlimit(struct flow_table *table, struct flow *flow)
{
    struct flow_source *source = &table->source[flow->source];
    uint16_t number = flow->source;
    flow->source = 0;
    if (!number || --source->count)
        return;
    uint16_t *link = source_chain(table, source->address, source->key);
    while (*link != number)
        link = &table->source[*link].next;
    *link = source->next;
    source->next = table->source_free;
    table->source_free = number;
}

/* ---- flows ------------------------------------------------------------------------------------ */

void flow_end(struct flow_table *table, struct flow *flow)
{
    uint16_t number = (uint16_t)(flow - table->flow);
    uint16_t *link = &table->chain[flow_hash(table, flow->low, flow->high)];
    flow_unqueue(table, flow);
    flow_unlimit(table, flow);
    while (*link != number)
        link = &table->flow[*link].next;
    *link = flow->next;
    flow->state = FLOW_FREE;
    flow->next = table->free;
    table->free = number;
    table->count--;
    table->changes++;
}

struct flow *flow_find(struct flow_table *table, const struct flow_packet *packet, bool *reply)
{
    struct flow_key key = flow_key(packet);
    uint16_t number = table->chain[flow_hash(table, key.low, key.high)];
    struct flow *flow = &table->flow[number];
    while (number && (flow->low != key.low || flow->high != key.high)) {
        number = flow->next;
        flow = &table->flow[number];
    }
    if (!number)
        return NULL;
    /* A closed connection's ports may be used again at once (RFC 9293 3.10.7.4, TIME-WAIT). */
    const unsigned opening = packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
    bool again = flow->state == FLOW_TCP_CLOSED && opening == TCP_SYN && packet->tcp;
    if (again || flow_later(table->now, flow->deadline)) {
        *table->expired += !again;
        flow_end(table, flow);
        return NULL;
    }
    *reply = key.from_high != ((flow->flags & FLOW_BEGUN_BY_HIGH) != 0);
    return flow;
}

bool flow_is(const struct flow *flow, const struct flow_packet *packet)
{
    struct flow_key key = flow_key(packet);
    return flow->state != FLOW_FREE && flow->low == key.low && flow->high == key.high;
}

enum flow_beginning flow_beginning(const struct flow_table *table, const struct flow_packet *packet)
{
    const unsigned opening = packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
    switch (packet->protocol) {
    case IPV4_TCP:
        if (opening == TCP_SYN || (table->pick_up && opening == TCP_ACK))
            return FLOW_BEGINS;
        return FLOW_BELONGS;
    case IPV4_ICMP:
        if (packet->icmp_type == ICMP_ECHO_REQUEST)
            return FLOW_BEGINS;
        if (packet->icmp_type == ICMP_ECHO_REPLY || icmp_is_error(packet->icmp_type))
            return FLOW_BELONGS;
        return FLOW_LESS;
    default:
        return FLOW_BEGINS;
    }
}

static bool flow_is_half_open(uint8_t state)
{
    return state == FLOW_TCP_OPENING || state == FLOW_TCP_ANSWERED || state == FLOW_UDP ||
           state == FLOW_ICMP || state == FLOW_OTHER;
}

/* Whether a closed connection is over for its server, who has closed or reset it: it counts no more
 * against its source. A reset of the source's own may be one that the server does not believe. */
static bool flow_is_over(const struct flow *flow, const struct flow_packet *packet, bool reply)
{
    return flow->state == FLOW_TCP_CLOSED &&
           ((flow->flags & FLOW_FIN_0 && flow->flags & FLOW_FIN_1) ||
            (reply && packet->tcp_flags & TCP_RST));
}

bool flow_follow(struct flow_table *table, struct flow *flow, const struct flow_packet *packet,
                 bool reply)
{
    switch (flow->state) {
    case FLOW_UDP:
    case FLOW_OTHER:
        flow->state = (uint8_t)(flow->state + reply);
        break;
    case FLOW_ICMP:
    case FLOW_ICMP_ANSWERED:
        if (packet->icmp_type != (reply ? ICMP_ECHO_REPLY : ICMP_ECHO_REQUEST))
            return false;
        flow->state = (uint8_t)(FLOW_ICMP + (reply || flow->state == FLOW_ICMP_ANSWERED));
        break;
    case FLOW_UDP_ANSWERED:
    case FLOW_OTHER_ANSWERED:
        break;
    default:
        if (!packet->tcp || !flow_tcp_follow(flow, packet, reply))
            return false;
        if (flow_is_over(flow, packet, reply))
            flow_unlimit(table, flow);
        break;
    }
    if (flow->flags & FLOW_HALF_OPEN && !flow_is_half_open(flow->state))
        flow_unqueue(table, flow);
    flow->deadline = table->now + table->timeout[flow->state];
    return true;
}

static uint8_t flow_first_state(const struct flow_packet *packet)
{
    switch (packet->protocol) {
    case IPV4_TCP:
        return FLOW_TCP_OPENING;
    case IPV4_UDP:
        return FLOW_UDP;
    case IPV4_ICMP:
        return FLOW_ICMP;
    default:
        return FLOW_OTHER;
    }
}

/* Room in the table, and among the half-open flows. */
static bool flow_room(struct flow_table *table)
{
    if (!table->free)
        flow_sweep(table);
    if (table->oldest && (!table->free || table->half_open >= table->half_open_max)) {
        flow_end(table, &table->flow[table->oldest]);
        ++*table->gave_way;
    }
    return table->free;
}

struct flow *flow_new(struct flow_table *table, const struct flow_packet *packet)
{
    if (!flow_room(table))
        return NULL;
    struct flow_key key = flow_key(packet);
    uint16_t *chain = &table->chain[flow_hash(table, key.low, key.high)];
    unsigned length = 0;
    for (uint16_t at = *chain; at; at = table->flow[at].next)
        if (++length == CHAIN_MAX)
            return NULL;
    uint16_t number = table->free;
    struct flow *flow = &table->flow[number];
    table->free = flow->next;
    *flow = (struct flow){.low = key.low,
                          .high = key.high,
                          .next = *chain,
                          .state = flow_first_state(packet),
                          .flags = key.from_high ? FLOW_BEGUN_BY_HIGH : 0};
    *chain = number;
    table->moved[number] = (struct flow_moved){.frames = 0};
    table->begun[number] = table->now;
    table->count++;
    table->changes++;
    if (packet->protocol == IPV4_TCP)
        flow_tcp_begin(flow, packet);
    flow_queue(table, flow);
    flow->deadline = table->now + table->timeout[flow->state];
    return flow;
}

void flow_sweep(struct flow_table *table)
{
    for (unsigned i = 0; i < FLOW_SWEEP; i++) {
        table->swept = table->swept + 1 < FLOWS_MAX ? table->swept + 1 : 1;
        struct flow *flow = &table->flow[table->swept];
        if (flow->state != FLOW_FREE && flow_later(table->now, flow->deadline)) {
            flow_end(table, flow);
            ++*table->expired;
        }
    }
}
