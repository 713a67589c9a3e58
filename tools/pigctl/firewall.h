/* The firewall block: lines of words (firewall_word.c, firewall_line.c), and the rules that they become
 * (firewall.c). */
#ifndef PIGCTL_FIREWALL_H
#define PIGCTL_FIREWALL_H

#include "piglet/firewall.h"
#include "tools/pigctl/language.h"

/* What a line may say once each. Those before LINE_LISTS are lists: the line becomes a rule for each
 * combination of their items. */
enum line_part {
    LINE_PROTOCOL, /* first: its number; last: 1, or 0 for any */
    LINE_SOURCE,   /* an address and a length */
    LINE_DESTINATION,
    LINE_SOURCE_PORT, /* a range */
    LINE_DESTINATION_PORT,
    LINE_LISTS,
    LINE_FROM = LINE_LISTS,
    LINE_TO,
    LINE_FLAGS,
    LINE_TYPE,
    LINE_CODE,
    LINE_FRAGMENTS,
    LINE_STATE,
    LINE_LIMIT,
    LINE_LOG,
    LINE_COUNT,
    LINE_MATCH,
    LINE_PARTS,
};

enum {
    LINE_ITEMS_MAX = 128, /* of one list */
    FIREWALL_EXPRESSION_ROOM = 4096,
    FIREWALL_PIECE_ROOM = 32,
    FIREWALL_NAMES_ROOM = 256,
    FIREWALL_ICMP = 1, /* protocol numbers */
    FIREWALL_TCP = 6,
    FIREWALL_REJECT_CODE = 13, /* unreachable: administratively prohibited, RFC 1812 5.2.7.1 */
};

struct line_item {
    uint32_t first, last;
};

struct line_list {
    struct line_item item[LINE_ITEMS_MAX];
    unsigned count; /* at least one: anything */
};

struct firewall_line {
    struct piglet_firewall_rule rule; /* but for the lists and the program */
    struct line_list list[LINE_LISTS];
    struct place said[LINE_PARTS]; /* line 0: it is not */
    struct place place;
    char expression[FIREWALL_EXPRESSION_ROOM]; /* "": none */
};

/* ---- firewall.c ---------------------------------------------------------------------------------- */

/* The block's table; of no lines one that lets everything pass. */
int firewall_compile(const struct block_lines *lines, struct bytes *table);

/* ---- firewall_line.c ----------------------------------------------------------------------------- */

/* Words with a number each; ended by {NULL}. */
struct firewall_name {
    const char *name;
    unsigned value;
};
extern const struct firewall_name firewall_verdicts[], firewall_directions[];

struct firewall_reader {
    const struct words *words;
    unsigned at; /* next word */
    struct firewall_line *line;
};

/* Reads "VERDICT DIRECTION ...". All that read return an exit code, having complained. */
int firewall_line_read(const struct words *words, struct firewall_line *line);

/* A verdict, and how to reject. */
int firewall_verdict_read(struct firewall_reader *reader, uint8_t *verdict, uint8_t *icmp_reject);

/* ---- firewall_word.c ----------------------------------------------------------------------------- */

const struct word *firewall_peek(const struct firewall_reader *reader); /* NULL: none is left */

/* Complains of the next word, or that there is none. */
int firewall_wrong(const struct firewall_reader *reader, const char *expected);

/* A piece of a word: "80" of "22,80". */
struct firewall_piece {
    char text[FIREWALL_PIECE_ROOM];
    struct place place;
    const char *next; /* NULL: it was the last */
};

/* The next word's first piece; false: no word is left. */
bool firewall_piece(const struct firewall_reader *reader, struct firewall_piece *piece,
                    const char *separators);
bool firewall_piece_next(struct firewall_piece *piece, const char *separators);
int firewall_piece_wrong(const struct firewall_piece *piece, const char *expected);

const struct firewall_name *firewall_name_find(const struct firewall_name *names, const char *text);

/* "states, of new, established, related, invalid", in FIREWALL_NAMES_ROOM bytes. */
const char *firewall_names_text(const struct firewall_name *names, const char *what, char *text);

/* A name, or a number up to 255. */
bool firewall_number(const char *text, const struct firewall_name *names, uint64_t *number);

/* Takes the next word: a name; names as bits; the items of a list; `what` is expected. */
int firewall_name_read(struct firewall_reader *reader, const struct firewall_name *names,
                       const char *what, unsigned *value);
int firewall_mask_read(struct firewall_reader *reader, const struct firewall_name *names,
                       const char *what, uint8_t *mask);
int firewall_list_read(struct firewall_reader *reader, enum line_part part);

/* Whether the next word begins with a protocol's name. */
bool firewall_protocol_begins(const struct firewall_reader *reader);

#endif
