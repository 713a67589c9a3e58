/* What unit and service tests include: cmocka, the simulated machine, and frames to inject. */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/packet.h"
#include "tests/sim/sim.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The frame pool must be whole when a test ends: nothing lost, nothing freed twice. */
static inline void test_stop(struct core *core)
{
    assert_int_equal(sim_stop(core), 0);
}

#endif
