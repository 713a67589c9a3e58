/* The dhcp service's own: what it knows of each nic, and what its files do for each other. */
#ifndef SERVICES_DHCP_DHCP_H
#define SERVICES_DHCP_DHCP_H

#include "kernel/service.h"
#include "wire/dhcp.h"
#include "wire/udp.h"

#define NS_PER_SECOND 1000000000ull
#define DHCP_NEVER    UINT64_MAX

enum { DHCP_TEXT_MAX = 48 }; /* bytes of a server's reason that are logged */

/* In the order of a lease's life. */
enum dhcp_state {
    DHCP_OFF,
    DHCP_SELECTING,
    DHCP_REQUESTING,
    DHCP_BOUND,
    DHCP_RENEWING,
    DHCP_REBINDING,
    DHCP_VERIFYING,
};

/* What a server's message says; 0: nothing. */
struct dhcp_answer {
    uint8_t type;                     /* enum dhcp_type */
    uint8_t length;                   /* of the mask */
    uint8_t from[ETH_ADDRESS_LENGTH]; /* the server, or the relay on this link */
    uint32_t ip, mask, gateway, server;
    uint32_t lease_s, renew_s, rebind_s;
    char text[DHCP_TEXT_MAX];
};

struct dhcp_nic {
    struct service_timer timer; /* whatever is done is done from here */
    bool on;                    /* a setting */
    bool plugged;               /* the link is up, and has been since the state was entered */
    uint8_t state;              /* enum dhcp_state */
    uint8_t tries;              /* messages sent in this state */
    uint8_t failures;           /* since the last lease */
    uint32_t xid;
    uint32_t offered_ip, offered_server;
    uint16_t seconds;          /* from when a lease was first looked for, to what is asked now */
    uint64_t begun_ns;         /* looking for a lease */
    uint64_t asked_ns;         /* for what is answered next: leases count from then */
    uint64_t due_ns;           /* when the state wants something done */
    struct dhcp_answer answer; /* noted, not acted on yet */

    /* The lease: its address is the nic's until it expires, whatever the state. */
    struct dhcp_answer lease; /* ip 0: none */
    uint64_t renew_ns, rebind_ns, expires_ns;
    uint64_t watch_ns; /* until then, arp may find that somebody else has the address */
};

struct dhcp {
    struct dhcp_nic nic[NICS_MAX];
    uint64_t seed;
    uint64_t *discovers, *offers, *acks, *naks, *declines, *renewals, *ignored;
};

static inline unsigned dhcp_index(const struct service_self *self, const struct dhcp_nic *nic)
{
    return (unsigned)(nic - ((const struct dhcp *)self->state)->nic);
}

/* The nic itself. */
static inline const struct nic *dhcp_wire(const struct service_self *self,
                                          const struct dhcp_nic *nic)
{
    return service_nic(self, dhcp_index(self, nic));
}

/* dhcp.c: what the state is for is due at once. */
void dhcp_enter(struct service_self *self, struct dhcp_nic *nic, enum dhcp_state state);

/* lease.c. These add and delete addresses: only for the nic's timer, and stop. */

/* Takes up what nic->answer grants, and is bound; or declines it. */
void dhcp_lease_take(struct service_self *self, struct dhcp_nic *nic);

/* Sees to it that the lease ends: its time is over, its address somebody else's, or taken away. */
void dhcp_lease_mind(struct service_self *self, struct dhcp_nic *nic);

/* Tells the server that it is no longer needed, if there is one. */
void dhcp_lease_give_back(struct service_self *self, struct dhcp_nic *nic);

/* It is over. */
void dhcp_lease_forget(struct service_self *self, struct dhcp_nic *nic);

/* From now on for some seconds arp may find that somebody else has the address. */
void dhcp_lease_watch(struct service_self *self, struct dhcp_nic *nic);

/* answer.c: reads a datagram to the client's port. DROP_NONE: `answer` is what the nic waits for,
 * and good to act on. */
enum drop_reason dhcp_answer_read(struct service_self *self, const struct dhcp_nic *nic,
                                  const struct frame *frame, struct dhcp_answer *answer);

/* message.c: sends what is to be said in the nic's state. */
void dhcp_message_send(struct service_self *self, const struct dhcp_nic *nic, enum dhcp_type type);

#endif
