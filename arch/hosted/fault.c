/* The end of a run: power off, reboot, panics and fault reports. */
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "hosted.h"

enum {
    BACKTRACE_MAX = 32,
    FAULT_STACK_BYTES = 64 << 10, /* the unwinder wants some; the faulting stack may be full */
    REPORT_LINE_MAX = 256,
};

static const char *const *watched;
static char **reboot_arguments;

void arch_watch(const char *const *running)
{
    watched = running;
}

/* Reports go to stderr whatever console= says, and may wait for it: nothing else is left to do. */
static __attribute__((format(printf, 1, 2))) void report(const char *format, ...)
{
    char line[REPORT_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    const char *at = line;
    size_t left = (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1;
    while (left > 0) {
        ssize_t put = write(STDERR_FILENO, at, left);
        if (put <= 0 && errno != EINTR)
            return;
        if (put > 0) {
            at += put;
            left -= (size_t)put;
        }
    }
}

static void report_rest(void)
{
    void *frame[BACKTRACE_MAX];
    const char *running = watched ? *watched : NULL;
    report(
        "running: %s\nbacktrace (names behind '+': addr2line -fpe build/hosted/piglet OFFSET):\n",
        running ? running : "nothing named");
    backtrace_symbols_fd(frame, backtrace(frame, BACKTRACE_MAX), STDERR_FILENO);
}

void arch_panic(const char *why)
{
    report("\npanic: %s\n", why);
    report_rest();
    abort();
}

#ifdef HOSTED_SANITIZED
void hosted_fault_start(void)
{
}
#else
/* Runs on a stack of its own and with the default action restored: raise() strikes on return, so
 * that the core dump shows the fault and not this function. */
static void fault(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    report("\nfault: %s at address %p\n", strsignal(signal_number), info->si_addr);
    report_rest();
    raise(signal_number);
}

void hosted_fault_start(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    static uint8_t stack[FAULT_STACK_BYTES];
    void *frame[1];
    backtrace(frame, 1); /* loads its library now; inside a fault the heap may be broken */
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_sigaction = fault,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof(faults) / sizeof(*faults); i++)
        sigaction(faults[i], &action, NULL);
}
#endif

void arch_power_off(int status)
{
    exit(status);
}

void hosted_reboot_keep(char **arguments)
{
    reboot_arguments = arguments;
}

/* The same program with the same arguments; every descriptor of ours is close-on-exec. */
void arch_reboot(void)
{
    if (reboot_arguments)
        execv("/proc/self/exe", reboot_arguments);
    report("reboot: cannot start again: %s\n", strerror(errno));
    exit(EXIT_FAILURE);
}
