/* A model of the 82599 10 GbE controller that misbehaves on command.
 *
 * It is a library that knows neither QEMU nor the simulated machine: registers are read and
 * written by calls, time comes by ixgbe_model_tick, frames leave by a callback, and memory is
 * reached by another. It is driven in two ways: in process (ixgbe_sim.h) and behind QEMU's
 * x-pci-proxy-dev (proxy/).
 *
 * Section numbers are those of the "Intel 82599 10 GbE Controller Datasheet". What the datasheet
 * forbids is a violation: a sentence that names register or descriptor, value and section. The
 * model counts it, hands it to the callback, and goes on as the device most likely would. */
#ifndef TESTS_MODEL_IXGBE_MODEL_H
#define TESTS_MODEL_IXGBE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    IXGBE_MODEL_BYTES = 128 << 10,
    IXGBE_MODEL_QUEUES = 16, /* pairs, as many as RSS spreads to; the device has 128 */
    IXGBE_MODEL_RING = 8192, /* descriptors at most: RDLEN is up to 128 KiB, 8.2.3.8.3 */
    IXGBE_MODEL_FRAME = 16 << 10,
    IXGBE_MODEL_BUFFER = 512 << 10, /* the receive packet buffer, 3.7.7.3.1 */
    IXGBE_MODEL_EEPROM_WORDS = 512,
    IXGBE_MODEL_SENTENCE = 192,
    IXGBE_MODEL_LATE = 1024, /* write-backs that may be late at once */
};

/* What the model does wrong when told to. Each is set to how often: see ixgbe_model_fault. */
#define IXGBE_FAULTS(X)                                                                            \
    X(LATE, "late", "write-backs come 20 ms later")                                                \
    X(LOST_DOORBELL, "lost-doorbell", "writes of a tail register are lost")                        \
    X(STUCK_RESET, "stuck-reset", "CTRL.RST never clears")                                         \
    X(STUCK_MASTER, "stuck-master", "STATUS.GIO_MASTER_ENABLE never clears")                       \
    X(STUCK_ENABLE, "stuck-enable", "RXDCTL.ENABLE and TXDCTL.ENABLE never read as one")           \
    X(STUCK_DMA, "stuck-dma", "RDRXCTL.DMAIDONE never reads as one")                               \
    X(EEPROM_SILENT, "eeprom-silent", "EERD never says it is done")                                \
    X(EEPROM_CHECKSUM, "eeprom-checksum", "the EEPROM's checksum is wrong")                        \
    X(NO_MODULE, "no-module", "the SFP+ cage is empty")                                            \
    X(LINK_DOWN, "link-down", "the wire is cut")                                                   \
    X(LINK_FLAP, "link-flap", "the link goes down for 200 ms")                                     \
    X(BAD_CHECKSUM, "bad-checksum", "received frames are said to have wrong checksums")            \
    X(RECEIVE_ERROR, "receive-error", "received frames are said to have a receive error")          \
    X(NO_END, "no-end", "received frames come without EOP")                                        \
    X(BAD_LENGTH, "bad-length", "received frames are said to be longer than their buffers")        \
    X(NO_DMA, "no-dma", "descriptors are neither read nor written")                                \
    X(GONE, "gone", "the device was pulled out: all ones")

enum ixgbe_fault {
#define IXGBE_FAULT_ENUM(name, word, help) IXGBE_FAULT_##name,
    IXGBE_FAULTS(IXGBE_FAULT_ENUM)
#undef IXGBE_FAULT_ENUM
        IXGBE_FAULT_COUNT,
};

#define IXGBE_ALWAYS UINT32_MAX

extern const char *const ixgbe_fault_word[IXGBE_FAULT_COUNT];
extern const char *const ixgbe_fault_help[IXGBE_FAULT_COUNT];

/* Whoever runs the model. All but `translate` and `send` may be NULL. */
struct ixgbe_model_host {
    void *argument;
    /* Memory behind a bus address, or NULL: not all of it is memory. */
    void *(*translate)(void *argument, uint64_t address, size_t bytes);
    /* A frame leaves on the wire, without its CRC. */
    void (*send)(void *argument, const uint8_t *frame, size_t length);
    void (*violation)(void *argument, const char *sentence);
};

struct ixgbe_descriptor {
    uint64_t address, word;
};

struct ixgbe_model_queue {
    bool receive;
    uint8_t index;
    bool enabled;      /* the device uses it */
    bool seen_enabled; /* software has read ENABLE as one */
    uint64_t
        enable_ns; /* when it will be, while ENABLE is set and it is not; 0: it waits for nothing */
    uint32_t done; /* the oldest descriptor of the device's not yet written back */
    uint64_t frames;
    /* Transmit: the contexts of 7.2.3.2.3, and a frame whose descriptors come one by one. */
    struct ixgbe_descriptor context[2];
    bool context_set[2];
    struct ixgbe_descriptor first; /* of the frame */
    uint32_t length, buffers;
    uint32_t unwritten; /* descriptors sent and held back by WTHRESH */
    uint8_t frame[IXGBE_MODEL_FRAME];
    /* What the device's descriptors held when they were handed over. */
    struct ixgbe_descriptor shadow[IXGBE_MODEL_RING];
};

struct ixgbe_model {
    struct ixgbe_model_host host;
    uint16_t device; /* PCI device id */
    bool bus_master; /* of the PCI command register */
    uint64_t now_ns;
    uint32_t reg[IXGBE_MODEL_BYTES / 4];
    uint16_t kind[IXGBE_MODEL_BYTES / 4]; /* which row of the table, plus one; 0: no register */
    uint32_t reads[IXGBE_MODEL_BYTES / 4], writes[IXGBE_MODEL_BYTES / 4];

    uint32_t fault[IXGBE_FAULT_COUNT]; /* how often still */
    uint32_t violations;
    char first_violation[IXGBE_MODEL_SENTENCE], last_violation[IXGBE_MODEL_SENTENCE];

    uint64_t received, sent, missed, filtered; /* frames, since the start */

    uint64_t reset_ns;  /* when CTRL.RST clears; 0: no reset is under way */
    uint64_t loaded_ns; /* when the EEPROM is read and DMA initialised */
    uint64_t link_ns;   /* when the link may come up */
    uint64_t flap_ns;   /* when a flap ends */
    bool link, link_was_down;

    uint16_t eeprom[IXGBE_MODEL_EEPROM_WORDS];
    uint64_t eerd_ns;
    uint64_t mdio_ns;
    struct ixgbe_model_i2c {
        uint8_t state, bits, byte, pointer;
        bool data; /* what the module puts on the line */
    } i2c;
    uint8_t module[256]; /* the SFP+ module's EEPROM, SFF-8472 */

    struct ixgbe_model_queue rx[IXGBE_MODEL_QUEUES], tx[IXGBE_MODEL_QUEUES];

    struct
    { /* frames received that wait for descriptors: a length and the bytes, again and again */
        uint32_t head, bytes, frames;
        uint8_t data[IXGBE_MODEL_BUFFER];
    } buffer;

    struct { /* oldest first */
        uint32_t first, count;
        struct ixgbe_model_late {
            struct ixgbe_model_queue *queue;
            uint32_t index;
            struct ixgbe_descriptor value;
            uint64_t due_ns;
        } entry[IXGBE_MODEL_LATE];
    } late;
};

/* A device just powered on, with this MAC address in its EEPROM. `device` is the PCI device id:
 * 0x10fb has an SFP+ cage with a module in it, 0x10f7 a KX4 backplane. Bus mastering is off. */
void ixgbe_model_start(struct ixgbe_model *model, uint16_t device, const uint8_t mac[6],
                       const struct ixgbe_model_host *host);

/* The PCI function was reset: all but EEPROM, counts and faults is as after power-on. */
void ixgbe_model_pci_reset(struct ixgbe_model *model);

/* 32-bit accesses at `offset` into the register region. Any other size or alignment is for the
 * caller to split; offsets that are no register are a violation and read as zero. */
uint32_t ixgbe_model_read(struct ixgbe_model *model, uint32_t offset);
void ixgbe_model_write(struct ixgbe_model *model, uint32_t offset, uint32_t value);

/* A frame arrives on the wire, without its CRC. False: not received (no link, not enabled,
 * filtered, no room). */
bool ixgbe_model_receive(struct ixgbe_model *model, const void *frame, size_t length);

/* Whether frames are received at all: there is a link, and the receiver is on. */
bool ixgbe_model_listens(const struct ixgbe_model *model);

/* It is now `now_ns`, of any clock that does not go back: what is due happens. */
void ixgbe_model_tick(struct ixgbe_model *model, uint64_t now_ns);

/* When ixgbe_model_tick has something to do, or UINT64_MAX. */
uint64_t ixgbe_model_next_ns(const struct ixgbe_model *model);

/* From now on the fault happens `times` more times; IXGBE_ALWAYS: until it is set to 0. */
void ixgbe_model_fault(struct ixgbe_model *model, enum ixgbe_fault fault, uint32_t times);

/* Which fault is called `word`, or -1. */
int ixgbe_fault_find(const char *word);

/* Writes back all that is late, now. */
void ixgbe_model_write_back(struct ixgbe_model *model);

/* Makes the EEPROM's checksum right again after a change. */
void ixgbe_model_fix_eeprom(struct ixgbe_model *model);

/* The causes that are let through to the interrupt line or message. */
uint32_t ixgbe_model_interrupt(const struct ixgbe_model *model);

/* Reads and writes of registers, in all and of each that was touched, beside the frames; one a
 * line. */
void ixgbe_model_report(const struct ixgbe_model *model, FILE *out);

/* The Microsoft Toeplitz hash of `bytes` bytes of input, with a key of 40 bytes. */
uint32_t ixgbe_toeplitz(const uint8_t key[40], const uint8_t *input, size_t bytes);

#endif
