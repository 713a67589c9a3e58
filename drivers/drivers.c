/* The nic drivers of a machine with PCI devices: one row each. */
#include "drivers/e1000/e1000.h"

const struct nic_driver *const nic_drivers[] = {
    &e1000_driver,
    NULL,
};
