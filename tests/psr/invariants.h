/* What must hold of the clients' side of a core between two turns, whatever clients did. */
#ifndef TESTS_PSR_INVARIANTS_H
#define TESTS_PSR_INVARIANTS_H

#include "psr/client.h"

/* NULL, or a sentence about the first thing that is wrong; valid until the next call. `held`: frames
 * that the test itself took from the pool. */
const char *psr_invariants(const struct core *core, unsigned held);

/* The same for a core without an attached client: nothing of any client is left. */
const char *psr_nothing_left(const struct core *core);

#endif
