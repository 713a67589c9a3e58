/* Receive filters by packet sockets' memberships. */
#include "members.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>
#include <sys/socket.h>

#include "common.h"

static bool members_option(int fd, int option, const struct packet_mreq *member)
{
    return setsockopt(fd, SOL_PACKET, option, member, sizeof(*member)) == 0;
}

static void members_add(struct linux_members *members, int interface, uint16_t type,
                        const uint8_t *address)
{
    struct packet_mreq *member = &members->member[members->count++];
    *member = (struct packet_mreq){.mr_ifindex = interface, .mr_type = type};
    if (address) {
        member->mr_alen = ETH_ALEN;
        memcpy(member->mr_address, address, ETH_ALEN);
    }
}

static void members_leave(int fd, const struct linux_members *members)
{
    for (unsigned i = 0; i < members->count; i++)
        members_option(fd, PACKET_DROP_MEMBERSHIP, &members->member[i]);
}

/* Linux counts memberships: what the last filter had too may be joined before that is left. */
int linux_members_set(struct linux_members *members, int fd, int interface,
                      const struct nic_filter *filter)
{
    struct linux_members next = {.count = 0};
    if (filter->promiscuous)
        members_add(&next, interface, PACKET_MR_PROMISC, NULL);
    if (filter->all_multicast)
        members_add(&next, interface, PACKET_MR_ALLMULTI, NULL);
    for (unsigned i = 0; i < filter->stations; i++)
        members_add(&next, interface, PACKET_MR_UNICAST, filter->station[i]);
    for (unsigned i = 0; i < next.count; i++)
        if (!members_option(fd, PACKET_ADD_MEMBERSHIP, &next.member[i])) {
            int error = linux_error(errno);
            next.count = i;
            members_leave(fd, &next);
            return error;
        }
    members_leave(fd, members);
    *members = next;
    return 0;
}
