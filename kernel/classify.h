/* The classifier: reads a received frame's headers once, checks all of them, and says what it is.
 *
 * What comes out has a kind, l3, l4, end and (IPv4) the destination's route; services trust these.
 * IPv4: header and checksum, RFC 1122 3.2.1 and RFC 1812 5.2.2, 5.3; ICMP and UDP to us: lengths
 * and checksums too. */
#ifndef KERNEL_CLASSIFY_H
#define KERNEL_CLASSIFY_H

#include "kernel/core.h"

/* Classifies the frames of a batch just received by nic, dropping the bad ones by reason; counts
 * frames and bytes. Cost: a look at two cache lines per frame, and the checksums. */
void classify(struct core *core, struct nic *nic, struct batch *batch);

#endif
