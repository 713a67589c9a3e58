/* Words of a shaper block: what classes are, and what matches fit. */
#include <string.h>

#include "tools/pigctl/shaper.h"

enum {
    SHAPER_TCP = 6, /* protocol numbers */
    SHAPER_UDP = 17,
    SHAPER_WORD_ROOM = 32,
};

/* ---- words ------------------------------------------------------------------------------------------ */

const struct word *shaper_peek(const struct shaper_reader *reader)
{
    return reader->at < reader->words->count ? &reader->words->word[reader->at] : NULL;
}

bool shaper_take_if(struct shaper_reader *reader, const char *text)
{
    const struct word *word = shaper_peek(reader);
    if (!word || strcmp(word->text, text) != 0)
        return false;
    reader->at++;
    return true;
}

int shaper_wrong(const struct shaper_reader *reader, const char *expected)
{
    const struct word *word = shaper_peek(reader);
    if (!word)
        return complain_at(reader->words->end, PIGCTL_USAGE, "shaper: expected %s", expected);
    return complain_at(word->place, PIGCTL_USAGE, "shaper: expected %s, not \"%s\"", expected,
                       word->text);
}

/* The word before the next is one that the line has already. */
static int twice(const struct shaper_reader *reader)
{
    const struct word *word = &reader->words->word[reader->at - 1];
    return complain_at(word->place, PIGCTL_USAGE,
                       "shaper: \"%s\" is said twice; expected one of them left out", word->text);
}

/* ---- numbers with units ----------------------------------------------------------------------------- */

struct named {
    const char *name;
    uint64_t value;
};

static const struct named no_units[] = {{"", 1}, {NULL, 0}},
                          rates[] = {{"bit", 1},
                                     {"kbit", 1000},
                                     {"mbit", 1000000},
                                     {"gbit", 1000000000},
                                     {NULL, 0}},
                          sizes[] = {{"", 1}, {"k", 1 << 10}, {"m", 1 << 20}, {NULL, 0}},
                          times[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {NULL, 0}};

static bool parse_quantity(const char *text, const struct named *unit, uint64_t *number)
{
    char digits[SHAPER_WORD_ROOM] = "";
    size_t count = strspn(text, "0123456789");
    if (count >= sizeof digits)
        return false;
    memcpy(digits, text, count);
    while (unit->name && strcmp(unit->name, text + count) != 0)
        unit++;
    if (!unit->name || !parse_number(digits, UINT64_MAX / unit->value, number))
        return false;
    *number *= unit->value;
    return true;
}

/* ---- classes ------------------------------------------------------------------------------------------ */

static const struct option_kind {
    const char *name;
    const struct named *units;
    uint64_t least, most;
    const char *expected;
} option_kinds[] = {
    [SHAPER_RATE] = {"rate", rates, PIGLET_SHAPER_RATE_MIN, PIGLET_SHAPER_RATE_MAX,
                     "a rate from 8kbit to 100gbit, such as 10mbit"},
    [SHAPER_CEILING] = {"ceiling", rates, PIGLET_SHAPER_RATE_MIN, PIGLET_SHAPER_RATE_MAX,
                        "a rate from 8kbit to 100gbit, such as 10mbit"},
    [SHAPER_PRIORITY] = {"priority", no_units, 0, PIGLET_SHAPER_PRIORITIES - 1,
                         "a priority from 0, which is first, to 7"},
    [SHAPER_BURST] = {"burst", sizes, PIGLET_SHAPER_FRAME_MAX + 1, PIGLET_SHAPER_BURST_MAX,
                      "bytes from 2049 to 64m, such as 16k"},
    [SHAPER_TARGET] = {"target", times, 1, PIGLET_SHAPER_INTERVAL_MAX,
                       "a time from 1us to 4s, such as 5ms, or off"},
    [SHAPER_INTERVAL] = {"interval", times, 1, PIGLET_SHAPER_INTERVAL_MAX,
                         "a time from 1us to 4s, such as 100ms"},
    [SHAPER_QUANTUM] = {"quantum", sizes, PIGLET_SHAPER_QUANTUM_MIN, PIGLET_SHAPER_QUANTUM_MAX,
                        "bytes from 256 to 64k, such as 1514"},
    [SHAPER_LIMIT_FRAMES] = {"limit", no_units, 1, PIGLET_SHAPER_LIMIT_FRAMES_MAX,
                             "1 to 65536 frames, such as 200 frames"},
    [SHAPER_LIMIT_BYTES] = {"limit", sizes, PIGLET_SHAPER_FRAME_MAX, PIGLET_SHAPER_LIMIT_BYTES_MAX,
                            "2048 bytes to 1024m bytes, such as 64k bytes"},
};

/* What the next word is about. Which limit it is, only the unit behind its number says. */
static int option_take(struct shaper_reader *reader, unsigned *option)
{
    for (*option = 0; *option < SHAPER_LIMIT_FRAMES; ++*option)
        if (shaper_take_if(reader, option_kinds[*option].name))
            return PIGCTL_DONE;
    if (!shaper_take_if(reader, "limit"))
        return shaper_wrong(reader, "rate, ceiling, priority, burst, target, interval, quantum, "
                                    "limit or the end of the line");
    struct shaper_reader behind = {reader->words, reader->at + 1};
    if (shaper_take_if(&behind, "frames"))
        return PIGCTL_DONE;
    *option = SHAPER_LIMIT_BYTES;
    if (shaper_take_if(&behind, "bytes"))
        return PIGCTL_DONE;
    return shaper_wrong(shaper_peek(reader) ? &behind : reader,
                        shaper_peek(reader) ? "frames or bytes, behind the limit's number"
                                            : "a limit, such as 200 frames or 64k bytes");
}

static int option_read(struct shaper_reader *reader, struct shaper_options *options)
{
    unsigned option;
    int code = option_take(reader, &option);
    if (code != PIGCTL_DONE)
        return code;
    if (options->said[option].line)
        return twice(reader);
    const struct option_kind *kind = &option_kinds[option];
    const struct word *word = shaper_peek(reader);
    uint64_t *value = &options->value[option];
    if (option == SHAPER_TARGET && word && strcmp(word->text, "off") == 0)
        *value = 0;
    else if (!word || !parse_quantity(word->text, kind->units, value) || *value < kind->least ||
             *value > kind->most)
        return shaper_wrong(reader, kind->expected);
    options->said[option] = word->place;
    reader->at += option >= SHAPER_LIMIT_FRAMES ? 2 : 1;
    return PIGCTL_DONE;
}

int shaper_options_read(struct shaper_reader *reader, struct shaper_options *options)
{
    int code = PIGCTL_DONE;
    while (shaper_peek(reader) && code == PIGCTL_DONE)
        code = option_read(reader, options);
    if (code == PIGCTL_DONE && !options->said[SHAPER_RATE].line)
        return shaper_wrong(reader, "rate and how much, such as rate 10mbit");
    return code;
}

/* ---- matches ------------------------------------------------------------------------------------------ */

/* A list, of a line that does not have it yet. */
static int list_take(struct shaper_reader *reader, struct shaper_match_line *line,
                     enum list_kind kind)
{
    const struct word *word = shaper_peek(reader);
    if (line->said[kind].line)
        return twice(reader);
    if (!word)
        return shaper_wrong(reader, list_expected(kind));
    line->said[kind] = word->place;
    int code = list_read("shaper", word, kind, &line->list[kind]);
    reader->at += code == PIGCTL_DONE;
    return code;
}

/* A number, or a name: ef (RFC 3246), cs0 to cs7 (RFC 2474 4.2.2), af11 to af43 (RFC 2597). */
static bool parse_dscp(const char *text, uint64_t *dscp)
{
    size_t length = strlen(text);
    if (strcmp(text, "ef") == 0)
        *dscp = 46;
    else if (strncmp(text, "cs", 2) == 0 && length == 3 && text[2] >= '0' && text[2] <= '7')
        *dscp = 8u * (unsigned)(text[2] - '0');
    else if (strncmp(text, "af", 2) == 0 && length == 4 && text[2] >= '1' && text[2] <= '4' &&
             text[3] >= '1' && text[3] <= '3')
        *dscp = 8u * (unsigned)(text[2] - '0') + 2u * (unsigned)(text[3] - '0');
    else
        return parse_number(text, 63, dscp);
    return true;
}

static int dscp_read(struct shaper_reader *reader, struct piglet_shaper_match *match)
{
    uint64_t dscp;
    if (match->flags & PIGLET_SHAPER_MATCH_DSCP)
        return twice(reader);
    if (!shaper_peek(reader) || !parse_dscp(shaper_peek(reader)->text, &dscp))
        return shaper_wrong(reader, "a DSCP from 0 to 63, or ef, cs0 to cs7, af11 to af43");
    reader->at++;
    match->flags |= PIGLET_SHAPER_MATCH_DSCP;
    match->dscp = (uint8_t)dscp;
    return PIGCTL_DONE;
}

/* What is behind source or destination: addresses, ports, or both. */
static int end_read(struct shaper_reader *reader, struct shaper_match_line *line, bool source)
{
    int code = PIGCTL_DONE;
    bool ports = shaper_take_if(reader, "port");
    if (!ports) {
        code = list_take(reader, line, source ? LIST_SOURCE : LIST_DESTINATION);
        ports = code == PIGCTL_DONE && shaper_take_if(reader, "port");
    }
    if (ports)
        code = list_take(reader, line, source ? LIST_SOURCE_PORT : LIST_DESTINATION_PORT);
    return code;
}

static int match_word_read(struct shaper_reader *reader, struct shaper_match_line *line)
{
    if (shaper_take_if(reader, "dscp"))
        return dscp_read(reader, &line->match);
    if (shaper_take_if(reader, "source"))
        return end_read(reader, line, true);
    if (shaper_take_if(reader, "destination"))
        return end_read(reader, line, false);
    if (shaper_take_if(reader, "ipv4")) {
        line->match.flags |= PIGLET_SHAPER_MATCH_IPV4;
        return PIGCTL_DONE;
    }
    if (shaper_take_if(reader, "protocol"))
        return list_take(reader, line, LIST_PROTOCOL);
    if (!list_of_protocols(shaper_peek(reader)))
        return shaper_wrong(reader, "a protocol's name, protocol, dscp, source, destination, ipv4 "
                                    "or the end of the line");
    if (line->said[LIST_PROTOCOL].line) {
        reader->at++;
        return twice(reader);
    }
    return list_take(reader, line, LIST_PROTOCOL);
}

static bool has_ports(const struct list *protocols)
{
    for (unsigned i = 0; i < protocols->count; i++)
        if (protocols->item[i].first != SHAPER_TCP && protocols->item[i].first != SHAPER_UDP)
            return false;
    return true;
}

int shaper_match_read(struct shaper_reader *reader, struct shaper_match_line *line)
{
    int code = PIGCTL_DONE;
    lists_begin(line->list);
    if (!shaper_peek(reader))
        return shaper_wrong(reader, "what it fits, such as udp or dscp 46");
    while (shaper_peek(reader) && code == PIGCTL_DONE)
        code = match_word_read(reader, line);
    bool ports = line->said[LIST_SOURCE_PORT].line || line->said[LIST_DESTINATION_PORT].line;
    if (code == PIGCTL_DONE && ports && line->said[LIST_PROTOCOL].line &&
        !has_ports(&line->list[LIST_PROTOCOL]))
        return complain_at(reader->words->word[0].place, PIGCTL_USAGE,
                           "shaper: this match has ports, and a protocol without; expected tcp or "
                           "udp");
    return code;
}
