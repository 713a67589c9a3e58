/* Descriptor rings: what is not done for every frame. */
#include "drivers/intel/ring.h"

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

int intel_pair_create(struct nic *nic, struct intel_pair *pair, struct arch_mmio mmio,
                      uint32_t receive_tail, uint32_t transmit_tail)
{
    if (intel_ring_create(&pair->receive, mmio, receive_tail) < 0 ||
        intel_ring_create(&pair->transmit, mmio, transmit_tail) < 0) {
        nic_log(nic, LOG_ERROR, "no memory for descriptor rings");
        return ERR_NO_MEMORY;
    }
    pair->receive.unusable = nic_counter(
        nic, "rx_unusable", "receive descriptors with an error, no end or an impossible length");
    pair->transmit.free = INTEL_RING - 1;
    return 0;
}

static void intel_receive_empty(struct nic *nic, struct intel_ring *ring)
{
    for (unsigned i = 0; i < INTEL_RING; i++) {
        if (ring->frame[i])
            frame_free(nic->pool, ring->frame[i]);
        ring->frame[i] = NULL;
        ring->descriptor[i].word = 0; /* nothing is done here any more */
    }
}

int intel_receive_fill(struct nic *nic, struct intel_ring *ring)
{
    for (unsigned i = 0; i < INTEL_RING; i++) {
        struct frame *frame = frame_alloc(nic->pool);
        if (!frame) {
            nic_log(nic, LOG_ERROR, "no frames to receive into: the pool gave %u of %d", i,
                    INTEL_RING);
            intel_receive_empty(nic, ring);
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

void intel_transmit_reclaim(struct frame_pool *pool, struct intel_ring *ring)
{
    unsigned done = ring->done, freed = 0;
    while (done != ring->next) {
        unsigned last = ring->last[done];
        if (!(ring->descriptor[last].word & INTEL_TX_DD))
            break;
        /* A batch may lie across the ring's end: then it is two pieces. */
        if (last < done) {
            frame_free_all(pool, ring->frame + done, INTEL_RING - done);
            freed += INTEL_RING - done;
            done = 0;
        }
        frame_free_all(pool, ring->frame + done, last + 1 - done);
        freed += last + 1 - done;
        done = (last + 1) & INTEL_MASK;
    }
    ring->done = done;
    ring->free += freed;
}

void intel_pair_remind(struct intel_pair *pair)
{
    intel_receive_offer(&pair->receive);
    arch_mmio_write32(pair->transmit.mmio, pair->transmit.tail_register, pair->transmit.next);
}

bool intel_transmit_stuck(struct intel_ring *ring, uint64_t now_ns, uint64_t limit_ns)
{
    if (ring->done == ring->next || ring->done != ring->seen_done) {
        ring->seen_done = ring->done;
        ring->since_ns = now_ns;
    }
    return now_ns - ring->since_ns > limit_ns;
}

void intel_pair_empty(struct nic *nic, struct intel_pair *pair)
{
    struct intel_ring *ring = &pair->transmit;
    intel_receive_empty(nic, &pair->receive);
    for (; ring->done != ring->next; ring->done = (ring->done + 1) & INTEL_MASK)
        frame_free(nic->pool, ring->frame[ring->done]);
    ring->free = INTEL_RING - 1;
    ring->next = ring->done = pair->receive.next = 0;
}
