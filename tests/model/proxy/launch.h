/* Starting QEMU with its ends of the devices' sockets, and knowing when it is gone and what it
 * said. */
#ifndef TESTS_MODEL_PROXY_LAUNCH_H
#define TESTS_MODEL_PROXY_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct launched {
    pid_t pid;
    int pidfd;      /* readable when it has ended */
    int errors;     /* what it writes to stderr; -1 when that has ended */
    bool reentrant; /* it refused an access, as "Blocked re-entrant" says: what ran is void */
    char line[512];
    size_t line_bytes;
};

/* Starts `command`, in whose words {fd0}, {fd1} … stand for the given sockets, which are closed
 * here. It is killed when this process dies. False: it could not be started, as was said on
 * stderr. */
bool launch(struct launched *launched, char *const *command, const int *sockets, unsigned count);

/* Passes on what it wrote to stderr. */
void launch_read_errors(struct launched *launched);

/* Waits for its end; its exit status, or 128 and the signal that ended it. */
int launch_status(struct launched *launched);

#endif
