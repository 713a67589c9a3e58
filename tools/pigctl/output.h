/* What pigctl prints: tables with aligned columns, or the same as JSON; and numbers with units. */
#ifndef PIGCTL_OUTPUT_H
#define PIGCTL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    TEXT_ROOM = 32, /* for a number with its unit */
    COLUMNS_MAX = 32,
};

enum output_form {
    OUTPUT_TABLE,  /* a row a line */
    OUTPUT_RECORD, /* one row: a field a line */
};

/* A listing. Cells are put row by row and printed by output_end, because widths come from all of
 * them. A key is the JSON name of its column and, in capitals and without its unit, its title. */
struct output {
    bool json;
    enum output_form form;
    const char *key[COLUMNS_MAX];
    bool right[COLUMNS_MAX]; /* numbers stand at their column's right */
    unsigned columns;        /* of the first row; the others have the same */
    size_t rows;
    char **text, **value; /* as people and as programs read it, row by row */
    size_t cells, room;
};

void output_begin(struct output *output, bool json, enum output_form form);

/* Begins the next row. */
void output_row(struct output *output);

/* Prints and frees it. empty: what people read instead of no rows. */
void output_end(struct output *output, const char *empty);

/* Text from the kernel need not be closed: at most `room` bytes are looked at. */
void put_text(struct output *output, const char *key, const char *text, size_t room);
void put_word(struct output *output, const char *key, const char *word);
void put_none(struct output *output, const char *key); /* "-", null */
void put_bool(struct output *output, const char *key, bool truth, const char *yes, const char *no);
void put_count(struct output *output, const char *key, uint64_t count);
void put_bytes(struct output *output, const char *key, uint64_t bytes);
void put_time(struct output *output, const char *key, uint64_t time_ns);
void put_percent(struct output *output, const char *key, double percent);
void put_address(struct output *output, const char *key, uint32_t address); /* 0: "-", null */
void put_prefix(struct output *output, const char *key, uint32_t address, unsigned length);
void put_speed(struct output *output, const char *key, uint32_t speed_mbps);

/* Numbers with units, into room of TEXT_ROOM; return it. */
const char *text_scaled(char *text, double number, const char *unit); /* "1.23 Mb/s" */
const char *text_bytes(char *text, uint64_t bytes);                   /* "1.5 MiB" */
const char *text_time(char *text, uint64_t time_ns);                  /* "1.23 ms" */

/* A copy that a terminal can be shown: closed, and without control bytes. */
const char *text_clean(char *to, size_t to_room, const char *from, size_t from_room);

/* A JSON string with its quotes; bytes beyond ASCII as if they were Latin-1. */
void json_string(FILE *to, const char *text, size_t room);

/* Escape sequences, or "" where standard output is no terminal or $NO_COLOR is set. */
const char *style_bold(void);
const char *style_good(void);
const char *style_bad(void);
const char *style_end(void);

#endif
