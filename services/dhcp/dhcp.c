/* dhcp: leases a nic's address from a DHCP server (RFC 2131; options: RFC 2132).
 *
 *     SELECTING --offer--> REQUESTING --ack--> BOUND --T1--> RENEWING --T2--> REBINDING
 *         ^                                      ^-------------- ack --------------'
 *         '---- nak, expiry, silence             '-- ack -- VERIFYING, when the link returns
 *
 * The first discover goes out as soon as the nic has a link: waiting one to ten seconds before it
 * (RFC 2131 4.4.1) is for networks whose stations all boot in one moment. A new address is in use at
 * once, while arp looks whether somebody else has it; if so it is declined. When the link returns,
 * the lease is verified, as if after a reboot: a server of another network refuses it at once, and
 * where there is silence another lease is looked for, the old one being kept until its end.
 *
 * What arrives is checked and noted. All that follows from it is done by the nic's timer: addresses
 * must not change while frames are in the chains, as they carry what was looked up for them.
 *
 * Settings  dhcp.nic0=on|off (off), and so on to nic7. ip=dhcp[@nicN] sets one and starts the service
 * Shows     a nic a line: its name, state, address or -, server or -, and the seconds left
 * Counters  dhcp.discovers, offers, acks, naks, declines, renewals, ignored
 * Drops     dhcp-malformed, dhcp-unexpected, dhcp-unusable
 * Cost      a frame to another UDP port: three instructions */
#include <stdio.h>

#include "services/dhcp/dhcp.h"

extern const struct service service_dhcp;

enum {
    DHCP_RETRY_S = 4, /* RFC 2131 4.1: after 4, 8, 16, 32, 64 seconds, each one more or less */
    DHCP_RETRY_DOUBLINGS = 4,
    DHCP_REQUESTS = 4, /* RFC 2131 3.1.5: a minute of them */
    DHCP_VERIFIES = 3,
    DHCP_SILENT = 2,         /* discovers without an answer that are worth a line in the log */
    DHCP_RENEW_RETRY_S = 60, /* RFC 2131 4.4.5: at least */
    DHCP_WATCH_MS = 250,     /* how often arp's findings are looked at */
};

#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

/* A counter, mixed (splitmix64, by Vigna): good for ids and jitter, not for secrets. */
static uint64_t dhcp_random(struct service_self *self)
{
    struct dhcp *dhcp = self->state;
    uint64_t mixed = dhcp->seed += 0x9e3779b97f4a7c15ull;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebull;
    return mixed ^ mixed >> 31;
}

/* How long to wait for an answer: doubled each time, a second more or less. */
static uint64_t dhcp_backoff_ns(struct service_self *self, unsigned tries)
{
    unsigned doublings = tries < DHCP_RETRY_DOUBLINGS ? tries : DHCP_RETRY_DOUBLINGS;
    uint64_t jitter_ms = dhcp_random(self) & 2047;
    return ((uint64_t)DHCP_RETRY_S << doublings) * NS_PER_SECOND + jitter_ms * NS_PER_MS -
           1024 * NS_PER_MS;
}

/* What is due in the state now begun, at once. The offer's id goes on in what asks for it. */
void dhcp_enter(struct service_self *self, struct dhcp_nic *nic, enum dhcp_state state)
{
    nic->state = (uint8_t)state;
    nic->tries = 0;
    nic->due_ns = service_now_ns(self);
    if (state != DHCP_REQUESTING)
        nic->xid = (uint32_t)dhcp_random(self);
    if (state != DHCP_REQUESTING && state != DHCP_REBINDING)
        nic->begun_ns = nic->due_ns;
}

static void dhcp_refused(struct service_self *self, struct dhcp_nic *nic)
{
    service_log(self, LOG_WARNING, "%s: %s refused by %s%s%s", dhcp_wire(self, nic)->name,
                ip_text(nic->lease.ip ? nic->lease.ip : nic->offered_ip).text,
                ip_text(nic->answer.server).text, *nic->answer.text ? ": " : "", nic->answer.text);
    dhcp_lease_forget(self, nic);
    dhcp_enter(self, nic, DHCP_SELECTING);
    if (nic->failures) /* a server that offers and refuses is not asked in circles */
        nic->due_ns += dhcp_backoff_ns(self, nic->failures - 1u);
    nic->failures += nic->failures < UINT8_MAX;
}

static void dhcp_answered(struct service_self *self, struct dhcp_nic *nic)
{
    struct dhcp *dhcp = self->state;
    switch (nic->answer.type) {
    case DHCP_OFFER:
        ++*dhcp->offers;
        nic->offered_ip = nic->answer.ip;
        nic->offered_server = nic->answer.server;
        dhcp_enter(self, nic, DHCP_REQUESTING);
        break;
    case DHCP_ACK:
        ++*dhcp->acks;
        *dhcp->renewals += nic->state != DHCP_REQUESTING;
        dhcp_lease_take(self, nic);
        break;
    default:
        ++*dhcp->naks;
        dhcp_refused(self, nic);
        break;
    }
    nic->answer.type = 0;
}

/* When to ask for more time again: half of what is left, but not soon (RFC 2131 4.4.5). */
static uint64_t dhcp_renew_again_ns(uint64_t now_ns, uint64_t end_ns)
{
    uint64_t left_ns = end_ns > now_ns ? (end_ns - now_ns) >> 1 : 0;
    uint64_t least_ns = DHCP_RENEW_RETRY_S * NS_PER_SECOND;
    return now_ns + (left_ns > least_ns ? left_ns : least_ns);
}

/* Asks what the state has to ask, perhaps again. */
static void dhcp_ask(struct service_self *self, struct dhcp_nic *nic)
{
    struct dhcp *dhcp = self->state;
    uint64_t now_ns = service_now_ns(self);
    uint64_t seconds = (now_ns - nic->begun_ns) / NS_PER_SECOND;
    if (nic->tries == 0)
        nic->asked_ns = now_ns;
    if (nic->state != DHCP_REQUESTING) /* RFC 2131 3.1.3: as in the discover */
        nic->seconds = seconds < UINT16_MAX ? (uint16_t)seconds : UINT16_MAX;
    if (nic->state == DHCP_SELECTING && nic->tries == DHCP_SILENT)
        service_log(self, LOG_WARNING, "%s: no server answers, asking on",
                    dhcp_wire(self, nic)->name);
    dhcp_message_send(self, nic, nic->state == DHCP_SELECTING ? DHCP_DISCOVER : DHCP_REQUEST);
    *dhcp->discovers += nic->state == DHCP_SELECTING;
    if (nic->state == DHCP_RENEWING)
        nic->due_ns = dhcp_renew_again_ns(now_ns, nic->rebind_ns);
    else if (nic->state == DHCP_REBINDING)
        nic->due_ns = dhcp_renew_again_ns(now_ns, nic->expires_ns);
    else
        nic->due_ns = now_ns + dhcp_backoff_ns(self, nic->tries);
    nic->tries += nic->tries < UINT8_MAX;
}

/* What time brings: the next state, or the same question again. */
static void dhcp_proceed(struct service_self *self, struct dhcp_nic *nic)
{
    uint64_t now_ns = service_now_ns(self);
    if (nic->state == DHCP_RENEWING && now_ns >= nic->rebind_ns)
        dhcp_enter(self, nic, DHCP_REBINDING);
    if (now_ns < nic->due_ns)
        return;
    if (nic->state == DHCP_BOUND)
        dhcp_enter(self, nic, now_ns < nic->rebind_ns ? DHCP_RENEWING : DHCP_REBINDING);
    else if ((nic->state == DHCP_REQUESTING && nic->tries == DHCP_REQUESTS) ||
             (nic->state == DHCP_VERIFYING && nic->tries == DHCP_VERIFIES))
        dhcp_enter(self, nic, DHCP_SELECTING);
    dhcp_ask(self, nic);
}

static void dhcp_step(struct service_self *self, struct dhcp_nic *nic)
{
    bool link_up = dhcp_wire(self, nic)->link_up;
    if (!nic->on) {
        dhcp_lease_give_back(self, nic);
        nic->state = DHCP_OFF;
        return;
    }
    if (nic->state == DHCP_OFF)
        nic->plugged = false;
    if (nic->state == DHCP_OFF || (link_up && !nic->plugged))
        dhcp_enter(self, nic, nic->lease.ip ? DHCP_VERIFYING : DHCP_SELECTING);
    nic->plugged = link_up;
    if (nic->answer.type)
        dhcp_answered(self, nic);
    if (nic->lease.ip)
        dhcp_lease_mind(self, nic);
    if (link_up)
        dhcp_proceed(self, nic);
}

/* Until something is due again. */
static uint64_t dhcp_delay_us(struct service_self *self, const struct dhcp_nic *nic)
{
    uint64_t now_ns = service_now_ns(self), next_ns = DHCP_NEVER;
    if (nic->state != DHCP_OFF && nic->plugged)
        next_ns = nic->due_ns;
    if (nic->state == DHCP_RENEWING && nic->plugged && nic->rebind_ns < next_ns)
        next_ns = nic->rebind_ns;
    if (nic->lease.ip && nic->expires_ns < next_ns)
        next_ns = nic->expires_ns;
    if (nic->lease.ip && now_ns < nic->watch_ns && now_ns + DHCP_WATCH_MS * NS_PER_MS < next_ns)
        next_ns = now_ns + DHCP_WATCH_MS * NS_PER_MS;
    if (next_ns == DHCP_NEVER)
        return TIMER_NONE;
    return next_ns > now_ns ? (next_ns - now_ns) / NS_PER_US + 1 : 0;
}

/* ---- the service ----------------------------------------------------------------------------- */

static uint64_t dhcp_timeout(struct service_self *self, struct service_timer *timer)
{
    struct dhcp_nic *nic = (struct dhcp_nic *)timer; /* its first member */
    dhcp_step(self, nic);
    return dhcp_delay_us(self, nic);
}
_Static_assert(offsetof(struct dhcp_nic, timer) == 0, "dhcp_timeout finds the nic by its timer");

static inline enum verdict dhcp_judge(struct service_self *self, struct frame *frame)
{
    struct dhcp *dhcp = self->state;
    struct dhcp_nic *nic = &dhcp->nic[frame->nic];
    const struct udp_header *udp = (const struct udp_header *)(frame->data + frame->l4);
    struct dhcp_answer answer;
    if (__builtin_expect(!be16_is(udp->to, DHCP_PORT_CLIENT), 1) || nic->state == DHCP_OFF)
        return VERDICT_PASS;
    enum drop_reason wrong = dhcp_answer_read(self, nic, frame, &answer);
    if (wrong) {
        ++*dhcp->ignored;
        return service_drop_for(frame, wrong);
    }
    nic->answer = answer;
    service_timer_arm(self, &nic->timer, 0);
    service_free(self, frame);
    return VERDICT_CONSUMED;
}

static void dhcp_receive(struct service_self *self, struct batch *batch)
{
    service_each(self, batch, dhcp_judge);
}

/* A pulled cable is noted at once: it may be back before the timer looks. */
static void dhcp_notice(struct service_self *self, enum service_notice what, uint32_t about)
{
    struct dhcp *dhcp = self->state;
    for (unsigned i = 0; i < service_nic_count(self); i++) {
        struct dhcp_nic *nic = &dhcp->nic[i];
        bool link = (what == SERVICE_NIC_UP || what == SERVICE_NIC_DOWN) && about == i;
        bool address = what == SERVICE_ADDRESS_REMOVED && nic->lease.ip == about;
        if (nic->state == DHCP_OFF || (!link && !address))
            continue;
        if (link) {
            nic->plugged = false;
            dhcp_lease_watch(self, nic);
        }
        service_timer_arm(self, &nic->timer, 0);
    }
}

/* Each nic sees by itself what its switch is now. */
static void dhcp_changed(struct service_self *self)
{
    struct dhcp *dhcp = self->state;
    for (unsigned i = 0; i < NICS_MAX; i++) {
        if (i < service_nic_count(self))
            service_timer_arm(self, &dhcp->nic[i].timer, 0);
        else if (dhcp->nic[i].on)
            service_log(self, LOG_WARNING, "nic%u: there is no such nic", i);
    }
}

static int dhcp_start(struct service_self *self)
{
    struct dhcp *dhcp = self->state;
    dhcp->discovers = service_counter(self, "discovers", "messages that look for a server");
    dhcp->offers = service_counter(self, "offers", "offers taken up");
    dhcp->acks = service_counter(self, "acks", "leases granted, renewals included");
    dhcp->naks = service_counter(self, "naks", "leases refused");
    dhcp->declines = service_counter(self, "declines", "addresses found in use by another");
    dhcp->renewals = service_counter(self, "renewals", "leases renewed, rebound or verified");
    dhcp->ignored = service_counter(self, "ignored", "messages dropped: their reasons tell why");
    dhcp->seed ^= service_now_ns(self);
    bool any = false;
    for (unsigned i = 0; i < service_nic_count(self); i++) {
        for (unsigned byte = 0; byte < ETH_ADDRESS_LENGTH; byte++)
            dhcp->seed = (dhcp->seed << 8 | dhcp->seed >> 56) ^ service_nic(self, i)->mac[byte];
        any |= dhcp->nic[i].on;
    }
    if (!any)
        service_log(self, LOG_WARNING, "no nic to lease an address for: dhcp.nic0=on chooses one");
    dhcp_changed(self);
    return 0;
}

static void dhcp_stop(struct service_self *self)
{
    struct dhcp *dhcp = self->state;
    for (unsigned i = 0; i < service_nic_count(self); i++) {
        struct dhcp_nic *nic = &dhcp->nic[i];
        service_timer_cancel(self, &nic->timer);
        dhcp_lease_give_back(self, nic);
        nic->answer.type = 0;
        nic->state = DHCP_OFF;
    }
}

/* "nic0 bound 10.0.0.50/24 10.0.0.1 3540s" */
static bool dhcp_show(struct service_self *self, unsigned *next, char *text, size_t room)
{
    static const char *const state_name[] = {"off",      "selecting", "requesting", "bound",
                                             "renewing", "rebinding", "verifying"};
    const struct dhcp *dhcp = self->state;
    *text = 0;
    if (*next >= service_nic_count(self))
        return false;
    const struct dhcp_nic *nic = &dhcp->nic[(*next)++];
    if (nic->state == DHCP_OFF)
        return true;
    const char *name = dhcp_wire(self, nic)->name, *state = state_name[nic->state];
    uint64_t now_ns = service_now_ns(self);
    uint64_t left_ns = nic->expires_ns > now_ns ? nic->expires_ns - now_ns : 0;
    if (!nic->lease.ip)
        snprintf(text, room, "%s %s - - -", name, state);
    else if (nic->expires_ns == DHCP_NEVER)
        snprintf(text, room, "%s %s %s/%u %s ever", name, state, ip_text(nic->lease.ip).text,
                 nic->lease.length, ip_text(nic->lease.server).text);
    else
        snprintf(text, room, "%s %s %s/%u %s %lus", name, state, ip_text(nic->lease.ip).text,
                 nic->lease.length, ip_text(nic->lease.server).text,
                 (unsigned long)((left_ns + NS_PER_SECOND - 1) / NS_PER_SECOND));
    return true;
}

#define DHCP_SWITCH(n)                                                                             \
    SERVICE_SWITCH("nic" #n, dhcp, nic[n].on, false, "lease an address for this nic")

static const struct service_setting dhcp_settings[] = {
    DHCP_SWITCH(0), DHCP_SWITCH(1), DHCP_SWITCH(2),
    DHCP_SWITCH(3), DHCP_SWITCH(4), DHCP_SWITCH(5),
    DHCP_SWITCH(6), DHCP_SWITCH(7), {0},
};
_Static_assert(NICS_MAX == 8, "a switch for each nic");

const struct service service_dhcp = {
    .name = "dhcp",
    .help = "dhcp.nic0=on|off, dhcp.nic1=on|off, dhcp.nic2=on|off, dhcp.nic3=on|off, "
            "dhcp.nic4=on|off, dhcp.nic5=on|off, dhcp.nic6=on|off, dhcp.nic7=on|off",
    .on_by_default = false,
    .receive_kinds = FRAME_UDP,
    .state_bytes = sizeof(struct dhcp),
    .settings = dhcp_settings,
    .start = dhcp_start,
    .stop = dhcp_stop,
    .changed = dhcp_changed,
    .receive = dhcp_receive,
    .timeout = dhcp_timeout,
    .notice = dhcp_notice,
    .show = dhcp_show,
};
