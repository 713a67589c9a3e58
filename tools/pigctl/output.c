/* Tables, JSON, units. */
#define _GNU_SOURCE
#include "output.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GAP = 2 }; /* blanks between columns */

/* ---- the terminal ------------------------------------------------------------------------------ */

static const char *style(const char *sequence)
{
    const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
    if (!isatty(STDOUT_FILENO) || (plain && *plain) || !term || strcmp(term, "dumb") == 0)
        return "";
    return sequence;
}

const char *style_bold(void)
{
    return style("\033[1m");
}

const char *style_good(void)
{
    return style("\033[32m");
}

const char *style_bad(void)
{
    return style("\033[1;31m");
}

const char *style_end(void)
{
    return style("\033[0m");
}

const char *text_clean(char *to, size_t to_room, const char *from, size_t from_room)
{
    size_t length = 0;
    for (; length < from_room && length + 1 < to_room && from[length]; length++)
        to[length] = from[length] >= ' ' && from[length] <= '~' ? from[length] : '?';
    to[length] = 0;
    return to;
}

/* ---- numbers ----------------------------------------------------------------------------------- */

const char *text_scaled(char *text, double number, const char *unit)
{
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P"};
    unsigned step = 0;
    while (number >= 999.5 && step < 5) {
        number /= 1000;
        step++;
    }
    int digits = step == 0 || number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
    snprintf(text, TEXT_ROOM, "%.*f%s%s%s", digits, number, step || *unit ? " " : "", prefix[step],
             unit);
    return text;
}

const char *text_bytes(char *text, uint64_t bytes)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double number = (double)bytes;
    unsigned step = 0;
    while (number >= 1023.5 && step < 5) {
        number /= 1024;
        step++;
    }
    snprintf(text, TEXT_ROOM, "%.*f %s", step && number < 99.95 ? 1 : 0, number, unit[step]);
    return text;
}

const char *text_time(char *text, uint64_t time_ns)
{
    uint64_t time_s = time_ns / 1000000000;
    if (time_ns < 1000)
        snprintf(text, TEXT_ROOM, "%" PRIu64 " ns", time_ns);
    else if (time_ns < 1000000)
        snprintf(text, TEXT_ROOM, "%.3g us", (double)time_ns / 1e3);
    else if (time_ns < 1000000000)
        snprintf(text, TEXT_ROOM, "%.3g ms", (double)time_ns / 1e6);
    else if (time_s < 60)
        snprintf(text, TEXT_ROOM, "%.3g s", (double)time_ns / 1e9);
    else if (time_s < 3600)
        snprintf(text, TEXT_ROOM, "%" PRIu64 " min %02" PRIu64 " s", time_s / 60, time_s % 60);
    else if (time_s < 86400)
        snprintf(text, TEXT_ROOM, "%" PRIu64 " h %02" PRIu64 " min", time_s / 3600,
                 time_s / 60 % 60);
    else
        snprintf(text, TEXT_ROOM, "%" PRIu64 " d %02" PRIu64 " h", time_s / 86400,
                 time_s / 3600 % 24);
    return text;
}

/* ---- JSON -------------------------------------------------------------------------------------- */

void json_string(FILE *to, const char *text, size_t room)
{
    putc('"', to);
    for (size_t i = 0; i < room && text[i]; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"' || byte == '\\')
            fprintf(to, "\\%c", byte);
        else if (byte < ' ' || byte > '~')
            fprintf(to, "\\u%04x", byte);
        else
            putc(byte, to);
    }
    putc('"', to);
}

/* ---- putting cells ------------------------------------------------------------------------------ */

static void *checked(void *memory)
{
    if (memory)
        return memory;
    fputs("pigctl: out of memory; end some other programs\n", stderr);
    exit(1);
}

void output_begin(struct output *output, bool json, enum output_form form)
{
    memset(output, 0, sizeof *output);
    output->json = json;
    output->form = form;
}

void output_row(struct output *output)
{
    output->rows++;
}

/* Takes `value`, which is from malloc. */
static void put_cell(struct output *output, const char *key, const char *text, char *value,
                     bool right)
{
    if (output->rows == 1 && output->columns < COLUMNS_MAX) {
        output->key[output->columns] = key;
        output->right[output->columns++] = right;
    }
    if (output->cells == output->room) {
        output->room = output->room ? 2 * output->room : 64;
        output->text = checked(realloc(output->text, output->room * sizeof *output->text));
        output->value = checked(realloc(output->value, output->room * sizeof *output->value));
    }
    output->text[output->cells] = checked(strdup(text));
    output->value[output->cells++] = checked(value);
}

/* A JSON value as printf writes it. */
__attribute__((format(printf, 1, 2))) static char *value_of(const char *format, ...)
{
    char *value;
    va_list list;
    va_start(list, format);
    int length = vasprintf(&value, format, list);
    va_end(list);
    return length < 0 ? NULL : value;
}

static char *value_of_text(const char *text, size_t room)
{
    char *value = NULL;
    size_t length;
    FILE *memory = checked(open_memstream(&value, &length));
    json_string(memory, text, room);
    fclose(memory);
    return value;
}

void put_text(struct output *output, const char *key, const char *text, size_t room)
{
    char clean[256];
    text_clean(clean, sizeof clean, text, room);
    put_cell(output, key, clean, value_of_text(text, room), false);
}

void put_word(struct output *output, const char *key, const char *word)
{
    put_text(output, key, word, strlen(word));
}

void put_none(struct output *output, const char *key)
{
    put_cell(output, key, "-", value_of("null"), false);
}

void put_bool(struct output *output, const char *key, bool truth, const char *yes, const char *no)
{
    put_cell(output, key, truth ? yes : no, value_of(truth ? "true" : "false"), false);
}

void put_count(struct output *output, const char *key, uint64_t count)
{
    char text[TEXT_ROOM];
    snprintf(text, sizeof text, "%" PRIu64, count);
    put_cell(output, key, text, value_of("%" PRIu64, count), true);
}

void put_bytes(struct output *output, const char *key, uint64_t bytes)
{
    char text[TEXT_ROOM];
    put_cell(output, key, text_bytes(text, bytes), value_of("%" PRIu64, bytes), true);
}

void put_time(struct output *output, const char *key, uint64_t time_ns)
{
    char text[TEXT_ROOM];
    put_cell(output, key, text_time(text, time_ns), value_of("%" PRIu64, time_ns), true);
}

void put_percent(struct output *output, const char *key, double percent)
{
    char text[TEXT_ROOM];
    snprintf(text, sizeof text, "%.1f %%", percent);
    put_cell(output, key, text, value_of("%.3f", percent), true);
}

static const char *address_text(char *text, uint32_t address)
{
    snprintf(text, TEXT_ROOM, "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
             address & 255);
    return text;
}

void put_address(struct output *output, const char *key, uint32_t address)
{
    char text[TEXT_ROOM];
    address_text(text, address);
    if (address)
        put_cell(output, key, text, value_of("\"%s\"", text), false);
    else
        put_none(output, key);
}

void put_prefix(struct output *output, const char *key, uint32_t address, unsigned length)
{
    char text[TEXT_ROOM], whole[TEXT_ROOM + 16];
    snprintf(whole, sizeof whole, "%s/%u", address_text(text, address), length);
    put_cell(output, key, whole, value_of("\"%s\"", whole), false);
}

void put_speed(struct output *output, const char *key, uint32_t speed_mbps)
{
    char text[TEXT_ROOM];
    text_scaled(text, speed_mbps * 1e6, "b/s");
    put_cell(output, key, speed_mbps ? text : "-", value_of("%" PRIu32, speed_mbps), true);
}

/* ---- printing ------------------------------------------------------------------------------------ */

/* "time_ns" is "TIME": the unit stands with the numbers. */
static const char *title(char *text, const char *key, bool capitals)
{
    static const char *const unit[] = {"_ns", "_mbps", "_percent"};
    snprintf(text, TEXT_ROOM, "%s", key);
    for (size_t i = 0; i < sizeof unit / sizeof unit[0]; i++)
        if (strlen(text) > strlen(unit[i]) &&
            strcmp(text + strlen(text) - strlen(unit[i]), unit[i]) == 0)
            text[strlen(text) - strlen(unit[i])] = 0;
    for (char *at = text; *at; at++)
        *at = *at == '_' ? ' ' : (char)(capitals ? toupper((unsigned char)*at) : *at);
    return text;
}

static void print_json(const struct output *output)
{
    bool list = output->form == OUTPUT_TABLE;
    if (list)
        putchar('[');
    for (size_t i = 0; i < output->cells; i++) {
        size_t column = i % output->columns;
        if (column == 0)
            printf("%s{", i ? ",\n " : "");
        printf("%s\"%s\": %s", column ? ", " : "", output->key[column], output->value[i]);
        if (column == output->columns - 1)
            putchar('}');
    }
    printf("%s\n", list ? "]" : output->cells ? "" : "{}");
}

static void print_cell(const char *text, size_t width, bool right, bool last)
{
    if (right)
        printf("%*s", (int)width, text);
    else
        printf("%-*s", last ? 0 : (int)width, text);
    if (!last)
        printf("%*s", GAP, "");
}

static void print_table(const struct output *output)
{
    size_t width[COLUMNS_MAX];
    char text[TEXT_ROOM];
    for (unsigned i = 0; i < output->columns; i++)
        width[i] = strlen(title(text, output->key[i], true));
    for (size_t i = 0; i < output->cells; i++) {
        size_t length = strlen(output->text[i]);
        if (length > width[i % output->columns])
            width[i % output->columns] = length;
    }
    fputs(style_bold(), stdout);
    for (unsigned i = 0; i < output->columns; i++)
        print_cell(title(text, output->key[i], true), width[i], output->right[i],
                   i == output->columns - 1);
    printf("%s\n", style_end());
    for (size_t i = 0; i < output->cells; i++) {
        unsigned column = (unsigned)(i % output->columns);
        bool last = column == output->columns - 1;
        print_cell(output->text[i], width[column], output->right[column], last);
        if (last)
            putchar('\n');
    }
}

static void print_record(const struct output *output)
{
    char text[TEXT_ROOM];
    size_t width = 0;
    for (unsigned i = 0; i < output->columns; i++)
        if (strlen(title(text, output->key[i], false)) > width)
            width = strlen(text);
    for (size_t i = 0; i < output->cells; i++)
        printf("%-*s%s\n", (int)width + GAP, title(text, output->key[i], false), output->text[i]);
}

void output_end(struct output *output, const char *empty)
{
    if (output->json)
        print_json(output);
    else if (output->cells == 0)
        puts(empty);
    else if (output->form == OUTPUT_RECORD)
        print_record(output);
    else
        print_table(output);
    for (size_t i = 0; i < output->cells; i++) {
        free(output->text[i]);
        free(output->value[i]);
    }
    free(output->text);
    free(output->value);
}
