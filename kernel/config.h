/* The kernel command line: words, each from one table; Linux's syntax where Linux has the word.
 *
 *   ip=10.0.0.2/24[@nic0]                           an address; repeatable
 *   ip=CLIENT:[SERVER]:[GATEWAY]:NETMASK:[HOST]:[DEVICE]:[off|none|static]
 *                                                   the same, as Linux writes it
 *   ip=dhcp[@nic0]   ip=:::::[DEVICE]:dhcp          an address from a DHCP server; one a nic
 *   route=PREFIX/LENGTH:GATEWAY[@nic0]              a route; repeatable
 *   services=+echo,-icmp                            what runs beside the defaults
 *   SERVICE.KEY=VALUE                               a service's own setting
 *   log=error|warning|info|debug   console=ttyS0|…|none   idle=adaptive|poll|halt
 *   nic.queues=N                                    receive queues of nics that have several
 *   clients=N   window=BYTES[K|M]   window.rights=all|none|read+config+join+bind+copy
 *                                                   who may post requests, and what they may
 *   status=SECONDS   dump=SECONDS                   a status line, all counters, on the console
 *                                                   every so often (0: never)
 *
 * A word that is unknown or malformed is named in the log with its position, and the rest goes on.
 */
#ifndef KERNEL_CONFIG_H
#define KERNEL_CONFIG_H

#include "kernel/core.h"

enum {
    CONFIG_LINE_MAX = 2048, /* Linux's limit on x86 */
    CONFIG_WORD_MAX = 256,
    CONFIG_COMPLAINTS_MAX = 16, /* words named in the log, of one line; the rest are counted */
};

/* Words that matter before there are devices: log, console. Says nothing about the others. */
void config_early(struct core *core, const char *line);

/* All other words. Returns how many were refused. */
unsigned config_apply(struct core *core, const char *line);

/* Parsers, for tools and tests. Each takes the whole string; ERR_INVALID says it is malformed. */
int config_parse_ip(const char *text, uint32_t *ip);
int config_parse_prefix(const char *text, uint32_t *ip, uint8_t *length);

#endif
