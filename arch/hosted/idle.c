/* Sleeping, and being asked to stop. */
#define _GNU_SOURCE /* ppoll */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "arch/arch.h"
#include "hosted.h"

enum { WATCHED_MAX = HOSTED_DEVICES_MAX + 1 /* the stop event */ };

static struct {
    unsigned count;
    struct pollfd fd[WATCHED_MAX];
    struct caller { /* what a descriptor calls; all NULL: it only ends sleeps */
        void (*ready)(void *argument), (*before)(void *argument);
        void *argument;
    } call[WATCHED_MAX];
} watched;

static volatile sig_atomic_t stop_wanted;
static int stop_fd = -1;

int hosted_idle_call(int fd, void (*ready)(void *argument), void (*before)(void *argument),
                     void *argument)
{
    if (watched.count == WATCHED_MAX)
        return ERR_FULL;
    watched.call[watched.count] = (struct caller){ready, before, argument};
    watched.fd[watched.count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    return 0;
}

int arch_idle_watch(int fd)
{
    return hosted_idle_call(fd, NULL, NULL, NULL);
}

/* Descriptors that were closed: their nic is gone, or every later sleep would end at once. */
static void forget_closed(void)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < watched.count; i++)
        if (!(watched.fd[i].revents & POLLNVAL)) {
            watched.call[kept] = watched.call[i];
            watched.fd[kept++] = watched.fd[i];
        }
    watched.count = kept;
}

static void call_ready(void)
{
    for (unsigned i = 0; i < watched.count; i++)
        if (watched.call[i].ready && watched.fd[i].revents & POLLIN)
            watched.call[i].ready(watched.call[i].argument);
}

/* No wake-up is lost: ppoll is level-triggered. It looks at every descriptor's state after it was
 * called, and a frame that came after the caller's last look is still unread then, so the
 * descriptor is readable and ppoll returns at once. SIGINT between the look and the sleep is in the
 * same way kept by the stop event's counter, which nobody ever reads. */
void arch_idle(uint64_t until_ns)
{
    uint64_t now_ns = arch_clock_ns();
    uint64_t sleep_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec timeout = {.tv_sec = (time_t)(sleep_ns / 1000000000),
                               .tv_nsec = (long)(sleep_ns % 1000000000)};
    for (unsigned i = 0; i < watched.count; i++)
        if (watched.call[i].before)
            watched.call[i].before(watched.call[i].argument);
    if (ppoll(watched.fd, watched.count, &timeout, NULL) > 0) {
        call_ready();
        forget_closed();
    }
}

static void stop_on_signal(int signal_number)
{
    (void)signal_number;
    int saved_errno = errno;
    stop_wanted = 1;
    uint64_t one = 1;
    if (write(stop_fd, &one, sizeof(one)) < 0) {
        /* Only a full counter refuses, and that one is readable already. */
    }
    errno = saved_errno;
}

void hosted_stop_start(void)
{
    /* Linux may end a sleep up to 50 us late, to save power, unless told otherwise. */
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd >= 0)
        arch_idle_watch(stop_fd);
    struct sigaction action = {.sa_handler = stop_on_signal, .sa_flags = SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool arch_stop_wanted(void)
{
    return stop_wanted != 0;
}
