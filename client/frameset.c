/* Frames in and out, in batches, through the rings of a frameset. */
#include "internal.h"

#include <string.h>

enum { FRAME_ROOM = PIGLET_SLOT_BYTES - PIGLET_FRAME_DATA, OPEN_US = 5000000 };

/* ---- opening and closing --------------------------------------------------------------------- */

/* The ring in a memory that Alloc_Mem gave; its slots are as many as lie in the window's data. */
static struct piglet_ring *ring_use(const struct piglet *piglet, uint64_t result, uint32_t *slots)
{
    uint64_t offset = piglet_result_offset(result);
    struct piglet_ring *ring = (struct piglet_ring *)piglet_memory(piglet, offset, PIGLET_PAGE);
    if (!ring)
        return NULL;
    *slots = ring->slots;
    uint64_t bytes = PIGLET_PAGE + (uint64_t)*slots * PIGLET_SLOT_BYTES;
    return *slots && piglet_memory(piglet, offset, bytes) ? ring : NULL;
}

int piglet_frameset_use(struct piglet *piglet, uint64_t transmit, uint64_t receive, uint64_t made,
                        struct piglet_frameset *frameset)
{
    memset(frameset, 0, sizeof *frameset);
    frameset->piglet = piglet;
    frameset->capability = piglet_result_capability(made);
    frameset->transmit = piglet_result_capability(transmit);
    frameset->receive = piglet_result_capability(receive);
    frameset->tx = ring_use(piglet, transmit, &frameset->tx_slots);
    frameset->rx = ring_use(piglet, receive, &frameset->rx_slots);
    return frameset->tx && frameset->rx ? 0 : ERR_INVALID;
}

int piglet_frameset_open(struct piglet *piglet, uint32_t tx_pages, uint32_t rx_pages,
                         struct piglet_frameset *frameset)
{
    struct piglet_chain chain;
    uint64_t result[3] = {0};
    memset(frameset, 0, sizeof *frameset);
    piglet_chain_begin(piglet, &chain, PIGLET_ATOMIC);
    int transmit = piglet_chain_alloc_mem(&chain, tx_pages);
    int receive = piglet_chain_alloc_mem(&chain, rx_pages);
    piglet_chain_make_frameset(&chain, piglet_reference(transmit), piglet_reference(receive));
    int64_t number = piglet_post(&chain);
    int error = piglet_wait(piglet, number, OPEN_US, NULL);
    for (int i = 0; !error && i < 3; i++)
        error = piglet_result(piglet, number, i + 1, &result[i], NULL);
    return error ? error : piglet_frameset_use(piglet, result[0], result[1], result[2], frameset);
}

int piglet_frameset_close(struct piglet_frameset *frameset)
{
    struct piglet *piglet = frameset->piglet;
    struct piglet_chain chain;
    if (!piglet)
        return 0;
    piglet_chain_begin(piglet, &chain, 0);
    piglet_chain_cap_drop(&chain, piglet_capability(frameset->capability));
    piglet_chain_free_mem(&chain, piglet_capability(frameset->transmit));
    piglet_chain_free_mem(&chain, piglet_capability(frameset->receive));
    int error = piglet_wait(piglet, piglet_post(&chain), OPEN_US, NULL);
    memset(frameset, 0, sizeof *frameset);
    return error;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static uint8_t *slot_at(struct piglet_ring *ring, uint32_t slot)
{
    return (uint8_t *)ring + PIGLET_PAGE + (size_t)slot * PIGLET_SLOT_BYTES;
}

/* How many frames are there that piglet_receive has not shown; a number that cannot be, from a
 * kernel that is starting anew, is none. */
static uint32_t received(const struct piglet_frameset *frameset)
{
    uint32_t count = __atomic_load_n(&frameset->rx->produced, __ATOMIC_ACQUIRE) - frameset->rx_next;
    return count <= frameset->rx_slots ? count : 0;
}

unsigned piglet_receive(struct piglet_frameset *frameset, struct piglet_view *views, unsigned max)
{
    uint32_t count = received(frameset);
    if (count > max)
        count = max;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *slot = slot_at(frameset->rx, frameset->rx_slot);
        memcpy(&views[i].frame, slot, sizeof views[i].frame);
        views[i].data = slot + PIGLET_FRAME_DATA;
        if (views[i].frame.length > FRAME_ROOM)
            views[i].frame.length = FRAME_ROOM;
        frameset->rx_slot = frameset->rx_slot + 1 < frameset->rx_slots ? frameset->rx_slot + 1 : 0;
    }
    frameset->rx_next += count;
    return count;
}

void piglet_receive_done(struct piglet_frameset *frameset)
{
    __atomic_store_n(&frameset->rx->consumed, frameset->rx_next, __ATOMIC_RELEASE);
}

static int receive_ready(struct piglet *piglet, void *what)
{
    (void)piglet;
    return received((const struct piglet_frameset *)what) > 0;
}

int piglet_receive_wait(struct piglet_frameset *frameset, int64_t timeout_us)
{
    return piglet_wait_until(frameset->piglet, receive_ready, frameset, timeout_us);
}

/* ---- sending --------------------------------------------------------------------------------- */

unsigned piglet_send_slots(struct piglet_frameset *frameset, struct piglet_view *views,
                           unsigned max)
{
    uint32_t used = frameset->tx_next - __atomic_load_n(&frameset->tx->consumed, __ATOMIC_ACQUIRE);
    uint32_t count = used <= frameset->tx_slots ? frameset->tx_slots - used : 0;
    uint32_t slot = frameset->tx_slot;
    if (count > max)
        count = max;
    for (uint32_t i = 0; i < count; i++) {
        views[i].data = slot_at(frameset->tx, slot) + PIGLET_FRAME_DATA;
        memset(&views[i].frame, 0, sizeof views[i].frame);
        slot = slot + 1 < frameset->tx_slots ? slot + 1 : 0;
    }
    return count;
}

int piglet_send(struct piglet_frameset *frameset, const struct piglet_view *views, unsigned count)
{
    uint32_t slot = frameset->tx_slot;
    if (count > frameset->tx_slots)
        return ERR_ARGUMENT;
    for (unsigned i = 0; i < count; i++) {
        uint8_t *place = slot_at(frameset->tx, slot);
        if (views[i].data != place + PIGLET_FRAME_DATA)
            return ERR_ARGUMENT;
        if (views[i].frame.length > PIGLET_FRAME_MAX)
            return ERR_RANGE;
        memcpy(place, &views[i].frame, sizeof views[i].frame);
        slot = slot + 1 < frameset->tx_slots ? slot + 1 : 0;
    }
    frameset->tx_slot = slot;
    frameset->tx_next += count;
    __atomic_store_n(&frameset->tx->produced, frameset->tx_next, __ATOMIC_RELEASE);
    piglet_ring_if_needed(frameset->piglet);
    return 0;
}
