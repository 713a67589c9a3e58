/* Reports on the console: a status line, and a dump of all counters, every so often. */
#ifndef KERNEL_REPORT_H
#define KERNEL_REPORT_H

#include "kernel/core.h"

enum { REPORT_LINES_PER_TURN = 4 }; /* a serial console is slow; frames come first */

/* Prints what is due, a few lines at a time; whether it did anything. From housekeeping. */
bool report_run(struct core *core);

/* When report_run has something to print; UINT64_MAX: never. */
uint64_t report_due_ns(const struct core *core);

/* All non-zero counters at once, as "counter NAME VALUE" lines and "counter end". For the end. */
void report_counters(struct core *core);

/* One line: up-time, frames, drops by reason, load since the last one. */
void report_status(struct core *core);

#endif
