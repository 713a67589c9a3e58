/* A nic's lease, and the address that comes and goes with it. */
#include <stdio.h>

#include "services/dhcp/dhcp.h"

enum {
    LEASE_DECLINE_WAIT_S = 10, /* RFC 2131 3.1.5: at least */
    LEASE_WATCH_S = 5,         /* arp probes for three seconds */
};

static uint64_t lease_after_ns(uint64_t begin_ns, uint32_t seconds)
{
    return seconds == DHCP_LEASE_FOREVER ? DHCP_NEVER : begin_ns + seconds * NS_PER_SECOND;
}

void dhcp_lease_watch(struct service_self *self, struct dhcp_nic *nic)
{
    nic->watch_ns = service_now_ns(self) + LEASE_WATCH_S * NS_PER_SECOND;
}

static const struct address *lease_address(struct service_self *self, uint32_t ip)
{
    for (unsigned i = 0; ip && i < ADDRESSES_MAX; i++)
        if (service_address(self, i)->ip == ip)
            return service_address(self, i);
    return NULL;
}

void dhcp_lease_forget(struct service_self *self, struct dhcp_nic *nic)
{
    uint32_t ip = nic->lease.ip;
    nic->lease.ip = 0;
    if (ip)
        service_address_delete(self, ip);
}

/* Tells the server that the address is not to be had, and waits before asking again. */
static void lease_decline(struct service_self *self, struct dhcp_nic *nic, const char *why)
{
    struct dhcp *dhcp = self->state;
    service_log(self, LOG_ERROR, "%s: %s from %s declined: %s", dhcp_wire(self, nic)->name,
                ip_text(nic->lease.ip).text, ip_text(nic->lease.server).text, why);
    dhcp_enter(self, nic, DHCP_SELECTING);
    dhcp_message_send(self, nic, DHCP_DECLINE);
    ++*dhcp->declines;
    nic->due_ns += LEASE_DECLINE_WAIT_S * NS_PER_SECOND;
}

void dhcp_lease_give_back(struct service_self *self, struct dhcp_nic *nic)
{
    if (!nic->lease.ip)
        return;
    service_log(self, LOG_INFO, "%s: %s given back to %s", dhcp_wire(self, nic)->name,
                ip_text(nic->lease.ip).text, ip_text(nic->lease.server).text);
    if (dhcp_wire(self, nic)->link_up) {
        dhcp_enter(self, nic, DHCP_SELECTING); /* which makes a new id */
        dhcp_message_send(self, nic, DHCP_RELEASE);
    }
    dhcp_lease_forget(self, nic);
}

/* Gives the nic a lease's address, with the gateway if that can be. */
static int lease_add(struct service_self *self, const struct dhcp_nic *nic,
                     const struct dhcp_answer *lease)
{
    unsigned index = dhcp_index(self, nic);
    int error = service_address_add(self, index, lease->ip, lease->length, lease->gateway);
    if (error == 0 || !lease->gateway)
        return error;
    service_log(self, LOG_WARNING, "%s: gateway %s from %s is not used: %s",
                dhcp_wire(self, nic)->name, ip_text(lease->gateway).text,
                ip_text(lease->server).text,
                error == ERR_EXISTS ? "there is a default route" : piglet_error_text(error));
    return service_address_add(self, index, lease->ip, lease->length, 0);
}

/* The times of a lease, those of the server if they make sense (RFC 2131 4.4.5). */
static void lease_set_times(struct dhcp_nic *nic)
{
    uint32_t lease_s = nic->lease.lease_s, renew_s = nic->lease.renew_s,
             rebind_s = nic->lease.rebind_s;
    uint64_t lease_ns = lease_s * NS_PER_SECOND;
    nic->expires_ns = lease_after_ns(nic->asked_ns, lease_s);
    nic->rebind_ns = nic->expires_ns - (lease_s == DHCP_LEASE_FOREVER ? 0 : lease_ns >> 3);
    nic->renew_ns = nic->expires_ns - (lease_s == DHCP_LEASE_FOREVER ? 0 : lease_ns >> 1);
    if (renew_s && renew_s < rebind_s && rebind_s < lease_s) {
        nic->rebind_ns = lease_after_ns(nic->asked_ns, rebind_s);
        nic->renew_ns = lease_after_ns(nic->asked_ns, renew_s);
    }
}

static void lease_say(struct service_self *self, const struct dhcp_nic *nic, enum log_level level)
{
    const struct dhcp_answer *lease = &nic->lease;
    char seconds[24] = "ever", gateway[32] = "";
    if (lease->lease_s != DHCP_LEASE_FOREVER)
        snprintf(seconds, sizeof seconds, "%lu s", (unsigned long)lease->lease_s);
    if (lease->gateway)
        snprintf(gateway, sizeof gateway, ", gateway %s", ip_text(lease->gateway).text);
    service_log(self, level, "%s: %s/%u from %s for %s%s", dhcp_wire(self, nic)->name,
                ip_text(lease->ip).text, lease->length, ip_text(lease->server).text, seconds,
                gateway);
}

/* Takes up the lease that was granted. What the nic has already is left as it is. */
void dhcp_lease_take(struct service_self *self, struct dhcp_nic *nic)
{
    const struct dhcp_answer *now = &nic->answer;
    const struct dhcp_answer before = nic->lease;
    const struct address *address = lease_address(self, now->ip);
    bool elsewhere = address && address->nic != dhcp_index(self, nic);
    bool same = address && before.ip == now->ip && before.length == now->length &&
                before.gateway == now->gateway;
    if (!same)
        dhcp_lease_forget(self, nic);
    if (!same && !elsewhere && lease_address(self, now->ip)) /* it was configured too */
        service_address_delete(self, now->ip);
    nic->lease = *now;
    lease_set_times(nic);
    int error = same || elsewhere ? 0 : lease_add(self, nic, now);
    if (elsewhere || error < 0) {
        lease_decline(self, nic,
                      elsewhere ? "another nic of ours has it" : piglet_error_text(error));
        nic->lease.ip = 0; /* where it is configured, it stays */
        return;
    }
    dhcp_enter(self, nic, DHCP_BOUND);
    nic->due_ns = nic->renew_ns;
    nic->failures = 0;
    if (!same)
        dhcp_lease_watch(self, nic);
    lease_say(self, nic, same ? LOG_DEBUG : LOG_INFO);
}

/* The lease's own turns: it ends, its address is somebody else's, or was taken away. */
void dhcp_lease_mind(struct service_self *self, struct dhcp_nic *nic)
{
    const char *name = dhcp_wire(self, nic)->name;
    const struct address *address = lease_address(self, nic->lease.ip);
    if (service_now_ns(self) >= nic->expires_ns) {
        service_log(self, LOG_ERROR, "%s: the lease of %s has expired", name,
                    ip_text(nic->lease.ip).text);
    } else if (!address) {
        service_log(self, LOG_WARNING, "%s: %s was taken away, asking for another", name,
                    ip_text(nic->lease.ip).text);
    } else if (address->state == ADDRESS_DUPLICATE) {
        lease_decline(self, nic, "in use by another station");
        dhcp_lease_forget(self, nic);
        return;
    } else {
        return;
    }
    dhcp_lease_forget(self, nic);
    dhcp_enter(self, nic, DHCP_SELECTING);
}
