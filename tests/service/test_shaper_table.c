/* shaper: which tables are refused, and where the fault is said to be. */
#include "tests/service/shaping.h"

enum {
    CLASSES_AT = sizeof(struct piglet_shaper_table),
    CLASS_BYTES = sizeof(struct piglet_shaper_class),
    MATCH_BYTES = sizeof(struct piglet_shaper_match),
};

#define AT_CLASS(index, field)                                                                     \
    (CLASSES_AT + (index)*CLASS_BYTES + offsetof(struct piglet_shaper_class, field))
#define AT_MATCH(index, field)                                                                     \
    (CLASSES_AT + table.header.class_count * CLASS_BYTES + (index)*MATCH_BYTES +                   \
     offsetof(struct piglet_shaper_match, field))

static struct core *bad_core;

/* A good table, to be spoiled: a tree on nic0, and a class on nic1. */
static void good(void)
{
    table_begin();
    table_class("top", NO_PARENT, 10000000, 10000000);
    table_class("low", 0, 1000000, 5000000)->flags = PIGLET_SHAPER_DEFAULT;
    table_class("there", NO_PARENT, 10000000, 10000000)->nic = 1;
    table_match(1, 53);
    table_match(2, 0);
}

static void refused_bytes(size_t bytes, int error, size_t at)
{
    struct service_self *self = chain_find(bad_core, "shaper");
    assert_int_equal(chain_service_load(self, table.bytes, bytes), error);
    assert_int_equal(self->load_error_at, at);
}

static void refused(int error, size_t at)
{
    refused_bytes(table_pack(), error, at);
}

/* Spoils one field of class n (match n), and expects the error there. */
#define BAD_HEADER(field, value, error)                                                            \
    do {                                                                                           \
        good();                                                                                    \
        size_t packed = table_pack();                                                              \
        table.header.field = (value);                                                              \
        memcpy(table.bytes, &table.header, sizeof table.header);                                   \
        refused_bytes(packed, error, offsetof(struct piglet_shaper_table, field));                 \
    } while (0)
#define BAD_CLASS(n, field, value, error)                                                          \
    (good(), table.class[n].field = (value), refused(error, AT_CLASS(n, field)))
#define BAD_MATCH(n, field, value, error)                                                          \
    (good(), table.match[n].field = (value), refused(error, AT_MATCH(n, field)))

static void shaper_50_refuses_bad_headers(void **state)
{
    (void)state;
    bad_core = sim_start(2, "services=+shaper");
    good();
    size_t bytes = table_pack();
    for (size_t cut = 0; cut < sizeof table.header; cut++)
        refused_bytes(cut, ERR_INVALID, cut);
    for (size_t cut = sizeof table.header; cut < bytes; cut++)
        refused_bytes(cut, ERR_INVALID, offsetof(struct piglet_shaper_table, bytes));
    refused_bytes(bytes + 1, ERR_INVALID, offsetof(struct piglet_shaper_table, bytes));
    BAD_HEADER(magic, 0, ERR_INVALID);
    BAD_HEADER(version, 2, ERR_UNSUPPORTED);
    BAD_HEADER(bytes, 0, ERR_INVALID);
    BAD_HEADER(class_count, PIGLET_SHAPER_CLASSES_MAX + 1, ERR_RANGE);
    BAD_HEADER(class_count, UINT32_MAX, ERR_RANGE);
    BAD_HEADER(match_count, PIGLET_SHAPER_MATCHES_MAX + 1, ERR_RANGE);
    BAD_HEADER(reserved[0], 1, ERR_INVALID);
    good(), table.header.reserved[2] = 1;
    refused(ERR_INVALID, offsetof(struct piglet_shaper_table, reserved));
    good();
    table.header.class_count = 2; /* the third is not there */
    table.match[1].class_index = 0;
    bytes = table_pack();
    table.header.class_count = 3;
    memcpy(table.bytes, &table.header, sizeof table.header);
    refused_bytes(bytes, ERR_INVALID, offsetof(struct piglet_shaper_table, bytes));
    test_stop(bad_core);
}

static void shaper_51_refuses_bad_classes(void **state)
{
    (void)state;
    bad_core = sim_start(2, "services=+shaper");
    BAD_CLASS(0, name[0], 0, ERR_INVALID);
    good(), strcpy(table.class[2].name, "a b"), refused(ERR_INVALID, AT_CLASS(2, name));
    good(), table.class[1].name[1] = '\n', refused(ERR_INVALID, AT_CLASS(1, name));
    good(), table.class[1].name[15] = 'x', refused(ERR_INVALID, AT_CLASS(1, name));
    good(), memset(table.class[1].name, 'x', 16), refused(ERR_INVALID, AT_CLASS(1, name));
    good(), memcpy(table.class[2].name, table.class[0].name, 16),
        refused(ERR_EXISTS, AT_CLASS(2, name));
    BAD_CLASS(1, rate_bps, PIGLET_SHAPER_RATE_MIN - 1, ERR_RANGE);
    BAD_CLASS(1, rate_bps, PIGLET_SHAPER_RATE_MAX + 1, ERR_RANGE);
    BAD_CLASS(1, rate_bps, UINT64_MAX, ERR_RANGE);
    BAD_CLASS(1, ceiling_bps, 1000000 - 1, ERR_RANGE);
    BAD_CLASS(1, ceiling_bps, PIGLET_SHAPER_RATE_MAX + 1, ERR_RANGE);
    BAD_CLASS(0, ceiling_bps, 10000001, ERR_RANGE); /* nobody could lend */
    BAD_CLASS(0, parent, 0, ERR_NOT_FOUND);
    BAD_CLASS(1, parent, 1, ERR_NOT_FOUND);
    BAD_CLASS(1, parent, 2, ERR_NOT_FOUND);
    BAD_CLASS(1, parent, 0xfffe, ERR_NOT_FOUND);
    BAD_CLASS(1, nic, 1, ERR_INVALID); /* another than the parent's */
    BAD_CLASS(2, nic, 2, ERR_NOT_FOUND);
    BAD_CLASS(2, nic, 255, ERR_NOT_FOUND);
    BAD_CLASS(1, priority, PIGLET_SHAPER_PRIORITIES, ERR_RANGE);
    BAD_CLASS(1, flags, 2, ERR_INVALID);
    BAD_CLASS(0, flags, PIGLET_SHAPER_DEFAULT, ERR_INVALID); /* it has no queue */
    BAD_CLASS(1, burst_bytes, PIGLET_SHAPER_FRAME_MAX, ERR_RANGE);
    BAD_CLASS(1, burst_bytes, PIGLET_SHAPER_FRAME_MAX + 6, ERR_RANGE); /* 10 us of 5 Mb/s */
    BAD_CLASS(1, burst_bytes, 7500001, ERR_RANGE);                     /* a minute of the rate */
    BAD_CLASS(1, burst_bytes, UINT32_MAX, ERR_RANGE);
    BAD_CLASS(1, target_us, 1, ERR_RANGE);
    BAD_CLASS(1, interval_us, PIGLET_SHAPER_INTERVAL_MAX + 1, ERR_RANGE);
    BAD_CLASS(1, quantum, PIGLET_SHAPER_QUANTUM_MIN - 1, ERR_RANGE);
    BAD_CLASS(1, quantum, PIGLET_SHAPER_QUANTUM_MAX + 1, ERR_RANGE);
    BAD_CLASS(1, limit_bytes, PIGLET_SHAPER_FRAME_MAX - 1, ERR_RANGE);
    BAD_CLASS(1, limit_bytes, PIGLET_SHAPER_LIMIT_BYTES_MAX + 1u, ERR_RANGE);
    BAD_CLASS(1, limit_frames, 0, ERR_RANGE);
    BAD_CLASS(1, limit_frames, PIGLET_SHAPER_LIMIT_FRAMES_MAX + 1, ERR_RANGE);
    BAD_CLASS(1, reserved, 1, ERR_INVALID);
    good(), table_class("more", 0, 8000, 8000)->flags = PIGLET_SHAPER_DEFAULT;
    table.class[3].burst_bytes = 4096;
    refused(ERR_EXISTS, AT_CLASS(3, flags)); /* a second default of the nic */
    test_stop(bad_core);
}

static void shaper_52_refuses_bad_trees(void **state)
{
    (void)state;
    bad_core = sim_start(2, "services=+shaper");
    table_begin();
    for (unsigned i = 0; i < 5; i++) {
        char name[2] = {(char)('a' + i)};
        table_class(name, i ? i - 1 : NO_PARENT, 10000000, 10000000);
    }
    refused(ERR_RANGE, AT_CLASS(4, parent)); /* too deep */
    table_begin();
    table_class("top", NO_PARENT, 10000000, 10000000);
    for (unsigned i = 0; i < 65; i++) {
        char name[8];
        snprintf(name, sizeof name, "c%u", i);
        table_class(name, 0, 10000000, 10000000);
    }
    refused(ERR_FULL, AT_CLASS(65, parent)); /* too wide */
    for (unsigned i = 1; i < 66; i++)
        table.class[i].parent = NO_PARENT;
    refused(ERR_FULL, AT_CLASS(64, parent)); /* too many trees */
    test_stop(bad_core);
}

static void shaper_53_refuses_bad_matches(void **state)
{
    (void)state;
    bad_core = sim_start(2, "services=+shaper");
    BAD_MATCH(0, from_length, 33, ERR_RANGE);
    BAD_MATCH(0, to_length, 33, ERR_RANGE);
    BAD_MATCH(0, from, 1, ERR_INVALID); /* behind the prefix */
    BAD_MATCH(0, to, IP(10, 0, 0, 0), ERR_INVALID);
    BAD_MATCH(0, flags, 8, ERR_INVALID);
    BAD_MATCH(0, protocol, IPV4_UDP, ERR_INVALID); /* and not meant */
    good(), table.match[0].flags = PIGLET_SHAPER_MATCH_PROTOCOL;
    table.match[0].protocol = IPV4_ICMP;
    refused(ERR_INVALID, AT_MATCH(0, protocol)); /* it has no ports */
    BAD_MATCH(0, dscp, 1, ERR_RANGE);
    good(), table.match[1].flags = PIGLET_SHAPER_MATCH_DSCP, table.match[1].dscp = 64;
    refused(ERR_RANGE, AT_MATCH(1, dscp));
    good(), table.match[1].from_port_first = 2, table.match[1].from_port_last = 1;
    refused(ERR_RANGE, AT_MATCH(1, from_port_first));
    BAD_MATCH(0, to_port_first, 54, ERR_RANGE);
    BAD_MATCH(0, class_index, 3, ERR_NOT_FOUND);
    BAD_MATCH(0, class_index, 0xffff, ERR_NOT_FOUND);
    BAD_MATCH(0, class_index, 0, ERR_INVALID); /* it has others below it */
    BAD_MATCH(1, reserved, 1, ERR_INVALID);
    test_stop(bad_core);
}

/* A table that is refused changes nothing; and without memory, there is none. */
static void shaper_54_a_refused_table_changes_nothing(void **state)
{
    (void)state;
    good();
    struct core *core = shaping_start(2);
    struct service_self *self = chain_find(core, "shaper");
    for (unsigned i = 0; i < 50; i++)
        shaping_send(core, 0, 53, 1, 1000);
    uint64_t held = sim_counter(core, "shaper.held");
    assert_true(held > 20);
    table.match[1].class_index = 9;
    assert_int_equal(table_load(core), ERR_NOT_FOUND);
    assert_int_equal(shaping_number(core, "low", "queued"), held);
    sim_advance_us(core, 10000000);
    assert_int_equal(shaping_number(core, "low", "sent"), 50);
    assert_int_equal(shaping_sent(core, 0), 50);
    /* Nor does it spoil the way back to the table before. */
    table_begin();
    assert_int_equal(table_load(core), 0);
    assert_string_equal(shaping_line(core, "low"), "");
    table.header.class_count = 1;
    assert_int_equal(table_load(core), ERR_INVALID);
    chain_service_swap_back(self);
    assert_string_not_equal(shaping_line(core, "low"), "");
    test_stop(core);

    core = sim_start(2, "services=+shaper");
    good();
    sim_limit_memory(10000);
    assert_int_equal(table_load(core), ERR_NO_MEMORY);
    shaping_send(core, 0, 53, 1, 1000);
    assert_int_equal(shaping_sent(core, 0), 1);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shaper_50_refuses_bad_headers),
        cmocka_unit_test(shaper_51_refuses_bad_classes),
        cmocka_unit_test(shaper_52_refuses_bad_trees),
        cmocka_unit_test(shaper_53_refuses_bad_matches),
        cmocka_unit_test(shaper_54_a_refused_table_changes_nothing),
    };
    return cmocka_run_group_tests_name("shaper_table", tests, NULL, NULL);
}
