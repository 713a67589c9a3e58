/* A core with one e1000 on a model, and pings through it: what the e1000 tests share. */
#ifndef TESTS_UNIT_E1000_H
#define TESTS_UNIT_E1000_H

#include "drivers/e1000/e1000.h"
#include "tests/model/e1000_model.h"
#include "tests/unit/intel.h"

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

static inline void inject_ping(unsigned number)
{
    struct packet ping = ping_packet(number);
    assert_true(e1000_model_inject(&model[0], ping.data, ping.length));
}

/* A whole reply to ping `number` was sent. */
static inline void expect_reply(unsigned number)
{
    const struct e1000_model_frame *sent = e1000_model_sent(&model[0]);
    assert_non_null(sent);
    expect_reply_is(sent->data, sent->length, number);
}

static inline void expect_works(struct core *core)
{
    inject_ping(7);
    sim_run(core);
    expect_reply(7);
}

#endif
