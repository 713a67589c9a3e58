/* Starting QEMU with its ends of the devices' sockets, and knowing when it is gone and what it
 * said. */
#define _GNU_SOURCE
#include "tests/model/proxy/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_NO_COMMAND = 127 };

/* The word with every {fdN} replaced by the number of the descriptor. */
static char *filled(const char *word, const int *sockets, unsigned count)
{
    size_t room = strlen(word) * 4 + 16, used = 0; /* "{fd0}" is no shorter than a number */
    char *text = malloc(room);
    for (; text && *word; word++) {
        unsigned index;
        int length = 0;
        if (*word == '{' && sscanf(word, "{fd%u}%n", &index, &length) == 1 && length &&
            index < count) {
            used += (size_t)snprintf(text + used, room - used, "%d", sockets[index]);
            word += length - 1;
        } else {
            text[used++] = *word;
        }
    }
    if (text)
        text[used] = 0;
    return text;
}

/* In the child, up to its end. */
static void become(char *const *command, const int *sockets, unsigned count, int errors)
{
    unsigned words = 0;
    while (command[words])
        words++;
    char **argument = calloc(words + 1, sizeof *argument);
    for (unsigned i = 0; argument && i < words; i++)
        argument[i] = filled(command[i], sockets, count);
    for (unsigned i = 0; i < count; i++)
        fcntl(sockets[i], F_SETFD, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(errors, STDERR_FILENO);
    if (argument)
        execvp(argument[0], argument);
    fprintf(stderr, "ixgbe-model: %s: %s\n", command[0], strerror(errno));
    _exit(EXIT_NO_COMMAND);
}

bool launch(struct launched *launched, char *const *command, const int *sockets, unsigned count)
{
    int pipe_ends[2];
    memset(launched, 0, sizeof *launched);
    if (pipe2(pipe_ends, O_CLOEXEC) < 0) {
        perror("ixgbe-model: pipe");
        return false;
    }
    pid_t parent = getpid();
    launched->pid = fork();
    if (launched->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(EXIT_NO_COMMAND);
        become(command, sockets, count, pipe_ends[1]);
    }
    close(pipe_ends[1]);
    for (unsigned i = 0; i < count; i++)
        close(sockets[i]);
    launched->errors = pipe_ends[0];
    fcntl(launched->errors, F_SETFL, O_NONBLOCK);
    if (launched->pid > 0)
        launched->pidfd = (int)syscall(SYS_pidfd_open, launched->pid, 0);
    if (launched->pid < 0 || launched->pidfd < 0) {
        perror("ixgbe-model: starting QEMU");
        return false;
    }
    return true;
}

static void take_line(struct launched *launched)
{
    launched->line[launched->line_bytes] = 0;
    launched->reentrant = launched->reentrant || strstr(launched->line, "Blocked re-entrant");
    launched->line_bytes = 0;
}

void launch_read_errors(struct launched *launched)
{
    char text[1024];
    ssize_t got;
    while ((got = read(launched->errors, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (text[i] == '\n' || launched->line_bytes == sizeof launched->line - 1)
                take_line(launched);
            launched->line[launched->line_bytes++] = text[i];
        }
        for (ssize_t at = 0, done; at < got; at += done)
            if ((done = write(STDERR_FILENO, text + at, (size_t)(got - at))) <= 0)
                break;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    take_line(launched);
    close(launched->errors);
    launched->errors = -1;
}

int launch_status(struct launched *launched)
{
    int status = 0;
    while (waitpid(launched->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (launched->errors >= 0)
        launch_read_errors(launched);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
