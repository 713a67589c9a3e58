/* apply --confirm: the process that waits, and the command that tells it. */
#define _GNU_SOURCE
#include "tools/pigctl/confirm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_MS = 500,    /* how often the kernel is looked at while waiting */
    ANSWER_MS = 5000, /* for the process that waits to answer */
    CONFIRM = 'c',
};

/* ---- the socket --------------------------------------------------------------------------------------- */

/* Beside the kernel's: "unix:/run/piglet.sock" has /run/piglet.sock.confirm. */
static int address_of(const char *where, struct sockaddr_un *address)
{
    const char *path = strchr(where, ':') ? strchr(where, ':') + 1 : where;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(address->sun_path, sizeof address->sun_path, "%s.confirm", path);
    if ((size_t)length < sizeof address->sun_path)
        return PIGCTL_DONE;
    return complain(PIGCTL_REFUSED,
                    "%s.confirm is too long for a socket; give Piglet's window a "
                    "shorter path",
                    path);
}

/* To the process that waits; below 0: there is none. */
static int waiting_connect(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int waits_already(void)
{
    return complain(PIGCTL_REFUSED, "a configuration waits to be confirmed, or to be taken back: "
                                    "`pigctl confirm`, or wait");
}

int confirmation_none(const char *where)
{
    struct sockaddr_un address;
    int code = address_of(where, &address);
    if (code != PIGCTL_DONE)
        return PIGCTL_DONE; /* then none can wait there */
    int fd = waiting_connect(&address);
    if (fd < 0)
        return PIGCTL_DONE;
    close(fd);
    return waits_already();
}

int confirmation_listen(struct confirmation *confirmation, const char *where)
{
    struct sockaddr_un *address = &confirmation->address;
    int code = address_of(where, address);
    if (code == PIGCTL_DONE)
        code = confirmation_none(where);
    if (code != PIGCTL_DONE)
        return code;
    unlink(address->sun_path); /* of a process that was killed */
    mode_t mask = umask(S_IRWXO);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound = fd >= 0 && bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 &&
                 listen(fd, 1) == 0;
    umask(mask);
    if (bound) {
        confirmation->listener = fd;
        return PIGCTL_DONE;
    }
    code =
        complain(PIGCTL_REFUSED, "nothing was changed: %s: %s; `pigctl confirm` would not be heard",
                 address->sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return code;
}

void confirmation_end(struct confirmation *confirmation)
{
    if (confirmation->listener < 0)
        return;
    close(confirmation->listener);
    unlink(confirmation->address.sun_path);
    confirmation->listener = -1;
}

/* ---- two processes --------------------------------------------------------------------------------------- */

bool confirmation_fork(struct confirmation *confirmation, int *code)
{
    int pipes[2];
    unsigned char told;
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        *code = complain(PIGCTL_REFUSED, "a pipe: %s", strerror(errno));
        return false;
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(pipes[0]);
        confirmation->teller = pipes[1];
        setsid();
        signal(SIGHUP, SIG_IGN);
        return true;
    }
    close(pipes[1]);
    if (child < 0)
        *code = complain(PIGCTL_REFUSED, "another process: %s", strerror(errno));
    else if (read(pipes[0], &told, 1) == 1)
        *code = told;
    else
        *code =
            complain(PIGCTL_REFUSED, "the process that was to wait has ended; see `pigctl diff`");
    close(pipes[0]);
    return false;
}

int confirmation_tell(struct confirmation *confirmation, int code)
{
    unsigned char told = (unsigned char)code;
    fflush(stdout);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2 && null >= 0; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
    if (write(confirmation->teller, &told, 1) < 0)
        syslog(LOG_WARNING, "pigctl apply: nobody heard how it went");
    close(confirmation->teller);
    return code;
}

/* ---- waiting ----------------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now); /* a computer that sleeps does not confirm */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether it is a confirmation; whoever only looks whether someone waits says nothing. */
static bool confirmed(int listener)
{
    struct timeval patience = {.tv_sec = 1};
    char said = 0;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    bool is =
        recv(fd, &said, 1, 0) == 1 && said == CONFIRM && send(fd, &said, 1, MSG_NOSIGNAL) == 1;
    close(fd);
    return is;
}

bool confirmation_wait(struct confirmation *confirmation, struct piglet *piglet)
{
    int64_t end_ms = now_ms() + (int64_t)confirmation->seconds * 1000, left;
    openlog("pigctl", LOG_PID, LOG_DAEMON);
    while ((left = end_ms - now_ms()) > 0) {
        struct pollfd look = {.fd = confirmation->listener, .events = POLLIN};
        if (poll(&look, 1, left < LOOK_MS ? (int)left : LOOK_MS) > 0 &&
            confirmed(confirmation->listener))
            return true;
        if (!piglet_alive(piglet)) {
            syslog(LOG_WARNING, "Piglet has gone before its configuration was confirmed");
            return true;
        }
    }
    syslog(LOG_WARNING, "not confirmed in %u s: back to the former configuration",
           confirmation->seconds);
    return false;
}

void confirmation_said(int code)
{
    if (code == PIGCTL_DONE)
        syslog(LOG_INFO, "the former configuration is back");
    else
        syslog(LOG_ERR, "the former configuration is not all back; see pigctl show config");
}

/* ---- the command ------------------------------------------------------------------------------------------- */

int confirm(struct session *session, int count, char **words)
{
    const char *where = session->where ? session->where : getenv("PIGLET");
    struct sockaddr_un address;
    struct timeval patience = {.tv_sec = ANSWER_MS / 1000};
    char said = CONFIRM;
    if (count)
        return complain_word(session, words[0]);
    /* A window in a file has room for one client, which the process that waits may be. */
    if (!where || !*where) {
        int code = session_open(session);
        if (code != PIGCTL_DONE)
            return code;
        where = piglet_where(session->piglet);
    }
    int code = address_of(where, &address);
    if (code != PIGCTL_DONE)
        return code;
    int fd = waiting_connect(&address);
    if (fd < 0)
        return complain(PIGCTL_REFUSED, "no configuration waits to be confirmed; see `pigctl help "
                                        "apply`");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    bool done = send(fd, &said, 1, MSG_NOSIGNAL) == 1 && recv(fd, &said, 1, 0) == 1;
    close(fd);
    if (!done)
        return complain(PIGCTL_REFUSED, "not confirmed: the time was over; see `pigctl diff`");
    if (session->json)
        puts("{\"confirmed\": true}");
    else
        puts("confirmed");
    return PIGCTL_DONE;
}
