/* What pigctl's commands share. */
#ifndef PIGCTL_H
#define PIGCTL_H

#include "client/piglet.h"
#include "tools/pigctl/output.h"

enum pigctl_exit {
    PIGCTL_DONE = 0,
    PIGCTL_REFUSED = 1, /* refused, failed, or something is wrong */
    PIGCTL_USAGE = 2,
    PIGCTL_NONE = 3, /* no Piglet was found */
};

struct session {
    struct piglet *piglet; /* NULL for commands that open it themselves */
    const char *where;     /* of -s, or NULL */
    bool json;
    const char *noun;
};

/* Gets the words behind the noun, with a NULL behind the last; returns an exit code. */
typedef int command_function(struct session *session, int count, char **words);

/* One line on standard error, which should say the cure; returns the code. */
__attribute__((format(printf, 2, 3))) int complain(enum pigctl_exit code, const char *format, ...);

/* What to do about an error: "start Piglet with window.rights=all". */
const char *error_cure(int error);

/* The same for an error of the library or kernel: what was wanted, why not, and the cure. */
int complain_error(const char *wanted, int error);

/* "pigctl: log: unexpected "-x"; see `pigctl help log`" */
int complain_word(const struct session *session, const char *word);

/* Opens the session's Piglet as `name`; complains itself. */
int session_open(struct session *session);

/* ---- parsing (language.c, change.c) ------------------------------------------------------------------------ */

bool parse_number(const char *text, uint64_t max, uint64_t *number);
bool parse_address(const char *text, uint32_t *address);

/* Loads the services; returns the one of that name, or NULL having complained. The list is to be
 * freed by the caller. */
const struct piglet_service_entry *service_find(struct session *session, const char *name,
                                                struct piglet_service_entry **list);

/* One ICMP echo request, so that arp asks for its next hop; an answer is waited for a second. */
int ping_poke(struct session *session, uint32_t address);

/* Whether a record is of a frame that was not dropped. */
bool record_passed(const struct piglet_record_entry *record);

/* ---- commands ---------------------------------------------------------------------------------- */

command_function show_status, show_nics, show_services, show_counters, show_drops, show_log,
    show_clients, show_addresses, show_routes, show_arp, show_flows;
command_function stop_poweroff, stop_reboot;
command_function change; /* words as show.c found them, with the noun in session */
command_function ping, requests, top, doctor, why, capture, export_metrics, regs;
command_function compile, apply, confirm, diff, show;

#endif
