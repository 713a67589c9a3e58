/* The firewall's rules: the table's check, programs, and classifier = linear reference. */
#include <stdlib.h>

#include "piglet/error.h"
#include "services/firewall/bpf.h"
#include "services/firewall/classifier.h"
#include "tests/model/rulegen.h"
#include "tests/unit/test.h"

struct kit {
    uint8_t *bytes;
    struct classifier *classifier;
    struct classifier_scratch *scratch;
};

static int kit_make(void **state)
{
    static struct kit kit;
    kit.bytes = aligned_alloc(64, (RULEGEN_BYTES_MAX + 63) / 64 * 64);
    kit.classifier = aligned_alloc(64, (sizeof *kit.classifier + 63) / 64 * 64);
    kit.scratch = malloc(classifier_scratch_bytes);
    *state = &kit;
    return 0;
}

static int kit_free(void **state)
{
    struct kit *kit = *state;
    free(kit->bytes);
    free(kit->classifier);
    free(kit->scratch);
    return 0;
}

/* ---- the table's check ---- */

static struct rules_table good_table(struct kit *kit, uint32_t *length)
{
    struct rulegen random = {1};
    struct rules_table table;
    uint32_t wrong_at;
    *length = rulegen_table(&random, RULEGEN_ANY, 20, kit->bytes);
    assert_int_equal(rules_check(kit->bytes, *length, &table, &wrong_at), 0);
    return table;
}

/* A byte of the table that must not have this value, and where the complaint points. */
static void expect_wrong(struct kit *kit, uint32_t length, uint32_t at, uint8_t value,
                         uint32_t complaint)
{
    struct rules_table table;
    uint32_t wrong_at = 0;
    uint8_t kept = kit->bytes[at];
    kit->bytes[at] = value;
    assert_int_equal(rules_check(kit->bytes, length, &table, &wrong_at), ERR_INVALID);
    assert_int_equal(wrong_at, complaint);
    kit->bytes[at] = kept;
}

#define HEADER_AT(field) offsetof(struct piglet_firewall_header, field)
#define RULE_AT(index, field)                                                                      \
    (uint32_t)(sizeof(struct piglet_firewall_header) +                                             \
               (index) * sizeof(struct piglet_firewall_rule) +                                     \
               offsetof(struct piglet_firewall_rule, field))

static void check_01_header(void **state)
{
    struct kit *kit = *state;
    uint32_t length, wrong_at;
    struct rules_table table = good_table(kit, &length);
    static const struct {
        uint32_t at;
        uint8_t value;
    } wrong[] = {{HEADER_AT(magic), 0},           {HEADER_AT(version), 2},
                 {HEADER_AT(flags), 4},           {HEADER_AT(flags), 3},
                 {HEADER_AT(verdict_in), 4},      {HEADER_AT(verdict_out), 255},
                 {HEADER_AT(verdict_forward), 4}, {HEADER_AT(icmp_reject), 4},
                 {HEADER_AT(icmp_reject), 16},    {HEADER_AT(zero), 1}};
    for (unsigned i = 0; i < COUNT_OF(wrong); i++)
        expect_wrong(kit, length, wrong[i].at, wrong[i].value, wrong[i].at);
    expect_wrong(kit, length, HEADER_AT(rule_count) + 2, 1, HEADER_AT(rule_count)); /* 65,556 */
    expect_wrong(kit, length, HEADER_AT(rule_count), 19, HEADER_AT(bytes));
    expect_wrong(kit, length, HEADER_AT(bpf_count) + 1, 0x20, HEADER_AT(bpf_count));
    for (uint32_t shorter = 0; shorter < length; shorter++)
        assert_int_equal(rules_check(kit->bytes, shorter, &table, &wrong_at), ERR_INVALID);
}

static void check_02_every_field_of_a_rule(void **state)
{
    struct kit *kit = *state;
    uint32_t length;
    struct rules_table table = good_table(kit, &length);
    struct piglet_firewall_rule *rule = (struct piglet_firewall_rule *)&table.rule[3];
    *rule = (struct piglet_firewall_rule){.from_port_end = 65535,
                                          .to_port_end = 65535,
                                          .directions = 1,
                                          .nic_in = 255,
                                          .nic_out = 255};
#define WRONG(field, value) expect_wrong(kit, length, RULE_AT(3, field), value, RULE_AT(3, field))
    WRONG(from_length, 33);
    WRONG(to_length, 255);
    WRONG(from, 1);
    WRONG(to, 1);
    WRONG(match, 8);
    WRONG(match, PIGLET_MATCH_ICMP_TYPE);
    WRONG(protocol, 6);
    WRONG(from_port, 1); /* ports of no protocol */
    expect_wrong(kit, length, RULE_AT(3, to_port_end), 1, RULE_AT(3, to_port));
    WRONG(directions, 0);
    WRONG(directions, 8);
    WRONG(nic_in, 32);
    WRONG(nic_out, 254);
    WRONG(tcp_mask, 1);
    WRONG(tcp_value, 1);
    WRONG(icmp_type, 1);
    WRONG(icmp_code, 1);
    WRONG(fragments, 8);
    WRONG(states, 16);
    WRONG(verdict, 4);
    WRONG(icmp_reject, 1); /* of an accept */
    WRONG(actions, 4);
    WRONG(zero_byte, 1);
    WRONG(limit_key, 1); /* of no limit */
    WRONG(bpf_at, 1);    /* of no program */
    WRONG(zero, 1);
#undef WRONG
    expect_wrong(kit, length, RULE_AT(3, limit) + 2, 1, RULE_AT(3, limit)); /* above 65,535 */
    rule->verdict = PIGLET_VERDICT_REJECT;
    expect_wrong(kit, length, RULE_AT(3, limit), 1, RULE_AT(3, limit));
    expect_wrong(kit, length, RULE_AT(3, icmp_reject), 4, RULE_AT(3, icmp_reject));
    expect_wrong(kit, length, RULE_AT(3, bpf_count), 200, RULE_AT(3, bpf_count));
}

static void check_03_programs_are_bounded_together(void **state)
{
    struct kit *kit = *state;
    struct rulegen random = {2};
    uint32_t wrong_at, length = rulegen_table(&random, RULEGEN_ANY, 2000, kit->bytes);
    struct rules_table table;
    assert_int_equal(rules_check(kit->bytes, length, &table, &wrong_at), 0);
    unsigned steps = 0, refused = 0;
    for (uint32_t i = 0; i < 2000; i++) { /* every rule runs the same program: 1,024 may */
        struct piglet_firewall_rule *rule = (struct piglet_firewall_rule *)&table.rule[i];
        rule->bpf_at = 0;
        rule->bpf_count = 4;
        steps += 4;
        if (steps > PIGLET_FIREWALL_BPF_MAX && !refused)
            refused = i;
    }
    assert_int_equal(rules_check(kit->bytes, length, &table, &wrong_at), ERR_INVALID);
    assert_int_equal(refused, 1024);
    assert_int_equal(wrong_at, RULE_AT(refused, bpf_count));
}

/* ---- programs ---- */

static bool program_good(const struct piglet_bpf *program, unsigned count)
{
    unsigned wrong;
    return bpf_check(program, count, &wrong);
}

static void bpf_01_check(void **state)
{
    (void)state;
    const struct piglet_bpf ret = {.code = 0x06, .k = 1};
    for (unsigned code = 0; code < 65536; code++) {
        struct piglet_bpf program[] = {{.code = (uint16_t)code, .k = 1}, ret, ret};
        if (program_good(program, 3))
            assert_true(code < 256); /* and what passes runs to its end: */
        if (program_good(program, 3))
            bpf_run(program, (const uint8_t *)"abcdefgh", 8);
    }
    const struct piglet_bpf bad[][2] = {
        {{.code = 0x05, .k = 1}, ret},                  /* jump behind the end */
        {{.code = 0x05, .k = 0xffffffff}, ret},         /* and back */
        {{.code = 0x15, .jump_true = 1}, ret},          /* jeq */
        {{.code = 0x15, .jump_false = 255}, ret},       /* */
        {{.code = 0x34, .k = 0}, ret},                  /* divide by 0 */
        {{.code = 0x94, .k = 0}, ret},                  /* modulo 0 */
        {{.code = 0x64, .k = 32}, ret},                 /* shift by 32 */
        {{.code = 0x60, .k = 16}, ret},                 /* no such word */
        {{.code = 0x02, .k = 16}, ret},                 /* */
        {ret, {.code = 0x30}},                          /* ends in no return */
        {{.code = 0x20, .k = 0xfffff000}, {.code = 0}}, /* an extension of Linux, and no return */
    };
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        assert_false(program_good(bad[i], 2));
    assert_false(program_good(&ret, 0));
    assert_true(program_good(&ret, 1));
}

static void bpf_02_run(void **state)
{
    (void)state;
    const uint8_t packet[16] = {1, 2, 3, 4, 0x45, 200};
    static const struct {
        struct piglet_bpf program[6];
        uint32_t result;
    } runs[] = {
        {{{.code = 0x20, .k = 1}, {.code = 0x16}}, 0x02030445},         /* ld [1] */
        {{{.code = 0x28, .k = 0}, {.code = 0x16}}, 0x0102},             /* ldh [0] */
        {{{.code = 0x20, .k = 13}, {.code = 0x06, .k = 9}}, 0},         /* beyond the end */
        {{{.code = 0x20, .k = 0xfffffffe}, {.code = 0x06, .k = 9}}, 0}, /* and far beyond */
        {{{.code = 0xb1, .k = 4}, {.code = 0x87}, {.code = 0x16}}, 20}, /* ldxb 4*([4]&15) */
        {{{.code = 0x01, .k = 4}, {.code = 0x50, .k = 1}, {.code = 0x16}}, 200}, /* ldb [x + 1] */
        {{{.code = 0x80}, {.code = 0x16}}, 16},                                  /* ld #len */
        {{{.code = 0x00, .k = 7},
          {.code = 0x02, .k = 3},
          {.code = 0x61, .k = 3},
          {.code = 0x87},
          {.code = 0x16}},
         7},                                                                   /* st, ldx M[] */
        {{{.code = 0x00, .k = 7}, {.code = 0x3c}, {.code = 0x06, .k = 1}}, 0}, /* div x, x is 0 */
        {{{.code = 0x00, .k = 7}, {.code = 0x94, .k = 4}, {.code = 0x16}}, 3}, /* mod */
        {{{.code = 0x00, .k = 7}, {.code = 0x84}, {.code = 0x16}}, (uint32_t)-7}, /* neg */
        {{{.code = 0x00, .k = 5},
          {.code = 0x25, .jump_true = 1, .k = 4},
          {.code = 0x06},
          {.code = 0x06, .k = 1}},
         1}, /* jgt */
        {{{.code = 0x00, .k = 5},
          {.code = 0x45, .jump_true = 1, .k = 2},
          {.code = 0x06, .k = 8},
          {.code = 0x06, .k = 1}},
         8}, /* jset */
    };
    for (unsigned i = 0; i < COUNT_OF(runs); i++)
        assert_int_equal(bpf_run(runs[i].program, packet, sizeof packet), runs[i].result);
}

/* ---- classifier = reference ---- */

static unsigned compare(struct kit *kit, struct rulegen *random, enum rulegen_kind kind,
                        uint32_t rules, unsigned keys)
{
    struct rules_table table;
    uint32_t wrong_at, length = rulegen_table(random, kind, rules, kit->bytes);
    assert_int_equal(rules_check(kit->bytes, length, &table, &wrong_at), 0);
    classifier_build(kit->classifier, &table, kit->scratch);
    assert_int_equal(kit->classifier->rules, rules);
    unsigned matched = 0;
    for (unsigned done = 0; done < keys;) {
        struct rules_key key[CLASSIFIER_BATCH_MAX];
        const struct rules_key *pointer[CLASSIFIER_BATCH_MAX];
        uint32_t found[CLASSIFIER_BATCH_MAX];
        unsigned count = 1 + rulegen_number(random, CLASSIFIER_BATCH_MAX);
        for (unsigned i = 0; i < count; i++) {
            key[i] =
                rulegen_number(random, 4) ? rulegen_key(random, &table) : rulegen_key_any(random);
            pointer[i] = &key[i];
        }
        classifier_match(kit->classifier, pointer, count, found);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(found[i], rules_match_linear(&table, &key[i]));
            matched += found[i] != RULES_NONE;
        }
        done += count;
    }
    return matched;
}

static void classifier_01_equals_the_reference(void **state)
{
    unsigned matched = 0;
    for (unsigned seed = 0; seed < 2000; seed++) {
        struct rulegen random = {seed};
        uint32_t rules = rulegen_number(&random, seed % 10 ? 40 : 200);
        matched += compare(*state, &random, seed % 3, rules, 500);
    }
    assert_in_range(matched, 200000, 900000); /* of a million: both answers are tried */
}

static void classifier_02_large_tables(void **state)
{
    struct rulegen random = {3};
    compare(*state, &random, RULEGEN_ACCESS, 10000, 500);
    compare(*state, &random, RULEGEN_BORDER, 10000, 500);
    compare(*state, &random, RULEGEN_ANY, 10000, 500);
}

/* Rules that no tuple can tell apart, and rules that no two are of one shape: built, and right. */
static void classifier_03_hostile_tables(void **state)
{
    struct kit *kit = *state;
    struct rulegen random = {4};
    for (unsigned way = 0; way < 3; way++) {
        struct rules_table table;
        uint32_t wrong_at, length = rulegen_table(&random, RULEGEN_ACCESS, 10000, kit->bytes);
        struct piglet_firewall_rule *rule = (void *)(kit->bytes + 64);
        for (uint32_t i = 0; i < 10000; i++) {
            rule[i].from_length = rule[i].to_length = 0;
            rule[i].from = rule[i].to = 0;
            rule[i].match = PIGLET_MATCH_PROTOCOL;
            rule[i].protocol = 6;
            rule[i].from_port = rule[i].to_port = 0;
            rule[i].from_port_end = rule[i].to_port_end = 65535;
            if (way == 0) { /* overlapping ranges around the middle */
                rule[i].to_port = (uint16_t)(32767 - i);
                rule[i].to_port_end = (uint16_t)(32768 + i);
            } else if (way == 1) { /* flags alone */
                rule[i].tcp_mask = 63;
                rule[i].tcp_value = i & 63;
            } else { /* all shapes */
                rule[i].from_length = (uint8_t)(i % 33);
                rule[i].to_length = (uint8_t)(i / 33 % 33);
                rule[i].to_port_end = (uint16_t)(0xffff >> i / 1089 % 17);
            }
        }
        assert_int_equal(rules_check(kit->bytes, length, &table, &wrong_at), 0);
        classifier_build(kit->classifier, &table, kit->scratch);
        assert_in_range(kit->classifier->tuples, 1, CLASSIFIER_TUPLES_MAX);
        for (unsigned i = 0; i < 200; i++) {
            struct rules_key key = rulegen_key(&random, &table);
            const struct rules_key *pointer = &key;
            uint32_t found;
            classifier_match(kit->classifier, &pointer, 1, &found);
            assert_int_equal(found, rules_match_linear(&table, &key));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_01_header),
        cmocka_unit_test(check_02_every_field_of_a_rule),
        cmocka_unit_test(check_03_programs_are_bounded_together),
        cmocka_unit_test(bpf_01_check),
        cmocka_unit_test(bpf_02_run),
        cmocka_unit_test(classifier_01_equals_the_reference),
        cmocka_unit_test(classifier_02_large_tables),
        cmocka_unit_test(classifier_03_hostile_tables),
    };
    return cmocka_run_group_tests_name("firewall rules", tests, kit_make, kit_free);
}
