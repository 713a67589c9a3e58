/* A configuration that goes away by itself unless someone says that it works.
 *
 * A process stays attached to the kernel, and listens on a socket beside the kernel's own, so that
 * whoever may use the kernel may confirm. It lives on when the terminal or the connection that
 * pigctl was typed through goes, which is what it is for. */
#ifndef PIGCTL_CONFIRM_H
#define PIGCTL_CONFIRM_H

#include <sys/un.h>

#include "tools/pigctl/language.h"

enum { CONFIRM_S_MAX = 86400 };

struct confirmation {
    unsigned seconds;
    int listener; /* -1: none */
    int teller;   /* to the process that was started by hand */
    struct sockaddr_un address;
};

/* Starts the process that stays: true in it. False in the other, which has waited for the exit code
 * that the first one tells. */
bool confirmation_fork(struct confirmation *confirmation, int *code);

/* Tells the other process how it went; returns the code. It has the terminal to itself then. */
int confirmation_tell(struct confirmation *confirmation, int code);

/* Where: of the kernel. Complains, also when a configuration waits already. */
int confirmation_listen(struct confirmation *confirmation, const char *where);

/* Complains when a configuration waits: what is done now would be taken back. */
int confirmation_none(const char *where);

/* Waits to be confirmed. False: the time is over. True also when the kernel has gone: another one
 * starts with its own configuration. */
bool confirmation_wait(struct confirmation *confirmation, struct piglet *piglet);

/* Writes to the system's log how the return to the former configuration went. */
void confirmation_said(int code);

void confirmation_end(struct confirmation *confirmation);

/* ---- apply.c ---------------------------------------------------------------------------------------- */

/* Returns to the former configuration, after so many of these changes. Returns an exit code. */
int config_return(struct session *session, const struct config *former,
                  const struct changes *changes, unsigned done);

#endif
