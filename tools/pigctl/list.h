/* What lines of several blocks list: protocols, addresses and ports, behind commas in one word. A line is
 * one rule, or match, for each combination of its lists' items. */
#ifndef PIGCTL_LIST_H
#define PIGCTL_LIST_H

#include "tools/pigctl/language.h"

enum list_kind {
    LIST_PROTOCOL, /* first: its number; last: 1, or 0 for any */
    LIST_SOURCE,   /* an address and a length */
    LIST_DESTINATION,
    LIST_SOURCE_PORT, /* a range */
    LIST_DESTINATION_PORT,
    LISTS,
};

enum {
    LIST_ITEMS_MAX = 128,
    LIST_PIECE_ROOM = 32,
};

struct list_item {
    uint32_t first, last;
};

struct list {
    struct list_item item[LIST_ITEMS_MAX];
    unsigned count; /* at least one: anything */
};

/* A piece of a word: "80" of "22,80". */
struct piece {
    char text[LIST_PIECE_ROOM];
    struct place place;
    const char *next; /* NULL: it was the last */
};

void piece_first(const struct word *word, struct piece *piece, const char *separators);
bool piece_next(struct piece *piece, const char *separators);

/* Makes each list of anything. */
void lists_begin(struct list list[LISTS]);

/* Reads the word as a list, of a line of `block`. Returns an exit code, having complained. */
int list_read(const char *block, const struct word *word, enum list_kind kind, struct list *list);

/* What such a list is called when it is missed. */
const char *list_expected(enum list_kind kind);

/* Whether the word begins with a protocol's name. */
bool list_of_protocols(const struct word *word);

/* How many combinations there are, and the next one behind that in `at`; false: there is none. */
uint64_t lists_combinations(const struct list list[LISTS]);
bool lists_next(const struct list list[LISTS], unsigned at[LISTS]);

#endif
