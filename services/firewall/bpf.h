/* Classic BPF: checked once, then run on packets in bounded time. */
#ifndef FIREWALL_BPF_H
#define FIREWALL_BPF_H

#include <stdbool.h>
#include <stdint.h>

#include "piglet/firewall.h"

/* Whether a program may be run: known instructions, jumps forward and inside, memory words that
 * exist, no constant division by 0, a return at the end. If not, *wrong is the instruction. */
bool bpf_check(const struct piglet_bpf *program, unsigned count, unsigned *wrong);

/* What a checked program returns. At most `count` steps, as jumps go forward only. */
uint32_t bpf_run(const struct piglet_bpf *program, const uint8_t *packet, uint32_t bytes);

#endif
