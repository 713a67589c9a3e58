/* psr-doc FILE: writes the opcode reference, from the table in piglet/opcode.h, between two marker
 * lines of FILE (docs/PSR.md). psr-doc --check FILE: only says whether that would change it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/piglet.h"

enum { FILE_MAX = 1 << 20, LINE_MAX_BYTES = 110 };

static const char begin_marker[] =
    "<!-- opcodes: written by `make docs` from include/piglet/opcode.h; "
    "change that -->\n";
static const char end_marker[] = "<!-- end of opcodes -->\n";

static const struct piglet_opcode_info infos[] = {PIGLET_OPCODES(PIGLET_OPCODE_INFO)};

/* ---- text ---------------------------------------------------------------------------------------- */

struct text {
    char *bytes;
    size_t length, line; /* line: where the current one begins */
};

static void put_bytes(struct text *text, const char *bytes, size_t length)
{
    if (text->length + length >= FILE_MAX) {
        fprintf(stderr, "psr-doc: more than %d bytes\n", FILE_MAX);
        exit(1);
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = 0;
}

static void put(struct text *text, const char *string)
{
    put_bytes(text, string, strlen(string));
}

static void begin_line(struct text *text)
{
    text->line = text->length;
}

/* Words, broken before they are too far right; what is between backquotes stays in one line. */
static void put_words(struct text *text, const char *string, const char *indent)
{
    while (*string) {
        size_t length = 0;
        for (int quoted = 0; string[length] && (quoted || string[length] != ' '); length++)
            quoted ^= string[length] == '`';
        bool fresh = text->length == text->line || text->bytes[text->length - 1] == ' ';
        if (!fresh && text->length - text->line + 1 + length > LINE_MAX_BYTES) {
            put(text, "\n");
            begin_line(text);
            put(text, indent);
        } else if (!fresh) {
            put(text, " ");
        }
        put_bytes(text, string, length);
        string += length + (string[length] == ' ');
    }
}

static void put_item(struct text *text, const char *title, const char *string)
{
    begin_line(text);
    put(text, "* ");
    put(text, title);
    put(text, ": ");
    put_words(text, string, "  ");
    put(text, "\n");
}

/* ---- what the table says --------------------------------------------------------------------------- */

static const char *want_text(unsigned want)
{
    static const char *const name[] = {
        [PIGLET_WANT_NONE] = "",
        [PIGLET_WANT_NEW] = "Cap_Ref_New",
        [PIGLET_WANT_NUMBER] = "a number",
        [PIGLET_WANT_OPTION] = "a number, may be left out",
        [PIGLET_WANT_OFFSET] = "an offset",
        [PIGLET_WANT_VALUE] = "a number, a capability or an offset",
        [PIGLET_WANT_ANY] = "any capability",
        [PIGLET_WANT_MEMORY] = "memory",
        [PIGLET_WANT_FRAMESET] = "a frameset",
        [PIGLET_WANT_TIMER] = "a timer",
        [PIGLET_WANT_SYSTEM] = "the system",
    };
    return name[want];
}

static const char *right_text(unsigned right)
{
    switch (right) {
    case PIGLET_RIGHT_USE:
        return "USE";
    case PIGLET_RIGHT_COPY:
        return "COPY";
    case PIGLET_RIGHT_FREE:
        return "FREE";
    case PIGLET_RIGHT_BIND:
        return "BIND";
    case PIGLET_RIGHT_READ:
        return "READ";
    case PIGLET_RIGHT_CONFIG:
        return "CONFIG";
    case PIGLET_RIGHT_JOIN:
        return "JOIN";
    default:
        return "none";
    }
}

/* A value as an example, by the argument's name. */
static uint64_t example_number(const char *name)
{
    static const struct {
        const char *name;
        uint64_t value;
    } example[] = {
        {"value", 42},
        {"pages", 12},
        {"rights", PIGLET_RIGHT_USE},
        {"address", PIGLET_IPV4(192, 168, 0, 1)},
        {"port", 7777},
        {"protocol", 17},
        {"nic", 0},
        {"mac", 0x025047000001},
        {"address << 8 | length", (uint64_t)PIGLET_IPV4(192, 168, 0, 2) << 8 | 24},
        {"prefix << 8 | length", (uint64_t)PIGLET_IPV4(10, 5, 0, 0) << 8 | 16},
        {"gateway", PIGLET_IPV4(192, 168, 0, 1)},
        {"service", 1},
        {"stop", 1},
        {"text", 86016},
        {"name", 86016},
        {"bytes", 9},
        {"text bytes << 32 | bytes", 4096},
        {"from byte", 0},
        {"load", 1},
        {"first", 0},
        {"offset", 0},
        {"service << 32 | first", 0},
        {"nic << 32 | first", 0},
        {"delay_us", 1000000},
        {"period_us", 500000},
    };
    for (size_t i = 0; i < sizeof example / sizeof example[0]; i++)
        if (strcmp(example[i].name, name) == 0)
            return example[i].value;
    fprintf(stderr, "psr-doc: no example for an argument \"%s\"\n", name);
    exit(1);
}

/* As the decoder writes it. Objects are the results of requests before it, the system's capability
 * is what the first client gets. */
static void put_example(struct text *text, unsigned opcode)
{
    const struct piglet_opcode_info *info = &infos[opcode];
    struct piglet_request request = {.opcode = (uint8_t)opcode};
    uint64_t references = 0;
    char line[256];
    for (unsigned i = 0; i < 4; i++) {
        unsigned want = info->want[i];
        request.tag[i] = PIGLET_TAG_NUMBER;
        if (want == PIGLET_WANT_NONE || want == PIGLET_WANT_NEW) {
            request.tag[i] = want == PIGLET_WANT_NEW ? PIGLET_TAG_NEW : PIGLET_TAG_NONE;
        } else if (want == PIGLET_WANT_SYSTEM) {
            request.tag[i] = PIGLET_TAG_CAPABILITY;
            request.argument[i] = 1 << PIGLET_CAPABILITY_SLOT_BITS;
        } else if (want >= PIGLET_WANT_ANY) {
            request.tag[i] = PIGLET_TAG_REFERENCE;
            request.argument[i] = ++references;
        } else {
            if (want == PIGLET_WANT_OFFSET)
                request.tag[i] = PIGLET_TAG_OFFSET;
            request.argument[i] = example_number(info->argument[i]);
        }
    }
    piglet_request_text(&request, line, sizeof line);
    char *state = strstr(line, "  "); /* what became of it: nothing yet */
    if (state)
        *state = 0;
    put(text, "    ");
    put(text, line);
    put(text, "\n\n");
}

static void put_arguments(struct text *text, const struct piglet_opcode_info *info)
{
    char line[512] = "";
    for (unsigned i = 0; i < 4 && info->want[i] != PIGLET_WANT_NONE; i++) {
        size_t length = strlen(line);
        snprintf(line + length, sizeof line - length, "%s`%s` %s", i ? "; " : "", info->argument[i],
                 want_text(info->want[i]));
    }
    put_item(text, "arguments", line[0] ? line : "none");
}

static bool error_known(const char *name, size_t length)
{
    static const char *const known[] = {
#define ERROR_NAME(error, number, text) #error,
        PIGLET_ERRORS(ERROR_NAME)
#undef ERROR_NAME
            "any"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i]) == length && strncmp(known[i], name, length) == 0)
            return true;
    return false;
}

/* "NAME: when; NAME: when", of names that there are. */
static void errors_check(const struct piglet_opcode_info *info)
{
    for (const char *at = info->errors; *at; at += strspn(at, "; ")) {
        size_t length = strcspn(at, ":;");
        if (at[length] != ':' || !error_known(at, length)) {
            fprintf(stderr, "psr-doc: %s: errors: no such error: %.*s\n", info->name, (int)length,
                    at);
            exit(1);
        }
        at += strcspn(at, ";");
    }
}

static void put_errors(struct text *text, const struct piglet_opcode_info *info)
{
    unsigned capabilities = 0, typed = 0;
    char line[1024];
    errors_check(info);
    for (unsigned i = 0; i < 4; i++) {
        capabilities += info->want[i] >= PIGLET_WANT_ANY;
        typed += info->want[i] > PIGLET_WANT_ANY;
    }
    bool right = info->right || capabilities > 1;
    snprintf(line, sizeof line, "%s%sof the checks: ARGUMENT%s%s%s", info->errors,
             info->errors[0] ? "; " : "", capabilities ? ", CAPABILITY" : "", typed ? ", TYPE" : "",
             right ? ", DENIED" : "");
    put_item(text, "errors", line);
}

static void put_opcode(struct text *text, unsigned opcode)
{
    const struct piglet_opcode_info *info = &infos[opcode];
    char line[256];
    snprintf(line, sizeof line, "\n### %s (%u)\n\n", info->name, opcode);
    put(text, line);
    put_example(text, opcode);
    begin_line(text);
    put_words(text, info->help, "");
    put(text, "\n\n");
    put_arguments(text, info);
    put_item(text, "result", info->result);
    if (info->right)
        put_item(text, "right", right_text(info->right));
    put_errors(text, info);
    put_item(text, "undo", info->undo);
    put_item(text, "cost", info->cost);
}

/* ---- the file ---------------------------------------------------------------------------------------- */

static void read_file(struct text *text, const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        exit(1);
    }
    text->length = fread(text->bytes, 1, FILE_MAX - 1, file);
    text->bytes[text->length] = 0;
    fclose(file);
}

static void write_file(const struct text *text, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file || fwrite(text->bytes, 1, text->length, file) != text->length || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    static char old_bytes[FILE_MAX], new_bytes[FILE_MAX];
    struct text old = {.bytes = old_bytes}, text = {.bytes = new_bytes};
    bool check = argc == 3 && strcmp(argv[1], "--check") == 0;
    if (argc != 2 + check) {
        fprintf(stderr, "psr-doc [--check] FILE\n");
        return 2;
    }
    const char *path = argv[argc - 1];
    read_file(&old, path);
    const char *begin = strstr(old.bytes, begin_marker);
    const char *end = begin ? strstr(begin, end_marker) : NULL;
    if (!end) {
        fprintf(stderr, "psr-doc: %s lacks the lines\n%s%s", path, begin_marker, end_marker);
        return 1;
    }
    put_bytes(&text, old.bytes, (size_t)(begin - old.bytes) + strlen(begin_marker));
    for (unsigned opcode = 0; opcode < PIGLET_OP_COUNT; opcode++)
        put_opcode(&text, opcode);
    put(&text, "\n");
    put(&text, end);
    if (strcmp(old.bytes, text.bytes) == 0)
        return 0;
    if (check) {
        fprintf(stderr, "psr-doc: %s is not as include/piglet/opcode.h: make docs\n", path);
        return 1;
    }
    write_file(&text, path);
    return 0;
}
