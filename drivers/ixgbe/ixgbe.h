/* The driver for Intel 82599, X520 and X540 10-gigabit controllers. */
#ifndef DRIVERS_IXGBE_IXGBE_H
#define DRIVERS_IXGBE_IXGBE_H

#include "drivers/nic.h"

extern const struct nic_driver ixgbe_driver;

#endif
