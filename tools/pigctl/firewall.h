/* The firewall block: lines of words (firewall_word.c, firewall_line.c), and the rules that they become
 * (firewall.c). */
#ifndef PIGCTL_FIREWALL_H
#define PIGCTL_FIREWALL_H

#include "piglet/firewall.h"
#include "tools/pigctl/list.h"

/* What a line may say once each. The lists are those of enum list_kind. */
enum line_part {
    LINE_FROM = LISTS,
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
    FIREWALL_EXPRESSION_ROOM = 4096,
    FIREWALL_NAMES_ROOM = 256,
    FIREWALL_ICMP = 1, /* protocol numbers */
    FIREWALL_TCP = 6,
    FIREWALL_REJECT_CODE = 13, /* unreachable: administratively prohibited, RFC 1812 5.2.7.1 */
};

struct firewall_line {
    struct piglet_firewall_rule rule; /* but for the lists and the program */
    struct list list[LISTS];
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

/* The next word's first piece; false: no word is left. */
bool firewall_piece(const struct firewall_reader *reader, struct piece *piece,
                    const char *separators);
int firewall_piece_wrong(const struct piece *piece, const char *expected);

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
int firewall_list_read(struct firewall_reader *reader, unsigned part);

#endif
