/* A small DHCP server, and a client under test on the simulated wire. */
#ifndef TESTS_SERVICE_DHCP_H
#define TESTS_SERVICE_DHCP_H

#include <stdio.h>

#include "kernel/chain.h"
#include "tests/unit/test.h"
#include "wire/dhcp.h"

#define SERVER IP(10, 0, 0, 1)
#define LEASED IP(10, 0, 0, 50)
#define SECOND 1000000ull

enum {
    LEASE_S = 3600,
    TURN_US = 3, /* what is due at once is done in the next tick of the timers */
};

/* ---- the server ------------------------------------------------------------------------------ */

/* A message of the client's, taken apart. */
struct heard {
    uint8_t type; /* 0: there was none */
    bool broadcast_flag, broadcast_frame;
    uint16_t seconds;
    uint32_t from, to, xid, client, requested, server;
    bool parameters;
};

static inline struct heard hear_options(struct heard heard, const struct dhcp_message *message,
                                        size_t bytes)
{
    struct dhcp_option option;
    size_t at = 0;
    while (
        dhcp_option_next((const uint8_t *)(message + 1), bytes - sizeof *message, &at, &option)) {
        be32_t word = {0};
        memcpy(&word, option.value, option.length < 4 ? option.length : 4);
        if (option.code == DHCP_OPTION_TYPE)
            heard.type = option.value[0];
        if (option.code == DHCP_OPTION_REQUESTED)
            heard.requested = be32_get(word);
        if (option.code == DHCP_OPTION_SERVER)
            heard.server = be32_get(word);
        if (option.code == DHCP_OPTION_PARAMETERS)
            heard.parameters = memchr(option.value, DHCP_OPTION_ROUTER, option.length);
        if (option.code == DHCP_OPTION_CLIENT) {
            assert_int_equal(option.length, 7);
            assert_memory_equal(option.value + 1, message->client_mac, 6);
        }
    }
    assert_true(at < bytes - sizeof *message); /* it ended with END */
    return heard;
}

/* The next DHCP message sent by a nic; other frames before it are thrown away. */
static inline struct heard hear(struct core *core, unsigned nic)
{
    const struct sim_wire_frame *frame;
    while ((frame = sim_sent(core, nic))) {
        const struct ipv4_header *ip = (const struct ipv4_header *)(frame->data + 14);
        const struct udp_header *udp = (const struct udp_header *)(ip + 1);
        const struct dhcp_message *message = (const struct dhcp_message *)(udp + 1);
        if (frame->data[12] != 8 || frame->data[13] != 0 || ip->protocol != IPV4_UDP)
            continue;
        uint16_t length = be16_get(udp->length);
        assert_int_equal(be16_get(udp->from), DHCP_PORT_CLIENT);
        assert_int_equal(be16_get(udp->to), DHCP_PORT_SERVER);
        assert_true(length >= 8 + DHCP_LENGTH_MIN);
        assert_int_equal(frame->length, 34 + length);
        assert_int_equal(checksum_fold(checksum_add(0, ip, 20)), 0xffff);
        assert_int_equal(checksum_fold(checksum_add(checksum_pseudo(ip, length), udp, length)),
                         0xffff);
        assert_int_equal(be32_get(message->cookie), DHCP_COOKIE);
        assert_memory_equal(message->client_mac, core->nic[nic].mac, 6);
        struct heard heard = {
            .broadcast_flag = be16_get(message->flags) == DHCP_FLAG_BROADCAST,
            .broadcast_frame = memcmp(frame->data, BROADCAST, 6) == 0,
            .seconds = be16_get(message->seconds),
            .from = be32_get(ip->from),
            .to = be32_get(ip->to),
            .xid = be32_get(message->xid),
            .client = be32_get(message->client),
        };
        return hear_options(heard, message, length - 8u);
    }
    return (struct heard){0};
}

/* What the server says; fields of 0 are left out. */
struct say {
    uint8_t type;
    uint32_t ip, server, mask, gateway, lease_s, renew_s, rebind_s;
};

static inline struct say usual(uint8_t type)
{
    return (struct say){.type = type,
                        .ip = type == DHCP_NAK ? 0 : LEASED,
                        .server = SERVER,
                        .mask = type == DHCP_NAK ? 0 : 0xffffff00,
                        .gateway = type == DHCP_NAK ? 0 : SERVER,
                        .lease_s = type == DHCP_NAK ? 0 : LEASE_S};
}

static inline struct dhcp_message *packet_dhcp(struct packet *packet)
{
    return (struct dhcp_message *)(packet->data + 42);
}

static inline uint8_t *packet_options(struct packet *packet)
{
    return packet->data + 42 + DHCP_HEADER_LENGTH;
}

static inline struct packet packet_say(struct core *core, unsigned nic, uint32_t xid,
                                       struct say say)
{
    struct packet packet = packet_udp_to(say.server ? say.server : SERVER, DHCP_PORT_SERVER,
                                         UINT32_MAX, DHCP_PORT_CLIENT, DHCP_LENGTH_MIN);
    struct dhcp_message *message = packet_dhcp(&packet);
    memset(message, 0, DHCP_LENGTH_MIN);
    message->op = DHCP_OP_REPLY;
    message->hardware = DHCP_HARDWARE_ETHERNET;
    message->hardware_length = 6;
    message->xid = be32(xid);
    message->yours = be32(say.ip);
    message->cookie = be32(DHCP_COOKIE);
    eth_copy(message->client_mac, core->nic[nic].mac);
    eth_copy(packet_eth(&packet)->to, BROADCAST);
    const uint32_t word[][2] = {
        {DHCP_OPTION_SERVER, say.server},   {DHCP_OPTION_MASK, say.mask},
        {DHCP_OPTION_ROUTER, say.gateway},  {DHCP_OPTION_LEASE_S, say.lease_s},
        {DHCP_OPTION_RENEW_S, say.renew_s}, {DHCP_OPTION_REBIND_S, say.rebind_s},
    };
    uint8_t *at = dhcp_option_put(packet_options(&packet), DHCP_OPTION_TYPE, &say.type, 1);
    for (unsigned i = 0; i < COUNT_OF(word); i++)
        if (word[i][1])
            at = dhcp_option_put32(at, (uint8_t)word[i][0], word[i][1]);
    *at = DHCP_OPTION_END;
    packet_fix_udp(&packet);
    return packet;
}

static inline void inject(struct core *core, unsigned nic, struct packet packet)
{
    packet_fix_udp(&packet);
    assert_true(sim_inject(core, nic, packet.data, packet.length));
    sim_advance_us(core, TURN_US);
}

static inline void tell(struct core *core, unsigned nic, uint32_t xid, struct say say)
{
    inject(core, nic, packet_say(core, nic, xid, say));
}

/* ---- the client's life ----------------------------------------------------------------------- */

static inline bool said(const char *text)
{
    return strstr(sim_console(), text);
}

static inline bool has_address(const struct core *core, unsigned nic, uint32_t ip)
{
    for (unsigned i = 0; i < ADDRESSES_MAX; i++)
        if (core->routes.address[i].ip == ip)
            return core->routes.address[i].nic == nic;
    return false;
}

static inline unsigned addresses(const struct core *core)
{
    unsigned count = 0;
    for (unsigned i = 0; i < ADDRESSES_MAX; i++)
        count += core->routes.address[i].ip != 0;
    return count;
}

static inline void expect_line(struct core *core, unsigned place, const char *line)
{
    char text[SERVICE_LINE_MAX];
    struct service_self *dhcp = chain_find(core, "dhcp");
    assert_true(dhcp->service->show(dhcp, &place, text, sizeof text));
    assert_string_equal(text, line);
}

/* Offers, and expects the request for it; returns its id. */
static inline uint32_t offer(struct core *core, unsigned nic, struct heard discover, struct say say)
{
    assert_int_equal(discover.type, DHCP_DISCOVER);
    say.type = DHCP_OFFER;
    tell(core, nic, discover.xid, say);
    struct heard request = hear(core, nic);
    assert_int_equal(request.type, DHCP_REQUEST);
    assert_int_equal(request.xid, discover.xid);
    assert_int_equal(request.requested, say.ip);
    assert_int_equal(request.server, say.server);
    assert_int_equal(request.client, 0);
    assert_int_equal(request.seconds, discover.seconds);
    return request.xid;
}

/* From a discover to an address. */
static inline void lease(struct core *core, unsigned nic, struct say say)
{
    uint32_t xid = offer(core, nic, hear(core, nic), say);
    say.type = DHCP_ACK;
    tell(core, nic, xid, say);
    assert_true(has_address(core, nic, say.ip));
}

static inline struct core *start(const char *line)
{
    struct core *core = sim_start(2, line);
    sim_advance_us(core, TURN_US);
    return core;
}

/* Leased, and past the search for duplicates. */
static inline struct core *start_leased(void)
{
    struct core *core = start("ip=dhcp");
    lease(core, 0, usual(DHCP_ACK));
    sim_advance_us(core, 10 * SECOND);
    assert_int_equal(hear(core, 0).type, 0);
    return core;
}

/* Steps until something is said, at most `seconds`; when it was, in seconds since the call. */
static inline struct heard hear_within(struct core *core, unsigned seconds, double *after_s)
{
    uint64_t begin_ns = sim_now_ns;
    struct heard heard = hear(core, 0);
    while (!heard.type && sim_now_ns - begin_ns < seconds * SECOND * 1000) {
        sim_advance_us(core, SECOND / 10);
        heard = hear(core, 0);
    }
    if (after_s)
        *after_s = (double)(sim_now_ns - begin_ns) / 1e9;
    return heard;
}

#endif
