/* Legacy descriptor rings: the whole fast path of the Intel drivers.
 *
 * Neither direction reads a register. What the device wrote is told by the DD bits it sets in
 * memory; head registers would cost a bus round trip, and may run ahead of the write-back. */
#include "drivers/intel/ring.h"

enum { INTEL_MASK = INTEL_RING - 1 };

_Static_assert((INTEL_RING & INTEL_MASK) == 0, "wrapping is a mask");
_Static_assert(INTEL_RING <= 256, "intel_ring.last holds indexes in 8 bits");
_Static_assert(sizeof(struct intel_descriptor) == 16, "as the device reads it");

static int intel_ring_create(struct intel_ring *ring, struct arch_mmio mmio, uint32_t tail_register)
{
    ring->descriptor = arch_memory_take(INTEL_RING_BYTES, INTEL_RING_ALIGN);
    ring->mmio = mmio;
    ring->tail_register = tail_register;
    return ring->descriptor ? 0 : ERR_NO_MEMORY;
}

int intel_rings_create(struct nic *nic, struct arch_mmio mmio, uint32_t receive_tail,
                       uint32_t transmit_tail, uint8_t errors)
{
    struct intel_rings *rings = nic->driver_state;
    if (intel_ring_create(&rings->receive, mmio, receive_tail) < 0 ||
        intel_ring_create(&rings->transmit, mmio, transmit_tail) < 0) {
        nic_log(nic, LOG_ERROR, "no memory for descriptor rings");
        return ERR_NO_MEMORY;
    }
    rings->receive.expect = INTEL_RX_DD | INTEL_RX_EOP;
    rings->receive.expect_mask = rings->receive.expect | (uint64_t)errors << INTEL_RX_ERROR_SHIFT;
    rings->receive.unusable = nic_counter(
        nic, "rx_unusable", "receive descriptors with an error, no end or an impossible length");
    rings->transmit.free = INTEL_RING - 1;
    return 0;
}

int intel_receive_fill(struct nic *nic)
{
    struct intel_ring *ring = &((struct intel_rings *)nic->driver_state)->receive;
    for (unsigned i = 0; i < INTEL_RING; i++) {
        struct frame *frame = frame_alloc(nic->pool);
        if (!frame) {
            nic_log(nic, LOG_ERROR, "no frames to receive into: the pool gave %u of %d", i,
                    INTEL_RING);
            intel_rings_empty(nic);
            return ERR_NO_MEMORY;
        }
        frame->owner = FRAME_OF_RECEIVE_RING;
        ring->frame[i] = frame;
        ring->descriptor[i].address = frame_dma(frame);
        ring->descriptor[i].word = 0;
    }
    return 0;
}

/* The tail is the last descriptor we took: it has a fresh frame, and is the one that stays ours. */
void intel_receive_offer(struct intel_ring *ring)
{
    arch_write_barrier(); /* the descriptors before the tail that shows them */
    arch_mmio_write32(ring->mmio, ring->tail_register, (ring->next - 1) & INTEL_MASK);
}

/* Everything a good frame's word must say is compared at once, DD included. Frames never span
 * descriptors: buffers hold 2,048 bytes and the device takes no more than 1,522 (no LPE), so that
 * one without EOP is as broken as one with an error. Broken ones, and those the pool has no
 * replacement for (it counts them, as DROP_NO_FRAME), stay in the ring. */
unsigned intel_receive(struct nic *nic, struct frame **frames, unsigned max)
{
    struct intel_ring *ring = &((struct intel_rings *)nic->driver_state)->receive;
    struct frame_pool *pool = nic->pool;
    const uint64_t mask = ring->expect_mask, expect = ring->expect;
    const uint8_t nic_index = nic->index;
    struct frame **out = frames, **end = frames + max;
    unsigned next = ring->next, kept = 0;
    for (; out < end; next = (next + 1) & INTEL_MASK) {
        struct intel_descriptor *descriptor = &ring->descriptor[next];
        uint64_t word = descriptor->word;
        bool good = (word & mask) == expect && INTEL_RX_LENGTH(word) <= FRAME_ROOM;
        if (__builtin_expect(!good, 0) && !(word & INTEL_RX_DD))
            break;
        arch_read_barrier(); /* the DD before what the device wrote ahead of it: the frame */
        descriptor->word = 0;
        struct frame *fresh = __builtin_expect(good, 1) ? frame_alloc(pool) : NULL;
        if (__builtin_expect(!fresh, 0)) {
            *ring->unusable += !good;
            if (++kept == INTEL_RING)
                end = out; /* once round, whatever the device writes meanwhile */
            continue;
        }
        struct frame *full = ring->frame[next];
        __builtin_prefetch((uint8_t *)full + FRAME_METADATA + FRAME_HEADROOM);
        ring->frame[next] = fresh;
        descriptor->address = frame_dma(fresh);
        fresh->owner = FRAME_OF_RECEIVE_RING;
        full->length = (uint16_t)INTEL_RX_LENGTH(word);
        full->owner = FRAME_OF_LOOP;
        full->nic = nic_index;
        full->flags = 0; /* data still is where frame_alloc put it */
        *out++ = full;
    }
    if (out == frames && kept == 0)
        return 0;
    ring->next = next;
    intel_receive_offer(ring);
    return (unsigned)(out - frames);
}

void intel_transmit_reclaim(struct nic *nic)
{
    struct intel_ring *ring = &((struct intel_rings *)nic->driver_state)->transmit;
    unsigned done = ring->done, freed = 0;
    while (done != ring->next) {
        unsigned last = ring->last[done];
        if (!(ring->descriptor[last].word & INTEL_TX_DD))
            break;
        /* A batch may lie across the ring's end: then it is two pieces. */
        if (last < done) {
            frame_free_all(nic->pool, ring->frame + done, INTEL_RING - done);
            freed += INTEL_RING - done;
            done = 0;
        }
        frame_free_all(nic->pool, ring->frame + done, last + 1 - done);
        freed += last + 1 - done;
        done = (last + 1) & INTEL_MASK;
    }
    ring->done = done;
    ring->free += freed;
}

unsigned intel_transmit(struct nic *nic, struct frame **frames, unsigned count)
{
    struct intel_ring *ring = &((struct intel_rings *)nic->driver_state)->transmit;
    if (ring->free < count) {
        intel_transmit_reclaim(nic);
        if (ring->free < count)
            count = ring->free;
    }
    if (count == 0)
        return 0;
    unsigned next = ring->next, last = next;
    ring->free -= count;
    for (unsigned i = 0; i < count; i++) {
        struct frame *frame = frames[i];
        frame->owner = FRAME_OF_TRANSMIT_RING;
        last = next;
        ring->frame[last] = frame;
        ring->descriptor[last].address = frame_dma(frame);
        ring->descriptor[last].word = frame->length | INTEL_TX_EOP | INTEL_TX_IFCS;
        next = (next + 1) & INTEL_MASK;
    }
    /* One report a batch: the device sends in order, so the last one's says it of all. */
    ring->descriptor[last].word |= INTEL_TX_RS;
    ring->last[ring->next] = (uint8_t)last;
    ring->next = next;
    arch_write_barrier(); /* the descriptors before the tail that shows them */
    arch_mmio_write32(ring->mmio, ring->tail_register, next);
    return count;
}

void intel_rings_empty(struct nic *nic)
{
    struct intel_rings *rings = nic->driver_state;
    struct intel_ring *ring = &rings->receive;
    for (unsigned i = 0; i < INTEL_RING; i++) {
        if (ring->frame[i])
            frame_free(nic->pool, ring->frame[i]);
        ring->frame[i] = NULL;
    }
    ring = &rings->transmit;
    for (; ring->done != ring->next; ring->done = (ring->done + 1) & INTEL_MASK)
        frame_free(nic->pool, ring->frame[ring->done]);
    ring->free = INTEL_RING - 1;
}
