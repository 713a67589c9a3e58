/* The firewall block: lines of rules as the firewall's table (include/piglet/firewall.h). */
#define _GNU_SOURCE
#include "tools/pigctl/firewall.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

enum {
    SNAP_LENGTH = 65535,
    ONLY_OF_FLOWS = PIGLET_STATE_ESTABLISHED | PIGLET_STATE_RELATED,
};

/* A table while it is made. */
struct firewall_table {
    struct piglet_firewall_header header;
    struct bytes rules, programs;
    unsigned steps; /* of the programs of all rules, shared or not: what one packet may take */
    struct place by_default[3]; /* in, out, forward: where it is said; line 0: nowhere */
    struct place flags;         /* and this: stateless or every-packet */
    struct place of_flows;      /* the first rule that needs every-packet, */
    struct place of_state;      /* or flows */
};

/* ---- programs ----------------------------------------------------------------------------------------- */

/* Compiles the line's expression, for packets that begin with their Ethernet header. */
static int program_read(struct firewall_table *table, struct firewall_line *line)
{
    struct bpf_program program;
    struct place place = line->said[LINE_MATCH];
    pcap_t *ethernet = pcap_open_dead(DLT_EN10MB, SNAP_LENGTH);
    if (!ethernet)
        return complain_at(place, PIGCTL_REFUSED, "firewall: no memory; end other programs");
    int failed = pcap_compile(ethernet, &program, line->expression, 1, PCAP_NETMASK_UNKNOWN);
    if (failed)
        complain_at(place, PIGCTL_USAGE, "firewall: \"%s\": %s; expected what pcap-filter(7) says",
                    line->expression, pcap_geterr(ethernet));
    pcap_close(ethernet);
    if (failed)
        return PIGCTL_USAGE;
    unsigned count = program.bf_len;
    line->rule.bpf_at = (uint32_t)(table->programs.count / sizeof(struct piglet_bpf));
    line->rule.bpf_count = count;
    for (unsigned i = 0; i < count; i++) {
        const struct bpf_insn *from = &program.bf_insns[i];
        struct piglet_bpf *to = bytes_add(&table->programs, sizeof *to);
        *to = (struct piglet_bpf){from->code, from->jt, from->jf, from->k};
    }
    pcap_freecode(&program);
    return PIGCTL_DONE;
}

/* ---- rules --------------------------------------------------------------------------------------------- */

/* One rule: of each list the item that is at. */
static void rule_add(struct firewall_table *table, const struct firewall_line *line,
                     const unsigned at[LISTS])
{
    struct piglet_firewall_rule *rule = bytes_add(&table->rules, sizeof *rule);
    struct list_item item[LISTS];
    for (unsigned i = 0; i < LISTS; i++)
        item[i] = line->list[i].item[at[i]];
    *rule = line->rule;
    rule->match |= item[LIST_PROTOCOL].last ? PIGLET_MATCH_PROTOCOL : 0;
    rule->protocol = (uint8_t)item[LIST_PROTOCOL].first;
    rule->from = item[LIST_SOURCE].first;
    rule->from_length = (uint8_t)item[LIST_SOURCE].last;
    rule->to = item[LIST_DESTINATION].first;
    rule->to_length = (uint8_t)item[LIST_DESTINATION].last;
    rule->from_port = (uint16_t)item[LIST_SOURCE_PORT].first;
    rule->from_port_end = (uint16_t)item[LIST_SOURCE_PORT].last;
    rule->to_port = (uint16_t)item[LIST_DESTINATION_PORT].first;
    rule->to_port_end = (uint16_t)item[LIST_DESTINATION_PORT].last;
    table->header.rule_count++;
}

/* A rule for each combination of the lists' items. */
static int rules_add(struct firewall_table *table, const struct firewall_line *line)
{
    unsigned at[LISTS] = {0};
    uint64_t rules = lists_combinations(line->list);
    if (table->header.rule_count + rules > PIGLET_FIREWALL_RULES_MAX)
        return complain_at(
            line->place, PIGCTL_USAGE,
            "firewall: with the %llu rules of this line it is more than %d; expected "
            "fewer lines, or shorter lists",
            (unsigned long long)rules, PIGLET_FIREWALL_RULES_MAX);
    if (table->steps + rules * line->rule.bpf_count > PIGLET_FIREWALL_BPF_MAX)
        return complain_at(
            line->said[LINE_MATCH], PIGCTL_USAGE,
            "firewall: the expressions of all rules take more than %d steps; expected "
            "fewer, or simpler ones",
            PIGLET_FIREWALL_BPF_MAX);
    table->steps += (unsigned)rules * line->rule.bpf_count;
    do
        rule_add(table, line, at);
    while (lists_next(line->list, at));
    return PIGCTL_DONE;
}

static int rule_read(struct firewall_table *table, const struct words *words)
{
    struct firewall_line line;
    int code = firewall_line_read(words, &line);
    if (code == PIGCTL_DONE && line.said[LINE_MATCH].line)
        code = program_read(table, &line);
    if (code != PIGCTL_DONE)
        return code;
    const struct piglet_firewall_rule *rule = &line.rule;
    bool inert = rule->verdict == PIGLET_VERDICT_ACCEPT && !rule->actions;
    if (rule->states && !(rule->states & ~ONLY_OF_FLOWS) && !inert && !table->of_flows.line)
        table->of_flows = line.said[LINE_STATE];
    if ((rule->states || rule->limit) && !table->of_state.line)
        table->of_state = line.said[rule->states ? LINE_STATE : LINE_LIMIT];
    return rules_add(table, &line);
}

/* ---- other lines ---------------------------------------------------------------------------------------- */

/* "default in drop" */
static int default_read(struct firewall_table *table, const struct words *words)
{
    struct firewall_reader reader = {.words = words, .at = 1};
    struct piglet_firewall_header *header = &table->header;
    uint8_t *const verdict_of[] = {&header->verdict_in, &header->verdict_out,
                                   &header->verdict_forward};
    uint8_t verdict, icmp_reject;
    unsigned directions;
    int code = firewall_name_read(&reader, firewall_directions, "a direction", &directions);
    if (code == PIGCTL_DONE)
        code = firewall_verdict_read(&reader, &verdict, &icmp_reject);
    if (code != PIGCTL_DONE)
        return code;
    if (reader.at < words->count)
        return complain_at(words->word[reader.at].place, PIGCTL_USAGE,
                           "firewall: \"%s\" is not understood; expected the end of the line",
                           words->word[reader.at].text);
    for (unsigned i = 0; i < 3; i++) {
        if (!(directions >> i & 1))
            continue;
        if (table->by_default[i].line)
            return complain_at(words->word[1].place, PIGCTL_USAGE,
                               "firewall: line %u says this default already; expected one for each "
                               "direction",
                               table->by_default[i].line);
        table->by_default[i] = words->word[0].place;
        *verdict_of[i] = verdict;
    }
    return PIGCTL_DONE;
}

static int flags_read(struct firewall_table *table, const struct words *words, uint16_t flags)
{
    if (words->count > 1)
        return complain_at(words->word[1].place, PIGCTL_USAGE,
                           "firewall: \"%s\" is not understood; expected the end of the line",
                           words->word[1].text);
    if (table->flags.line)
        return complain_at(words->word[0].place, PIGCTL_USAGE,
                           "firewall: line %u has said how connections are followed; expected one "
                           "of stateless, every-packet",
                           table->flags.line);
    table->flags = words->word[0].place;
    table->header.flags = flags;
    return PIGCTL_DONE;
}

static int line_compile(struct firewall_table *table, const struct words *words)
{
    const char *word = words->word[0].text;
    if (strcmp(word, "default") == 0)
        return default_read(table, words);
    if (strcmp(word, "stateless") == 0)
        return flags_read(table, words, PIGLET_FIREWALL_STATELESS);
    if (strcmp(word, "every-packet") == 0)
        return flags_read(table, words, PIGLET_FIREWALL_EVERY_PACKET);
    for (const struct firewall_name *name = firewall_verdicts; name->name; name++)
        if (strcmp(word, name->name) == 0)
            return rule_read(table, words);
    return complain_at(
        words->word[0].place, PIGCTL_USAGE,
        "firewall: \"%s\" is not understood; expected accept, drop, reject, default, "
        "stateless or every-packet",
        word);
}

/* ---- the block ------------------------------------------------------------------------------------------- */

/* What only the whole shows. */
static int whole_check(const struct firewall_table *table)
{
    uint16_t flags = table->header.flags;
    if (flags & PIGLET_FIREWALL_STATELESS && table->of_state.line)
        return complain_at(table->of_state, PIGCTL_USAGE,
                           "firewall: line %u says stateless, and there are no connections then; "
                           "expected neither state nor limit",
                           table->flags.line);
    if (!flags && table->of_flows.line)
        return complain_at(
            table->of_flows, PIGCTL_USAGE,
            "firewall: packets of connections pass without the rules; expected a line "
            "of every-packet in this block, or other states");
    return PIGCTL_DONE;
}

int firewall_compile(const struct block_lines *lines, struct bytes *bytes)
{
    struct firewall_table table = {.header = {.magic = PIGLET_FIREWALL_MAGIC,
                                              .version = PIGLET_FIREWALL_VERSION,
                                              .flags = lines->count ? 0 : PIGLET_FIREWALL_STATELESS,
                                              .icmp_reject = FIREWALL_REJECT_CODE}};
    unsigned errors = 0;
    for (unsigned i = 0; i < lines->count && errors < ERRORS_MAX; i++)
        errors += line_compile(&table, &lines->line[i]) != PIGCTL_DONE;
    if (!errors)
        errors += whole_check(&table) != PIGCTL_DONE;
    size_t rules = table.rules.count, programs = table.programs.count;
    table.header.line_in = table.by_default[0].line;
    table.header.line_out = table.by_default[1].line;
    table.header.line_forward = table.by_default[2].line;
    table.header.bpf_count = (uint32_t)(programs / sizeof(struct piglet_bpf));
    table.header.bytes = (uint32_t)(sizeof table.header + rules + programs);
    uint8_t *at = bytes_add(bytes, table.header.bytes);
    memcpy(at, &table.header, sizeof table.header);
    if (rules)
        memcpy(at + sizeof table.header, table.rules.data, rules);
    if (programs)
        memcpy(at + sizeof table.header + rules, table.programs.data, programs);
    free(table.rules.data);
    free(table.programs.data);
    return errors ? PIGCTL_USAGE : PIGCTL_DONE;
}
