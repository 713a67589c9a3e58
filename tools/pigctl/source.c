/* Configuration files: lines of words, comments, and blocks. */
#include "tools/pigctl/language.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* A file while it is read: its bytes are cut into words where they stand. */
struct source {
    const char *file;
    char *text, *next; /* next line; NULL behind the last */
    unsigned line, errors;
};

/* ---- saying and keeping --------------------------------------------------------------------------- */

int complain_at(struct place place, enum pigctl_exit code, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (!place.file)
        return complain(code, "%s", text);
    fflush(stdout);
    fprintf(stderr, "%s:%u:%u: %s\n", place.file, place.line, place.column, text);
    return (int)code;
}

void *bytes_add(struct bytes *bytes, size_t count)
{
    if (bytes->count + count > bytes->room) {
        bytes->room = 2 * (bytes->count + count);
        bytes->data = realloc(bytes->data, bytes->room);
        if (!bytes->data)
            exit(complain(PIGCTL_REFUSED, "no memory; end other programs"));
    }
    void *place = bytes->data + bytes->count;
    memset(place, 0, count);
    bytes->count += count;
    return place;
}

/* ---- lines -------------------------------------------------------------------------------------------- */

/* Cuts a line into words; # begins a comment where a word could begin. */
static void line_cut(struct source *source, char *text, struct words *line)
{
    char *at = text;
    *line = (struct words){.word = NULL};
    for (;;) {
        at += strspn(at, " \t\r");
        struct place place = {source->file, source->line, (unsigned)(at - text) + 1};
        line->end = place;
        if (!*at || *at == '#')
            return;
        if (line->count % 16 == 0) {
            line->word = realloc(line->word, (line->count + 16) * sizeof *line->word);
            if (!line->word)
                exit(complain(PIGCTL_REFUSED, "no memory; end other programs"));
        }
        line->word[line->count++] = (struct word){at, place};
        at += strcspn(at, " \t\r");
        if (*at)
            *at++ = 0;
    }
}

/* The next line with words in it; false: there is none. The words are to be freed. */
static bool line_take(struct source *source, struct words *line)
{
    while (source->next) {
        char *text = source->next, *end = strchr(text, '\n');
        source->line++;
        source->next = end ? end + 1 : NULL;
        if (end)
            *end = 0;
        line_cut(source, text, line);
        if (line->count)
            return true;
    }
    return false;
}

static bool word_is(const struct words *line, unsigned index, const char *text)
{
    return index < line->count && strcmp(line->word[index].text, text) == 0;
}

/* ---- blocks -------------------------------------------------------------------------------------------- */

/* Takes the lines up to the } that closes the block. */
static int block_take(struct source *source, struct block_lines *lines)
{
    unsigned depth = 1;
    struct words line;
    while (line_take(source, &line)) {
        if (line.count == 1 && word_is(&line, 0, "}") && --depth == 0) {
            free(line.word);
            return PIGCTL_DONE;
        }
        depth += word_is(&line, line.count - 1, "{");
        lines->line = realloc(lines->line, (lines->count + 1) * sizeof *lines->line);
        if (!lines->line)
            exit(complain(PIGCTL_REFUSED, "no memory; end other programs"));
        lines->line[lines->count++] = line;
    }
    return complain_at(lines->open, PIGCTL_USAGE,
                       "this { has no }; expected a line of } before the file's end");
}

static void block_free(struct block_lines *lines)
{
    for (unsigned i = 0; i < lines->count; i++)
        free(lines->line[i].word);
    free(lines->line);
}

static void block_skip(struct source *source, const struct words *line)
{
    struct block_lines lines = {.open = line->word[line->count - 1].place};
    block_take(source, &lines);
    block_free(&lines);
}

const struct block *block_find(const char *noun)
{
    for (const struct block *block = blocks; block->noun; block++)
        if (strcmp(block->noun, noun) == 0)
            return block;
    return NULL;
}

int block_compile(const struct block *block, const struct block_lines *lines, struct place place,
                  struct changes *changes)
{
    struct bytes table = {.data = NULL};
    int code = block->compile(lines, &table);
    if (code != PIGCTL_DONE) {
        free(table.data);
        return code;
    }
    struct change *change = changes_add(changes);
    change->opcode = PIGLET_OP_SERVICE_SWAP;
    change->place = place;
    change->table_bytes = table.count;
    table_text_write(lines, &table);
    change->text_bytes = table.count - change->table_bytes;
    change->table = table.data;
    snprintf(change->service, sizeof change->service, "%s", block->noun);
    change_say(change);
    return PIGCTL_DONE;
}

static int block_read(struct source *source, const struct block *block, const struct words *line,
                      struct changes *changes)
{
    struct block_lines lines = {.open = line->word[line->count - 1].place};
    int code = block_take(source, &lines);
    if (code == PIGCTL_DONE)
        code = block_compile(block, &lines, line->word[0].place, changes);
    block_free(&lines);
    return code;
}

/* ---- the file -------------------------------------------------------------------------------------------- */

/* One line, or one block. */
static int entry_read(struct source *source, const struct words *line, struct changes *changes)
{
    const struct block *block = block_find(line->word[0].text);
    if (block && word_is(line, 1, "{") && line->count == 2)
        return block_read(source, block, line, changes);
    if (block)
        return complain_at(line->count > 1 ? line->word[1].place : line->end, PIGCTL_USAGE,
                           "%s: expected { and the end of the line", block->noun);
    int code = line_read(line, NULL, changes);
    if (code != PIGCTL_DONE && word_is(line, line->count - 1, "{"))
        block_skip(source, line); /* one error, not one for each of its lines */
    return code;
}

/* Reads all of a file, closed by NUL; NULL, having complained. */
static char *file_load(const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    struct bytes bytes = {.data = NULL};
    size_t got;
    char piece[4096];
    if (!file) {
        complain(PIGCTL_USAGE, "%s: %s; name a configuration file", path, strerror(errno));
        return NULL;
    }
    while ((got = fread(piece, 1, sizeof piece, file)) > 0 && bytes.count <= FILE_BYTES_MAX)
        memcpy(bytes_add(&bytes, got), piece, got);
    bool failed = ferror(file);
    if (file != stdin)
        fclose(file);
    bytes_add(&bytes, 1);
    const char *why = failed                                          ? "it cannot be read"
                      : bytes.count > FILE_BYTES_MAX                  ? "it is too long"
                      : strlen((char *)bytes.data) + 1 != bytes.count ? "it holds bytes of 0"
                                                                      : NULL;
    if (!why)
        return (char *)bytes.data;
    complain(PIGCTL_USAGE, "%s: %s; name a configuration file", path, why);
    free(bytes.data);
    return NULL;
}

int source_read(const char *file, struct changes *changes)
{
    struct source source = {.file = strcmp(file, "-") == 0 ? "standard input" : file};
    struct words line;
    int code = PIGCTL_DONE;
    source.text = source.next = file_load(file);
    if (!source.text)
        return PIGCTL_USAGE;
    while (source.errors < ERRORS_MAX && line_take(&source, &line)) {
        if (entry_read(&source, &line, changes) != PIGCTL_DONE) {
            source.errors++;
            code = PIGCTL_USAGE;
        }
        free(line.word);
    }
    if (source.errors == ERRORS_MAX)
        complain(PIGCTL_USAGE, "%s: no more is read after %d errors", source.file, ERRORS_MAX);
    free(source.text);
    return code;
}
