/* arp while it runs: what it shows of its cache, and settings that change. */
#include <stdio.h>

#include "kernel/chain.h"
#include "tests/service/arp.h"

/* All of arp's lines that are not empty, joined by '\n'; checks that it looks at few entries a call.
 */
static const char *show(struct core *core)
{
    static char all[64 * SERVICE_LINE_MAX];
    struct service_self *self = chain_find(core, "arp");
    char line[SERVICE_LINE_MAX];
    unsigned next = 0, before = 0, used = 0;
    all[0] = 0;
    while (self->service->show(self, &next, line, sizeof line)) {
        assert_true(next > before && next <= before + SERVICE_SHOW_BUDGET);
        before = next;
        if (*line && used < sizeof all)
            used += (unsigned)snprintf(all + used, sizeof all - used, "%s\n", line);
    }
    assert_string_equal(line, "");
    assert_true(next <= before + SERVICE_SHOW_BUDGET);
    return all;
}

static void running_01_shows_its_cache(void **state)
{
    (void)state;
    struct core *core = start("arp.dad=off arp.lifetime=86400");
    assert_string_equal(show(core), "");
    struct packet ask = packet_arp_request(PEER1, US1);
    inject(core, 1, &ask);
    sim_advance_us(core, 3 * SECOND / 2);
    assert_string_equal(show(core), "10.1.0.9 52:54:00:00:00:77 nic1 reachable 86399s\n");
    sim_advance_us(core, 86396 * SECOND);
    struct packet packet = packet_udp_to(PEER, 1, PEER1, 2, 50);
    inject(core, 0, &packet);
    assert_string_equal(show(core), "10.1.0.9 52:54:00:00:00:77 nic1 reachable 3s\n");
    sim_advance_us(core, 3 * SECOND);
    assert_string_equal(show(core), "10.1.0.9 52:54:00:00:00:77 nic1 verifying 1s\n");
    inject(core, 1, &ask);
    packet = packet_udp_to(PEER, 1, IP(10, 1, 0, 200), 2, 50);
    inject(core, 0, &packet);
    const char *lines = show(core);
    assert_non_null(strstr(lines, "10.1.0.200 - nic1 waiting 1s\n"));
    assert_non_null(strstr(lines, "10.1.0.9 52:54:00:00:00:77 nic1 reachable 86400s\n"));
    while (sim_counter(core, "drop.arp-unresolved") == 0)
        sim_advance_us(core, SECOND / 10);
    assert_non_null(strstr(show(core), "10.1.0.200 - nic1 failed 1s\n"));
    chain_service_stop(core, chain_find(core, "arp"));
    assert_string_equal(show(core), "");
    test_stop(core);
}

static void running_02_shows_each_entry_once(void **state)
{
    (void)state;
    enum { NEIGHBOURS = 50 };
    struct core *core = start("arp.dad=off");
    for (unsigned i = 0; i < NEIGHBOURS; i++) {
        struct packet ask = packet_arp_request(IP(10, 1, 0, 100) + i, US1);
        inject(core, 1, &ask);
    }
    unsigned found = 0, lines = 0;
    const char *all = show(core);
    for (const char *at = all; (at = strchr(at, '\n')); at++)
        lines++;
    for (unsigned i = 0; i < NEIGHBOURS; i++) {
        char start_of_line[32];
        snprintf(start_of_line, sizeof start_of_line, "10.1.0.%u 52:", 100 + i);
        found += strstr(all, start_of_line) != NULL;
    }
    assert_int_equal(lines, sim_counter(core, "arp.entries"));
    assert_int_equal(found, lines);
    assert_true(lines >= NEIGHBOURS - 5); /* some may share their places, and were evicted */
    test_stop(core);
}

/* A new lifetime counts from when an entry was learned, and holds for those that are there. */
static void running_03_lifetime_changes_while_running(void **state)
{
    (void)state;
    struct core *core = start("arp.dad=off");
    struct service_self *self = chain_find(core, "arp");
    struct packet ask = packet_arp_request(PEER1, US1);
    inject(core, 1, &ask);
    sim_advance_us(core, 10 * SECOND);
    assert_int_equal(chain_setting_set(self, "lifetime", "100"), 0);
    assert_non_null(strstr(show(core), "reachable 90s"));
    assert_int_equal(chain_setting_set(self, "lifetime", "12"), 0);
    assert_non_null(strstr(show(core), "reachable 2s"));
    sim_advance_us(core, 3 * SECOND);
    assert_int_equal(sim_counter(core, "arp.expired"), 1);
    inject(core, 1, &ask);
    sim_advance_us(core, 6 * SECOND);
    assert_int_equal(chain_setting_set(self, "lifetime", "5"), 0); /* over already */
    assert_non_null(strstr(show(core), "reachable 0s"));
    sim_advance_us(core, SECOND);
    assert_int_equal(sim_counter(core, "arp.entries"), 0);
    test_stop(core);
}

static void running_04_detection_is_switched_off_while_running(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24");
    struct service_self *self = chain_find(core, "arp");
    sim_advance_us(core, 100000);
    struct packet taken = packet_arp_reply(US, 0);
    inject(core, 0, &taken);
    assert_int_equal(core->routes.address[0].state, ADDRESS_DUPLICATE);
    requests_for(core, 0, 0, 0);
    assert_int_equal(chain_setting_set(self, "dad", "off"), 0);
    assert_int_equal(core->routes.address[0].state, ADDRESS_ACTIVE);
    sim_advance_us(core, 20 * SECOND);
    assert_int_equal(requests_for(core, 0, US, US), 2); /* announced: RFC 5227 2.3 */
    /* A setting that has nothing to do with it does not begin anew; nor does switching it on. */
    assert_int_equal(chain_setting_set(self, "lifetime", "100"), 0);
    assert_int_equal(chain_setting_set(self, "dad", "on"), 0);
    sim_advance_us(core, 20 * SECOND);
    assert_null(sim_sent(core, 0));
    sim_link(core, 0, false);
    sim_link(core, 0, true);
    sim_run(core);
    assert_int_equal(requests_for(core, 0, US, 0), 1); /* from the link's return on, it probes */
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(running_01_shows_its_cache),
        cmocka_unit_test(running_02_shows_each_entry_once),
        cmocka_unit_test(running_03_lifetime_changes_while_running),
        cmocka_unit_test(running_04_detection_is_switched_off_while_running),
    };
    return cmocka_run_group_tests_name("arp running", tests, NULL, NULL);
}
