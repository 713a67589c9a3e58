/* Frames, batches and the pool they come from.
 *
 * A frame is one Ethernet frame in a fixed, DMA-able buffer; its metadata, one cache line, lies in
 * front of the buffer. Every frame has exactly one owner at every moment, written in `owner`: the
 * pool, a nic's receive or transmit ring, the loop (in a batch), or a service that consumed it. Who
 * owns a frame may write it; handing it over ends that.
 *
 *   +----------+----------+------------------------------------+
 *   | metadata | headroom | room for a frame, FRAME_ROOM bytes |
 *   | 64 bytes | 64 bytes | data points here when received     |
 *   +----------+----------+------------------------------------+ */
#ifndef KERNEL_FRAME_H
#define KERNEL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "kernel/drop.h"

enum {
    FRAME_METADATA = 64,
    FRAME_HEADROOM = 64, /* for a header pushed in front, e.g. an ICMP error's */
    FRAME_ROOM = 2048,   /* the receive buffer size both Intel drivers are given */
    FRAME_STRIDE = FRAME_METADATA + FRAME_HEADROOM + FRAME_ROOM,
    FRAME_POOL_ALIGN = 4096, /* of all frames together: Linux takes whole pages for AF_XDP */
    FRAME_LENGTH_MIN = 60,   /* shortest on the wire, without FCS (IEEE 802.3 3.2.8) */
    FRAME_LENGTH_MAX = 1514, /* longest without FCS and VLAN tag (IEEE 802.3 3.2.7) */
    BATCH_MAX = 64,          /* more gains little and costs cache; DESIGN 3 */
};

enum frame_owner {
    FRAME_OF_POOL,
    FRAME_OF_RECEIVE_RING,
    FRAME_OF_LOOP,
    FRAME_OF_SERVICE,
    FRAME_OF_TRANSMIT_RING,
};

/* What the classifier found; one bit in frame.kind. A service names the kinds it wants, and the
 * others never reach it. The transmit side has kinds of its own. */
enum frame_kind {
    FRAME_ARP = 1 << 0,      /* ARP, length checked, contents not */
    FRAME_ICMP = 1 << 1,     /* to one of our addresses or a broadcast; header and checksum good */
    FRAME_UDP = 1 << 2,      /* likewise */
    FRAME_TCP = 1 << 3,      /* to us; header length checked, checksum not */
    FRAME_IP_OTHER = 1 << 4, /* to us, another protocol */
    FRAME_FORWARD = 1 << 5,  /* IPv4 for somebody else; header good, leaves_by and next_hop known */
    FRAME_OTHER = 1 << 6,    /* an EtherType we do not know */
    FRAME_REJECTED = 1 << 7, /* a service asked for an ICMP error: service_reject */
    FRAME_RESOLVE = 1 << 8,  /* to be sent to next_hop, whose MAC address is not known yet */
    FRAME_READY = 1 << 9,    /* to be sent as it is */
    FRAME_SHAPED = 1 << 10,  /* likewise, by way of no filter: it has been through all of them */
    FRAME_OUTGOING = FRAME_RESOLVE | FRAME_READY | FRAME_SHAPED,
};

enum frame_flag {
    FRAME_TO_BROADCAST =
        1 << 0,             /* Ethernet or IPv4 broadcast or multicast: never answered by errors */
    FRAME_CHECKED = 1 << 1, /* the machine vouches for the transport checksum (hosted) */
    FRAME_FORWARDED = 1 << 2, /* on its way from received_on to nic */
    FRAME_JUDGED = 1 << 3,    /* rejected by the firewall: what it is answered by may leave */
};

struct frame {
    uint8_t *data;     /* first byte of the Ethernet header */
    uint16_t length;   /* bytes from data on, without FCS */
    uint8_t owner;     /* enum frame_owner */
    uint8_t nic;       /* index of the nic it came from, or leaves by once sent */
    uint16_t kind;     /* one of enum frame_kind */
    uint8_t flags;     /* enum frame_flag */
    uint8_t reason;    /* enum drop_reason, from service_drop_for */
    uint16_t l3;       /* offsets from data, filled in by the classifier: the network header, */
    uint16_t l4;       /* the transport header, */
    uint16_t end;      /* and one past the IPv4 packet's last byte (behind it: Ethernet padding) */
    uint8_t leaves_by; /* of FRAME_FORWARD: the nic its route leads to, or NIC_NOWHERE */
    uint8_t received_on; /* of a frame that is passed on: the nic it came from */
    uint32_t next_hop;   /* IPv4, host order; meant when kind is FRAME_FORWARD or FRAME_RESOLVE */
    uint8_t icmp_type;   /* meant when kind is FRAME_REJECTED */
    uint8_t icmp_code;
    uint8_t service;     /* index in the receive chain to go on from, while yielded or requeued */
    uint16_t icmp_value; /* e.g. the next hop's MTU */
    uint32_t line;       /* of the firewall's rule or shaper's class that judged it; 0: none */
    uint64_t dma;        /* the device's address of this struct */
    struct frame *next;  /* for whatever queue the owner keeps */
    uint64_t since_ns;   /* and since when it is in there */
};
_Static_assert(sizeof(struct frame) <= FRAME_METADATA, "frame metadata is one cache line");

struct batch {
    unsigned count;
    unsigned kinds;       /* or of the kinds inside; may name kinds that have left */
    struct frame **frame; /* room for BATCH_MAX, of whoever made the batch */
};

/* A stack of free frames. Single core, no lock. */
struct frame_pool {
    unsigned free_count;
    unsigned total;
    struct frame **free;
    uint8_t *memory;     /* all of them, FRAME_STRIDE apart */
    uint64_t *exhausted; /* counter: a frame was wanted and none was there */
};

/* Takes `count` frames from the machine's memory. ERR_NO_MEMORY: nothing usable taken. */
int frame_pool_start(struct frame_pool *pool, unsigned count);

/* The address a device uses for the first byte. */
static inline uint64_t frame_dma(const struct frame *frame)
{
    return frame->dma + (uint64_t)(frame->data - (const uint8_t *)frame);
}

/* Makes data point at the start of the room, headroom in front of it. */
static inline void frame_reset(struct frame *frame)
{
    frame->data = (uint8_t *)frame + FRAME_METADATA + FRAME_HEADROOM;
}

/* A frame owned by the caller (set owner when it is not the loop), data reset, the rest as its last
 * user left it. NULL: pool exhausted, which is counted. About six instructions. */
static inline struct frame *frame_alloc(struct frame_pool *pool)
{
    if (__builtin_expect(pool->free_count == 0, 0)) {
        ++*pool->exhausted;
        return NULL;
    }
    struct frame *frame = pool->free[--pool->free_count];
    frame->owner = FRAME_OF_LOOP;
    frame_reset(frame);
    return frame;
}

_Noreturn void frame_double_free(const struct frame *frame);

/* Gives a frame back. A frame freed twice is our own bug and panics. */
static inline void frame_free(struct frame_pool *pool, struct frame *frame)
{
    if (__builtin_expect(frame->owner == FRAME_OF_POOL, 0))
        frame_double_free(frame);
    frame->owner = FRAME_OF_POOL;
    pool->free[pool->free_count++] = frame;
}

/* Gives `count` frames back that lie one behind the other in `frames`. */
static inline void frame_free_all(struct frame_pool *pool, struct frame *const *frames,
                                  unsigned count)
{
    struct frame **to = pool->free + pool->free_count;
    for (unsigned i = 0; i < count; i++) {
        struct frame *frame = frames[i];
        if (__builtin_expect(frame->owner == FRAME_OF_POOL, 0))
            frame_double_free(frame);
        frame->owner = FRAME_OF_POOL;
        to[i] = frame;
    }
    pool->free_count += count;
}

/* The caller keeps count below BATCH_MAX. */
static inline void batch_add(struct batch *batch, struct frame *frame)
{
    batch->frame[batch->count++] = frame;
    batch->kinds |= frame->kind;
}

#endif
