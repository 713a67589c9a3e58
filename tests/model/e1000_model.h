/* A model of the 8254x and 82574L controllers, in this process, that misbehaves on command.
 *
 * It obeys the registers the way the Software Developer's Manual says, moves frames between its
 * wire and the rings in memory (a DMA address is a pointer), and is strict: software that does what
 * the manual forbids ends the test with a line on stderr. */
#ifndef TESTS_MODEL_E1000_MODEL_H
#define TESTS_MODEL_E1000_MODEL_H

#include "arch/arch.h"

enum {
    E1000_MODEL_BYTES = 128 << 10,
    E1000_MODEL_SENT = 512,    /* frames sent that are kept to look at */
    E1000_MODEL_PENDING = 512, /* write-backs that may be late at once */
};

struct e1000_model_frame {
    uint16_t length;
    uint8_t data[2048];
};

struct e1000_model {
    const struct arch_model_ops *ops; /* first: what struct arch_mmio expects */
    uint16_t device;
    bool pcie;
    bool link;
    unsigned speed; /* as in STATUS: 0, 1, 2 for 10, 100, 1000 Mb/s */
    uint16_t eeprom[64];
    uint32_t reg[E1000_MODEL_BYTES / 4];

    struct { /* what a test may ask for */
        bool stuck_reset;
        bool stuck_master;   /* STATUS.MASTER never clears */
        bool eeprom_silent;  /* EERD never says it is done */
        bool late;           /* descriptors are written back by e1000_model_write_back only */
        bool gone;           /* pulled out */
        uint64_t receive_or; /* into the second word of received descriptors */
        uint64_t receive_clear;
    } fault;

    unsigned register_reads, receive_tails, transmit_tails, receive_controls; /* the last: RCTL */
    unsigned received, missed, filtered, sent;                                /* frames */

    uint64_t reset_ns;
    bool reset_done;
    unsigned eerd_busy; /* reads of EERD until it is done */
    unsigned sent_taken, pending_count;
    struct {
        uint64_t *word, value;
    } pending[E1000_MODEL_PENDING];
    struct e1000_model_frame kept[E1000_MODEL_SENT];
};

/* A device just powered on, with this MAC address in its EEPROM; `device` is the PCI device id. */
void e1000_model_start(struct e1000_model *model, uint16_t device, const uint8_t mac[6]);

/* Makes the EEPROM's checksum right again after a change. */
void e1000_model_fix_eeprom(struct e1000_model *model);

/* Adds it to the simulated machine as PCI device `slot`. */
void e1000_model_add(struct e1000_model *model, unsigned slot);

/* A frame arrives on the wire. False: not received (no link, not enabled, filtered, no descriptor).
 */
bool e1000_model_inject(struct e1000_model *model, const void *data, size_t length);

/* The oldest frame sent and not yet taken, or NULL; valid until E1000_MODEL_SENT more were sent. */
const struct e1000_model_frame *e1000_model_sent(struct e1000_model *model);

/* Writes back what `fault.late` held up. */
void e1000_model_write_back(struct e1000_model *model);

void e1000_model_link(struct e1000_model *model, bool up);

/* The causes that are let through to the interrupt line. */
uint32_t e1000_model_interrupt(const struct e1000_model *model);

#endif
