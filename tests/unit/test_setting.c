/* Settings: defaults, setting, reading back, bounds, and being in force at once. */
#include <stdio.h>

#include "kernel/chain.h"
#include "tests/unit/test.h"

/* A service with a setting of every kind and width. */
struct knobs {
    uint8_t fence0;
    uint8_t tiny;
    uint8_t fence1;
    bool on;
    uint8_t fence2;
    uint16_t small;
    uint16_t fence3;
    uint32_t medium;
    uint32_t fence4;
    uint64_t large;
    uint64_t fence5;
    unsigned changes;
};

static void knobs_changed(struct service_self *self)
{
    struct knobs *knobs = self->state;
    knobs->changes++;
}

static const struct service_setting knobs_settings[] = {
    SERVICE_NUMBER("tiny", knobs, tiny, 0, UINT8_MAX, 3, "things"),
    SERVICE_SWITCH("on", knobs, on, true, "whether"),
    SERVICE_NUMBER("small", knobs, small, 10, UINT16_MAX, 40, "bytes"),
    SERVICE_NUMBER("medium", knobs, medium, 1, UINT32_MAX, 500000, "seconds"),
    SERVICE_NUMBER("large", knobs, large, 0, UINT64_MAX, 6000000000000, "nanoseconds"),
    {0},
};

static const struct service service_knobs = {
    .name = "knobs",
    .help = "",
    .state_bytes = sizeof(struct knobs),
    .settings = knobs_settings,
    .changed = knobs_changed,
};

static struct service_self *start_knobs(void)
{
    struct core *core = sim_start(0, "");
    assert_int_equal(chain_add(core, &service_knobs), 0);
    return chain_find(core, "knobs");
}

static void expect(const struct service_self *self, const char *key, const char *value)
{
    char text[SETTING_TEXT_MAX];
    assert_int_equal(chain_setting_get(self, key, text, sizeof text), 0);
    assert_string_equal(text, value);
}

static void setting_01_defaults_are_there_before_start(void **state)
{
    (void)state;
    struct service_self *self = start_knobs();
    const struct knobs *knobs = self->state;
    assert_false(self->running);
    assert_int_equal(knobs->tiny, 3);
    assert_true(knobs->on);
    assert_int_equal(knobs->small, 40);
    assert_int_equal(knobs->medium, 500000);
    assert_int_equal(knobs->large, 6000000000000);
    expect(self, "on", "on");
    expect(self, "small", "40");
    expect(self, "large", "6000000000000");
    test_stop(self->core);
}

static void setting_02_what_is_read_can_be_set(void **state)
{
    (void)state;
    struct service_self *self = start_knobs();
    static const struct {
        const char *key, *value;
    } good[] = {
        {"tiny", "0"},   {"tiny", "255"},
        {"on", "off"},   {"on", "on"},
        {"small", "10"}, {"small", "65535"},
        {"medium", "1"}, {"medium", "4294967295"},
        {"large", "0"},  {"large", "18446744073709551615"},
    };
    for (unsigned i = 0; i < COUNT_OF(good); i++) {
        char old[SETTING_TEXT_MAX];
        assert_int_equal(chain_setting_get(self, good[i].key, old, sizeof old), 0);
        assert_int_equal(chain_setting_set(self, good[i].key, good[i].value), 0);
        expect(self, good[i].key, good[i].value);
        assert_int_equal(chain_setting_set(self, good[i].key, old), 0); /* undone */
        expect(self, good[i].key, old);
        assert_int_equal(chain_setting_set(self, good[i].key, good[i].value), 0);
    }
    const struct knobs *knobs = self->state;
    assert_int_equal(knobs->tiny, UINT8_MAX);
    assert_int_equal(knobs->small, UINT16_MAX);
    assert_int_equal(knobs->medium, UINT32_MAX);
    assert_true(knobs->large == UINT64_MAX);
    /* nothing beside the fields was written */
    assert_int_equal(knobs->fence0 | knobs->fence1 | knobs->fence2 | knobs->fence3, 0);
    assert_true(knobs->fence4 == 0 && knobs->fence5 == 0);
    test_stop(self->core);
}

static void setting_03_bad_values_change_nothing(void **state)
{
    (void)state;
    struct service_self *self = start_knobs();
    static const struct {
        const char *key, *value;
        int error;
    } bad[] = {
        {"tiny", "256", ERR_RANGE},
        {"small", "9", ERR_RANGE},
        {"small", "65536", ERR_RANGE},
        {"small", "", ERR_INVALID},
        {"small", "-10", ERR_INVALID},
        {"small", "0x10", ERR_INVALID},
        {"small", "10 ", ERR_INVALID},
        {"medium", "4294967296", ERR_RANGE},
        {"large", "18446744073709551616", ERR_RANGE},
        {"on", "", ERR_INVALID},
        {"on", "1", ERR_INVALID},
        {"on", "ON", ERR_INVALID},
        {"on", "onward", ERR_INVALID},
        {"", "1", ERR_NOT_FOUND},
        {"smal", "10", ERR_NOT_FOUND},
        {"smaller", "10", ERR_NOT_FOUND},
    };
    struct knobs before = *(const struct knobs *)self->state;
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(chain_setting_set(self, bad[i].key, bad[i].value), bad[i].error);
    assert_memory_equal(self->state, &before, sizeof before);
    test_stop(self->core);
}

static void setting_04_reading_has_bounds(void **state)
{
    (void)state;
    struct service_self *self = start_knobs();
    char text[SETTING_TEXT_MAX + 1];
    memset(text, '#', sizeof text);
    assert_int_equal(chain_setting_get(self, "medium", text, 6), ERR_RANGE); /* "500000" */
    assert_string_equal(text, "");
    assert_int_equal(text[6], '#');
    assert_int_equal(chain_setting_get(self, "medium", text, 7), 0);
    assert_string_equal(text, "500000");
    text[0] = '#';
    assert_int_equal(chain_setting_get(self, "medium", text, 0), ERR_RANGE);
    assert_int_equal(text[0], '#');
    assert_int_equal(chain_setting_get(self, "none", text, sizeof text), ERR_NOT_FOUND);
    assert_int_equal(chain_setting_set(self, "large", "18446744073709551615"), 0);
    assert_int_equal(chain_setting_get(self, "large", text, SETTING_TEXT_MAX), 0);
    assert_int_equal(chain_setting_get(self, "large", text, SETTING_TEXT_MAX - 1), ERR_RANGE);
    struct service_self *forward = chain_find(self->core, "forward"); /* has none */
    assert_int_equal(chain_setting_get(forward, "port", text, sizeof text), ERR_NOT_FOUND);
    assert_int_equal(chain_setting_set(forward, "port", "1"), ERR_NOT_FOUND);
    test_stop(self->core);
}

static void setting_05_changed_is_called_for_a_new_value_while_running(void **state)
{
    (void)state;
    struct service_self *self = start_knobs();
    const struct knobs *knobs = self->state;
    assert_int_equal(chain_setting_set(self, "small", "41"), 0);
    assert_int_equal(knobs->changes, 0);
    assert_int_equal(chain_service_start(self->core, self), 0);
    assert_int_equal(chain_setting_set(self, "small", "42"), 0);
    assert_int_equal(knobs->changes, 1);
    assert_int_equal(chain_setting_set(self, "small", "42"), 0); /* the same */
    assert_int_equal(chain_setting_set(self, "small", "9"), ERR_RANGE);
    assert_int_equal(knobs->changes, 1);
    chain_service_stop(self->core, self);
    assert_int_equal(chain_setting_set(self, "small", "43"), 0);
    assert_int_equal(knobs->changes, 1);
    assert_int_equal(chain_service_start(self->core, self), 0);
    expect(self, "small", "43"); /* kept over stop and start */
    test_stop(self->core);
}

static void check_table(const struct service *service)
{
    for (const struct service_setting *row = service->settings; row && row->name; row++) {
        char word[96];
        if (row->kind == SETTING_SWITCH)
            snprintf(word, sizeof word, "%s.%s=on|off", service->name, row->name);
        else
            snprintf(word, sizeof word, "%s.%s=%llu..%llu", service->name, row->name,
                     (unsigned long long)row->min, (unsigned long long)row->max);
        assert_non_null(strstr(service->help, word));
        assert_true(row->help && *row->help);
        assert_true(row->min <= row->initial && row->initial <= row->max);
        assert_true(row->bytes == 1 || row->bytes == 2 || row->bytes == 4 || row->bytes == 8);
        assert_true(row->max <= UINT64_MAX >> (64 - 8 * row->bytes));
        assert_int_equal(row->offset % row->bytes, 0);
        assert_true(row->offset + row->bytes <= service->state_bytes);
    }
}

/* What the compiler cannot check of every service's table, its help line included. */
static void setting_06_all_tables_are_sound(void **state)
{
    (void)state;
    extern const struct service service_template;
    check_table(&service_template);
    unsigned checked = 0;
    for (const struct service *const *row = services; *row; row++) {
        check_table(*row);
        checked += (*row)->settings != NULL;
    }
    assert_true(checked >= 3);
}

static void setting_07_words_of_the_command_line(void **state)
{
    (void)state;
    struct core *core =
        sim_start(1, "ip=10.0.0.2/24 echo.port=99 icmp.rate=5 arp.lifetime=30 arp.dad=off");
    expect(chain_find(core, "echo"), "port", "99");
    expect(chain_find(core, "icmp"), "rate", "5");
    expect(chain_find(core, "arp"), "lifetime", "30");
    expect(chain_find(core, "arp"), "dad", "off");
    test_stop(core);
    core = sim_start(1, "ip=10.0.0.2/24 echo.port=0");
    assert_non_null(strstr(sim_console(), "\"echo.port=0\": outside the allowed range, expected "
                                          "echo.port=1..65535"));
    expect(chain_find(core, "echo"), "port", "7");
    expect(chain_find(core, "icmp"), "rate", "1000");
    expect(chain_find(core, "arp"), "lifetime", "60");
    expect(chain_find(core, "arp"), "dad", "on");
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_01_defaults_are_there_before_start),
        cmocka_unit_test(setting_02_what_is_read_can_be_set),
        cmocka_unit_test(setting_03_bad_values_change_nothing),
        cmocka_unit_test(setting_04_reading_has_bounds),
        cmocka_unit_test(setting_05_changed_is_called_for_a_new_value_while_running),
        cmocka_unit_test(setting_06_all_tables_are_sound),
        cmocka_unit_test(setting_07_words_of_the_command_line),
    };
    return cmocka_run_group_tests_name("setting", tests, NULL, NULL);
}
