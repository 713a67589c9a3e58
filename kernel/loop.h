/* The loop. */
#ifndef KERNEL_LOOP_H
#define KERNEL_LOOP_H

#include "kernel/core.h"

enum {
    IDLE_SPIN_US =
        200, /* after work: longer than a busy peer's gap, shorter than anyone's patience */
    IDLE_BLIND_US = 500,      /* how long to sleep when a nic cannot wake us */
    IDLE_SLEEP_MAX_MS = 1000, /* housekeeping's statistics are no older */
    HOUSEKEEPING_MS = NIC_ATTEND_MS,
};

/* Runs until core->stop or the machine says stop. */
void loop_run(struct core *core);

/* One turn; whether any phase did work. Both symbols are where instruction counts are taken:
 * loop_turn's first instruction begins a turn, loop_nothing is reached only by turns that found
 * nothing to do. Neither may be inlined or renamed. */
bool loop_turn(struct core *core);
void loop_nothing(struct core *core);

#endif
