/* A core with one e1000 on a model, and pings through it: what the e1000 tests share. */
#ifndef TESTS_UNIT_E1000_H
#define TESTS_UNIT_E1000_H

#include "drivers/e1000/e1000.h"
#include "drivers/intel/device.h"
#include "drivers/intel/ring.h"
#include "kernel/loop.h"
#include "tests/model/e1000_model.h"
#include "tests/unit/test.h"

#define OURS IP(10, 0, 0, 2)
#define PEER IP(10, 0, 0, 1)
#define LINE "ip=10.0.0.2/24 services=-arp"

static struct e1000_model model[2];

static inline struct core *start_chip(uint16_t device)
{
    sim_reset();
    e1000_model_start(&model[0], device, NIC0_MAC);
    e1000_model_add(&model[0], 3);
    return sim_start_core(LINE);
}

static inline struct core *start(void)
{
    return start_chip(0x100e);
}

/* One that is changed between power-on and probe. */
static struct e1000_model *powered(uint16_t device)
{
    sim_reset();
    e1000_model_start(&model[0], device, NIC0_MAC);
    return &model[0];
}

static inline struct core *probe(struct e1000_model *changed)
{
    e1000_model_add(changed, 3);
    return sim_start_core(LINE);
}

/* How the state of the driver begins. */
static inline struct intel_pair *rings_of(struct core *core)
{
    struct {
        struct intel_device device;
        struct intel_pair rings;
    } *state = core->nic[0].driver_state;
    return &state->rings;
}

static inline bool said(const char *text)
{
    return strstr(sim_console(), text) != NULL;
}

static inline unsigned said_times(const char *text)
{
    unsigned times = 0;
    for (const char *at = sim_console(); (at = strstr(at, text)); at++)
        times++;
    return times;
}

static inline void inject_ping(unsigned number)
{
    struct packet ping = packet_echo(PEER, OURS, 20 + number % 1000);
    packet_icmp(&ping)->sequence = be16((uint16_t)number);
    packet_fix_icmp(&ping);
    assert_true(e1000_model_inject(&model[0], ping.data, ping.length));
}

/* A whole reply to ping `number` was sent. */
static inline void expect_reply(unsigned number)
{
    const struct e1000_model_frame *sent = e1000_model_sent(&model[0]);
    assert_non_null(sent);
    struct packet reply = {.length = sent->length};
    memcpy(reply.data, sent->data, sent->length);
    unsigned length = 14 + 20 + 8 + 20 + number % 1000;
    assert_int_equal(sent->length, length < 60 ? 60 : length);
    assert_memory_equal(packet_eth(&reply)->to, PEER_MAC, 6);
    assert_memory_equal(packet_eth(&reply)->from, NIC0_MAC, 6);
    assert_int_equal(packet_icmp(&reply)->type, 0);
    assert_int_equal(be16_get(packet_icmp(&reply)->sequence), number & 0xffff);
}

static inline void expect_works(struct core *core)
{
    inject_ping(7);
    sim_run(core);
    expect_reply(7);
}

static inline unsigned transmit_some(struct core *core, unsigned count)
{
    struct frame *frame[BATCH_MAX];
    for (unsigned i = 0; i < count; i++) {
        frame[i] = frame_alloc(&core->frames);
        frame[i]->length = 60;
        memset(frame[i]->data, (int)i, 60);
    }
    unsigned taken = e1000_driver.transmit(&core->nic[0], frame, count);
    for (unsigned i = 0; i < count; i++)
        if (i < taken)
            assert_int_equal(frame[i]->owner, FRAME_OF_TRANSMIT_RING);
        else
            frame_free(&core->frames, frame[i]);
    return taken;
}

#endif
