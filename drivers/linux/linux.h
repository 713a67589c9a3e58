/* The nics and windows of a Linux process, rows for drivers.c. */
#ifndef DRIVERS_LINUX_LINUX_H
#define DRIVERS_LINUX_LINUX_H

#include "drivers/nic.h"
#include "kernel/window.h"

extern const struct nic_driver linux_tap_driver;    /* tap:NAME */
extern const struct nic_driver linux_packet_driver; /* packet:IFNAME */
extern const struct nic_driver linux_xdp_driver;    /* xdp:IFNAME[,OPTION]... */
extern const struct nic_driver linux_pair_driver;   /* pair:PATH or pair:LOCAL,REMOTE */

/* Brings a nic up as packet:NAME. For drivers that cannot, and fall back to it. */
int linux_packet_start(struct nic *nic, const char *name);

extern const struct window_driver linux_window_driver; /* window:PATH */

#endif
