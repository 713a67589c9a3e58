/* Which services there are: one row each, in the order of the chains. */
#include "kernel/chain.h"

extern const struct service service_arp, service_echo, service_forward, service_clients, service_icmp;

/* icmp comes last: it answers for what nobody took. */
const struct service *const services[] = {
    &service_arp, &service_echo, &service_forward, &service_clients, &service_icmp, NULL,
};
