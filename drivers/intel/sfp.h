/* What is in an SFP+ cage: its module's own words (SFF-8472), over I2C lines driven by hand. */
#ifndef DRIVERS_INTEL_SFP_H
#define DRIVERS_INTEL_SFP_H

#include <stdbool.h>
#include <stdint.h>

/* Which bits of a register are the lines of the cage. */
struct intel_i2c {
    const struct intel_device *device;
    uint32_t offset, clock_out, data_out, data_in;
};

struct intel_sfp {
    uint8_t identifier; /* SFF-8472 5.1: 3 is SFP and SFP+ */
    bool fast, slow;    /* says that it can 10 Gb/s, 1 Gb/s */
    const char *name;   /* for people: "10GBASE-SR" */
};

/* Asks the module; 2 ms of waiting, 0.2 ms if there is none. False: none, or none that answers. */
bool intel_sfp_read(const struct intel_i2c *i2c, struct intel_sfp *sfp);

#endif
