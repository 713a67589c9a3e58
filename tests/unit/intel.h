/* What the tests of Intel's drivers share: the line they start with, pings through them, frames sent. */
#ifndef TESTS_UNIT_INTEL_H
#define TESTS_UNIT_INTEL_H

#include "drivers/intel/device.h"
#include "drivers/intel/ring.h"
#include "kernel/loop.h"
#include "tests/unit/test.h"

#define OURS IP(10, 0, 0, 2)
#define PEER IP(10, 0, 0, 1)
#define LINE "ip=10.0.0.2/24 services=-arp"

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

/* Whose reply has 20 to 1019 bytes of data. */
static inline struct packet ping_packet(unsigned number)
{
    struct packet ping = packet_echo(PEER, OURS, 20 + number % 1000);
    packet_icmp(&ping)->sequence = be16((uint16_t)number);
    packet_fix_icmp(&ping);
    return ping;
}

/* These bytes are a whole reply to ping `number`. */
static inline void expect_reply_is(const uint8_t *data, unsigned bytes, unsigned number)
{
    struct packet reply = {.length = bytes};
    memcpy(reply.data, data, bytes);
    unsigned length = 14 + 20 + 8 + 20 + number % 1000;
    assert_int_equal(bytes, length < 60 ? 60 : length);
    assert_memory_equal(packet_eth(&reply)->to, PEER_MAC, 6);
    assert_memory_equal(packet_eth(&reply)->from, NIC0_MAC, 6);
    assert_int_equal(packet_icmp(&reply)->type, 0);
    assert_int_equal(be16_get(packet_icmp(&reply)->sequence), number & 0xffff);
}

static inline unsigned transmit_some(struct core *core, unsigned count)
{
    struct frame *frame[BATCH_MAX];
    for (unsigned i = 0; i < count; i++) {
        frame[i] = frame_alloc(&core->frames);
        frame[i]->length = 60;
        memset(frame[i]->data, (int)i, 60);
    }
    unsigned taken = core->nic[0].driver->transmit(&core->nic[0], frame, count);
    for (unsigned i = 0; i < count; i++)
        if (i < taken)
            assert_int_equal(frame[i]->owner, FRAME_OF_TRANSMIT_RING);
        else
            frame_free(&core->frames, frame[i]);
    return taken;
}

#endif
