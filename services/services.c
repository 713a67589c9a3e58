/* Which services there are: one row each, in the order of the chains. */
#include "kernel/chain.h"

extern const struct service service_arp, service_dhcp, service_echo, service_firewall,
    service_forward, service_clients, service_icmp, service_recorder, service_shaper;

/* icmp is the last to receive: it answers for what nobody took. shaper is the last filter: what it
 * lets go has been through all others. */
const struct service *const services[] = {
    &service_arp,     &service_firewall, &service_dhcp,   &service_echo,     &service_forward,
    &service_clients, &service_icmp,     &service_shaper, &service_recorder, NULL,
};
