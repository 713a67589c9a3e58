/* Inside the packet paths: what frameset.c, transmit.c, deliver.c and join.c share. */
#ifndef PSR_FRAMESET_H
#define PSR_FRAMESET_H

#include "psr/client.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/udp.h"

enum { PIGLET_ETHERTYPE_MIN = 0x600 }; /* below it is a length (IEEE 802.3 3.2.6) */

/* Framesets were started or stopped: what the receive handler is called for changes. */
void deliver_changed(struct clients *clients);

/* Joins a nic, as a station with an address of its own, or to get copies of everything.
 * ERR_EXISTS: the address is the nic's or another station's. ERR_INVALID: a group address or zero.
 * ERR_FULL: as many as there may be. */
int frameset_join(struct frameset *frameset, unsigned nic, bool station, const uint8_t mac[6]);

/* Nothing happens when it has not joined. */
void frameset_leave(struct frameset *frameset);

/* Sends a station's frame where it belongs: to the wire, to Piglet itself, to another station. False:
 * it may not send that, and the frame is still the caller's. */
bool join_send(struct frameset *frameset, struct frame *frame);

/* What stations sent to Piglet itself goes through the receive chain. */
void join_receive_local(struct clients *clients);

#endif
