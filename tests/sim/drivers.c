/* The nic and window drivers of the simulated machine: the wire, and the real drivers, which find device
 * models. */
#include "drivers/e1000/e1000.h"
#include "drivers/ixgbe/ixgbe.h"
#include "drivers/ivshmem/ivshmem.h"
#include "tests/sim/sim.h"

const struct nic_driver *const nic_drivers[] = {&sim_wire_driver, &e1000_driver, &ixgbe_driver,
                                                NULL};
const struct window_driver *const window_drivers[] = {&ivshmem_driver, NULL};
