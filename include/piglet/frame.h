/* Frames in a window: the rings in a frameset's two memories.
 *
 * Each memory is one ring. Its first page is struct piglet_ring, all others are slots of
 * PIGLET_SLOT_BYTES: 64 bytes about the frame, then the frame.
 *
 *   page 0   produced | consumed | slots           frames lie in the slots one after the other, and
 *   page 1   slot 0   slot 1                         behind the last slot comes the first again; both
 *   page 2   slot 2   slot 3                         sides keep count of their slot themselves, since
 *   ...                                              slots need not divide 2^32
 *
 * `produced` and `consumed` count frames, modulo 2^32. While produced - consumed is less than
 * `slots` the producer has a slot to fill; those between the two are the consumer's.
 *
 * In the transmit memory the client produces and the kernel consumes, in the receive memory the
 * other way round. A producer fills slots and then stores `produced` with release order, once for
 * as many frames as it likes; a consumer loads it with acquire order and stores `consumed` when it
 * is through with them. Sending needs the bell, like posting, when the window's `polled` is 0.
 *
 * A client that does not take its frames loses those that come, and only those: `dropped` counts.
 * What it sends and may not (too long, not from its own address) is counted in `refused`. */
#ifndef PIGLET_FRAME_H
#define PIGLET_FRAME_H

#include "piglet/window.h"

enum {
    PIGLET_SLOT_BYTES = 2048,
    PIGLET_FRAME_DATA = 64,  /* where a slot's frame begins */
    PIGLET_FRAME_MAX = 1514, /* longest, with its Ethernet header, without FCS */
    PIGLET_RING_PAGES_MIN = 2,
};

struct piglet_ring {
    uint32_t produced; /* 0: producer */
    uint32_t reserved0[15];
    uint32_t consumed; /* 64: consumer */
    uint32_t reserved1[15];
    /* Kernel. */
    uint32_t slots; /* 128: set by Make_Frameset */
    uint32_t reserved2;
    uint64_t dropped; /* 136: receive: frames that found no slot free, or fit none */
    uint64_t refused; /* 144: transmit: frames that may not be sent, or could not */
    uint32_t reserved3[10];
};

enum piglet_frame_flag {
    PIGLET_FRAME_SENT = 1,      /* receive: Piglet sends it (after Join) */
    PIGLET_FRAME_BROADCAST = 2, /* receive: it came to a broadcast or group address */
};

/* About a frame. The producer writes all of it; zero what is reserved. */
struct piglet_frame {
    uint32_t length;  /* 0: bytes at PIGLET_FRAME_DATA */
    uint32_t address; /* 4: the peer's IPv4 address, as a number: who sent it, or is to get it;
                          transmit: 0 means the peer of Set_Peer */
    uint16_t port;    /* 8: likewise its UDP port */
    uint16_t flags;   /* 10: enum piglet_frame_flag */
    uint32_t to;      /* 12: receive: our address that it came to; transmit: the one to send from,
                         0: whichever fits */
    uint64_t time_ns; /* 16: receive: of the kernel's clock */
    uint32_t nic;     /* 24: receive: where it came from */
    uint32_t reserved[9];
};

PIGLET_ASSERT(offsetof(struct piglet_ring, consumed) == 64, "ring.consumed");
PIGLET_ASSERT(offsetof(struct piglet_ring, slots) == 128, "ring.slots");
PIGLET_ASSERT(sizeof(struct piglet_ring) == 192, "the ring's header");
PIGLET_ASSERT(sizeof(struct piglet_frame) == PIGLET_FRAME_DATA, "about a frame");

/* The slots of a memory of so many pages. */
static inline uint32_t piglet_ring_slots(uint32_t pages)
{
    return (pages - 1) * (PIGLET_PAGE / PIGLET_SLOT_BYTES);
}

#endif
