/* What the loop asks of the clients' side; psr/ implements it. So the kernel knows that clients
 * exist, and nothing about requests. */
#ifndef KERNEL_CLIENTS_H
#define KERNEL_CLIENTS_H

#include "kernel/core.h"

/* Takes memory for core->client_limit clients (0: as many as the windows there are may need), and
 * probes the windows. Each boot module counts as a client. ERR_NO_MEMORY: there will be none. After
 * nics and services are there. */
int clients_start(struct core *core, unsigned modules);

/* Applies the configurations among the boot modules. After clients_start. */
void clients_modules(struct core *core, const struct arch_boot *boot);

/* Whether a window driver is for the device, so that no nic driver need be. */
bool clients_know(const struct arch_device *device);

/* The phase "client requests": a slice of work for each client that has some, in rotation; returns
 * whether there was any. The cost of a turn without work is that of the active clients. */
bool clients_run(struct core *core);

/* Whether any client was at work just now, and so will be again: no pause between turns then. */
bool clients_active(const struct core *core);

/* Before the core sleeps (on), and after: from now on every client must ring. What is posted after
 * the next clients_run found nothing ends the sleep, where the window can do that. */
void clients_arm(struct core *core, bool on);

/* For how long the core may sleep, with clients that cannot wake it. */
uint64_t clients_sleep_max_ns(const struct core *core);

/* Housekeeping: clients that come and go, heartbeats. */
void clients_attend(struct core *core);

/* Frames received by a nic that has stations or captures (nic->joined): takes those that are for a
 * station alone out of the batch, copies the others to whom they concern. Before the classifier. */
void clients_received(struct core *core, struct nic *nic, struct batch *batch);

/* Frames about to be given to such a nic; none are taken. */
void clients_sent(struct core *core, struct nic *nic, const struct batch *batch);

/* Detaches all, as if they had gone. */
void clients_stop(struct core *core);

#endif
