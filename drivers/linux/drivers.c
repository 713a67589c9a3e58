/* The nic and window drivers of the hosted machine: one row each. */
#include "linux.h"

const struct nic_driver *const nic_drivers[] = {
    &linux_tap_driver, &linux_packet_driver, &linux_xdp_driver, &linux_pair_driver, NULL,
};

const struct window_driver *const window_drivers[] = {
    &linux_window_driver,
    NULL,
};
