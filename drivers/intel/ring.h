/* Legacy descriptor rings, as all Intel gigabit and 82599 controllers have them.
 *
 * A ring is a circle of 16-byte descriptors in memory. The device owns those from its head up to,
 * not including, the tail; software hands it more by writing the tail register. Head == tail means
 * that it owns none, so one descriptor always stays ours. Formats: 8254x 3.2.3 and 3.3.3,
 * 82599 7.1.5 and 7.2.3.2.2; they agree in every field used here. */
#ifndef DRIVERS_INTEL_RING_H
#define DRIVERS_INTEL_RING_H

#include "drivers/nic.h"

enum {
    INTEL_RING = 256, /* a power of two; 4 KiB of descriptors, 170 us at 1 Gb/s and 64 bytes */
    INTEL_RING_ALIGN = 128, /* more than the 16 of the 8254x (13.4.25): the 82599 wants 128 */
    INTEL_RING_BYTES = INTEL_RING * 16,
};

/* Bits of the receive word. */
#define INTEL_RX_LENGTH(word) ((uint32_t)(word)&0xffff)
#define INTEL_RX_DD           (1ull << 32) /* descriptor done */
#define INTEL_RX_EOP          (1ull << 33) /* end of packet */
#define INTEL_RX_ERROR_SHIFT  40

/* Bits of the transmit word, its low half being length and command. */
#define INTEL_TX_EOP  (1ull << 24)
#define INTEL_TX_IFCS (1ull << 25) /* add the FCS */
#define INTEL_TX_RS   (1ull << 27) /* report status: set DD when sent */
#define INTEL_TX_DD   (1ull << 32)

struct intel_descriptor {
    uint64_t address; /* the device's, of the frame's first byte */
    volatile uint64_t word;
};

struct intel_ring {
    struct intel_descriptor *descriptor;
    struct arch_mmio mmio;
    uint32_t tail_register;
    unsigned next; /* the descriptor we use next */
    union {
        struct {                          /* receive */
            uint64_t expect_mask, expect; /* what a good frame's word has where the mask is set */
            uint64_t *unusable;           /* counter */
        };
        struct {           /* transmit */
            unsigned done; /* the oldest descriptor not reclaimed, the first of its batch */
            unsigned free;
            uint8_t last[INTEL_RING]; /* by the first descriptor of a batch: its last */
        };
    };
    struct frame *frame[INTEL_RING];
};

/* A driver's state begins with this, so that intel_receive and intel_transmit are its calls. */
struct intel_rings {
    struct intel_ring receive, transmit;
};

/* Takes the memory of both rings. `errors` are those bits of a receive descriptor's error byte
 * that make a frame useless. ERR_NO_MEMORY, which is logged. */
int intel_rings_create(struct nic *nic, struct arch_mmio mmio, uint32_t receive_tail,
                       uint32_t transmit_tail, uint8_t errors);

/* Fills the receive ring with frames of the nic's pool. The caller writes the tail once the device
 * may have them (intel_receive_offer). ERR_NO_MEMORY: too few frames, logged, none taken. */
int intel_receive_fill(struct nic *nic);
void intel_receive_offer(struct intel_ring *ring);

/* See struct nic_driver. */
unsigned intel_receive(struct nic *nic, struct frame **frames, unsigned max);
unsigned intel_transmit(struct nic *nic, struct frame **frames, unsigned count);

/* Frees the frames that were sent. */
void intel_transmit_reclaim(struct nic *nic);

/* Gives all frames of both rings back to the pool; the device no longer uses them. */
void intel_rings_empty(struct nic *nic);

#endif
