/* The simulated machine: arch.h for tests and fuzzers, and a kernel core on it that they can step.
 *
 * Nics of a simulated core are "wires": what a test injects is received in the next turn, what the
 * kernel sends is kept for the test to look at. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "arch/arch.h"
#include "kernel/core.h"
#include "kernel/service.h"

enum {
    SIM_MEMORY_BYTES = 24 << 20,
    SIM_CONSOLE_BYTES = 64 << 10,
    SIM_WIRE_FRAMES = 4096, /* kept per wire and direction */
};

/* ---- the machine ---- */

/* Forgets everything: time 0, no devices, empty console, all memory free. */
void sim_reset(void);

/* The console since sim_reset, NUL-terminated. */
const char *sim_console(void);

/* Devices that arch_devices will list. `device` is copied; its `machine` is the device model behind
 * every memory region (its first member points to its struct arch_model_ops), or, of PCI class 5
 * subclass 0, RAM, that memory itself, which arch_device_memory gives. */
void sim_add_device(const struct arch_device *device);

/* The memory behind a DMA address, or NULL: not all of it was given out by arch_memory_take. */
void *sim_dma(uint64_t address, size_t bytes);

/* Makes arch_memory_take fail once `bytes` more have been given out. */
void sim_limit_memory(size_t bytes);

/* ---- a core on it ---- */

struct sim_wire_frame {
    uint16_t length;
    uint8_t data[2048];
};

/* Resets the machine and starts a kernel core with `nics` wires, named nic0 …, MAC
 * 02:00:00:00:00:01 …, and the words of `line` applied. The core is valid until the next call or
 * sim_stop. */
struct core *sim_start(unsigned nics, const char *line);

/* The same with a boot module. */
struct core *sim_start_module(unsigned nics, const char *line, const void *module, size_t bytes);

/* The same with the devices added since sim_reset. */
struct core *sim_start_core(const char *line);

/* A row for nic_drivers: hosts named "wire:N". tests/sim/drivers.c lists it. */
extern const struct nic_driver sim_wire_driver;

/* Stops the core's services and nics; returns how many frames did not come back to the pool. */
unsigned sim_stop(struct core *core);

/* The next turn will receive this frame. False: the wire's store is full. */
bool sim_inject(struct core *core, unsigned nic, const void *data, size_t length);

/* The oldest frame sent by nic and not yet taken, or NULL; valid until the next sim call. */
const struct sim_wire_frame *sim_sent(struct core *core, unsigned nic);

/* Turns until one found nothing to do (at most 1,000). */
void sim_run(struct core *core);

/* Moves time on in steps to each next timer, running turns, until `delay_us` have passed. */
void sim_advance_us(struct core *core, uint64_t delay_us);

/* Moves on to the next moment at which anything happens, at most to end_ns. */
void sim_step(struct core *core, uint64_t end_ns);

/* Makes the wire refuse to take frames (ring full) from now on, or accept them again. */
void sim_wire_full(struct core *core, unsigned nic, bool full);

/* What the wire's filter was last set to. */
const struct nic_filter *sim_filter(const struct core *core, unsigned nic);

/* Makes setting it fail from now on, or succeed again. */
void sim_filter_fails(struct core *core, unsigned nic, bool fails);

void sim_link(struct core *core, unsigned nic, bool up);

/* A counter's value by name; a name that is not there fails the test (aborts). */
uint64_t sim_counter(const struct core *core, const char *name);

/* Sum of all drop counters. */
uint64_t sim_drops(const struct core *core);

#endif
