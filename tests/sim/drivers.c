/* The nic drivers of the simulated machine: the wire, and the real drivers, which find device
 * models. */
#include "drivers/e1000/e1000.h"
#include "tests/sim/sim.h"

const struct nic_driver *const nic_drivers[] = {&sim_wire_driver, &e1000_driver, NULL};
