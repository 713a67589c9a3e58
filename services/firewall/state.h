/* Connections: a fixed table of flows, what state a packet is in, and how many flows a source has.
 *
 * A flow is found by addresses, ports (ICMP: the id) and protocol, from either side. It is half-open
 * until the other side answered (TCP: until the handshake is complete); the half-open ones stand in
 * a queue, and when they are too many, or the table is full, the oldest gives way to a new one.
 * Flows that are open never do: a flood of beginnings takes nothing from them.
 *
 *   seed, ports, addresses -> chain (one of 32,768) -> flow (of 16,384)  -> source (of 16,384)
 *
 * Cost: a packet looks at no more than CHAIN_MAX flows; a new one that would make a chain longer is
 * refused like one for which there is no room. */
#ifndef FIREWALL_STATE_H
#define FIREWALL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "piglet/firewall.h"

enum {
    FLOWS_MAX = 16384,     /* [0] is not used: 0 is none */
    FLOW_CHAINS_BITS = 15, /* two chains a flow */
    CHAIN_MAX = 24,
    FLOW_SWEEP = 1024,    /* flows looked at by one sweep */
    FLOW_TICK_SHIFT = 20, /* a tick is 2^20 ns: 32 bits of them are 52 days, half of that is */
    FLOW_TIMEOUT_MAX = 1728000, /* what can be compared: 20 days, in seconds */
};

enum flow_state {
    FLOW_FREE,
    FLOW_TCP_OPENING,     /* a SYN seen */
    FLOW_TCP_ANSWERED,    /* and its SYN ACK */
    FLOW_TCP_ESTABLISHED, /* and the ACK of that */
    FLOW_TCP_CLOSING,     /* a FIN */
    FLOW_TCP_CLOSED,      /* FINs of both sides, or a RST */
    FLOW_UDP,             /* one side has spoken */
    FLOW_UDP_ANSWERED,
    FLOW_ICMP, /* echo */
    FLOW_ICMP_ANSWERED,
    FLOW_OTHER,
    FLOW_OTHER_ANSWERED,
    FLOW_STATES,
};

extern const char *const flow_state_name[FLOW_STATES];

/* What one side of a TCP connection has sent and may send (van Rooij 2000, "Real Stateful TCP Packet
 * Filtering in IP Filter"). */
struct flow_side {
    uint32_t end;     /* one past the last octet it sent */
    uint32_t end_max; /* and the furthest that the other side has room for */
    uint32_t window;  /* the largest it offered */
};

struct flow {
    uint64_t low, high;       /* protocol, port, address as on the wire, of both sides, sorted */
    uint32_t deadline;        /* tick */
    struct flow_side side[2]; /* [0]: who began; UDP and the like: nothing */
    uint16_t generation;      /* of the rules that judged it, */
    uint16_t rule;            /* and the one that let it in, or the default behind them */
    uint16_t next;            /* in its chain */
    uint16_t older, newer;    /* in the queue of half-open ones */
    uint16_t source;          /* 0: not limited */
    uint8_t state;            /* enum flow_state */
    uint8_t scale[2];         /* of windows, RFC 7323; */
    uint8_t flags;            /* enum flow_flag */
    uint8_t nic_in, nic_out;  /* of the first packet */
    uint8_t direction;        /* enum piglet_direction, likewise */
};
_Static_assert(sizeof(struct flow) == 64, "one cache line");

enum flow_flag {
    FLOW_BEGUN_BY_HIGH = 1 << 0, /* the side in `high` began */
    FLOW_HALF_OPEN = 1 << 1,     /* stands in the queue */
    FLOW_SCALES = 1 << 2,        /* the beginner offered to scale windows */
    FLOW_FIN_0 = 1 << 3,
    FLOW_FIN_1 = 1 << 4,
    FLOW_COUNTED = 1 << 6, /* its rule counts each packet */
    FLOW_LIBERAL = 1 << 5, /* picked up on its way: its windows are not known */
};

/* Connections of one source by one limit. */
struct flow_source {
    uint32_t address, key;
    uint16_t count;
    uint16_t next;
};

/* What a flow has moved, in both directions. Beside the flows, which fill their cache lines. */
struct flow_moved {
    uint64_t frames, bytes; /* from the Ethernet header on, without padding */
};

struct flow_table {
    uint32_t now; /* tick */
    uint32_t timeout[FLOW_STATES];
    uint32_t half_open_max;
    uint32_t count, half_open;
    uint32_t changes; /* flows made and ended: who keeps a pointer to one compares this */
    uint32_t swept;   /* up to this flow */
    uint16_t free, source_free;
    uint16_t oldest, newest; /* of the half-open ones */
    uint64_t seed;
    bool pick_up; /* TCP connections whose beginning was not seen */
    uint64_t *gave_way, *expired;
    uint16_t chain[1 << FLOW_CHAINS_BITS];
    uint16_t source_chain[1 << FLOW_CHAINS_BITS];
    struct flow_source source[FLOWS_MAX];
    struct flow flow[FLOWS_MAX] __attribute__((aligned(64)));
    struct flow_moved moved[FLOWS_MAX];
    uint32_t begun[FLOWS_MAX]; /* tick */
};

static inline void flow_count(struct flow_table *table, const struct flow *flow, uint32_t bytes)
{
    struct flow_moved *moved = &table->moved[flow - table->flow];
    moved->frames++;
    moved->bytes += bytes;
}

/* A packet as the table needs it. */
struct flow_packet {
    uint32_t from, to;
    uint16_t from_port, to_port; /* echo: the id in both */
    uint8_t protocol;
    uint8_t tcp_flags;
    uint8_t header; /* bytes of the TCP header */
    uint8_t icmp_type;
    const uint8_t *tcp; /* its header, whole; NULL: not TCP, or judged without it */
    uint32_t bytes;     /* of the transport header and its data */
};

void flow_table_start(struct flow_table *table, uint64_t seed);

/* The live flow of a packet, or NULL; *reply: the packet comes from the side that did not begin. */
struct flow *flow_find(struct flow_table *table, const struct flow_packet *packet, bool *reply);

enum flow_beginning {
    FLOW_BEGINS,  /* the packet may begin a flow */
    FLOW_LESS,    /* it is one of a kind that has none, such as an ICMP timestamp */
    FLOW_BELONGS, /* it can only belong to a flow: invalid without */
};

/* What a packet is that belongs to no live flow. */
enum flow_beginning flow_beginning(const struct flow_table *table,
                                   const struct flow_packet *packet);

/* Follows a packet of a live flow. False: it is invalid, and nothing changed. */
bool flow_follow(struct flow_table *table, struct flow *flow, const struct flow_packet *packet,
                 bool reply);

/* A new flow for its first packet. NULL: no room. */
struct flow *flow_new(struct flow_table *table, const struct flow_packet *packet);

/* Whether a pointer that was found for a packet still is of its flow. */
bool flow_is(const struct flow *flow, const struct flow_packet *packet);

/* Counts a new flow to its source. False: that has `limit` already, and nothing changed. */
bool flow_limit(struct flow_table *table, struct flow *flow, uint32_t address, uint32_t key,
                uint32_t limit);
void flow_unlimit(struct flow_table *table, struct flow *flow);

void flow_end(struct flow_table *table, struct flow *flow);

/* Looks at the next FLOW_SWEEP flows, and ends those whose time is over. */
void flow_sweep(struct flow_table *table);

/* tcp.c: the part of flow_follow and flow_new for TCP. */
bool flow_tcp_follow(struct flow *flow, const struct flow_packet *packet, bool reply);
void flow_tcp_begin(struct flow *flow, const struct flow_packet *packet);

/* Data of an established connection, inside its windows: like flow_follow. False: it is not that, and
 * nothing changed. `tcp` has `bytes` bytes, 20 at least. */
bool flow_tcp_data(struct flow *flow, const uint8_t *tcp, unsigned bytes, bool reply);

/* ---- keys ---- */

#define FLOW_HASH_A 0xa0761d6478bd642full /* odd, without pattern */
#define FLOW_HASH_B 0xe7037ed1a0b428dbull

struct flow_key {
    uint64_t low, high;
    bool from_high; /* the packet comes from the side in `high` */
};

/* Addresses and ports as on the wire. */
static inline struct flow_key flow_key_of(uint32_t from_ip, uint32_t to_ip, uint16_t from_port,
                                          uint16_t to_port, uint8_t protocol)
{
    uint64_t from = from_ip | (uint64_t)from_port << 32;
    uint64_t to = to_ip | (uint64_t)to_port << 32;
    bool high = from > to;
    struct flow_key key = {high ? to : from, high ? from : to, high};
    key.low |= (uint64_t)protocol << 48;
    return key;
}

static inline unsigned flow_hash(const struct flow_table *table, uint64_t low, uint64_t high)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)(low ^ table->seed) * (high ^ table->seed ^ FLOW_HASH_B);
    uint64_t hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    return (unsigned)(hash >> (64 - FLOW_CHAINS_BITS));
}

static inline bool flow_later(uint32_t tick, uint32_t than)
{
    return (int32_t)(tick - than) > 0;
}

/* One side: 0 began. */
struct flow_end_point {
    uint32_t ip;
    uint16_t port;
};

struct flow_end_point flow_side_of(const struct flow *flow, unsigned side);

#endif
