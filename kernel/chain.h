/* Chains: which services exist, and how a batch travels through them. */
#ifndef KERNEL_CHAIN_H
#define KERNEL_CHAIN_H

#include "kernel/core.h"
#include "kernel/service.h"

enum { SETTING_TEXT_MAX = 21 }; /* 2^64 - 1 in decimal, and its end */

/* services/services.c: the rows in chain order, ended by NULL. Receive runs from the first to the
 * last, transmit likewise over those that filter. */
extern const struct service *const services[];

/* Makes an instance of every row, none running. ERR_NO_MEMORY, ERR_FULL. */
int chain_start(struct core *core);

/* Makes an instance of one more service, behind the others, with its settings at their defaults. */
int chain_add(struct core *core, const struct service *service);

/* By name, or NULL. */
struct service_self *chain_find(struct core *core, const char *name);

/* Starts or stops a service; what it is already is no error. Returns start's. */
int chain_service_start(struct core *core, struct service_self *self);
void chain_service_stop(struct core *core, struct service_self *self);

/* kernel/setting.c. Sets a service's setting, in force at once if it runs. ERR_NOT_FOUND: no such
 * key. ERR_INVALID, ERR_RANGE: bad value, nothing changed. */
int chain_setting_set(struct service_self *self, const char *key, const char *text);

/* The setting's value, as text that chain_setting_set takes. ERR_NOT_FOUND: no such key. ERR_RANGE:
 * it does not fit in `room` (SETTING_TEXT_MAX always does), text is empty. */
int chain_setting_get(const struct service_self *self, const char *key, char *text, size_t room);

/* Likewise any value of a setting. */
int chain_setting_text(const struct service_setting *setting, uint64_t value, char *text,
                       size_t room);

/* Puts every setting's default into the state. For a new instance. */
void chain_setting_defaults(struct service_self *self);

/* Runs a batch through the receive chain from service `first` on, then drops what nobody took. */
void chain_receive(struct core *core, struct batch *batch, unsigned first);

/* Runs what was sent through the transmit chain and into the nics' rings. */
void chain_flush(struct core *core);

/* Takes up yielded and requeued frames; returns how many. */
unsigned chain_yielded(struct core *core);

/* Loads a table into a service: its number from 1, to be swapped in. ERR_UNSUPPORTED: it takes none.
 * ERR_RANGE: too long. Else load's. */
int chain_service_load(struct service_self *self, const uint8_t *table, size_t bytes);

/* Puts the table of that load in force; 0: the one that was in force before the last swap.
 * ERR_INVALID: it is not the last, or swapped in already; or there is no former one. */
int chain_service_swap(struct service_self *self, uint64_t load);

/* Undoes the last swap. */
void chain_service_swap_back(struct service_self *self);

/* Tells every running service. */
void chain_notice(struct core *core, enum service_notice what, uint32_t about);

#endif
