/* The nic and window drivers of a machine with PCI devices: one row each. */
#include "drivers/e1000/e1000.h"
#include "drivers/ivshmem/ivshmem.h"
#include "drivers/ixgbe/ixgbe.h"

const struct nic_driver *const nic_drivers[] = {
    &e1000_driver,
    &ixgbe_driver,
    NULL,
};

const struct window_driver *const window_drivers[] = {
    &ivshmem_driver,
    NULL,
};
