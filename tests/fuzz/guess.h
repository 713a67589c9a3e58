/* Requests made of a few bytes each, plausible by the table of opcodes: what a fuzzer needs so that most
 * of what it writes gets past the first check. */
#ifndef TESTS_FUZZ_GUESS_H
#define TESTS_FUZZ_GUESS_H

#include "piglet/window.h"

enum {
    GUESS_BYTES = 6,       /* a request's: opcode, flags, four arguments */
    GUESS_KNOWN_MAX = 32,  /* results remembered */
    GUESS_TEXT_BYTES = 96, /* between the texts for Service_Configure */
    GUESS_TEXTS = 8,
};

/* What a client knows, to guess with. */
struct guess {
    uint64_t known[GUESS_KNOWN_MAX]; /* results of earlier requests: capabilities and pages */
    unsigned known_count;            /* ever; the last ones are kept */
    uint32_t system;                 /* the system's capability */
    uint64_t text_offset;            /* where guess_texts put them */
};

/* Remembers a result. */
void guess_learn(struct guess *guess, uint64_t result);

/* Fills in opcode, flags, tags, arguments and cookie; `before`: how many requests of the chain lie
 * before this one, to refer to. */
void guess_request(const struct guess *guess, struct piglet_request *request,
                   const uint8_t byte[GUESS_BYTES], unsigned before);

/* Writes the texts, GUESS_TEXTS * GUESS_TEXT_BYTES bytes. */
void guess_texts(char *to);

#endif
