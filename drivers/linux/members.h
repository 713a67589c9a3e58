/* What an AF_PACKET socket asks its interface to receive beside what Linux wants: how the drivers
 * that share an interface with Linux set their receive filter. Linux takes it back when the socket
 * is closed. */
#ifndef DRIVERS_LINUX_MEMBERS_H
#define DRIVERS_LINUX_MEMBERS_H

#include <linux/if_packet.h>

#include "drivers/nic.h"

struct linux_members {
    unsigned count;
    struct packet_mreq member[2 + NIC_STATIONS_MAX];
};

/* Asks for what `filter` says, of the interface with this index, and for nothing of what the last
 * filter wanted alone. What both want is received all the time. On an error nothing has changed. */
int linux_members_set(struct linux_members *members, int fd, int interface,
                      const struct nic_filter *filter);

#endif
