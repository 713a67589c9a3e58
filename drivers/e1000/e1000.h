/* Intel 82540EM, 82545EM and 82574L gigabit Ethernet; QEMU's e1000, e1000-82545em and e1000e. */
#ifndef DRIVERS_E1000_E1000_H
#define DRIVERS_E1000_E1000_H

#include "drivers/nic.h"

extern const struct nic_driver e1000_driver;

#endif
