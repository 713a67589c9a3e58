/* A client's frames, made of a few bytes. */
#ifndef TESTS_FUZZ_PRODUCE_H
#define TESTS_FUZZ_PRODUCE_H

#include "psr/client.h"

enum { PRODUCE_BYTES = 6 }; /* which frameset, how many, how, two for sample.h, a length */

/* Puts frames into the transmit ring of one of the client's framesets, if it has any, and takes those of
 * its receive ring. */
void frames_produce(struct client *client, const uint8_t byte[PRODUCE_BYTES]);

#endif
