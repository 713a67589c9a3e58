/* From a machine to a running core, and back. */
#ifndef KERNEL_START_H
#define KERNEL_START_H

#include "kernel/core.h"

/* A core with its nics up, the command line applied and services running, not yet looping. NULL:
 * not even that was possible; why is on the console. Bad words and failing devices are no reason.
 */
struct core *core_start(const struct arch_boot *boot);

/* Stops services and nics. Returns how many frames did not come back: 0 but for a bug. */
unsigned core_stop(struct core *core);

#endif
