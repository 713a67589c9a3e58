/* What the parts of the 82599 model share with each other. */
#ifndef TESTS_MODEL_IXGBE_PARTS_H
#define TESTS_MODEL_IXGBE_PARTS_H

#include "drivers/ixgbe/registers.h"
#include "tests/model/ixgbe_model.h"

#define REG(name) (model->reg[IXGBE_##name / 4])

#define MODEL_US 1000ull
#define MODEL_MS 1000000ull

/* Times that the datasheet gives as ranges or not at all; what matters is that none is zero. */
enum {
    MODEL_RESET_US = 1000,      /* CTRL.RST: "approximately 1 ms", 8.2.3.1.1 */
    MODEL_LOAD_US = 3000,       /* then the EEPROM is read and DMA initialised, 4.6.3 */
    MODEL_ENABLE_US = 20,       /* of a queue, 4.6.7.1 */
    MODEL_EERD_US = 10,         /* a word of the EEPROM, 8.2.3.2.2 */
    MODEL_MDIO_US = 60,         /* 64 bits at 2.4 MHz and a pause */
    MODEL_LINK_US = 2000,       /* SFI synchronises */
    MODEL_BACKPLANE_US = 50000, /* KX4 negotiates */
    MODEL_LATE_US = 20000,
    MODEL_FLAP_US = 200000,
};

/* ---- ixgbe_model.c ---- */

/* Counts one occurrence of the fault, if it is to occur. */
bool model_fault(struct ixgbe_model *model, enum ixgbe_fault fault);

/* Notes a violation if `broken`: "SECTION: " is put in front of the sentence. Gives `broken`. */
__attribute__((format(printf, 4, 5))) bool
model_forbid(struct ixgbe_model *model, bool broken, const char *section, const char *format, ...);

/* Memory behind a bus address, or NULL, which is a violation by `what`. */
void *model_dma(struct ixgbe_model *model, uint64_t address, size_t bytes, const char *what,
                unsigned index);

void model_interrupt_cause(struct ixgbe_model *model, uint32_t causes);

/* ---- ixgbe_register.c ---- */

/* All registers to what they are after a reset. */
void model_registers_reset(struct ixgbe_model *model);

/* "RDT[3]" for an offset; `text` is returned. */
const char *model_register_name(const struct ixgbe_model *model, uint32_t offset, char text[32]);
const char *model_register_section(const struct ixgbe_model *model, uint32_t offset);

/* ---- ixgbe_ring.c ---- */

/* The words of a queue's registers, in order from IXGBE_RDBAL or IXGBE_TDBAL on. */
enum {
    QUEUE_BASE,
    QUEUE_BASE_HIGH,
    QUEUE_LENGTH,
    QUEUE_DCA,
    QUEUE_HEAD,
    QUEUE_SRRCTL,
    QUEUE_TAIL,
    QUEUE_CONTROL = 10,
    QUEUE_WRITE_BACK = 14,
    QUEUE_WRITE_BACK_HIGH,
};
uint32_t *model_queue_registers(struct ixgbe_model *model, const struct ixgbe_model_queue *queue);

/* How many descriptors from `from` on up to, not including, `to`. */
uint32_t model_queue_between(struct ixgbe_model *model, const struct ixgbe_model_queue *queue,
                             uint32_t from, uint32_t to);

/* If the register is one of a queue's: writes it, and what follows from that. False: it is not,
 * and nothing was done. */
bool model_queue_write(struct ixgbe_model *model, uint32_t offset, uint32_t value);

/* The same for reads; `value` is what the register holds, and may be changed. */
void model_queue_read(struct ixgbe_model *model, uint32_t offset, uint32_t *value);

void model_queues_reset(struct ixgbe_model *model);
void model_queues_tick(struct ixgbe_model *model);

/* How many descriptors the device may use now. */
uint32_t model_available(struct ixgbe_model *model, struct ixgbe_model_queue *queue);

/* Takes the device's next descriptor, of which there must be one; the head moves on. */
struct ixgbe_descriptor model_take(struct ixgbe_model *model, struct ixgbe_model_queue *queue,
                                   uint32_t *index);

/* Gives back all descriptors up to and with this one, which then holds `value`. */
void model_give(struct ixgbe_model *model, struct ixgbe_model_queue *queue, uint32_t index,
                struct ixgbe_descriptor value);

/* Raises what IVAR says of this queue's cause. */
void model_queue_cause(struct ixgbe_model *model, const struct ixgbe_model_queue *queue);

/* ---- ixgbe_receive.c, ixgbe_transmit.c ---- */

/* Frames in the packet buffer go to the rings that have descriptors. */
void model_receive_more(struct ixgbe_model *model);

/* Descriptors of the queue are sent. */
void model_transmit(struct ixgbe_model *model, struct ixgbe_model_queue *queue);

/* ---- ixgbe_headers.c ---- */

/* What the device sees in a frame, whose bits are those of the packet type, 7.1.6.2. */
enum {
    HEADER_IPV4 = 1 << 0,
    HEADER_IPV4_OPTIONS = 1 << 1,
    HEADER_IPV6 = 1 << 2,
    HEADER_IPV6_OPTIONS = 1 << 3,
    HEADER_TCP = 1 << 4,
    HEADER_UDP = 1 << 5,
    HEADER_SCTP = 1 << 6,
};

struct model_headers {
    unsigned type;
    bool vlan;
    uint16_t tag;
    uint16_t l3, l4, end; /* offsets; l4: 0 where there is none, as in all but first fragments */
    bool fragment;
    bool ip_checked, ip_good;           /* the IPv4 header's checksum */
    bool l4_checked, l4_good, udp_zero; /* TCP's or UDP's; udp_zero: the sender left it out */
};

void model_headers(const uint8_t *frame, size_t length, uint16_t vlan_type,
                   struct model_headers *headers);

/* The ones' complement sum of bytes, not inverted, going on from `sum`. */
uint32_t model_sum(const uint8_t *bytes, size_t length, uint32_t sum);
uint16_t model_fold(uint32_t sum);

/* The RSS hash and its type (7.1.2.8.1), 0 for none. */
unsigned model_rss(const struct ixgbe_model *model, const uint8_t *frame,
                   const struct model_headers *headers, uint32_t *hash);

/* ---- ixgbe_statistics.c ---- */

enum model_direction { MODEL_IN, MODEL_OUT };

/* A frame came, whatever becomes of it. */
void model_count_seen(struct ixgbe_model *model, size_t length);

/* A good frame passed the MAC. `length` is without its CRC. */
void model_count_frame(struct ixgbe_model *model, enum model_direction direction,
                       const uint8_t *frame, size_t length);

/* A good frame was given to, or taken from, a queue. */
void model_count_queue(struct ixgbe_model *model, enum model_direction direction, unsigned queue,
                       size_t length);

/* ---- ixgbe_link.c ---- */

void model_module_start(struct ixgbe_model *model);
void model_link_reset(struct ixgbe_model *model);
void model_link_tick(struct ixgbe_model *model);
uint32_t model_read_links(struct ixgbe_model *model);
void model_write_autoc(struct ixgbe_model *model, uint32_t value);
uint32_t model_read_i2c(struct ixgbe_model *model);
void model_write_i2c(struct ixgbe_model *model, uint32_t value);
void model_write_mdio(struct ixgbe_model *model, uint32_t value);

/* ---- ixgbe_eeprom.c ---- */

void model_eeprom_start(struct ixgbe_model *model, const uint8_t mac[6]);
void model_eeprom_load(struct ixgbe_model *model);
uint32_t model_read_eerd(struct ixgbe_model *model);
void model_write_eerd(struct ixgbe_model *model, uint32_t value);
uint32_t model_read_swsm(struct ixgbe_model *model);

#endif
