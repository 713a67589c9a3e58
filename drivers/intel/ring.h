/* Descriptor rings, as all Intel gigabit and 10-gigabit controllers have them.
 *
 * A ring is a circle of 16-byte descriptors in memory. The device owns those from its head up to,
 * not including, the tail; software hands it more by writing the tail register. Head == tail means
 * that it owns none, so one descriptor always stays ours.
 *
 * The legacy formats (8254x 3.2.3 and 3.3.3, 82599 7.1.5 and 7.2.3.2.2) and the advanced ones
 * (82599 7.1.6 and 7.2.3.2.4) differ in where bits lie. intel_receive and intel_transmit are
 * templates: with a constant format the compiler leaves nothing of the difference to run time. */
#ifndef DRIVERS_INTEL_RING_H
#define DRIVERS_INTEL_RING_H

#include <string.h>

#include "drivers/nic.h"

enum {
    INTEL_RING = 256, /* a power of two; 4 KiB of descriptors, 170 us at 1 Gb/s and 64 bytes */
    INTEL_MASK = INTEL_RING - 1,
    INTEL_RING_ALIGN = 128, /* more than the 16 of the 8254x (13.4.25): the 82599 wants 128 */
    INTEL_RING_BYTES = INTEL_RING * 16,
};

/* Where things are in the second word of a descriptor. */
struct intel_format {
    uint64_t done, end;    /* received: the descriptor, with the packet's end */
    uint64_t broken;       /* received: errors that make a frame useless */
    uint64_t doubtful;     /* received: a checksum the device found wrong; the kernel judges */
    uint64_t checked;      /* received: the device checked the transport checksum; one bit, or 0 */
    unsigned checked_move; /* how far left of it FRAME_CHECKED is in struct intel_seen */
    unsigned length_shift; /* received */
    uint64_t send;         /* to be sent: the bits of every frame, and */
    uint64_t length;       /* what the length is multiplied by: once for each place it goes to */
};

#define INTEL_TX_EOP  (1ull << 24)
#define INTEL_TX_IFCS (1ull << 25) /* add the FCS */
#define INTEL_TX_RS   (1ull << 27) /* report status: set DD when sent */
#define INTEL_TX_DD   (1ull << 32) /* in both formats */

struct intel_descriptor {
    uint64_t address; /* the device's, of the frame's first byte; advanced: until it is done */
    volatile uint64_t word;
};

struct intel_ring {
    struct intel_descriptor *descriptor;
    struct arch_mmio mmio;
    uint32_t tail_register;
    unsigned next; /* the descriptor we use next */
    union {
        uint64_t *unusable; /* receive: a counter */
        struct {            /* transmit */
            unsigned done;  /* the oldest descriptor not reclaimed, the first of its batch */
            unsigned free;
            unsigned seen_done; /* at since_ns, of intel_transmit_stuck */
            uint64_t since_ns;
            uint8_t last[INTEL_RING]; /* by the first descriptor of a batch: its last */
        };
    };
    struct frame *frame[INTEL_RING];
};

struct intel_pair {
    struct intel_ring receive, transmit;
};

/* Takes the memory of both rings. ERR_NO_MEMORY, which is logged. */
int intel_pair_create(struct nic *nic, struct intel_pair *pair, struct arch_mmio mmio,
                      uint32_t receive_tail, uint32_t transmit_tail);

/* Fills the receive ring with frames of the nic's pool. The caller writes the tail once the device
 * may have them (intel_receive_offer). ERR_NO_MEMORY: too few frames, logged, none taken. */
int intel_receive_fill(struct nic *nic, struct intel_ring *ring);
void intel_receive_offer(struct intel_ring *ring);

/* Frees the frames that were sent. */
void intel_transmit_reclaim(struct frame_pool *pool, struct intel_ring *ring);

/* Rings both doorbells again: a lost one would stall a ring for good, where nothing comes that
 * rings it anew. */
void intel_pair_remind(struct intel_pair *pair);

/* Whether frames have waited to be sent for more than `limit_ns`, the ring not moving. */
bool intel_transmit_stuck(struct intel_ring *ring, uint64_t now_ns, uint64_t limit_ns);

/* Gives all frames of both rings back to the pool; the device no longer uses them. Then they can be
 * filled and begun anew. */
void intel_pair_empty(struct nic *nic, struct intel_pair *pair);

/* ---- the fast path ------------------------------------------------------------------------- */

#define INTEL_TEMPLATE static inline __attribute__((always_inline))

/* What a received frame is told, in the order of struct frame, to be stored at one go. */
enum {
    INTEL_SEEN_OWNER = 16, /* shifts; the length is at 0, kind and reason are 0 */
    INTEL_SEEN_NIC = 24,
    INTEL_SEEN_FLAGS = 48,
    INTEL_SEEN_CHECKED = INTEL_SEEN_FLAGS + 1,
};
_Static_assert(FRAME_CHECKED == 1 << (INTEL_SEEN_CHECKED - INTEL_SEEN_FLAGS), "see above");
_Static_assert(offsetof(struct frame, length) % 8 == 0 &&
                   offsetof(struct frame, owner) == offsetof(struct frame, length) + 2 &&
                   offsetof(struct frame, nic) == offsetof(struct frame, length) + 3 &&
                   offsetof(struct frame, flags) == offsetof(struct frame, length) + 6,
               "struct frame is as intel_take stores it");
_Static_assert((FRAME_ROOM & (FRAME_ROOM - 1)) == 0, "lengths are checked by a mask");

/* Takes the frame of a good descriptor, and gives the descriptor a fresh one. */
INTEL_TEMPLATE struct frame *intel_take(struct intel_descriptor *descriptor, struct frame **slot,
                                        struct frame *fresh, uint64_t word, uint64_t seen,
                                        const struct intel_format *format)
{
    struct frame *full = *slot;
    __builtin_prefetch((uint8_t *)full + FRAME_METADATA + FRAME_HEADROOM);
    *slot = fresh;
    descriptor->address = fresh->dma + FRAME_METADATA + FRAME_HEADROOM;
    descriptor->word = 0;
    frame_reset(fresh);
    fresh->owner = FRAME_OF_RECEIVE_RING;
    seen |= (uint16_t)(word >> format->length_shift);
    seen |= (word & format->checked) << format->checked_move;
    memcpy((uint8_t *)full + offsetof(struct frame, length), &seen, sizeof seen);
    return full; /* data still is where frame_reset put it */
}

/* Everything a good frame's word must say is compared at once: done, whole, no error, and a length
 * below the buffer's, which no frame on the wire comes up to. */
INTEL_TEMPLATE uint64_t intel_expect_mask(const struct intel_format *format)
{
    uint64_t too_long = (uint64_t)(UINT16_MAX & ~(FRAME_ROOM - 1)) << format->length_shift;
    return format->done | format->end | format->broken | too_long;
}

/* Whether there is something for intel_receive; a look that finds nothing costs no more than this. */
INTEL_TEMPLATE bool intel_received(const struct intel_ring *ring, const struct intel_format *format)
{
    return ring->descriptor[ring->next].word & format->done;
}

/* See struct nic_driver. Neither direction reads a register: what the device wrote is told by the
 * done bits it sets in memory; head registers would cost a bus round trip, and may run ahead of the
 * write-back.
 *
 * Runs of good frames go through the inner loop. Frames never span descriptors, as buffers hold
 * more than the longest; one without an end is as broken as one with an error. Broken ones, and
 * those the pool has no replacement for (it counts them, as DROP_NO_FRAME), stay in the ring. A
 * checksum that the device found wrong takes no more than its word for a right one away: devices
 * have been wrong about them, and a forwarded frame's are not ours to judge. */
INTEL_TEMPLATE unsigned intel_receive(struct nic *nic, struct intel_ring *ring,
                                      const struct intel_format *format, struct frame **frames,
                                      unsigned max)
{
    struct frame_pool *pool = nic->pool;
    const uint64_t mask = intel_expect_mask(format), expect = format->done | format->end;
    const uint64_t seen = (uint64_t)FRAME_OF_LOOP << INTEL_SEEN_OWNER | (uint64_t)nic->index
                                                                            << INTEL_SEEN_NIC;
    unsigned next = ring->next, got = 0, kept = 0;
    for (;;) {
        size_t run = max - got, i = 0;
        run = run < INTEL_RING - next ? run : INTEL_RING - next;
        run = run < pool->free_count ? run : pool->free_count;
        struct intel_descriptor *descriptor = ring->descriptor + next;
        struct frame **slot = ring->frame + next, **fresh = pool->free + pool->free_count;
        struct frame **out = frames + got;
        for (; i < run; i++) {
            uint64_t word = descriptor[i].word;
            if (__builtin_expect((word & (mask | format->doubtful)) != expect, 0)) {
                if ((word & mask) != expect)
                    break;
                word &= ~format->checked;
            }
            arch_read_barrier(); /* the done bit before what was written ahead of it: the frame */
            out[i] = intel_take(&descriptor[i], &slot[i], *--fresh, word, seen, format);
        }
        pool->free_count -= (unsigned)i;
        got += (unsigned)i;
        next = (next + (unsigned)i) & INTEL_MASK;
        if (got == max)
            break;
        uint64_t word = ring->descriptor[next].word;
        if (!(word & format->done))
            break;
        bool good = (word & mask) == expect;
        if (good && pool->free_count) {
            if (i == 0)
                break; /* done since: next time, or a device that wavers would hold us here */
            continue;  /* behind the ring's end, or likewise */
        }
        *(good ? pool->exhausted : ring->unusable) += 1;
        ring->descriptor[next].address = frame_dma(ring->frame[next]);
        ring->descriptor[next].word = 0;
        next = (next + 1) & INTEL_MASK;
        if (++kept == INTEL_RING)
            break; /* once round, whatever the device writes meanwhile */
    }
    if (got + kept == 0)
        return 0;
    ring->next = next;
    intel_receive_offer(ring);
    return got;
}

INTEL_TEMPLATE unsigned intel_transmit(struct nic *nic, struct intel_ring *ring,
                                       const struct intel_format *format, struct frame **frames,
                                       unsigned count)
{
    if (ring->free < count) {
        intel_transmit_reclaim(nic->pool, ring);
        if (ring->free < count)
            count = ring->free;
    }
    if (count == 0)
        return 0;
    unsigned next = ring->next, first = next, at = 0;
    uint64_t bytes = 0;
    struct intel_descriptor *descriptor;
    do {
        unsigned run = count - at < INTEL_RING - next ? count - at : INTEL_RING - next;
        struct frame **slot = ring->frame + next, **in = frames + at;
        descriptor = ring->descriptor + next;
        for (unsigned i = 0; i < run; i++) {
            struct frame *frame = slot[i] = in[i];
            frame->owner = FRAME_OF_TRANSMIT_RING;
            descriptor[i].address = frame_dma(frame);
            descriptor[i].word = format->send | frame->length * format->length;
            bytes += frame->length;
        }
        descriptor += run - 1;
        at += run;
        next = (next + run) & INTEL_MASK;
    } while (at < count);
    /* One report a batch: the device sends in order, so the last one's says it of all. */
    descriptor->word |= INTEL_TX_RS;
    ring->last[first] = (uint8_t)(next - 1);
    ring->free -= count;
    ring->next = next;
    *nic->count.tx_bytes += bytes;
    arch_write_barrier(); /* the descriptors before the tail that shows them */
    arch_mmio_write32(ring->mmio, ring->tail_register, next);
    return count;
}

#endif
