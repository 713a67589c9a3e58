/* The 82599 model as a device of the simulated machine, for drivers under test in this process. */
#ifndef TESTS_MODEL_IXGBE_SIM_H
#define TESTS_MODEL_IXGBE_SIM_H

#include "arch/arch.h"
#include "tests/model/ixgbe_model.h"

enum { IXGBE_SIM_SENT = 512 }; /* frames sent that are kept to look at */

struct ixgbe_sim_frame {
    uint16_t length;
    uint8_t data[IXGBE_MODEL_FRAME];
};

struct ixgbe_sim {
    const struct arch_model_ops *ops; /* first: what struct arch_mmio expects */
    struct ixgbe_model model;
    bool strict; /* a violation ends the test; true unless a test wants to see it */
    unsigned sent, sent_taken;
    struct ixgbe_sim_frame kept[IXGBE_SIM_SENT];
};

/* A device just powered on, strict, with this MAC address; bus mastering is on, as
 * arch_device_enable, which the simulated machine does not tell of, leaves it. */
void ixgbe_sim_start(struct ixgbe_sim *sim, uint16_t device, const uint8_t mac[6]);

/* Adds it to the simulated machine as PCI device `slot`. */
void ixgbe_sim_add(struct ixgbe_sim *sim, unsigned slot);

/* A frame arrives on the wire, now. False: see ixgbe_model_receive. */
bool ixgbe_sim_inject(struct ixgbe_sim *sim, const void *data, size_t length);

/* The model sees what time it is; accesses to registers do the same. */
void ixgbe_sim_tick(struct ixgbe_sim *sim);

/* The oldest frame sent and not yet taken, or NULL; valid until IXGBE_SIM_SENT more were sent. */
const struct ixgbe_sim_frame *ixgbe_sim_sent(struct ixgbe_sim *sim);

#endif
