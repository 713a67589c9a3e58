/* firewall: connections. TCP by state and window, times, floods, what is related. */
#include <stdio.h>

#include "kernel/chain.h"
#include "tests/model/firewall_table.h"
#include "tests/unit/test.h"

#define US    IP(10, 0, 0, 2)
#define US1   IP(10, 1, 0, 2)
#define PEER  IP(10, 0, 0, 1)
#define PEER1 IP(10, 1, 0, 9)

#define SECOND_US 1000000ull

enum {
    FORWARD = PIGLET_DIRECTION_FORWARD,
    IN = PIGLET_DIRECTION_IN,
    SYN = TCP_SYN,
    ACK = TCP_ACK,
    FIN = TCP_FIN,
    RST = TCP_RST,
    PUSH = 8,
};

/* Both neighbours' MAC addresses are known from their questions. */
static void meet(struct core *core)
{
    struct packet ask = packet_arp_request(PEER1, US1);
    assert_true(sim_inject(core, 1, ask.data, ask.length));
    ask = packet_arp_request(PEER, US);
    assert_true(sim_inject(core, 0, ask.data, ask.length));
    sim_run(core);
    while (sim_sent(core, 0) || sim_sent(core, 1))
        ;
}

static struct core *start(const char *more, const struct firewall_table *table)
{
    char line[256];
    snprintf(line, sizeof line, "ip=10.0.0.2/24 ip=10.1.0.2/24@nic1 services=+forward,+firewall %s",
             more);
    struct core *core = sim_start(2, line);
    meet(core);
    assert_int_equal(table_load(core, table), 0);
    return core;
}

/* Everything that nic0's side begins may pass. */
static struct firewall_table outbound(void)
{
    struct firewall_table table = table_new(PIGLET_VERDICT_DROP);
    table_rule(&table, FORWARD, PIGLET_VERDICT_ACCEPT)->nic_in = 0;
    return table;
}

static bool pass(struct core *core, unsigned in, const struct packet *packet)
{
    const struct sim_wire_frame *sent;
    unsigned passed = 0;
    assert_true(sim_inject(core, in, packet->data, packet->length));
    sim_run(core);
    while ((sent = sim_sent(core, !in)))
        passed += !(sent->data[12] == 8 && sent->data[13] == 6);
    assert_in_range(passed, 0, 1);
    return passed;
}

/* ---- TCP segments between PEER:4000 (side 0, on nic0) and PEER1:80 (side 1, on nic1) ---- */

struct talk {
    struct core *core;
    uint32_t next[2]; /* sequence numbers */
    uint16_t window[2];
    const uint8_t *options; /* of SYNs: 4 bytes, or NULL */
};

static struct packet segment(const struct talk *talk, unsigned side, uint8_t flags,
                             uint32_t sequence, uint32_t acknowledgement, unsigned bytes)
{
    bool options = talk->options && flags & SYN;
    unsigned header = TCP_HEADER_MIN + (options ? 4 : 0);
    struct packet packet =
        packet_ipv4(side ? PEER1 : PEER, side ? PEER : PEER1, IPV4_TCP, header + bytes);
    struct tcp_header *tcp = packet_tcp(&packet);
    *tcp = (struct tcp_header){.from = be16(side ? 80 : 4000),
                               .to = be16(side ? 4000 : 80),
                               .sequence = be32(sequence),
                               .acknowledgement = be32(acknowledgement),
                               .offset = (uint8_t)(header << 2),
                               .flags = flags,
                               .window = be16(talk->window[side])};
    if (options)
        memcpy(tcp + 1, talk->options, 4);
    packet_fix_tcp(&packet);
    if (side)
        eth_copy(packet_eth(&packet)->to, NIC1_MAC);
    return packet;
}

/* The next segment in order. */
static bool say(struct talk *talk, unsigned side, uint8_t flags, unsigned bytes)
{
    struct packet packet =
        segment(talk, side, flags, talk->next[side], flags & ACK ? talk->next[!side] : 0, bytes);
    talk->next[side] += bytes + !!(flags & SYN) + !!(flags & FIN);
    return pass(talk->core, side, &packet);
}

/* A segment whose numbers are this much off. */
static bool say_off(struct talk *talk, unsigned side, uint8_t flags, unsigned bytes,
                    int32_t sequence, int32_t acknowledgement)
{
    struct packet packet = segment(talk, side, flags, talk->next[side] + (uint32_t)sequence,
                                   talk->next[!side] + (uint32_t)acknowledgement, bytes);
    return pass(talk->core, side, &packet);
}

static struct talk talk_new(struct core *core)
{
    return (struct talk){core, {0xfffffff0, 0x7fffffff}, {1000, 2000}, NULL};
}

static struct talk talk_open(struct core *core)
{
    struct talk talk = talk_new(core);
    assert_true(say(&talk, 0, SYN, 0));
    assert_true(say(&talk, 1, SYN | ACK, 0));
    assert_true(say(&talk, 0, ACK, 0));
    return talk;
}

static void expect_flow(struct core *core, const char *state)
{
    char text[SERVICE_LINE_MAX];
    unsigned next = 0;
    struct service_self *self = chain_find(core, "firewall");
    while (self->service->show(self, &next, text, sizeof text))
        if (strstr(text, "6 10.0.0.1:4000 > 10.1.0.9:80")) {
            assert_non_null(strstr(text, state));
            return;
        }
    fail_msg("no flow");
}

static void state_01_handshake_data_and_end(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core = start("firewall.pick_up=off", &table);
    struct talk talk = talk_new(core);
    assert_false(say(&talk, 1, SYN, 0)); /* nobody may begin from there */
    talk = talk_new(core);
    assert_true(say(&talk, 0, SYN, 0));
    expect_flow(core, "opening");
    talk.next[0]--;
    assert_true(say(&talk, 0, SYN, 0));                  /* again */
    assert_false(say_off(&talk, 1, SYN | ACK, 0, 0, 1)); /* of something else */
    assert_true(say(&talk, 1, SYN | ACK, 0));
    expect_flow(core, "answered");
    assert_true(say_off(&talk, 1, SYN | ACK, 0, -1, 0)); /* again */
    assert_true(say(&talk, 0, ACK, 0));
    expect_flow(core, "established");
    for (unsigned i = 0; i < 100; i++) {
        assert_true(say(&talk, 0, ACK | PUSH, 700));
        assert_true(say(&talk, 1, ACK | PUSH, 900));
    }
    assert_true(say(&talk, 0, ACK | FIN, 10));
    expect_flow(core, "closing");
    assert_true(say(&talk, 1, ACK, 500)); /* the other half is open */
    assert_true(say(&talk, 0, ACK, 0));
    assert_true(say(&talk, 1, ACK | FIN, 0));
    expect_flow(core, "closed");
    assert_true(say(&talk, 0, ACK, 0));
    assert_false(say_off(&talk, 0, SYN | RST, 0, 0, 0)); /* no beginning, so it ends nothing */
    expect_flow(core, "closed");
    talk.next[0] += 100000;
    assert_true(say(&talk, 0, SYN, 0)); /* the ports again */
    expect_flow(core, "opening");
    assert_int_equal(sim_counter(core, "firewall.flows_begun"), 2);
    test_stop(core);
}

static void state_02_windows(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core = start("firewall.pick_up=off", &table);
    struct talk talk = talk_open(core);
    assert_true(say_off(&talk, 0, ACK, 1400, 0, 0));
    assert_false(say_off(&talk, 0, ACK, 1400, 601, 0)); /* one beyond the 2,000 offered */
    assert_true(say_off(&talk, 0, ACK, 1400, 600, 0));
    assert_true(say_off(&talk, 0, ACK, 1, 0, 0));     /* sent again */
    assert_false(say_off(&talk, 0, ACK, 1, -1, 0));   /* a window before what is there */
    assert_false(say_off(&talk, 1, ACK, 0, 0, 2001)); /* of what was never sent */
    assert_true(say_off(&talk, 1, ACK, 0, 0, 2000));
    assert_false(say_off(&talk, 1, ACK, 0, 0, 2000 - 66001)); /* long past */
    assert_false(say_off(&talk, 1, RST, 0, 5000, 0));         /* a blind reset */
    assert_false(say_off(&talk, 1, RST, 0, -5000, 0));
    assert_false(say_off(&talk, 0, 0, 0, 0, 0));          /* no flags (nmap -sN), */
    assert_false(say_off(&talk, 0, FIN | PUSH, 0, 0, 0)); /* and no ACK */
    assert_false(say_off(&talk, 0, SYN | FIN, 0, 0, 0));
    assert_true(say_off(&talk, 0, SYN, 0, 9999, 0)); /* who gets it knows better (RFC 5961 4) */
    expect_flow(core, "established");
    assert_true(say_off(&talk, 1, RST, 0, 0, 0));
    expect_flow(core, "closed");
    assert_int_equal(sim_counter(core, "drop.firewall-invalid"), 9);
    test_stop(core);
}

static void state_03_window_scaling(void **state)
{
    (void)state;
    static const uint8_t scale7[4] = {1, 3, 3, 7};
    struct firewall_table table = outbound();
    struct core *core = start("firewall.pick_up=off", &table);
    for (unsigned both = 0; both < 2; both++) {
        struct talk talk = talk_new(core);
        talk.options = scale7;
        assert_true(say(&talk, 0, SYN, 0));
        talk.options = both ? scale7 : NULL;
        assert_true(say(&talk, 1, SYN | ACK, 0));
        assert_true(say(&talk, 0, ACK, 0));
        assert_true(say(&talk, 1, ACK, 0)); /* offers 2,000, or 256,000 */
        assert_int_equal(say_off(&talk, 0, ACK, 1000, 255000, 0), both);
        assert_int_equal(say_off(&talk, 0, ACK, 1001, 255000, 0), 0);
        assert_true(say(&talk, 0, RST | ACK, 0));
    }
    test_stop(core);
}

static void state_04_refused_and_given_up(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core = start("firewall.pick_up=off", &table);
    struct talk talk = talk_new(core);
    assert_true(say(&talk, 0, SYN, 0));
    assert_false(say_off(&talk, 1, RST | ACK, 0, 0, 1)); /* a blind one */
    assert_false(say_off(&talk, 1, RST, 0, 0, 0));
    assert_false(say_off(&talk, 1, ACK, 10, 0, 0));   /* data before the handshake */
    assert_true(say_off(&talk, 1, ACK, 0, 0, 12345)); /* "I know of an old one" (RFC 9293 3.5.1) */
    assert_true(say_off(&talk, 1, RST | ACK, 0, 0, 0));
    expect_flow(core, "closed");
    talk = talk_new(core);
    assert_true(say(&talk, 0, SYN, 0)); /* nmap -sS: */
    assert_true(say(&talk, 1, SYN | ACK, 0));
    assert_true(say(&talk, 0, RST, 0));
    expect_flow(core, "closed");
    test_stop(core);
}

static void state_05_picked_up(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core = start("firewall.pick_up=off", &table);
    struct talk talk = talk_new(core);
    assert_false(say(&talk, 0, ACK, 10));
    assert_int_equal(sim_counter(core, "drop.firewall-invalid"), 1);
    assert_int_equal(chain_setting_set(chain_find(core, "firewall"), "pick_up", "on"), 0);
    assert_false(say(&talk, 1, ACK, 10)); /* from there, it is no more allowed than a SYN */
    assert_int_equal(sim_counter(core, "drop.firewall-drop"), 1);
    assert_true(say(&talk, 0, ACK, 10));
    expect_flow(core, "opening");
    assert_true(say_off(&talk, 0, SYN, 0, 0, 0)); /* it is open for all we know, and stays so */
    assert_true(say(&talk, 1, ACK, 1000));
    assert_true(say_off(&talk, 1, SYN | ACK, 0, -1001, 0));
    assert_true(say(&talk, 0, ACK, 10));
    expect_flow(core, "established");
    assert_false(say_off(&talk, 1, RST | FIN, 0, 0, 0));
    assert_true(say_off(&talk, 1, RST, 0, 0, 0));
    expect_flow(core, "closed");
    test_stop(core);
}

static struct packet udp(unsigned side, uint16_t port)
{
    struct packet packet =
        side ? packet_udp_to(PEER1, 53, PEER, port, 10) : packet_udp_to(PEER, port, PEER1, 53, 10);
    if (side)
        eth_copy(packet_eth(&packet)->to, NIC1_MAC);
    return packet;
}

static void state_06_times(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core =
        start("firewall.udp=10 firewall.stream=40 firewall.established=100", &table);
    struct packet there = udp(0, 9), back = udp(1, 9);
    assert_true(pass(core, 0, &there));
    sim_advance_us(core, 9 * SECOND_US);
    assert_true(pass(core, 1, &back));
    sim_advance_us(core, 39 * SECOND_US);
    assert_true(pass(core, 1, &back));
    sim_advance_us(core, 41 * SECOND_US);
    assert_false(pass(core, 1, &back));
    assert_int_equal(sim_counter(core, "firewall.flows_expired"), 1);
    meet(core);
    struct talk talk = talk_open(core);
    sim_advance_us(core, 99 * SECOND_US);
    meet(core);
    assert_true(say(&talk, 0, ACK, 1));
    sim_advance_us(core, 102 * SECOND_US + 16 * SECOND_US); /* the sweep comes by */
    assert_int_equal(sim_counter(core, "firewall.flows_expired"), 2);
    test_stop(core);
}

/* New ones that nobody answers push one another out, and nothing else. */
static void state_07_flood(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core = start("firewall.half_open=100", &table);
    struct talk talk = talk_open(core);
    struct packet there = udp(0, 9), back = udp(1, 9);
    assert_true(pass(core, 0, &there) && pass(core, 1, &back));
    for (unsigned i = 0; i < 1000; i++) {
        struct packet syn = packet_tcp_to(PEER, (uint16_t)(5000 + i), PEER1, 80, SYN);
        assert_true(pass(core, 0, &syn));
    }
    assert_int_equal(sim_counter(core, "firewall.flows_gave_way"), 900);
    assert_true(say(&talk, 1, ACK, 100));
    assert_true(pass(core, 1, &back));
    struct packet answer = packet_tcp_to(PEER1, 80, PEER, 5999, SYN | ACK);
    packet_tcp(&answer)->acknowledgement = be32(be32_get(packet_tcp(&answer)->sequence) + 1);
    packet_fix_tcp(&answer);
    eth_copy(packet_eth(&answer)->to, NIC1_MAC);
    assert_true(pass(core, 1, &answer)); /* the newest are still there */
    test_stop(core);
}

static void state_08_full(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core = start("", &table);
    unsigned open = 0, refused = 0;
    for (unsigned i = 0; i < 16383 + 50; i++) {
        struct packet there =
            packet_udp_to(IP(10, 0, 0, 10) + (i >> 12), (uint16_t)(i & 4095), PEER1, 53, 0);
        struct packet back =
            packet_udp_to(PEER1, 53, IP(10, 0, 0, 10) + (i >> 12), (uint16_t)(i & 4095), 0);
        eth_copy(packet_eth(&back)->to, NIC1_MAC);
        if (!pass(core, 0, &there)) {
            refused++;
            continue;
        }
        assert_true(sim_inject(core, 1, back.data, back.length));
        sim_run(core);
        while (sim_sent(core, 0))
            ;
        open++;
    }
    assert_int_equal(open, 16383);
    assert_int_equal(refused, 50);
    assert_int_equal(sim_counter(core, "drop.firewall-state-full"), 50);
    assert_int_equal(sim_counter(core, "firewall.flows_gave_way"), 0);
    test_stop(core);
}

/* An ICMP error to nic0's side, about a packet of that side. */
static struct packet error_about(const struct packet *about, uint8_t type)
{
    struct packet packet = packet_ipv4(PEER1, PEER, IPV4_ICMP, ICMP_HEADER_LENGTH + 28);
    struct icmp_header *icmp = packet_icmp(&packet);
    *icmp = (struct icmp_header){.type = type, .code = 1};
    memcpy(icmp + 1, about->data + ETH_HEADER_LENGTH, 28);
    packet_fix_icmp(&packet);
    eth_copy(packet_eth(&packet)->to, NIC1_MAC);
    return packet;
}

static void state_09_related(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core = start("", &table);
    struct packet there = udp(0, 9), other = udp(0, 10), back = udp(1, 9);
    assert_true(pass(core, 0, &there));
    struct packet error = error_about(&there, ICMP_UNREACHABLE);
    assert_true(pass(core, 1, &error));
    error = error_about(&there, ICMP_TIME_EXCEEDED);
    assert_true(pass(core, 1, &error));
    error = error_about(&other, ICMP_UNREACHABLE);
    assert_false(pass(core, 1, &error)); /* about nothing that is there */
    error = error_about(&back, ICMP_UNREACHABLE);
    assert_false(pass(core, 1, &error)); /* not sent to who sent that */
    assert_int_equal(sim_counter(core, "drop.firewall-invalid"), 2);
    table = table_new(PIGLET_VERDICT_DROP); /* the flow ends, and with it what is related */
    assert_int_equal(table_load(core, &table), 0);
    error = error_about(&there, ICMP_UNREACHABLE);
    assert_false(pass(core, 1, &error));
    assert_false(pass(core, 1, &back));
    test_stop(core);
}

static void state_10_echo_and_invalid_by_rule(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core = start("firewall.pick_up=off", &table);
    struct packet ping = packet_echo(PEER, PEER1, 20), pong = packet_echo(PEER1, PEER, 20);
    eth_copy(packet_eth(&pong)->to, NIC1_MAC);
    assert_false(pass(core, 1, &pong)); /* a request, from there */
    packet_icmp(&pong)->type = ICMP_ECHO_REPLY;
    packet_fix_icmp(&pong);
    assert_false(pass(core, 1, &pong)); /* a reply to nothing */
    assert_true(pass(core, 0, &ping));
    assert_true(pass(core, 1, &pong));
    packet_icmp(&pong)->id = be16(999);
    packet_fix_icmp(&pong);
    assert_false(pass(core, 1, &pong));
    assert_int_equal(sim_counter(core, "drop.firewall-invalid"), 2);
    table_rule(&table, FORWARD, PIGLET_VERDICT_ACCEPT)->states = PIGLET_STATE_INVALID;
    assert_int_equal(table_load(core, &table), 0);
    assert_true(pass(core, 1, &pong));
    struct talk talk = talk_new(core);
    assert_true(say(&talk, 1, ACK, 10));
    test_stop(core);
}

/* Packets of one batch see what those before them did. */
static void state_11_one_batch(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core = start("firewall.pick_up=off", &table);
    struct talk talk = talk_new(core);
    struct packet syn = segment(&talk, 0, SYN, 100, 0, 0), ack = segment(&talk, 0, ACK, 101, 1, 0);
    struct packet there = udp(0, 9);
    for (unsigned i = 0; i < 3; i++)
        assert_true(sim_inject(core, 0, there.data, there.length));
    assert_true(sim_inject(core, 0, ack.data, ack.length));
    assert_true(sim_inject(core, 0, syn.data, syn.length));
    assert_true(sim_inject(core, 0, syn.data, syn.length));
    sim_run(core);
    assert_int_equal(sim_counter(core, "firewall.flows_begun"), 2);
    assert_int_equal(sim_counter(core, "firewall.accepted"), 5);
    assert_int_equal(sim_counter(core, "drop.firewall-invalid"), 1);
    test_stop(core);
}

/* A SYN with data (RFC 7413): the answer may take it, or not. */
static void state_12_data_in_a_syn(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core = start("firewall.pick_up=off", &table);
    for (unsigned taken = 0; taken < 2; taken++) {
        struct talk talk = talk_new(core);
        assert_true(say(&talk, 0, SYN, 100));
        assert_false(say_off(&talk, 1, SYN | ACK, 0, 0, 1));
        assert_false(say_off(&talk, 1, SYN | ACK, 0, 0, -101));
        assert_true(say_off(&talk, 1, SYN | ACK, 0, 0, taken ? 0 : -100));
        talk.next[1]++;
        assert_true(say_off(&talk, 0, ACK, 100, -100, 0));
        assert_true(say(&talk, 0, ACK, 50));
        expect_flow(core, "established");
        assert_true(say(&talk, 0, RST, 0));
    }
    test_stop(core);
}

/* What its server has reset counts no more; a reset of its source's own changes nothing. */
static void state_13_limit_of_open_ones(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    table.rule[0].limit = table.rule[0].limit_key = 1;
    struct core *core = start("", &table);
    struct talk talk = talk_open(core);
    struct packet other = udp(0, 1);
    say_off(&talk, 0, RST, 0, 0, 0);
    assert_true(!pass(core, 0, &other) && say(&talk, 1, RST, 0) && pass(core, 0, &other));
    test_stop(core);
}

/* Frames and bytes of both directions, those of the quick way too; and how old it is. */
static void state_14_what_a_flow_moved(void **state)
{
    (void)state;
    struct firewall_table table = outbound();
    struct core *core = start("", &table);
    struct talk talk = talk_open(core); /* 54 bytes each */
    expect_flow(core, "age 0 frames 3 bytes 162 ");
    for (unsigned i = 0; i < 5; i++)
        assert_true(say(&talk, i & 1, ACK | PUSH, 100));
    assert_false(say_off(&talk, 1, ACK, 0, 1 << 20, 0)); /* outside of the window */
    sim_advance_us(core, 3100000);
    expect_flow(core, "age 3 frames 8 bytes 932 ");
    assert_true(say(&talk, 0, FIN | ACK, 0));
    expect_flow(core, "frames 9 bytes 986 ");
    struct packet there = udp(0, 9);
    assert_true(pass(core, 0, &there));
    assert_true(say(&talk, 0, RST, 0));
    talk = talk_open(core); /* the same ports again: another connection */
    expect_flow(core, "age 0 frames 3 bytes 162 ");
    test_stop(core);
}

/* Without rules nothing is followed, so what was known is worth nothing when there are rules again. */
static void state_15_rules_go_and_come(void **state)
{
    (void)state;
    struct firewall_table table = outbound(), none = table_new(PIGLET_VERDICT_ACCEPT);
    none.header.flags = PIGLET_FIREWALL_STATELESS;
    struct core *core = start("", &table);
    struct talk talk = talk_open(core);
    assert_int_equal(table_load(core, &none), 0);
    for (unsigned i = 0; i < 50; i++)
        assert_true(say(&talk, i & 1, ACK | PUSH, 1000)); /* far beyond the windows it began with */
    assert_int_equal(table_load(core, &table), 0);
    assert_true(say(&talk, 0, ACK | PUSH, 1000));
    assert_true(say(&talk, 1, ACK | PUSH, 1000));
    assert_int_equal(sim_counter(core, "drop.firewall-invalid"), 0);
    /* Where no packet passed in between, all is known still. */
    assert_int_equal(table_load(core, &none), 0);
    assert_int_equal(table_load(core, &table), 0);
    assert_true(say(&talk, 1, ACK | PUSH, 1000));
    assert_int_equal(sim_counter(core, "firewall.flows_begun"), 2);
    test_stop(core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_01_handshake_data_and_end),
        cmocka_unit_test(state_02_windows),
        cmocka_unit_test(state_03_window_scaling),
        cmocka_unit_test(state_04_refused_and_given_up),
        cmocka_unit_test(state_05_picked_up),
        cmocka_unit_test(state_06_times),
        cmocka_unit_test(state_07_flood),
        cmocka_unit_test(state_08_full),
        cmocka_unit_test(state_09_related),
        cmocka_unit_test(state_10_echo_and_invalid_by_rule),
        cmocka_unit_test(state_11_one_batch),
        cmocka_unit_test(state_12_data_in_a_syn),
        cmocka_unit_test(state_13_limit_of_open_ones),
        cmocka_unit_test(state_14_what_a_flow_moved),
        cmocka_unit_test(state_15_rules_go_and_come),
    };
    return cmocka_run_group_tests_name("firewall: connections", tests, NULL, NULL);
}
