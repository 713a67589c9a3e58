/* pigctl's language: a line typed, a line of a configuration file, and a chain are the same thing.
 *
 *   words  --language.c-->  changes  --program.c-->  requests and data  --post.c-->  a kernel
 *                              |                            '--program.c-->  a boot module
 *                              '--config.c-->  what is to run; its difference to what runs is
 *                                              changes again
 *
 * docs/CONFIG.md is its description. */
#ifndef PIGCTL_LANGUAGE_H
#define PIGCTL_LANGUAGE_H

#include "tools/pigctl/pigctl.h"

enum {
    SERVICE_NAME_ROOM = 24, /* as in struct piglet_service_entry */
    SETTING_MAX = 96,       /* bytes of a setting, as Service_Configure takes them */
    CHANGE_TEXT_ROOM = 160,
    FILE_BYTES_MAX = 4 << 20,
    ERRORS_MAX = 20, /* said of one file */
};

/* Where something stands. file NULL: on the command line, or nowhere. */
struct place {
    const char *file;
    unsigned line, column;
};

struct word {
    const char *text;
    struct place place;
};

/* A line's words; the place behind the last one is where a missing one is missed. */
struct words {
    struct word *word;
    unsigned count;
    struct place end;
};

/* One change. */
struct change {
    unsigned opcode;
    uint64_t value[3]; /* behind the system's capability; a service is named by `service` */
    bool given[3];
    char service[SERVICE_NAME_ROOM];
    char setting[SETTING_MAX + 1]; /* of Service_Configure: "key=value" */
    uint8_t *table; /* of Service_Swap: what is loaded before it; NULL: the former one comes back */
    size_t table_bytes, text_bytes; /* the table's, and behind them the text it was made from */
    struct place place;
    char text[CHANGE_TEXT_ROOM]; /* as a line of the language */
};

struct changes {
    struct change *change;
    unsigned count, room;
};

/* A new one at the end, zeroed. Ends the program when there is no memory. */
struct change *changes_add(struct changes *changes);
void changes_free(struct changes *changes);

/* Says an error with its place, as compilers do: FILE:LINE:COLUMN: what. Returns the code. */
__attribute__((format(printf, 3, 4))) int complain_at(struct place place, enum pigctl_exit code,
                                                      const char *format, ...);

/* ---- language.c --------------------------------------------------------------------------------- */

bool parse_prefix(const char *text, uint64_t *prefix); /* "10.0.0.0/8" as address << 8 | length */

/* Reads a line that begins with a noun, or with a verb of `noun` where that is not NULL. Returns an
 * exit code, having complained. */
int line_read(const struct words *line, const char *noun, struct changes *changes);

/* Writes change->text from its values, for a change that nobody typed. */
void change_say(struct change *change);

/* "addresses, routes, services or firewall {" */
const char *nouns_expected(void);

/* ---- source.c ----------------------------------------------------------------------------------- */

/* Bytes that grow; for tables. Ends the program when there is no memory. */
struct bytes {
    uint8_t *data;
    size_t count, room;
};
void *bytes_add(struct bytes *bytes, size_t count); /* zeroed; valid until the next one */

/* What stands between `NOUN {` and its `}`: the lines with words in them. A line that ends with {
 * opens a part of its own, which ends with a line of }; blocks read these themselves. */
struct block_lines {
    struct words *line;
    unsigned count;
    struct place open;
};

/* ---- table_text.c ------------------------------------------------------------------------------- */

struct table_line {
    char file[64];
    char text[256];
};

/* The lines as text, the same however they were indented and commented, behind one that says where
 * they stood. */
void table_text_write(const struct block_lines *lines, struct bytes *text);

/* How many bytes of a table's text say that. What it means is behind them. */
size_t table_text_beginning(const char *text, size_t bytes);

/* The line that has this number in its file. False: the text does not say. */
bool table_text_line(const char *text, size_t bytes, unsigned line, struct table_line *found);

/* A noun that brings a block, which is compiled into the table of a service: a row of blocks[] in
 * blocks.c. A block without lines is the service's table when nothing is configured. */
struct block {
    const char *noun; /* also the service's name */
    /* Returns an exit code, having complained with places. */
    int (*compile)(const struct block_lines *lines, struct bytes *table);
};
extern const struct block blocks[]; /* ended by {NULL} */
const struct block *block_find(const char *noun);

/* The change that puts a block in force. Returns an exit code, having complained. */
int block_compile(const struct block *block, const struct block_lines *lines, struct place place,
                  struct changes *changes);

/* Reads a whole file; complains of all that is wrong with it (up to ERRORS_MAX). "-": standard
 * input. */
int source_read(const char *file, struct changes *changes);

/* ---- config.c ------------------------------------------------------------------------------------ */

struct config_address {
    uint32_t address, gateway, nic;
    uint8_t length;
    struct place place;
};

struct config_route {
    uint32_t prefix, gateway, nic;
    uint8_t length;
    bool nic_given;
    struct place place;
};

/* A setting; with an empty key, whether the service runs, "on" or "off". */
struct config_setting {
    char service[SERVICE_NAME_ROOM], key[24], value[SETTING_MAX], initial[24];
    struct place place;
};

/* A service's table, by the text it was made from. */
struct config_table {
    char service[SERVICE_NAME_ROOM];
    char *text; /* lines */
    size_t text_bytes;
    const struct change *change; /* of a file; NULL: it runs */
};

/* What runs, or what a file says. */
struct config {
    struct config_address *address;
    struct config_route *route;
    struct config_setting *setting;
    struct config_table *table;
    unsigned addresses, routes, settings, tables;
};

/* Makes room for one more; the place of the new one, zeroed. */
void *config_list_add(void **list, unsigned *count, size_t size);
#define LIST_ADD(list, count) config_list_add((void **)&(list), &(count), sizeof *(list))

uint32_t mask_of(unsigned length);

/* What a file's changes come to when they are done from nothing. They must stay. */
int config_of_changes(const struct changes *changes, struct config *config);

/* How to get from what runs to what is wanted, in the order it has to be done. from NULL: the
 * default configuration of a kernel that is not known. */
void config_difference(const struct config *from, const struct config *to, struct changes *changes);

void config_free(struct config *config);

/* ---- running.c ----------------------------------------------------------------------------------- */

/* Returns an exit code, having complained. */
int config_of_kernel(struct piglet *piglet, struct config *config);

/* Reads the texts of tables alone. Returns an error of the kernel's. */
int config_tables_read(struct piglet *piglet, struct config *config);

/* Prints the blocks that run. */
void config_print_tables(const struct config *config);

/* ---- program.c ----------------------------------------------------------------------------------- */

/* Changes as requests: what include/piglet/module.h describes. */
struct program {
    struct piglet_request *request;
    const struct change **change; /* that each request is of; those of one array, in order */
    unsigned requests, chains;
    struct bytes data;
    uint32_t memory_pages; /* of the data: what is allocated, table by table; texts are behind */
};

/* Fills program; the changes must stay. */
int program_compile(const struct changes *changes, struct program *program);
int program_write(const struct program *program, const char *source, const char *path);
void program_free(struct program *program);

/* ---- post.c --------------------------------------------------------------------------------------- */

/* Makes the kernel do it. done: how many of the changes are certain. Returns an exit code, having
 * complained; then the last chain it tried has changed nothing. */
int program_post(struct session *session, const struct program *program, unsigned *done);

#endif
