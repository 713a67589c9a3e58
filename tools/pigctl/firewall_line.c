/* The words of a firewall rule: docs/CONFIG.md has the table of them. */
#include "tools/pigctl/firewall.h"

#include <stdio.h>
#include <string.h>

const struct firewall_name firewall_verdicts[] = {
    {"accept", PIGLET_VERDICT_ACCEPT},
    {"drop", PIGLET_VERDICT_DROP},
    {"reject", PIGLET_VERDICT_RESET},
    {NULL, 0},
};

const struct firewall_name firewall_directions[] = {
    {"in", PIGLET_DIRECTION_IN},
    {"out", PIGLET_DIRECTION_OUT},
    {"forward", PIGLET_DIRECTION_FORWARD},
    {"any", PIGLET_DIRECTION_IN | PIGLET_DIRECTION_OUT | PIGLET_DIRECTION_FORWARD},
    {NULL, 0},
};

static const struct firewall_name rejects[] = {
    {"tcp-reset", PIGLET_VERDICT_RESET},
    {"icmp", PIGLET_VERDICT_REJECT},
    {NULL, 0},
};

static const struct firewall_name tcp_flags[] = {
    {"fin", 1},  {"syn", 2},  {"rst", 4},   {"psh", 8},  {"ack", 16},
    {"urg", 32}, {"ece", 64}, {"cwr", 128}, {"none", 0}, {NULL, 0},
};

static const struct firewall_name icmp_types[] = {
    {"echo-reply", 0},
    {"unreachable", 3},
    {"redirect", 5},
    {"echo-request", 8},
    {"router-advertisement", 9},
    {"router-solicitation", 10},
    {"time-exceeded", 11},
    {"parameter-problem", 12},
    {"timestamp-request", 13},
    {"timestamp-reply", 14},
    {NULL, 0},
};

static const struct firewall_name fragments[] = {
    {"whole", PIGLET_FRAGMENT_WHOLE},
    {"first", PIGLET_FRAGMENT_FIRST},
    {"later", PIGLET_FRAGMENT_LATER},
    {NULL, 0},
};

static const struct firewall_name states[] = {
    {"new", PIGLET_STATE_NEW},
    {"established", PIGLET_STATE_ESTABLISHED},
    {"related", PIGLET_STATE_RELATED},
    {"invalid", PIGLET_STATE_INVALID},
    {NULL, 0},
};

/* ---- what a keyword is followed by: each returns an exit code -------------------------------------- */

static int twice(const struct firewall_reader *reader, unsigned part)
{
    struct place place = reader->words->word[reader->at - 1].place;
    return complain_at(place, PIGCTL_USAGE,
                       "firewall: it is said in column %u already; expected something else, or the "
                       "end of the line",
                       reader->line->said[part].column);
}

/* Behind "source" and "destination": prefixes, ports, or both. */
static int side_read(struct firewall_reader *reader, unsigned part)
{
    struct firewall_line *line = reader->line;
    unsigned ports = part == LIST_SOURCE ? LIST_SOURCE_PORT : LIST_DESTINATION_PORT;
    bool prefixes = !firewall_peek(reader) || strcmp(firewall_peek(reader)->text, "port") != 0;
    if (prefixes) {
        if (line->said[part].line)
            return twice(reader, part);
        int code = firewall_list_read(reader, part);
        if (code != PIGCTL_DONE || !firewall_peek(reader) ||
            strcmp(firewall_peek(reader)->text, "port") != 0)
            return code;
    }
    reader->at++;
    if (line->said[ports].line)
        return twice(reader, ports);
    return firewall_list_read(reader, ports);
}

static int nic_read(struct firewall_reader *reader, unsigned part)
{
    struct piglet_firewall_rule *rule = &reader->line->rule;
    const struct word *word = firewall_peek(reader);
    uint64_t nic;
    if (!word || strncmp(word->text, "nic", 3) != 0 ||
        !parse_number(word->text + 3, PIGLET_FIREWALL_NIC_MAX, &nic))
        return firewall_wrong(reader, "a nic: nic0 to nic31");
    *(part == LINE_FROM ? &rule->nic_in : &rule->nic_out) = (uint8_t)nic;
    reader->at++;
    return PIGCTL_DONE;
}

/* "syn", or "syn/syn,ack": of the flags behind the slash, those before it are set and no other. */
static int flags_read(struct firewall_reader *reader, unsigned part)
{
    static const char what[] = "flags that are set, and after a slash those looked at, such as "
                               "syn/syn,ack";
    struct piglet_firewall_rule *rule = &reader->line->rule;
    uint8_t *into = &rule->tcp_value;
    char text[FIREWALL_NAMES_ROOM];
    struct piece piece;
    bool slash;
    (void)part;
    if (!firewall_piece(reader, &piece, ",/"))
        return firewall_wrong(reader, firewall_names_text(tcp_flags, what, text));
    do {
        const struct firewall_name *name = firewall_name_find(tcp_flags, piece.text);
        slash = piece.next && piece.next[-1] == '/';
        if (!name || (slash && into == &rule->tcp_mask))
            return firewall_piece_wrong(&piece, firewall_names_text(tcp_flags, what, text));
        *into |= (uint8_t)name->value;
        into = slash ? &rule->tcp_mask : into;
    } while (piece_next(&piece, ",/"));
    if (into == &rule->tcp_value)
        rule->tcp_mask = rule->tcp_value;
    if (rule->tcp_mask == 0 || rule->tcp_value & ~rule->tcp_mask)
        return firewall_wrong(reader,
                              "flags that are set among those looked at, such as syn/syn,ack");
    reader->at++;
    return PIGCTL_DONE;
}

static int icmp_read(struct firewall_reader *reader, unsigned part)
{
    struct piglet_firewall_rule *rule = &reader->line->rule;
    const struct word *word = firewall_peek(reader);
    char text[FIREWALL_NAMES_ROOM];
    uint64_t number;
    bool type = part == LINE_TYPE;
    if (type && (!word || !firewall_number(word->text, icmp_types, &number)))
        return firewall_wrong(reader, firewall_names_text(icmp_types, "a number, or a name", text));
    if (!type && (!word || !parse_number(word->text, UINT8_MAX, &number)))
        return firewall_wrong(reader, "a code: 0 to 255");
    *(type ? &rule->icmp_type : &rule->icmp_code) = (uint8_t)number;
    rule->match |= type ? PIGLET_MATCH_ICMP_TYPE : PIGLET_MATCH_ICMP_CODE;
    reader->at++;
    return PIGCTL_DONE;
}

static int bits_read(struct firewall_reader *reader, unsigned part)
{
    struct piglet_firewall_rule *rule = &reader->line->rule;
    if (part == LINE_STATE)
        return firewall_mask_read(reader, states, "states", &rule->states);
    return firewall_mask_read(reader, fragments, "fragments", &rule->fragments);
}

static int limit_read(struct firewall_reader *reader, unsigned part)
{
    const struct word *word = firewall_peek(reader);
    uint64_t number;
    (void)part;
    if (!word || !parse_number(word->text, PIGLET_FIREWALL_LIMIT_MAX, &number) || !number)
        return firewall_wrong(reader, "connections of one source: 1 to 65535");
    reader->line->rule.limit = (uint32_t)number;
    reader->line->rule.limit_key = reader->line->place.line;
    reader->at++;
    return PIGCTL_DONE;
}

static int action_read(struct firewall_reader *reader, unsigned part)
{
    reader->line->rule.actions |= part == LINE_LOG ? PIGLET_ACTION_LOG : PIGLET_ACTION_COUNT;
    return PIGCTL_DONE;
}

/* "\"ip[8] > 1\"", in as many words as there are blanks in it. */
static int match_read(struct firewall_reader *reader, unsigned part)
{
    static const char expected[] = "an expression in quotation marks, such as \"ip[8] > 1\"";
    struct firewall_line *line = reader->line;
    const struct word *word = firewall_peek(reader);
    size_t used = 0;
    if (!word || word->text[0] != '"')
        return firewall_wrong(reader, expected);
    line->said[part] = word->place;
    for (bool first = true; (word = firewall_peek(reader)) != NULL; first = false, reader->at++) {
        const char *text = word->text + first, *end = strchr(text, '"');
        size_t length = end ? (size_t)(end - text) : strlen(text);
        if (used + length + 2 > sizeof line->expression)
            return complain_at(word->place, PIGCTL_USAGE,
                               "firewall: the expression is too long; expected at most %d bytes",
                               FIREWALL_EXPRESSION_ROOM - 2);
        used += (size_t)snprintf(line->expression + used, sizeof line->expression - used, "%s%.*s",
                                 first ? "" : " ", (int)length, text);
        if (!end)
            continue;
        if (end[1])
            return complain_at(word->place, PIGCTL_USAGE,
                               "firewall: \"%s\" does not end with its quotation mark; expected a "
                               "blank behind it",
                               end + 1);
        reader->at++;
        return line->expression[strspn(line->expression, " ")]
                   ? PIGCTL_DONE
                   : complain_at(line->said[part], PIGCTL_USAGE, "firewall: expected %s", expected);
    }
    return firewall_wrong(reader, "the expression's closing quotation mark");
}

/* ---- lines -------------------------------------------------------------------------------------------- */

static const struct keyword {
    const char *word;
    unsigned part;
    int (*read)(struct firewall_reader *reader, unsigned part);
} keywords[] = {
    {"protocol", LIST_PROTOCOL, firewall_list_read},
    {"source", LIST_SOURCE, side_read},
    {"destination", LIST_DESTINATION, side_read},
    {"from", LINE_FROM, nic_read},
    {"to", LINE_TO, nic_read},
    {"flags", LINE_FLAGS, flags_read},
    {"type", LINE_TYPE, icmp_read},
    {"code", LINE_CODE, icmp_read},
    {"fragments", LINE_FRAGMENTS, bits_read},
    {"state", LINE_STATE, bits_read},
    {"limit", LINE_LIMIT, limit_read},
    {"log", LINE_LOG, action_read},
    {"count", LINE_COUNT, action_read},
    {"match", LINE_MATCH, match_read},
    {NULL, LINE_PARTS, NULL},
};

static const struct keyword *keyword_find(const char *text)
{
    const struct keyword *keyword = keywords;
    while (keyword->word && strcmp(keyword->word, text) != 0)
        keyword++;
    return keyword;
}

/* One word with what belongs to it, or protocols without the word. */
static int part_read(struct firewall_reader *reader)
{
    const struct word *word = firewall_peek(reader);
    const struct keyword *keyword = keyword_find(word->text);
    struct firewall_line *line = reader->line;
    if (!keyword->word) {
        if (!list_of_protocols(word))
            return firewall_wrong(reader,
                                  "a protocol, source, destination, from, to, flags, type, code, "
                                  "fragments, state, limit, log, count or match");
        if (line->said[LIST_PROTOCOL].line)
            return complain_at(word->place, PIGCTL_USAGE,
                               "firewall: column %u says a protocol already; expected a list, such "
                               "as tcp,udp",
                               line->said[LIST_PROTOCOL].column);
        return firewall_list_read(reader, LIST_PROTOCOL);
    }
    reader->at++;
    if (keyword->read == side_read)
        return side_read(reader, keyword->part);
    if (line->said[keyword->part].line)
        return twice(reader, keyword->part);
    line->said[keyword->part] = word->place;
    return keyword->read(reader, keyword->part);
}

int firewall_verdict_read(struct firewall_reader *reader, uint8_t *verdict, uint8_t *icmp_reject)
{
    unsigned value;
    int code = firewall_name_read(reader, firewall_verdicts, "a verdict", &value);
    if (code != PIGCTL_DONE)
        return code;
    const struct firewall_name *how = value == PIGLET_VERDICT_RESET && firewall_peek(reader)
                                          ? firewall_name_find(rejects, firewall_peek(reader)->text)
                                          : NULL;
    reader->at += how != NULL;
    *verdict = (uint8_t)(how ? how->value : value);
    *icmp_reject = value == PIGLET_VERDICT_RESET ? FIREWALL_REJECT_CODE : 0;
    return PIGCTL_DONE;
}

/* Whether all of the list's protocols are among these. */
static bool protocols_are(const struct firewall_line *line, const char *among)
{
    const struct list *list = &line->list[LIST_PROTOCOL];
    for (unsigned i = 0; i < list->count; i++)
        if (!list->item[i].last || !memchr(among, (int)list->item[i].first, strlen(among)))
            return false;
    return true;
}

/* What a rule must have or must not have for `part` to make sense. NULL: nothing is missing. */
static const char *part_misses(const struct firewall_line *line, unsigned part)
{
    static const char with_ports[] = {FIREWALL_TCP, 17, 33, (char)132, (char)136, 0};
    static const char icmp[] = {FIREWALL_ICMP, 0}, tcp[] = {FIREWALL_TCP, 0};
    const struct piglet_firewall_rule *rule = &line->rule;
    bool transport = rule->fragments != PIGLET_FRAGMENT_LATER;
    switch (part) {
    case LIST_SOURCE_PORT:
    case LIST_DESTINATION_PORT:
        return !protocols_are(line, with_ports)
                   ? "protocols with ports: tcp, udp, dccp, sctp or udp-lite"
               : !transport ? "no port: later fragments have none"
                            : NULL;
    case LINE_FLAGS:
        return !protocols_are(line, tcp) ? "protocol tcp with flags"
               : !transport              ? "no flags: later fragments have none"
                                         : NULL;
    case LINE_TYPE:
        return !protocols_are(line, icmp) ? "protocol icmp with a type"
               : !transport               ? "no type: later fragments have none"
                                          : NULL;
    case LINE_CODE:
        return line->said[LINE_TYPE].line ? NULL : "an ICMP type with the code";
    case LINE_FROM:
        return rule->directions == PIGLET_DIRECTION_OUT
                   ? "in, forward or any: what Piglet sends comes from no nic"
                   : NULL;
    case LINE_TO:
        return rule->directions == PIGLET_DIRECTION_IN
                   ? "out, forward or any: what is for Piglet leaves by no nic"
                   : NULL;
    case LINE_LIMIT:
        return rule->verdict == PIGLET_VERDICT_ACCEPT ? NULL : "accept with a limit";
    default:
        return NULL;
    }
}

int firewall_line_read(const struct words *words, struct firewall_line *line)
{
    struct firewall_reader reader = {.words = words, .line = line};
    struct piglet_firewall_rule *rule = &line->rule;
    unsigned directions;
    *line = (struct firewall_line){.place = words->word[0].place};
    rule->line = line->place.line;
    rule->nic_in = rule->nic_out = PIGLET_FIREWALL_NIC_ANY;
    lists_begin(line->list);
    int code = firewall_verdict_read(&reader, &rule->verdict, &rule->icmp_reject);
    if (code == PIGCTL_DONE)
        code = firewall_name_read(&reader, firewall_directions, "a direction", &directions);
    if (code != PIGCTL_DONE)
        return code;
    rule->directions = (uint8_t)directions;
    while (code == PIGCTL_DONE && firewall_peek(&reader))
        code = part_read(&reader);
    for (unsigned part = 0; part < LINE_PARTS && code == PIGCTL_DONE; part++) {
        const char *expected = line->said[part].line ? part_misses(line, part) : NULL;
        if (expected)
            code = complain_at(line->said[part], PIGCTL_USAGE, "firewall: expected %s", expected);
    }
    return code;
}
