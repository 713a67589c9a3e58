/* Frames from the wire that a client may get, made of two bytes. */
#ifndef TESTS_FUZZ_SAMPLE_H
#define TESTS_FUZZ_SAMPLE_H

#include "tests/sim/packet.h"

/* From 10.0.0.1 or 10.1.0.9 to Piglet, or to somebody else. */
struct packet sample(uint8_t what, uint8_t detail);

#endif
