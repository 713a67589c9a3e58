/* firewall: lets pass what its rules accept, and what belongs to connections that they accepted.
 *
 * Judges IPv4 in three directions: in (to us), forward (through us), and out (what Piglet and its
 * clients send). include/piglet/firewall.h says what rules are and mean; they come as a table, which
 * is checked and built beside the one in force, and put in force at once. Every live flow is then
 * judged again, by its next packet: those still allowed go on, the others end.
 *
 * Flows: TCP by state and window, UDP, ICMP echo, and others by addresses, with a time each; state.h
 * says how many there may be, and who gives way. A TCP connection that is older than the firewall is
 * picked up like a new one (pick_up=off: it is invalid). Rejecting is done by the icmp service, at
 * its limited rate. What cannot be judged passes: ARP, other EtherTypes.
 *
 * Not done: reassembly (fragments behind the first are judged by address and protocol alone, and
 * make no flow), address translation, helpers for protocols that open connections of their own (FTP).
 *
 * Settings  firewall.open=on|off (on): without a table, everything passes
 *           firewall.pick_up=on|off (on), firewall.half_open=N (4096), firewall.log_rate=N (10)
 *           firewall.opening, .established, .closing, .closed, .udp, .stream, .icmp, .other: seconds
 * Counters  firewall.accepted, firewall.asked, firewall.flows_begun, firewall.flows_gave_way,
 *           firewall.flows_expired, firewall.flows_ended; by rule: show
 * Drops     firewall-drop, firewall-invalid, firewall-limit, firewall-state-full
 * Cost      of a live flow: 120 instructions a frame (UDP) or 200 (TCP), whatever the number of rules.
 *           Of a new one: some 300 and a lookup; classifier.h says how that is done. Without flows: 125
 *           while the rules spoke about the like lately (known.h), else 400 and a lookup. Memory: 4 MiB
 *           for the rules, taken at the first load, 1.7 MiB for the flows, at the first start */
#include "services/firewall/firewall.h"

#include <stdio.h>

#include "piglet/error.h"

extern const struct service service_firewall;

enum {
    HALF_OPEN_DEFAULT = 4096, /* a quarter of the table: what a flood of beginnings can take */
    LOG_RATE_DEFAULT = 10,    /* lines a second */
    LOG_RATE_MAX = 1000,
    /* Seconds. RFC 5382 and RFC 4787 ask for at least 2 h 4 min of established TCP, 5 min of UDP
     * unless known better; shorter for what is half-open (Linux has 120, 60, 432,000, 120, 30, 180). */
    OPENING_S = 30,
    ESTABLISHED_S = 432000,
    CLOSING_S = 120,
    CLOSED_S = 30,
    UDP_S = 30,
    STREAM_S = 300,
    ICMP_S = 30,
    OTHER_S = 600,
};

#define NS_PER_SECOND 1000000000ull

/* ---- configuration ---------------------------------------------------------------------------- */

static uint32_t firewall_ticks(uint32_t seconds)
{
    return (uint32_t)(seconds * NS_PER_SECOND >> FLOW_TICK_SHIFT) + 1;
}

static void firewall_changed(struct service_self *self)
{
    struct firewall *firewall = self->state;
    struct flow_table *flows = firewall->flows;
    uint32_t *timeout = flows->timeout;
    timeout[FLOW_TCP_OPENING] = timeout[FLOW_TCP_ANSWERED] = firewall_ticks(firewall->opening_s);
    timeout[FLOW_TCP_ESTABLISHED] = firewall_ticks(firewall->established_s);
    timeout[FLOW_TCP_CLOSING] = firewall_ticks(firewall->closing_s);
    timeout[FLOW_TCP_CLOSED] = firewall_ticks(firewall->closed_s);
    timeout[FLOW_UDP] = firewall_ticks(firewall->udp_s);
    timeout[FLOW_UDP_ANSWERED] = firewall_ticks(firewall->stream_s);
    timeout[FLOW_ICMP] = timeout[FLOW_ICMP_ANSWERED] = firewall_ticks(firewall->icmp_s);
    timeout[FLOW_OTHER] = timeout[FLOW_OTHER_ANSWERED] = firewall_ticks(firewall->other_s);
    flows->half_open_max = firewall->half_open;
    flows->pick_up = firewall->pick_up;
    firewall->log_interval_ns = NS_PER_SECOND / firewall->log_rate;
}

/* Not to be guessed from outside: which flows share a chain. */
static uint64_t firewall_seed(struct service_self *self)
{
    uint64_t seed = arch_clock_ns() * 0x9e3779b97f4a7c15ull;
    for (unsigned i = 0; i < service_nic_count(self); i++)
        for (unsigned byte = 0; byte < 6; byte++)
            seed = (seed ^ service_nic(self, i)->mac[byte]) * 0x100000001b3ull;
    return seed;
}

static int firewall_start(struct service_self *self)
{
    struct firewall *firewall = self->state;
    if (!firewall->flows)
        firewall->flows = service_memory(self, sizeof *firewall->flows);
    if (!firewall->flows)
        return ERR_NO_MEMORY;
    flow_table_start(firewall->flows, firewall_seed(self));
    firewall_changed(self);
    firewall->count.accepted = service_counter(self, "accepted", "packets that passed");
    firewall->count.asked =
        service_counter(self, "asked", "packets that the rules were asked about");
    firewall->count.begun = service_counter(self, "flows_begun", "connections that were accepted");
    firewall->count.ended =
        service_counter(self, "flows_ended", "connections that new rules do not allow");
    firewall->flows->gave_way =
        service_counter(self, "flows_gave_way", "half-open connections that made room");
    firewall->flows->expired =
        service_counter(self, "flows_expired", "connections that were silent for too long");
    return 0;
}

/* What goes on while it is off is not followed, so nothing is known about any connection after. */
static void firewall_stop(struct service_self *self)
{
    struct firewall *firewall = self->state;
    service_timer_cancel(self, &firewall->sweep);
    firewall->sweeping = firewall->unseen = false;
    memset(firewall->flows, 0, sizeof *firewall->flows);
}

static uint64_t firewall_timeout(struct service_self *self, struct service_timer *timer)
{
    struct firewall *firewall = self->state;
    (void)timer; /* the only one */
    firewall->flows->now = (uint32_t)(service_now_ns(self) >> FLOW_TICK_SHIFT);
    flow_sweep(firewall->flows);
    firewall->sweeping = firewall->flows->count != 0;
    return firewall->sweeping ? FIREWALL_SWEEP_US : TIMER_NONE;
}

/* ---- tables ----------------------------------------------------------------------------------- */

/* Memory for the halves: on the first load. */
static bool firewall_halves(struct service_self *self)
{
    struct firewall *firewall = self->state;
    if (!firewall->scratch)
        firewall->scratch = service_memory(self, classifier_scratch_bytes);
    if (!firewall->active)
        firewall->active = service_memory(self, sizeof *firewall->active);
    if (!firewall->spare)
        firewall->spare = service_memory(self, sizeof *firewall->spare);
    return firewall->scratch && firewall->active && firewall->spare;
}

static void firewall_actions(struct firewall_half *half, const struct rules_table *table)
{
    const uint8_t verdict[FIREWALL_DIRECTIONS] = {
        table->header->verdict_in, table->header->verdict_out, table->header->verdict_forward};
    const uint32_t line[FIREWALL_DIRECTIONS] = {table->header->line_in, table->header->line_out,
                                                table->header->line_forward};
    for (uint32_t i = 0; i < half->rules; i++) {
        const struct piglet_firewall_rule *rule = &table->rule[i];
        half->action[i] = (struct firewall_action){.line = rule->line,
                                                   .limit = rule->limit,
                                                   .limit_key = rule->limit_key,
                                                   .verdict = rule->verdict,
                                                   .icmp_reject = rule->icmp_reject,
                                                   .actions = rule->actions};
        half->programs |= rule->bpf_count != 0;
    }
    for (unsigned i = 0; i < FIREWALL_DIRECTIONS; i++)
        half->action[half->rules + i] = (struct firewall_action){
            .line = line[i], .verdict = verdict[i], .icmp_reject = table->header->icmp_reject};
    memset(half->count, 0, sizeof half->count);
}

static int firewall_load(struct service_self *self, const uint8_t *bytes, size_t length)
{
    struct firewall *firewall = self->state;
    struct rules_table table;
    int error = rules_check(bytes, length, &table, &self->load_error_at);
    if (error) {
        self->load_error_line = table.wrong_line;
        return error;
    }
    if (!firewall_halves(self))
        return ERR_NO_MEMORY;
    struct firewall_half *half = firewall->spare;
    half->loaded = true;
    half->flags = table.header->flags;
    half->rules = table.header->rule_count;
    half->programs = false;
    firewall_actions(half, &table);
    classifier_build(&half->classifier, &table, firewall->scratch);
    known_start(&half->known, &table);
    return 0;
}

/* What is known of connections is out of date when none was followed for a while: they are picked up
 * like any that are older than the firewall. Half a millisecond where the table was full. */
static void firewall_forget(struct firewall *firewall)
{
    for (unsigned i = 1; firewall->unseen && i < FLOWS_MAX; i++)
        if (firewall->flows->flow[i].state != FLOW_FREE)
            flow_end(firewall->flows, &firewall->flows->flow[i]);
    firewall->unseen = false;
}

static void firewall_swap(struct service_self *self)
{
    struct firewall *firewall = self->state;
    firewall_forget(firewall);
    struct firewall_half *half = firewall->active;
    firewall->active = firewall->spare;
    firewall->spare = half;
    firewall->generation++;
}

/* ---- show ------------------------------------------------------------------------------------- */

static void show_summary(const struct firewall *firewall, char *text, size_t room)
{
    const struct firewall_half *half = firewall->active;
    if (half && half->loaded)
        snprintf(text, room, "%u rules in %u tables, longest list %u; %u flows, %u half-open",
                 half->rules, half->classifier.tuples, half->classifier.list_max,
                 firewall->flows ? firewall->flows->count : 0,
                 firewall->flows ? firewall->flows->half_open : 0);
    else
        snprintf(text, room, "no table: %s passes", firewall->open ? "everything" : "nothing");
}

static void show_rule(const struct firewall_half *half, uint32_t rule, char *text, size_t room)
{
    static const char *const direction[] = {"in", "out", "forward"};
    const struct firewall_count *count = &half->count[rule];
    if (rule < half->rules)
        snprintf(text, room, "rule %u, line %u: %llu packets, %llu bytes", rule + 1,
                 half->action[rule].line, (unsigned long long)count->packets,
                 (unsigned long long)count->bytes);
    else
        snprintf(text, room, "default %s: %llu packets, %llu bytes", direction[rule - half->rules],
                 (unsigned long long)count->packets, (unsigned long long)count->bytes);
}

static unsigned show_seconds(uint32_t ticks)
{
    return (int32_t)ticks > 0 ? (unsigned)(((uint64_t)ticks << FLOW_TICK_SHIFT) / NS_PER_SECOND)
                              : 0;
}

/* "6 10.0.0.1:5001 > 10.0.0.2:22 established left 431999 age 60 frames 120 bytes 9000 line 7" */
static void show_flow(const struct firewall *firewall, const struct flow *flow, uint32_t now,
                      char *text, size_t room)
{
    const struct flow_table *flows = firewall->flows;
    struct flow_end_point from = flow_side_of(flow, 0), to = flow_side_of(flow, 1);
    const struct flow_moved *moved = &flows->moved[flow - flows->flow];
    bool judged = flow->generation == firewall->generation && firewall->active;
    snprintf(text, room, "%u %s:%u > %s:%u %s left %u age %u frames %llu bytes %llu line %u",
             (unsigned)(flow->low >> 48), ip_text(from.ip).text, from.port, ip_text(to.ip).text,
             to.port, flow_state_name[flow->state], show_seconds(flow->deadline - now),
             show_seconds(now - flows->begun[flow - flows->flow]),
             (unsigned long long)moved->frames, (unsigned long long)moved->bytes,
             judged ? firewall->active->action[flow->rule].line : 0);
}

/* A summary, the rules and defaults, then the flows. */
static bool firewall_show(struct service_self *self, unsigned *next, char *text, size_t room)
{
    const struct firewall *firewall = self->state;
    const struct firewall_half *half = firewall->active;
    unsigned rules = half && half->loaded ? half->rules + FIREWALL_DIRECTIONS : 0;
    unsigned at = (*next)++;
    text[0] = 0;
    if (at == 0) {
        show_summary(firewall, text, room);
        return true;
    }
    if (at <= rules) {
        show_rule(half, at - 1, text, room);
        return true;
    }
    if (!firewall->flows || !self->running)
        return false;
    for (unsigned looked = 0; looked < SERVICE_SHOW_BUDGET; looked++, at++) {
        if (at - rules >= FLOWS_MAX)
            return false;
        const struct flow *flow = &firewall->flows->flow[at - rules];
        if (flow->state == FLOW_FREE)
            continue;
        show_flow(firewall, flow, (uint32_t)(service_now_ns(self) >> FLOW_TICK_SHIFT), text, room);
        at++;
        break;
    }
    *next = at;
    return true;
}

/* ---- descriptor ------------------------------------------------------------------------------- */

#define FIREWALL_SECONDS(key, field, value, text)                                                  \
    SERVICE_NUMBER(key, firewall, field, 1, FLOW_TIMEOUT_MAX, value, text)

static const struct service_setting firewall_settings[] = {
    SERVICE_SWITCH("open", firewall, open, true, "without a table, everything passes"),
    SERVICE_SWITCH("pick_up", firewall, pick_up, true,
                   "a TCP connection whose beginning was not seen may begin later"),
    SERVICE_NUMBER("half_open", firewall, half_open, 1, FLOWS_MAX - 1, HALF_OPEN_DEFAULT,
                   "half-open connections, of 16,383 in all"),
    SERVICE_NUMBER("log_rate", firewall, log_rate, 1, LOG_RATE_MAX, LOG_RATE_DEFAULT,
                   "lines a second, at most, of rules that log"),
    FIREWALL_SECONDS("opening", opening_s, OPENING_S, "seconds a TCP handshake may take"),
    FIREWALL_SECONDS("established", established_s, ESTABLISHED_S, "seconds of silence, TCP"),
    FIREWALL_SECONDS("closing", closing_s, CLOSING_S, "seconds after the first FIN"),
    FIREWALL_SECONDS("closed", closed_s, CLOSED_S, "seconds after the last FIN or a reset"),
    FIREWALL_SECONDS("udp", udp_s, UDP_S, "seconds for an answer, UDP"),
    FIREWALL_SECONDS("stream", stream_s, STREAM_S, "seconds of silence, UDP that was answered"),
    FIREWALL_SECONDS("icmp", icmp_s, ICMP_S, "seconds of silence, ICMP echo"),
    FIREWALL_SECONDS("other", other_s, OTHER_S, "seconds of silence, other protocols"),
    {0},
};

const struct service service_firewall = {
    .name = "firewall",
    .help = "firewall.open=on|off, firewall.pick_up=on|off, "
            "firewall.half_open=1..16383, firewall.log_rate=1..1000, "
            "firewall.opening=1..1728000, firewall.established=1..1728000, "
            "firewall.closing=1..1728000, firewall.closed=1..1728000, "
            "firewall.udp=1..1728000, firewall.stream=1..1728000, "
            "firewall.icmp=1..1728000, firewall.other=1..1728000",
    .receive_kinds = FRAME_ICMP | FRAME_UDP | FRAME_TCP | FRAME_IP_OTHER | FRAME_FORWARD,
    .transmit_kinds = FRAME_READY,
    .state_bytes = sizeof(struct firewall),
    .settings = firewall_settings,
    .start = firewall_start,
    .stop = firewall_stop,
    .changed = firewall_changed,
    .receive = firewall_receive,
    .transmit = firewall_transmit,
    .timeout = firewall_timeout,
    .show = firewall_show,
    .table_max = sizeof(struct piglet_firewall_header) +
                 PIGLET_FIREWALL_RULES_MAX * sizeof(struct piglet_firewall_rule) +
                 PIGLET_FIREWALL_BPF_MAX * sizeof(struct piglet_bpf),
    .load = firewall_load,
    .swap = firewall_swap,
};
