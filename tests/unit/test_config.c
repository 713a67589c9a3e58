/* The command line: what each word does, and what is said about words that are wrong. */
#include <stdio.h>

#include "kernel/chain.h"
#include "kernel/config.h"
#include "tests/unit/test.h"

static uint8_t type_of(const struct core *core, uint32_t ip)
{
    return core->routes.route[route_lookup(&core->routes, ip)].type;
}

static void config_01_ip_in_both_syntaxes(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned nic, length;
        uint32_t ip, gateway;
    } row[] = {
        {"ip=10.0.0.2/24", 0, 24, IP(10, 0, 0, 2), 0},
        {"ip=10.0.0.2/30@nic1", 1, 30, IP(10, 0, 0, 2), 0},
        {"ip=10.0.0.2:::255.255.255.0::nic0:off", 0, 24, IP(10, 0, 0, 2), 0},
        {"ip=10.0.0.2::10.0.0.1:255.255.255.0:host:nic1:none", 1, 24, IP(10, 0, 0, 2),
         IP(10, 0, 0, 1)},
        {"ip=10.0.0.2:1.2.3.4:10.9.9.9::", 0, 8, IP(10, 0, 0, 2), IP(10, 9, 9, 9)},
        {"ip=192.168.7.9", 0, 24, IP(192, 168, 7, 9), 0},
        {"ip=172.16.7.9::::::static", 0, 16, IP(172, 16, 7, 9), 0},
    };
    for (unsigned i = 0; i < COUNT_OF(row); i++) {
        struct core *core = sim_start(2, row[i].line);
        const struct address *address = &core->routes.address[0];
        assert_int_equal(address->ip, row[i].ip);
        assert_int_equal(address->length, row[i].length);
        assert_int_equal(address->nic, row[i].nic);
        assert_int_equal(address->gateway, row[i].gateway);
        assert_null(strstr(sim_console(), "ERROR"));
        test_stop(core);
    }
}

static void config_02_several_words(void **state)
{
    (void)state;
    struct core *core = sim_start(
        2, "  ip=10.0.0.2/24 \t ip=10.1.0.2/24@nic1 route=10.5.0.0/16:10.1.0.9 "
           "route=0.0.0.0/0:10.0.0.1@nic0 "
           "services=+echo,-icmp,+forward echo.port=99 log=error idle=poll status=3 BOOT_IMAGE=/x");
    const struct route *route = &core->routes.route[route_lookup(&core->routes, IP(10, 5, 6, 7))];
    assert_int_equal(route->gateway, IP(10, 1, 0, 9));
    assert_int_equal(route->nic, 1);
    assert_int_equal(core->routes.route[route_lookup(&core->routes, IP(8, 8, 8, 8))].gateway,
                     IP(10, 0, 0, 1));
    assert_true(chain_find(core, "echo")->running);
    assert_true(chain_find(core, "forward")->running);
    assert_true(chain_find(core, "arp")->running);
    assert_false(chain_find(core, "icmp")->running);
    assert_int_equal(core->log.level, LOG_ERROR);
    assert_int_equal(core->idle_mode, IDLE_POLL);
    assert_int_equal(core->report.status_every_ns, 3000000000ull);
    assert_string_equal(sim_console(), "");
    test_stop(core);
}

static void config_03_bad_words_are_named_and_the_rest_goes_on(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "ip=10.0.0.300/24",
        "ip=10.0.0/24",
        "ip=10.0.0.2/33",
        "ip=10.0.0.2/",
        "ip=/24",
        "ip=",
        "ip=10.0.0.2/24@nic7",
        "ip=10.0.0.2/24@eth0",
        "ip=10.0.0.2:::255.0.255.0",
        "ip=10.0.0.2::::::dhcp",
        "ip=::10.0.0.1::::dhcp",
        "ip=::::::dhcp:",
        "ip=:::::nic7:dhcp",
        "ip=::::::",
        "ip=dhcp@nic7",
        "ip=dhcp@",
        "ip=dhcpd",
        "ip=10.0.0.2:::::::::",
        "ip=127.0.0.1/8",
        "ip=10.0.0.2::10.7.0.1:255.255.255.0",
        "ip=+1.0.0.2/24",
        "ip=1.0.0.2/024x",
        "route=10.0.0.0/8",
        "route=10.0.0.0/8:9.9.9.9",
        "route=10.0.0.1/8:10.0.0.1",
        "services=echo",
        "services=+nonesuch",
        "services=",
        "log=loud",
        "console=tty0",
        "idle=never",
        "status=-1",
        "status=99999999999999999999",
        "dump=x",
        "echo.port=0",
        "echo.port=65536",
        "echo.colour=red",
        "nobody.key=1",
        "quiet",
        "=",
        ".",
        "a.=",
        "icmp.rate=0",
        "arp.lifetime=0",
        "arp.dad=maybe",
    };
    char line[256];
    for (unsigned i = 0; i < COUNT_OF(bad); i++) {
        snprintf(line, sizeof line, "status=9 %s ip=10.3.0.2/24", bad[i]);
        struct core *core = sim_start(1, line);
        if (!strstr(sim_console(), "config: column 10: \""))
            print_error("%s gave:\n%s", bad[i], sim_console());
        assert_non_null(strstr(sim_console(), "config: column 10: \""));
        assert_int_equal(type_of(core, IP(10, 3, 0, 2)), ROUTE_LOCAL);
        test_stop(core);
    }
}

static void config_04_the_complaint(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 ip=10.0.0.300/24");
    assert_non_null(strstr(sim_console(), "ERROR config: column 16: \"ip=10.0.0.300/24\": "
                                          "malformed, expected ip=ADDRESS/LENGTH[@nicN]"));
    test_stop(core);
    core = sim_start(0, "ip=10.0.0.2/24");
    assert_non_null(strstr(sim_console(), "column 1: \"ip=10.0.0.2/24\": no such nic"));
    test_stop(core);
    core = sim_start(1, "x\033[2J=1");
    assert_null(strchr(sim_console(), '\033'));
    test_stop(core);
}

static void config_05_long_words_and_lines(void **state)
{
    (void)state;
    static char line[3 * CONFIG_LINE_MAX];
    memset(line, 'a', sizeof line - 1);
    struct core *core = sim_start(1, line);
    assert_non_null(strstr(sim_console(), "column 1: \"aaaa"));
    test_stop(core);
    for (unsigned i = 0; i < sizeof line - 1; i++)
        line[i] = i % 4 == 3 ? ' ' : 'b';
    core = sim_start(1, line);
    assert_non_null(strstr(sim_console(), "ERROR config: 497 more words were refused"));
    assert_non_null(strstr(sim_console(), "column 2049: the line is cut here"));
    test_stop(core);
}

static void config_06_parsers(void **state)
{
    (void)state;
    uint32_t ip;
    uint8_t length;
    assert_int_equal(config_parse_ip("255.255.255.255", &ip), 0);
    assert_int_equal(ip, ~0u);
    static const char *const bad[] = {"",       "1.2.3",     "1.2.3.4.5",  "1.2.3.4 ", " 1.2.3.4",
                                      "1..3.4", "256.1.1.1", "1.2.3.0004", "a.b.c.d",  "1.2.3.4/8"};
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(config_parse_ip(bad[i], &ip), ERR_INVALID);
    assert_int_equal(config_parse_prefix("10.0.0.0/8", &ip, &length), 0);
    assert_int_equal(length, 8);
    assert_int_equal(config_parse_prefix("10.0.0.0", &ip, &length), ERR_INVALID);
    assert_int_equal(config_parse_prefix("10.0.0.0.0.0.0.0.0.0/8", &ip, &length), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_01_ip_in_both_syntaxes),
        cmocka_unit_test(config_02_several_words),
        cmocka_unit_test(config_03_bad_words_are_named_and_the_rest_goes_on),
        cmocka_unit_test(config_04_the_complaint),
        cmocka_unit_test(config_05_long_words_and_lines),
        cmocka_unit_test(config_06_parsers),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
