/* The nic and window drivers of the hosted machine: one row each. */
#include "drivers/e1000/e1000.h"
#include "drivers/ixgbe/ixgbe.h"
#include "linux.h"

const struct nic_driver *const nic_drivers[] = {
    &linux_tap_driver,
    &linux_packet_driver,
    &linux_xdp_driver,
    &linux_pair_driver,
    &e1000_driver,
    &ixgbe_driver,
    NULL,
};

const struct window_driver *const window_drivers[] = {
    &linux_window_driver,
    NULL,
};
