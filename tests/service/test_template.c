/* The template does what its manual page says, so that what is copied from it does too. */
#include "kernel/chain.h"
#include "tests/unit/test.h"

extern const struct service service_template;

static void template_01_counts_passes_and_speaks(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 services=-icmp");
    assert_int_equal(chain_add(core, &service_template), 0);
    struct service_self *self = chain_find(core, "template");
    assert_int_equal(chain_setting_set(self, "every", "5"), 0);
    assert_int_equal(chain_setting_set(self, "every", "0"), ERR_RANGE);
    assert_int_equal(chain_setting_set(self, "often", "5"), ERR_NOT_FOUND);
    assert_int_equal(chain_service_start(core, self), 0);
    struct packet udp = packet_udp_to(IP(10, 0, 0, 1), 1, IP(10, 0, 0, 2), 2, 3);
    struct packet echo = packet_echo(IP(10, 0, 0, 1), IP(10, 0, 0, 2), 3);
    sim_inject(core, 0, udp.data, udp.length);
    sim_inject(core, 0, udp.data, udp.length);
    sim_inject(core, 0, echo.data, echo.length);
    sim_advance_us(core, 5100000);
    assert_int_equal(sim_counter(core, "template.udp"), 2);
    assert_int_equal(sim_counter(core, "template.icmp"), 1);
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), 2);
    assert_non_null(strstr(sim_console(), "template: busiest so far: UDP"));
    test_stop(core);
}

static void template_02_a_change_is_in_force_at_once(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24");
    assert_int_equal(chain_add(core, &service_template), 0);
    struct service_self *self = chain_find(core, "template");
    assert_int_equal(chain_service_start(core, self), 0);
    sim_advance_us(core, 50000000);
    assert_null(strstr(sim_console(), "busiest"));
    assert_int_equal(chain_setting_set(self, "every", "2"), 0);
    sim_advance_us(core, 2100000);
    assert_non_null(strstr(sim_console(), "busiest"));
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(template_01_counts_passes_and_speaks),
                                       cmocka_unit_test(template_02_a_change_is_in_force_at_once)};
    return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
