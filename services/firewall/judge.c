/* Judging: a batch's packets are read and looked up among the flows; those that need the rules are
 * asked about together; then each gets its verdict, in order. */
#include "services/firewall/firewall.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"

/* What is to be done about a packet. */
enum question {
    QUESTION_NONE,   /* it passes: of a live flow */
    QUESTION_PACKET, /* ask the rules about it */
    QUESTION_FLOW,   /* ask the rules about its flow's first packet: there are new rules */
};

struct judgement {
    struct firewall_packet packet;
    struct rules_key key; /* QUESTION_FLOW: of the flow */
    struct flow *flow;    /* live, or NULL */
    uint8_t question;     /* enum question */
    uint8_t state;        /* enum piglet_state */
    bool begins;          /* it may have a flow once accepted */
    bool reply;
    uint32_t rule; /* what was found; behind the rules: a default */
};

/* ---- states ----------------------------------------------------------------------------------- */

static void judge_flow(struct firewall *firewall, struct judgement *judgement, struct flow *flow,
                       bool first_side)
{
    const struct firewall_half *half = firewall->active;
    judgement->flow = flow;
    if (half->flags & PIGLET_FIREWALL_EVERY_PACKET) {
        judgement->question = QUESTION_PACKET;
        return;
    }
    judgement->question = QUESTION_NONE;
    if (__builtin_expect(flow->generation == firewall->generation, 1))
        return;
    /* Programs want a packet of the side that began; until it sends one, nothing is known. */
    if (half->programs && !first_side)
        return;
    judgement->question = QUESTION_FLOW;
    judgement->key = firewall_flow_key(flow);
    judgement->key.packet = judgement->packet.key.packet;
    judgement->key.packet_bytes = first_side ? judgement->packet.key.packet_bytes : 0;
}

/* An ICMP error: related to a live flow, or invalid. */
static void judge_related(struct firewall *firewall, struct judgement *judgement)
{
    bool reply;
    struct flow *flow = flow_find(firewall->flows, &judgement->packet.quoted, &reply);
    judgement->state = PIGLET_STATE_INVALID;
    if (!flow)
        return;
    judgement->state = PIGLET_STATE_RELATED;
    judge_flow(firewall, judgement, flow, false);
}

static void judge_unknown(struct firewall *firewall, struct judgement *judgement)
{
    switch (flow_beginning(firewall->flows, &judgement->packet.flow)) {
    case FLOW_BEGINS:
        judgement->begins = true;
        break;
    case FLOW_LESS:
        break;
    case FLOW_BELONGS:
        judgement->state = PIGLET_STATE_INVALID;
        break;
    }
}

/* The packet's state, and what is to be asked. */
static inline void judge_state(struct firewall *firewall, struct judgement *judgement)
{
    const struct firewall_packet *packet = &judgement->packet;
    judgement->question = QUESTION_PACKET;
    judgement->state = PIGLET_STATE_NEW;
    judgement->flow = NULL;
    judgement->begins = false;
    if (__builtin_expect(packet->cut, 0)) {
        judgement->state = PIGLET_STATE_INVALID;
        return;
    }
    if (packet->fragment || firewall->active->flags & PIGLET_FIREWALL_STATELESS)
        return;
    if (__builtin_expect(packet->quoted.protocol, 0)) {
        judge_related(firewall, judgement);
        return;
    }
    struct flow *flow = flow_find(firewall->flows, &packet->flow, &judgement->reply);
    if (!flow) {
        judge_unknown(firewall, judgement);
        return;
    }
    uint32_t deadline = flow->deadline;
    if (!flow_follow(firewall->flows, flow, &packet->flow, judgement->reply)) {
        judgement->state = PIGLET_STATE_INVALID;
        return;
    }
    judgement->state = PIGLET_STATE_ESTABLISHED;
    judge_flow(firewall, judgement, flow, !judgement->reply);
    if (__builtin_expect(flow->generation != firewall->generation, 0) &&
        judgement->question == QUESTION_NONE)
        flow->deadline = deadline; /* not judged yet: it lives on, but no longer for that */
}

/* ---- rules ------------------------------------------------------------------------------------ */

static const struct rules_key *judge_key(struct judgement *judgement)
{
    if (judgement->question == QUESTION_FLOW)
        return &judgement->key;
    judgement->packet.key.groups = (uint16_t)((judgement->packet.key.groups & ~KEY_STATES) |
                                              (unsigned)judgement->state << KEY_STATE);
    return &judgement->packet.key;
}

/* Index of the action for a match: the default's place where there is none. */
static uint32_t judge_action(const struct firewall_half *half, const struct rules_key *key,
                             uint32_t found)
{
    return found != RULES_NONE ? found : half->rules + ((key->groups & 7u) >> 1);
}

/* Asks the rules about all of `some`: one at least. */
static void judge_ask(struct firewall *firewall, struct judgement *judgement, const uint8_t *some,
                      unsigned count)
{
    const struct rules_key *keys[BATCH_MAX];
    uint32_t found[BATCH_MAX];
    unsigned keyed = 0;
    do
        keys[keyed] = judge_key(&judgement[some[keyed]]);
    while (++keyed < count);
    classifier_match(&firewall->active->classifier, keys, count, found);
    for (unsigned i = 0; i < count; i++)
        judgement[some[i]].rule = judge_action(firewall->active, keys[i], found[i]);
    *firewall->count.asked += count;
}

static void judge_log(struct service_self *self, const struct judgement *judgement,
                      const struct firewall_action *action)
{
    static const char *const verdict[] = {"accept", "drop", "reject", "reset"};
    struct firewall *firewall = self->state;
    const struct flow_packet *packet = &judgement->packet.flow;
    uint64_t now_ns = service_now_ns(self);
    if (now_ns < firewall->log_due_ns)
        return;
    firewall->log_due_ns = now_ns + firewall->log_interval_ns;
    service_log(self, LOG_INFO, "line %u: %s protocol %u %s:%u > %s:%u", action->line,
                verdict[action->verdict], packet->protocol, ip_text(packet->from).text,
                packet->from_port, ip_text(packet->to).text, packet->to_port);
}

/* ---- verdicts --------------------------------------------------------------------------------- */

static enum verdict judge_refuse(struct frame *frame, const struct judgement *judgement,
                                 const struct firewall_action *action)
{
    const struct firewall_packet *packet = &judgement->packet;
    bool out = packet->key.groups & PIGLET_DIRECTION_OUT << KEY_DIRECTION;
    if (action->verdict == PIGLET_VERDICT_DROP || out)
        return service_drop_for(frame, DROP_FIREWALL_DROP);
    frame->flags |= FRAME_JUDGED; /* the answer is the firewall's own */
    if (action->verdict == PIGLET_VERDICT_RESET && packet->flow.tcp)
        return service_reject_reset(frame, DROP_FIREWALL_DROP);
    return service_reject(frame, DROP_FIREWALL_DROP, ICMP_UNREACHABLE, action->icmp_reject, 0);
}

/* The flow is this rule's from now on. False: its source has too many. */
static bool judge_adopt(struct firewall *firewall, struct flow *flow, uint32_t rule)
{
    const struct firewall_action *action = &firewall->active->action[rule];
    flow_unlimit(firewall->flows, flow);
    if (action->limit && flow->state != FLOW_TCP_CLOSED &&
        !flow_limit(firewall->flows, flow, flow_side_of(flow, 0).ip, action->limit_key,
                    action->limit)) {
        flow_end(firewall->flows, flow);
        return false;
    }
    flow->rule = (uint16_t)rule;
    flow->flags = (uint8_t)((flow->flags & ~FLOW_COUNTED) |
                            (action->actions & PIGLET_ACTION_COUNT ? FLOW_COUNTED : 0));
    flow->generation = firewall->generation;
    return true;
}

static enum verdict judge_begin(struct service_self *self, struct frame *frame,
                                const struct judgement *judgement)
{
    struct firewall *firewall = self->state;
    const struct rules_key *key = &judgement->packet.key;
    struct flow *flow = flow_new(firewall->flows, &judgement->packet.flow);
    if (!flow)
        return service_drop_for(frame, DROP_FIREWALL_STATE_FULL);
    flow->direction = key->groups & 7;
    flow->nic_in = (uint8_t)(key->rest >> 16);
    flow->nic_out = (uint8_t)(key->rest >> 8);
    if (!judge_adopt(firewall, flow, judgement->rule))
        return service_drop_for(frame, DROP_FIREWALL_LIMIT);
    ++*firewall->count.begun;
    flow_count(firewall->flows, flow, key->packet_bytes);
    if (!firewall->sweeping) {
        firewall->sweeping = true;
        service_timer_arm(self, &firewall->sweep, FIREWALL_SWEEP_US);
    }
    return VERDICT_PASS;
}

/* By the rule that was found. */
static enum verdict judge_rule(struct service_self *self, struct frame *frame,
                               const struct judgement *judgement)
{
    struct firewall *firewall = self->state;
    struct firewall_half *half = firewall->active;
    const struct firewall_action *action = &half->action[judgement->rule];
    bool flow_asked = judgement->question == QUESTION_FLOW;
    frame->line = 0;
    if (judgement->state == PIGLET_STATE_INVALID && judgement->rule >= half->rules)
        return service_drop_for(frame, DROP_FIREWALL_INVALID);
    frame->line = action->line;
    half->count[judgement->rule].packets++;
    half->count[judgement->rule].bytes += judgement->packet.key.packet_bytes;
    if (action->actions & PIGLET_ACTION_LOG)
        judge_log(self, judgement, action);
    if (action->verdict != PIGLET_VERDICT_ACCEPT) {
        if (flow_asked) {
            flow_end(firewall->flows, judgement->flow);
            ++*firewall->count.ended;
        }
        return judge_refuse(frame, judgement, action);
    }
    if (judgement->begins && !(frame->flags & FRAME_TO_BROADCAST))
        return judge_begin(self, frame, judgement);
    if (flow_asked && !judge_adopt(firewall, judgement->flow, judgement->rule))
        return service_drop_for(frame, DROP_FIREWALL_LIMIT);
    if (judgement->flow)
        flow_count(firewall->flows, judgement->flow, judgement->packet.key.packet_bytes);
    return VERDICT_PASS;
}

static inline enum verdict judge_verdict(struct service_self *self, struct frame *frame,
                                         const struct judgement *judgement)
{
    struct firewall *firewall = self->state;
    if (judgement->question != QUESTION_NONE)
        return judge_rule(self, frame, judgement);
    const struct flow *flow = judgement->flow;
    frame->line = 0;
    if (flow->generation == firewall->generation && flow->flags & FLOW_COUNTED) {
        firewall->active->count[flow->rule].packets++;
        firewall->active->count[flow->rule].bytes += judgement->packet.key.packet_bytes;
    }
    flow_count(firewall->flows, flow, judgement->packet.key.packet_bytes);
    return VERDICT_PASS;
}

/* Flows came and went since this packet was looked up: is what was found still so? */
static __attribute__((noinline)) void judge_again(struct firewall *firewall,
                                                  struct judgement *judgement)
{
    static const uint8_t first = 0;
    const struct firewall_packet *packet = &judgement->packet;
    uint8_t state = judgement->state;
    if (judgement->flow &&
        flow_is(judgement->flow, packet->quoted.protocol ? &packet->quoted : &packet->flow)) {
        if (judgement->question == QUESTION_FLOW &&
            judgement->flow->generation == firewall->generation)
            judgement->question = QUESTION_NONE; /* another packet had it judged meanwhile */
        return;
    }
    judge_state(firewall, judgement);
    if (judgement->question == QUESTION_FLOW ||
        (judgement->question == QUESTION_PACKET && state != judgement->state))
        judge_ask(firewall, judgement, &first, 1);
}

/* ---- batches ---------------------------------------------------------------------------------- */

/* Packets that are judged one by one. */
struct judging {
    unsigned count;
    uint8_t place[BATCH_MAX]; /* in the batch */
    struct frame *frame[BATCH_MAX];
    struct judgement judgement[BATCH_MAX];
};

static void judge_add(struct judging *judging, struct frame *frame, unsigned place,
                      uint8_t direction, uint8_t in, uint8_t out)
{
    unsigned i = judging->count++;
    judging->frame[i] = frame;
    judging->place[i] = (uint8_t)place;
    firewall_read(frame, direction, in, out, &judging->judgement[i].packet);
}

/* Judges them. Returns the bits of the places of those that pass; the others are gone. */
static uint64_t judge_all(struct service_self *self, struct judging *judging)
{
    struct firewall *firewall = self->state;
    struct judgement *judgement = judging->judgement;
    uint8_t ask[BATCH_MAX];
    unsigned asked = 0;
    for (unsigned i = 0; i < judging->count; i++) {
        judge_state(firewall, &judgement[i]);
        ask[asked] = (uint8_t)i;
        asked += judgement[i].question != QUESTION_NONE;
    }
    uint32_t changes = firewall->flows->changes;
    if (asked)
        judge_ask(firewall, judgement, ask, asked);
    uint64_t passed = 0;
    for (unsigned i = 0; i < judging->count; i++) {
        struct frame *frame = judging->frame[i];
        if (__builtin_expect(firewall->flows->changes != changes, 0))
            judge_again(firewall, &judgement[i]);
        if (judge_verdict(self, frame, &judgement[i]) == VERDICT_PASS)
            passed |= 1ull << judging->place[i];
        else
            service_drop(self, frame, frame->reason);
    }
    return passed;
}

/* Whether there is a table to judge by, and one with flows that pass without being asked about. */
enum ready {
    READY_OPEN,   /* there is none: everything passes, */
    READY_CLOSED, /* or nothing */
    READY_SLOW,   /* each packet is to be looked at */
    READY_LIVE,
};

static enum ready judge_ready(struct service_self *self)
{
    struct firewall *firewall = self->state;
    if (__builtin_expect(!firewall->active || !firewall->active->loaded, 0))
        return firewall->open ? READY_OPEN : READY_CLOSED;
    firewall->flows->now = (uint32_t)(service_now_ns(self) >> FLOW_TICK_SHIFT);
    if (__builtin_expect(firewall->active->flags & PIGLET_FIREWALL_STATELESS, 0))
        firewall->unseen = true;
    return firewall->active->flags ? READY_SLOW : READY_LIVE;
}

static void judge_drop(struct service_self *self, struct frame *frame, enum drop_reason reason)
{
    frame->line = 0;
    service_drop(self, frame, reason);
}

/* Leaves in the batch what has its bit, in order. */
static void judge_keep(struct service_self *self, struct batch *batch, uint64_t passed)
{
    struct firewall *firewall = self->state;
    unsigned count = batch->count;
    batch->count = batch->kinds = 0;
    for (unsigned i = 0; i < count; i++)
        if (passed >> i & 1)
            batch_add(batch, batch->frame[i]);
    *firewall->count.accepted += batch->count;
}

/* What did not pass at once. */
static __attribute__((noinline)) uint64_t judge_received(struct service_self *self,
                                                         const struct batch *batch, uint64_t rest)
{
    struct judging judging;
    judging.count = 0;
    for (; rest; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctzll(rest);
        struct frame *frame = batch->frame[i];
        uint8_t direction = PIGLET_DIRECTION_IN, out = RULES_NIC_NONE;
        if (frame->kind == FRAME_FORWARD) {
            direction = PIGLET_DIRECTION_FORWARD;
            out = frame->leaves_by == NIC_NOWHERE ? RULES_NIC_NONE : frame->leaves_by;
        }
        judge_add(&judging, frame, i, direction, frame->nic, out);
    }
    return judge_all(self, &judging);
}

void firewall_receive(struct service_self *self, struct batch *batch)
{
    struct firewall *firewall = self->state;
    uint64_t all = ~0ull >> (64 - batch->count), passed = 0;
    enum ready ready = judge_ready(self);
    if (ready == READY_OPEN)
        return;
    if (ready == READY_LIVE)
        passed = firewall_live(firewall, batch->frame, batch->count);
    if (__builtin_expect(passed == all, 1)) {
        *firewall->count.accepted += batch->count;
        return;
    }
    if (ready != READY_CLOSED)
        passed |= judge_received(self, batch, all & ~passed);
    else
        for (unsigned i = 0; i < batch->count; i++)
            judge_drop(self, batch->frame[i], DROP_FIREWALL_DROP);
    judge_keep(self, batch, passed);
}

/* ---- what we send ----------------------------------------------------------------------------- */

enum sent {
    SENT_IPV4,
    SENT_OTHER, /* not ours to judge: ARP and the like, and what was judged already */
    SENT_BAD,   /* says it is IPv4, and is not */
};

/* Clients send what they like, so this is checked here. A good one gets its l3, l4, end. */
static inline enum sent judge_sent(struct frame *frame)
{
    const struct eth_header *eth = (const struct eth_header *)frame->data;
    const struct ipv4_header *ip = (const struct ipv4_header *)(eth + 1);
    if (frame->flags & (FRAME_FORWARDED | FRAME_JUDGED))
        return SENT_OTHER;
    if (frame->length < ETH_HEADER_LENGTH || !be16_is(eth->type, ETH_TYPE_IPV4))
        return SENT_OTHER;
    unsigned room = (unsigned)frame->length - ETH_HEADER_LENGTH;
    if (room < IPV4_HEADER_MIN || ip->version_length >> 4 != 4)
        return SENT_BAD;
    unsigned header = ipv4_header_length(ip), total = be16_get(ip->total_length);
    if (header < IPV4_HEADER_MIN || total < header || total > room)
        return SENT_BAD;
    frame->l3 = ETH_HEADER_LENGTH;
    frame->l4 = (uint16_t)(ETH_HEADER_LENGTH + header);
    frame->end = (uint16_t)(ETH_HEADER_LENGTH + total);
    return SENT_IPV4;
}

/* Those with a bit in `rest`, which are IPv4. */
static __attribute__((noinline)) uint64_t
judge_own(struct service_self *self, const struct batch *batch, uint64_t rest, bool live)
{
    struct judging judging;
    uint64_t passed = 0;
    judging.count = 0;
    for (; rest; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctzll(rest);
        struct frame *frame = batch->frame[i];
        if (live && firewall_live(self->state, &frame, 1))
            passed |= 1ull << i;
        else
            judge_add(&judging, frame, i, PIGLET_DIRECTION_OUT, RULES_NIC_NONE, frame->nic);
    }
    return passed | judge_all(self, &judging);
}

void firewall_transmit(struct service_self *self, struct batch *batch)
{
    enum ready ready = judge_ready(self);
    if (ready == READY_OPEN)
        return;
    uint64_t all = ~0ull >> (64 - batch->count), passed = 0, own = 0;
    for (unsigned i = 0; i < batch->count; i++) {
        enum sent sent = judge_sent(batch->frame[i]);
        if (sent == SENT_OTHER)
            passed |= 1ull << i;
        else if (ready == READY_CLOSED)
            judge_drop(self, batch->frame[i], DROP_FIREWALL_DROP);
        else if (sent == SENT_IPV4)
            own |= 1ull << i;
        else
            judge_drop(self, batch->frame[i], DROP_FIREWALL_INVALID);
    }
    if (passed == all)
        return;
    passed |= judge_own(self, batch, own, ready == READY_LIVE);
    judge_keep(self, batch, passed);
}
