/* Chains: kinds, verdicts, yield and requeue, backlogs, timers of services. */
#include "kernel/chain.h"
#include "kernel/loop.h"
#include "tests/unit/test.h"

#define US   IP(10, 0, 0, 2)
#define PEER IP(10, 0, 0, 1)

/* A service that does what its state says, and remembers what it saw. */
struct probe {
    enum verdict verdict;
    unsigned yields; /* frames to yield before the verdict */
    unsigned seen, batches, largest, resumed;
    uint64_t next_us[4];
    unsigned fired;
    uint64_t fired_ns[8];
    bool reject;
    struct service_timer timer;
    struct frame *held;
};

static enum verdict probe_judge(struct service_self *self, struct frame *frame)
{
    struct probe *probe = self->state;
    probe->seen++;
    if (probe->yields) {
        probe->yields--;
        return VERDICT_YIELD;
    }
    if (probe->reject)
        return service_reject(frame, DROP_IP_TTL, ICMP_TIME_EXCEEDED, 0, 0);
    if (probe->verdict == VERDICT_DROP)
        return service_drop_for(frame, DROP_UDP_LOOP);
    if (probe->verdict == VERDICT_CONSUMED)
        service_free(self, frame);
    return probe->verdict;
}

static void probe_receive(struct service_self *self, struct batch *batch)
{
    struct probe *probe = self->state;
    probe->batches++;
    if (batch->count > probe->largest)
        probe->largest = batch->count;
    service_each(self, batch, probe_judge);
}

static uint64_t probe_timeout(struct service_self *self, struct service_timer *timer)
{
    struct probe *probe = self->state;
    assert_ptr_equal(timer, &probe->timer);
    probe->fired_ns[probe->fired] = service_now_ns(self);
    return probe->next_us[probe->fired++];
}

static const struct service udp_probe = {
    .name = "udp_probe",
    .receive_kinds = FRAME_UDP,
    .receive = probe_receive,
    .timeout = probe_timeout,
};

static const struct service all_probe = {
    .name = "all_probe",
    .receive_kinds = 0xffff,
    .receive = probe_receive,
};

static const struct service out_probe = {
    .name = "out_probe",
    .transmit_kinds = FRAME_READY,
    .transmit = probe_receive,
};

static struct service_self *add(struct core *core, const struct service *service,
                                struct probe *probe)
{
    struct service_self *self = &core->service[core->service_count];
    self->core = core;
    self->service = service;
    self->state = probe;
    self->index = (uint8_t)core->service_count++;
    self->count.frames = service_counter(self, "frames", "");
    self->count.passed = service_counter(self, "passed_on", "");
    self->count.dropped = service_counter(self, "drops", "");
    self->count.time_ns = service_counter(self, "time_ns", "");
    assert_int_equal(chain_service_start(core, self), 0);
    return self;
}

static struct core *start(void)
{
    return sim_start(1, "ip=10.0.0.2/24 services=-arp,-icmp");
}

static void inject_mixed(struct core *core, unsigned pairs)
{
    struct packet udp = packet_udp_to(PEER, 9, US, 9, 20), echo = packet_echo(PEER, US, 20);
    for (unsigned i = 0; i < pairs; i++) {
        assert_true(sim_inject(core, 0, udp.data, udp.length));
        assert_true(sim_inject(core, 0, echo.data, echo.length));
    }
}

static void chain_01_only_wanted_kinds(void **state)
{
    (void)state;
    struct core *core = start();
    struct probe udp = {.verdict = VERDICT_CONSUMED}, all = {.verdict = VERDICT_PASS};
    add(core, &udp_probe, &udp);
    add(core, &all_probe, &all);
    inject_mixed(core, 10);
    sim_run(core);
    assert_int_equal(udp.seen, 10);
    assert_int_equal(all.seen, 10);
    assert_int_equal(sim_counter(core, "drop.ip-protocol"), 10);
    assert_int_equal(sim_counter(core, "udp_probe.frames"), 10);
    assert_int_equal(sim_counter(core, "udp_probe.passed_on"), 0);
    assert_int_equal(sim_counter(core, "udp_probe.drops"), 0);
    assert_int_equal(sim_counter(core, "all_probe.passed_on"), 10); /* what then comes: nobody's */
    assert_int_equal(sim_counter(core, "all_probe.drops"), 0);
    test_stop(core);
}

static void chain_02_passed_frames_go_on(void **state)
{
    (void)state;
    struct core *core = start();
    struct probe udp = {.verdict = VERDICT_PASS}, all = {.verdict = VERDICT_PASS};
    add(core, &udp_probe, &udp);
    add(core, &all_probe, &all);
    inject_mixed(core, 10);
    sim_run(core);
    assert_int_equal(all.seen, 20);
    assert_int_equal(all.batches, 1);
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), 10);
    assert_int_equal(sim_counter(core, "drop.ip-protocol"), 10);
    test_stop(core);
}

static void chain_03_drops_are_counted_by_reason(void **state)
{
    (void)state;
    struct core *core = start();
    struct probe udp = {.verdict = VERDICT_DROP};
    add(core, &udp_probe, &udp);
    inject_mixed(core, 10);
    sim_run(core);
    assert_int_equal(sim_counter(core, "drop.udp-loop"), 10);
    assert_int_equal(sim_counter(core, "udp_probe.drops"), 10);
    assert_int_equal(sim_counter(core, "udp_probe.passed_on"), 0);
    test_stop(core);
}

static void chain_04_rejected_without_icmp_is_dropped_for_its_reason(void **state)
{
    (void)state;
    struct core *core = start();
    struct probe udp = {.reject = true};
    add(core, &udp_probe, &udp);
    inject_mixed(core, 3);
    sim_run(core);
    assert_int_equal(sim_counter(core, "drop.ip-ttl"), 3);
    test_stop(core);
}

static void chain_05_yield_calls_again(void **state)
{
    (void)state;
    struct core *core = start();
    struct probe udp = {.verdict = VERDICT_CONSUMED, .yields = 15};
    add(core, &udp_probe, &udp);
    inject_mixed(core, 10);
    sim_run(core);
    assert_int_equal(udp.seen, 25); /* 10, of which all yield; 10, of which 5 yield; 5 */
    assert_int_equal(udp.batches, 3);
    assert_int_equal(sim_counter(core, "drop.yield-backlog"), 0);
    test_stop(core);
}

static void chain_06_yield_backlog_is_bounded(void **state)
{
    (void)state;
    struct core *core = start();
    struct probe udp = {.verdict = VERDICT_CONSUMED, .yields = UINT32_MAX};
    add(core, &udp_probe, &udp);
    inject_mixed(core, YIELDED_MAX + 100);
    for (unsigned i = 0; i < 100; i++)
        loop_turn(core);
    assert_int_equal(core->yielded.count, YIELDED_MAX);
    assert_int_equal(sim_counter(core, "drop.yield-backlog"), 100);
    test_stop(core); /* and stopping gives the waiting frames back */
}

static void chain_07_requeue_goes_on_behind(void **state)
{
    (void)state;
    struct core *core = start();
    struct probe udp = {.verdict = VERDICT_CONSUMED}, all = {.verdict = VERDICT_PASS};
    struct service_self *self = add(core, &udp_probe, &udp);
    add(core, &all_probe, &all);
    struct frame *frame = service_frame(self);
    assert_non_null(frame);
    frame->length = 60;
    frame->kind = FRAME_UDP;
    service_requeue(self, frame);
    sim_run(core);
    assert_int_equal(udp.seen, 0);
    assert_int_equal(all.seen, 1);
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), 1);
    test_stop(core);
}

static void chain_08_transmit_filter_and_backlog(void **state)
{
    (void)state;
    struct core *core = start();
    struct probe out = {.verdict = VERDICT_PASS};
    struct service_self *self = add(core, &out_probe, &out);
    for (unsigned i = 0; i < NIC_OUT_MAX + 10; i++) {
        struct frame *frame = service_frame(self);
        assert_non_null(frame);
        memset(frame->data, (int)i, 60);
        frame->length = 60;
        frame->nic = 0;
        frame->kind = FRAME_READY;
        service_send(self, frame);
    }
    sim_run(core);
    assert_int_equal(out.seen, NIC_OUT_MAX);
    assert_int_equal(out.largest, BATCH_MAX);
    assert_int_equal(sim_counter(core, "drop.send-backlog"), 10);
    for (unsigned i = 0; i < NIC_OUT_MAX; i++) {
        const struct sim_wire_frame *sent = sim_sent(core, 0);
        assert_non_null(sent);
        assert_int_equal(sent->data[0], (uint8_t)i); /* in order */
    }
    assert_null(sim_sent(core, 0));
    assert_int_equal(sim_counter(core, "nic0.tx_frames"), NIC_OUT_MAX);
    assert_int_equal(sim_counter(core, "nic0.tx_bytes"), NIC_OUT_MAX * 60);
    test_stop(core);
}

static void chain_09_full_ring_and_dead_link(void **state)
{
    (void)state;
    struct core *core = start();
    struct probe out = {.verdict = VERDICT_PASS};
    struct service_self *self = add(core, &out_probe, &out);
    for (unsigned round = 0; round < 2; round++) {
        sim_wire_full(core, 0, round == 0);
        if (round)
            sim_link(core, 0, false);
        struct frame *frame = service_frame(self);
        memset(frame->data, 0, 60);
        frame->length = 60;
        frame->nic = 0;
        frame->kind = FRAME_READY;
        service_send(self, frame);
        sim_run(core);
    }
    assert_int_equal(sim_counter(core, "drop.nic-ring-full"), 1);
    assert_int_equal(sim_counter(core, "drop.nic-down"), 1);
    assert_int_equal(sim_counter(core, "nic0.tx_frames"), 0);
    assert_int_equal(sim_counter(core, "nic0.tx_bytes"), 0);
    test_stop(core);
}

static void chain_10_timeouts(void **state)
{
    (void)state;
    struct core *core = start();
    struct probe udp = {.next_us = {1000, 0, 500, TIMER_NONE}};
    struct service_self *self = add(core, &udp_probe, &udp);
    service_timer_arm(self, &udp.timer, 2000);
    sim_advance_us(core, 10000);
    assert_int_equal(udp.fired, 4);
    static const uint64_t due_us[4] = {2000, 3000, 3000, 3500};
    for (unsigned i = 0; i < 4; i++) {
        assert_true(udp.fired_ns[i] >= due_us[i] * 1000);
        assert_true(udp.fired_ns[i] < due_us[i] * 1000 + 10000);
    }
    service_timer_arm(self, &udp.timer, 100);
    service_timer_cancel(self, &udp.timer);
    sim_advance_us(core, 1000);
    assert_int_equal(udp.fired, 4);
    test_stop(core);
}

static void chain_11_stopped_service_sees_nothing(void **state)
{
    (void)state;
    struct core *core = start();
    struct probe udp = {.verdict = VERDICT_CONSUMED, .next_us = {TIMER_NONE}};
    struct service_self *self = add(core, &udp_probe, &udp);
    service_timer_arm(self, &udp.timer, 100);
    chain_service_stop(core, self);
    inject_mixed(core, 1);
    sim_advance_us(core, 1000);
    assert_int_equal(udp.seen, 0);
    assert_int_equal(udp.fired, 0);
    assert_ptr_equal(chain_find(core, "udp_probe"), self);
    assert_null(chain_find(core, "nonesuch"));
    test_stop(core);
}

static void chain_12_conservation_is_checked(void **state)
{
    (void)state;
    struct core *core = start();
    struct frame *frame = frame_alloc(&core->frames);
    assert_int_equal(sim_stop(core), 1);
    frame_free(&core->frames, frame);
    assert_int_equal(sim_stop(core), 0);
}

static void chain_13_pool_exhausted(void **state)
{
    (void)state;
    struct core *core = start();
    static struct frame *taken[FRAMES_MAX + 1];
    unsigned count = 0;
    while ((taken[count] = frame_alloc(&core->frames)))
        count++;
    assert_int_equal(count, core->frames.total);
    uint64_t before = sim_counter(core, "drop.no-frame");
    inject_mixed(core, 1);
    sim_run(core);
    assert_true(sim_counter(core, "drop.no-frame") > before);
    while (count)
        frame_free(&core->frames, taken[--count]);
    inject_mixed(core, 1);
    sim_run(core);
    assert_int_equal(sim_counter(core, "drop.udp-no-port"), 1);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain_01_only_wanted_kinds),
        cmocka_unit_test(chain_02_passed_frames_go_on),
        cmocka_unit_test(chain_03_drops_are_counted_by_reason),
        cmocka_unit_test(chain_04_rejected_without_icmp_is_dropped_for_its_reason),
        cmocka_unit_test(chain_05_yield_calls_again),
        cmocka_unit_test(chain_06_yield_backlog_is_bounded),
        cmocka_unit_test(chain_07_requeue_goes_on_behind),
        cmocka_unit_test(chain_08_transmit_filter_and_backlog),
        cmocka_unit_test(chain_09_full_ring_and_dead_link),
        cmocka_unit_test(chain_10_timeouts),
        cmocka_unit_test(chain_11_stopped_service_sees_nothing),
        cmocka_unit_test(chain_12_conservation_is_checked),
        cmocka_unit_test(chain_13_pool_exhausted),
    };
    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
