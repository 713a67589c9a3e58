/* The text that goes with a table: its block's lines, and in front of them where they stood, so that
 * what decided about a frame can be said by its own line.
 *
 *   # lines 3-5,8 of site.conf
 *     default in drop
 *     ... */
#include "tools/pigctl/language.h"

#include <stdlib.h>
#include <string.h>

static const char BEGINNING[] = "# lines ", BETWEEN[] = " of ";

enum { RANGE_ROOM = 32, FILE_ROOM = 64 };

static void text_add(struct bytes *text, const char *what, size_t length)
{
    memcpy(bytes_add(text, length), what, length);
}

/* ---- writing ------------------------------------------------------------------------------------- */

/* "3-5,8": files of thousands of lines have few gaps. */
static void numbers_write(const struct block_lines *lines, struct bytes *text)
{
    for (unsigned i = 0, last; i < lines->count; i = last + 1) {
        char range[RANGE_ROOM];
        unsigned first = lines->line[i].word[0].place.line;
        for (last = i; last + 1 < lines->count &&
                       lines->line[last + 1].word[0].place.line == first + (last + 1 - i);
             last++)
            ;
        int length = snprintf(range, sizeof range, last > i ? "%s%u-%u" : "%s%u", i ? "," : "",
                              first, first + (last - i));
        text_add(text, range, (size_t)length);
    }
}

static void beginning_write(const struct block_lines *lines, struct bytes *text)
{
    char name[FILE_ROOM];
    const char *file = lines->open.file, *slash = file ? strrchr(file, '/') : NULL;
    if (!lines->count || !file)
        return;
    file = slash ? slash + 1 : file;
    text_clean(name, sizeof name, file, strlen(file));
    text_add(text, BEGINNING, sizeof BEGINNING - 1);
    numbers_write(lines, text);
    text_add(text, BETWEEN, sizeof BETWEEN - 1);
    text_add(text, name, strlen(name));
    text_add(text, "\n", 1);
}

static bool closes(const struct words *line)
{
    return line->count == 1 && strcmp(line->word[0].text, "}") == 0;
}

static bool opens(const struct words *line)
{
    return strcmp(line->word[line->count - 1].text, "{") == 0;
}

void table_text_write(const struct block_lines *lines, struct bytes *text)
{
    unsigned depth = 1;
    beginning_write(lines, text);
    for (unsigned i = 0; i < lines->count; i++) {
        const struct words *line = &lines->line[i];
        depth -= closes(line);
        memset(bytes_add(text, (size_t)2 * depth), ' ', (size_t)2 * depth);
        for (unsigned j = 0; j < line->count; j++) {
            text_add(text, line->word[j].text, strlen(line->word[j].text));
            text_add(text, j + 1 < line->count ? " " : "\n", 1);
        }
        depth += opens(line);
    }
}

/* ---- reading: whoever loaded the table may have written anything --------------------------------- */

static const char *line_end(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return newline ? newline : end;
}

size_t table_text_beginning(const char *text, size_t bytes)
{
    if (bytes < sizeof BEGINNING - 1 || memcmp(text, BEGINNING, sizeof BEGINNING - 1) != 0)
        return 0;
    const char *end = line_end(text, text + bytes);
    return (size_t)(end - text) + (end < text + bytes);
}

/* Which of the block's lines has this number in its file; -1: none. *at moves behind the numbers. */
static long numbers_find(const char **at, const char *end, unsigned line)
{
    unsigned long before = 0;
    long found = -1;
    while (*at < end && **at >= '0' && **at <= '9') {
        unsigned long number[2] = {0, 0};
        for (unsigned i = 0; i < 2; i++) {
            for (; *at < end && **at >= '0' && **at <= '9' && number[i] < FILE_BYTES_MAX; ++*at)
                number[i] = 10 * number[i] + (unsigned long)(**at - '0');
            if (i == 0 && (*at == end || **at != '-')) {
                number[1] = number[0];
                break;
            }
            *at += i == 0;
        }
        if (line >= number[0] && line <= number[1])
            found = (long)(before + line - number[0]);
        before += number[1] >= number[0] ? number[1] - number[0] + 1 : 0;
        *at += *at < end && **at == ',';
    }
    return found;
}

bool table_text_line(const char *text, size_t bytes, unsigned line, struct table_line *found)
{
    size_t beginning = table_text_beginning(text, bytes);
    if (!beginning || !line)
        return false;
    const char *at = text + sizeof BEGINNING - 1, *end = text + bytes;
    const char *stop = line_end(at, end);
    long index = numbers_find(&at, stop, line);
    if (index < 0 || (size_t)(stop - at) < sizeof BETWEEN ||
        memcmp(at, BETWEEN, sizeof BETWEEN - 1) != 0)
        return false;
    at += sizeof BETWEEN - 1;
    text_clean(found->file, sizeof found->file, at, (size_t)(stop - at));
    for (at = text + beginning; index > 0 && at < end; index--) {
        stop = line_end(at, end);
        at = stop < end ? stop + 1 : end;
    }
    while (at < end && *at == ' ')
        at++;
    stop = line_end(at, end);
    text_clean(found->text, sizeof found->text, at, (size_t)(stop - at));
    return *found->text;
}
