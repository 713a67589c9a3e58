/* The loop, events, log, counters and reports. */
#include <stdio.h>

#include "kernel/loop.h"
#include "kernel/report.h"
#include "tests/unit/test.h"

static uint64_t accounts(const struct core *core)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < PHASE_COUNT; i++)
        sum += *core->time_ns[i];
    for (unsigned i = 0; i < core->service_count; i++)
        sum += *core->service[i].count.time_ns;
    return sum;
}

static void loop_01_accounts_sum_to_the_whole(void **state)
{
    (void)state;
    struct core *core = sim_start(2, "ip=10.0.0.2/24 services=+echo");
    struct packet packet = packet_udp_to(IP(10, 0, 0, 1), 9, IP(10, 0, 0, 2), 7, 20);
    for (unsigned i = 0; i < 50; i++) {
        sim_now_ns += 777;
        sim_inject(core, 0, packet.data, packet.length);
        if (!loop_turn(core))
            loop_nothing(core);
    }
    assert_int_equal(accounts(core), core->account_ns);
    test_stop(core);
}

static void loop_02_sleeps_only_after_looking_again(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "idle=halt services=-arp,-icmp");
    sim_run(core);
    loop_nothing(core);
    assert_true(core->armed);
    assert_int_equal(sim_counter(core, "loop.sleeps"), 0);
    uint64_t before_ns = sim_now_ns;
    assert_false(loop_turn(core));
    loop_nothing(core);
    assert_int_equal(sim_counter(core, "loop.sleeps"), 1);
    assert_true(sim_now_ns > before_ns);
    assert_true(sim_now_ns <= before_ns + NIC_ATTEND_MS * 1000000ull); /* a wire's link may go */
    test_stop(core);
}

static void loop_03_adaptive_spins_first(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "services=-arp,-icmp");
    sim_run(core);
    core->worked_ns = core->now_ns;
    loop_nothing(core);
    assert_false(core->armed);
    sim_now_ns += IDLE_SPIN_US * 1000ull;
    assert_false(loop_turn(core));
    loop_nothing(core);
    assert_true(core->armed);
    core->idle_mode = IDLE_POLL;
    core->armed = false;
    assert_false(loop_turn(core));
    loop_nothing(core);
    assert_false(core->armed);
    test_stop(core);
}

static unsigned ran[3];
static struct event *reposted;

static void count_event(void *argument)
{
    ++*(unsigned *)argument;
    if (reposted) {
        event_post(reposted);
        reposted = NULL;
    }
}

static void event_01_posted_events_run_once(void **state)
{
    (void)state;
    static struct events events;
    struct event *event[3];
    const char *running = "";
    for (unsigned i = 0; i < 3; i++)
        event[i] = event_new(&events, "test", count_event, &ran[i]);
    event_post(event[2]);
    event_post(event[0]);
    event_post(event[0]);
    assert_true(events_pending(&events));
    reposted = event[0];
    assert_int_equal(events_run(&events, &running), 2);
    assert_string_equal(running, "test");
    assert_int_equal(ran[0], 1);
    assert_int_equal(ran[1], 0);
    assert_int_equal(ran[2], 1);
    assert_int_equal(events_run(&events, &running), 1); /* what it posted itself: next turn */
    assert_int_equal(ran[0], 2);
    assert_int_equal(events_run(&events, &running), 0);
    unsigned made = 3;
    while (event_new(&events, "more", count_event, NULL))
        made++;
    assert_int_equal(made, EVENTS_MAX);
}

static unsigned console_lines(const char *with)
{
    unsigned lines = 0;
    for (const char *at = sim_console(); (at = strstr(at, with)); at++)
        lines++;
    return lines;
}

static void log_01_rate_limit_says_what_it_held_back(void **state)
{
    (void)state;
    static struct log log;
    sim_reset();
    memset(&log, 0, sizeof log);
    log_start(&log, LOG_INFO);
    sim_now_ns = 3600ull * 1000000000;
    for (unsigned i = 0; i < 1000; i++)
        log_write(&log, LOG_INFO, "test", "flood %u", i);
    assert_int_equal(console_lines("flood"), LOG_BURST);
    log_write(&log, LOG_ERROR, "test", "serious");
    assert_int_equal(console_lines("serious"), 1); /* errors get through, and the gap is said */
    assert_int_equal(console_lines("900 lines were held back"), 1);
    sim_now_ns += 1000000000;
    for (unsigned i = 0; i < 1000; i++)
        log_write(&log, LOG_INFO, "test", "later");
    assert_int_equal(console_lines("later"), LOG_PER_SECOND);
}

static void log_02_boot_has_the_whole_burst(void **state)
{
    (void)state;
    static struct log log;
    sim_reset();
    log_start(&log, LOG_INFO);
    for (unsigned i = 0; i < 1000; i++)
        log_write(&log, LOG_INFO, "test", "flood");
    assert_true(console_lines("flood") >= LOG_BURST);
    assert_true(console_lines("flood") <= 2 * LOG_BURST);
}

static void log_03_lines_are_cut_cleaned_and_kept(void **state)
{
    (void)state;
    static struct log log;
    char text[2 * LOG_LINE_MAX];
    sim_reset();
    log_start(&log, LOG_WARNING);
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    log_write(&log, LOG_WARNING, "test", "%s", text);
    assert_int_equal(strlen(log_line(&log, 0)->text), LOG_LINE_MAX - 1);
    assert_string_equal(log_line(&log, 0)->text + LOG_LINE_MAX - 4, "...");
    log_write(&log, LOG_INFO, "test", "a\033[31mb\nc");
    assert_string_equal(log_line(&log, 1)->text, "test: a?[31mb?c");
    assert_int_equal(console_lines("31m"), 0); /* below the console's level, kept all the same */
    log_write(&log, LOG_DEBUG, "test", "detail");
    assert_null(log_line(&log, 2));
    for (unsigned i = 0; i < LOG_LINES; i++)
        log_write(&log, LOG_ERROR, "test", "%u", i);
    assert_null(log_line(&log, 1));
    assert_string_equal(log_line(&log, 2)->text, "test: 0");
}

static void counter_01_names_are_unique_and_spill_is_safe(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "");
    uint64_t *a = counter_new(&core->counters, "test", "a", "help");
    assert_ptr_equal(counter_new(&core->counters, "test", "a", "help"), a);
    *a = 42;
    assert_int_equal(*counter_find(&core->counters, "test.a"), 42);
    assert_null(counter_find(&core->counters, "test.b"));
    char what[16];
    for (unsigned i = 0; i < COUNTERS_MAX + 10; i++) {
        snprintf(what, sizeof what, "n%u", i);
        ++*counter_new(&core->counters, "test", what, "help");
    }
    assert_int_equal(core->counters.count, COUNTERS_MAX);
    assert_true(core->counters.overflow >= 10);
    test_stop(core);
}

static void report_01_status_and_dump(void **state)
{
    (void)state;
    struct core *core = sim_start(1, "ip=10.0.0.2/24 status=1 dump=1");
    struct packet packet = packet_echo(IP(10, 0, 0, 1), IP(10, 0, 0, 2), 20);
    packet.data[packet.length - 20] ^= 1;
    sim_inject(core, 0, packet.data, packet.length);
    sim_advance_us(core, 2500000);
    assert_true(console_lines("status: up 2 s, rx 1, tx ") == 1);
    assert_true(console_lines("drops 1 icmp-checksum=1\n") >= 1);
    assert_true(console_lines("counter nic0.rx_frames 1\n") >= 2);
    assert_true(console_lines("counter drop.icmp-checksum 1\n") >= 2);
    assert_true(console_lines("counter end\n") >= 2);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop_01_accounts_sum_to_the_whole),
        cmocka_unit_test(loop_02_sleeps_only_after_looking_again),
        cmocka_unit_test(loop_03_adaptive_spins_first),
        cmocka_unit_test(event_01_posted_events_run_once),
        cmocka_unit_test(log_01_rate_limit_says_what_it_held_back),
        cmocka_unit_test(log_02_boot_has_the_whole_burst),
        cmocka_unit_test(log_03_lines_are_cut_cleaned_and_kept),
        cmocka_unit_test(counter_01_names_are_unique_and_spill_is_safe),
        cmocka_unit_test(report_01_status_and_dump),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
