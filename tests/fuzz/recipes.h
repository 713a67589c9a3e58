/* Whole chains to begin with: a fuzzer finds variations by itself, but seldom five requests that belong
 * together. Bytes as fuzz_chain.c and guess.c read them. */
#ifndef TESTS_FUZZ_RECIPES_H
#define TESTS_FUZZ_RECIPES_H

#include "tests/fuzz/guess.h"

enum { RECIPE_REQUESTS = 6, RECIPE_TAIL_BYTES = 12 };

/* A chain, then two or three other actions, of which the first is two bytes long; in front
 * of them, how many bytes. In the bytes of an argument that names an object, 0 is the request before,
 * 1 the one before that. */
struct recipe {
    uint8_t length;
    uint8_t request[RECIPE_REQUESTS][GUESS_BYTES];
    uint8_t tail[RECIPE_TAIL_BYTES];
};

/* One of them; any number will do. */
const struct recipe *recipe(unsigned which);

#endif
