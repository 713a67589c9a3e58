/* What posted requests cost: round trips, throughput, idle clients; each beside what the machine itself
 * or Linux needs for the like, measured in turns with it.
 *
 *   requests KERNEL [SECONDS]        a hosted Piglet started on the second core, its client on the first
 *   requests --attach WHERE [SECONDS]  a Piglet that runs already, e.g. in QEMU: round trips only
 *
 * Prints lines `key value unit`; what could not be measured is `key - reason`. */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bounce.h"
#include "client/piglet.h"

enum {
    ROUNDS = 9, /* pairs of baseline and requests; the median of their ratios counts */
    TRIPS = 100000,
    OUTSTANDING = 8, /* chains under way when throughput is measured */
    CLIENTS_MOST = 4096,
};

struct bench {
    struct bench_cores cores;
    struct bench_clock clock;
    const char *kernel;
    pid_t pid;
    char socket[64], where[80];
};

static void say_none(const char *key, const char *why)
{
    printf("%s - %s\n", key, why);
    fflush(stdout);
}

static void say(const char *key, double value, const char *unit)
{
    printf("%s %.3f %s\n", key, value, unit);
    fflush(stdout);
}

/* ---- the kernel --------------------------------------------------------------------------------------- */

static const char *kernel_start(struct bench *bench, const char *line)
{
    char cpu[16];
    snprintf(bench->socket, sizeof bench->socket, "/tmp/piglet-bench-%d.sock", (int)getpid());
    snprintf(bench->where, sizeof bench->where, "unix:%s", bench->socket);
    snprintf(cpu, sizeof cpu, "%d", bench->cores.other);
    bench->pid = fork();
    if (bench->pid < 0)
        return "fork failed";
    if (bench->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* however this program ends */
        bench_unpin(&bench->cores);
        execl(bench->kernel, bench->kernel, "--cpu", cpu, "--memory", "256", "--window",
              bench->socket, "--", line, "console=none", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 200 && access(bench->socket, F_OK) != 0; i++)
        usleep(10000);
    return access(bench->socket, F_OK) == 0 ? NULL : "the kernel did not start";
}

static void kernel_stop(struct bench *bench)
{
    if (bench->pid > 0) {
        kill(bench->pid, SIGTERM);
        waitpid(bench->pid, NULL, 0);
    }
    bench->pid = 0;
}

/* ---- round trips ------------------------------------------------------------------------------------------ */

static int64_t post_nops(struct piglet *piglet, unsigned count)
{
    struct piglet_chain chain;
    piglet_chain_begin(piglet, &chain, 0);
    for (unsigned i = 0; i < count; i++)
        piglet_chain_nop(&chain);
    return piglet_post(&chain);
}

static const char *trips(struct piglet *piglet, struct bench_samples *samples, unsigned count)
{
    samples->count = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = bench_ticks();
        if (piglet_wait(piglet, post_nops(piglet, 1), 1000000, NULL) != 0)
            return "a request failed";
        bench_samples_add(samples, bench_ticks() - start);
    }
    bench_samples_sort(samples);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

/* Pairs taken one right behind the other: the host may move our processors in between. */
static const char *round_trips(struct bench *bench, struct piglet *piglet)
{
    struct bench_samples line, request;
    double ratio[ROUNDS], line_ns[ROUNDS], p50[ROUNDS], p99[ROUNDS];
    const char *error = bench_samples_open(&line, TRIPS, &bench->clock);
    if (!error)
        error = bench_samples_open(&request, TRIPS, &bench->clock);
    for (unsigned i = 0; i < ROUNDS && !error; i++) {
        line.count = 0;
        bench_unpin(&bench->cores);
        kill(bench->pid, SIGSTOP); /* the other core is the line's now */
        error = bounce_line_shared(&line, TRIPS / 4);
        kill(bench->pid, SIGCONT);
        bench_pin(bench->cores.own);
        usleep(1000);
        if (!error)
            error = trips(piglet, &request, TRIPS / 4);
        bench_samples_sort(&line);
        line_ns[i] = bench_samples_mean_ns(&line, 5, 95);
        ratio[i] = bench_samples_mean_ns(&request, 5, 95) / line_ns[i];
        p50[i] = bench_samples_ns(&request, 50);
        p99[i] = bench_samples_ns(&request, 99);
    }
    if (!error) {
        say("line_ns", median(line_ns, ROUNDS), "ns");
        say("psr_rtt_p50_ns", median(p50, ROUNDS), "ns");
        say("psr_rtt_p99_ns", median(p99, ROUNDS), "ns");
        say("psr_rtt_ratio", median(ratio, ROUNDS), "x");
        say("psr_rtt_ratio_best", ratio[0], "x");
    }
    bench_samples_close(&line);
    bench_samples_close(&request);
    return error;
}

/* ---- throughput --------------------------------------------------------------------------------------------- */

static const char *throughput(struct piglet *piglet, unsigned length, double seconds, double *mops)
{
    int64_t number[OUTSTANDING];
    uint64_t done = 0, posted = 0;
    int64_t start = bench_now_ns(), end = start + (int64_t)(seconds * 1e9);
    while (posted - done || bench_now_ns() < end) {
        while (posted - done < OUTSTANDING && bench_now_ns() < end)
            number[posted++ % OUTSTANDING] = post_nops(piglet, length);
        if (posted == done)
            break;
        if (piglet_wait(piglet, number[done++ % OUTSTANDING], 1000000, NULL) != 0)
            return "a chain failed";
    }
    *mops = (double)done * length / (double)(bench_now_ns() - start) * 1e3;
    return NULL;
}

static const char *throughputs(struct piglet *piglet, const struct bench *bench, double seconds)
{
    static const unsigned length[] = {1, 8, 64};
    for (unsigned i = 0; i < 3; i++) {
        char key[32];
        double best = 0, mops;
        for (unsigned round = 0; round < 5; round++) {
            const char *error = throughput(piglet, length[i], seconds / 15, &mops);
            if (error)
                return error;
            best = mops > best ? mops : best;
        }
        snprintf(key, sizeof key, "psr_chain%u_mops", length[i]);
        say(key, best, "M/s");
        bench_unpin(&bench->cores);
        kill(bench->pid, SIGSTOP);
        struct uring_rates rates = uring_nop(length[i], seconds / 6);
        kill(bench->pid, SIGCONT);
        bench_pin(bench->cores.own);
        snprintf(key, sizeof key, "uring_nop%u_mops", length[i]);
        if (rates.best > 0)
            say(key, rates.best / 1e6, "M/s");
        else
            say_none(key, rates.error[URING_PLAIN] ? rates.error[URING_PLAIN] : "no rate");
    }
    return NULL;
}

/* ---- idle clients ----------------------------------------------------------------------------------------------- */

/* A bare client: it has a window and is silent. libpiglet's would need more memory than is to be had. */
static int idle_connect(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Whether it has its window; the descriptors stay in the socket. */
static bool idle_connected(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, 5000) == 1 && (wait.revents & POLLIN);
}

static uint64_t counter(struct piglet *piglet, const char *name)
{
    void *entries;
    uint64_t value = 0;
    int count = piglet_load_table(piglet, PIGLET_OP_COUNTER_READ, 0, &entries);
    const struct piglet_counter_entry *entry = entries;
    for (int i = 0; i < count; i++)
        if (strcmp(entry[i].name, name) == 0)
            value = entry[i].value;
    free(entries);
    return value;
}

/* Turns in a second in which nobody posts, of a kernel that never sleeps. */
static double turn_ns(struct piglet *piglet)
{
    uint64_t turns = counter(piglet, "loop.turns");
    int64_t start = bench_now_ns();
    usleep(300000);
    int64_t spent = bench_now_ns() - start;
    turns = counter(piglet, "loop.turns") - turns;
    return turns ? (double)spent / (double)turns : 0;
}

static const char *idle_clients(struct bench *bench)
{
    static const unsigned counts[] = {1, 64, 1024, 4096};
    static int fd[CLIENTS_MOST];
    unsigned open = 0;
    int error;
    double first = 0, last = 0;
    struct piglet *piglet = piglet_open(bench->where, "bench", &error);
    if (!piglet)
        return piglet_error_text(error);
    for (unsigned i = 0; i < 4; i++) {
        char key[40];
        unsigned windows = open;
        while (open < counts[i] - 1 && (fd[open] = idle_connect(bench->socket)) >= 0)
            open++;
        while (windows < open && idle_connected(fd[windows]))
            windows++;
        snprintf(key, sizeof key, "turn_ns_%u_idle", counts[i]);
        if (windows < counts[i] - 1) {
            say_none(key, "so many clients cannot connect here");
            break;
        }
        last = turn_ns(piglet);
        for (unsigned round = 0; round < 2; round++) {
            double again = turn_ns(piglet);
            last = again < last ? again : last;
        }
        first = i == 0 ? last : first;
        say(key, last, "ns");
        if (counts[i] == CLIENTS_MOST)
            say("poll_idle_4096_ratio", last / first, "x");
    }
    while (open > 0)
        close(fd[--open]);
    piglet_close(piglet);
    return NULL;
}

/* ---- all ----------------------------------------------------------------------------------------------------------- */

static const char *attached(struct bench *bench, const char *where)
{
    struct bench_samples request;
    int error;
    struct piglet *piglet = piglet_open(where, "bench", &error);
    if (!piglet)
        return piglet_error_text(error);
    double p50[ROUNDS], p99[ROUNDS];
    const char *failed = bench_samples_open(&request, TRIPS, &bench->clock);
    for (unsigned i = 0; i < ROUNDS && !failed; i++) {
        failed = trips(piglet, &request, TRIPS / 20);
        p50[i] = bench_samples_ns(&request, 50);
        p99[i] = bench_samples_ns(&request, 99);
    }
    if (!failed) {
        say("psr_rtt_tcg_us", median(p50, ROUNDS) / 1e3, "us");
        say("psr_rtt_tcg_p99_us", median(p99, ROUNDS) / 1e3, "us");
    }
    bench_samples_close(&request);
    piglet_close(piglet);
    return failed;
}

static const char *hosted(struct bench *bench, double seconds)
{
    const char *failed = kernel_start(bench, "clients=8");
    int error;
    struct piglet *piglet = failed ? NULL : piglet_open(bench->where, "bench", &error);
    if (!failed && !piglet)
        failed = piglet_error_text(error);
    if (!failed)
        failed = round_trips(bench, piglet);
    if (!failed)
        failed = throughputs(piglet, bench, seconds);
    piglet_close(piglet);
    kernel_stop(bench);
    if (failed)
        return failed;
    failed = kernel_start(bench, "clients=4096 window=64K idle=poll");
    if (!failed)
        failed = idle_clients(bench);
    kernel_stop(bench);
    return failed;
}

int main(int count, char **arguments)
{
    struct bench bench = {.pid = 0};
    bool attach = count > 2 && strcmp(arguments[1], "--attach") == 0;
    if (count < 2) {
        fputs("requests KERNEL [SECONDS] | requests --attach WHERE\n", stderr);
        return 2;
    }
    const char *failed = bench_cores_find(&bench.cores);
    if (!failed)
        failed = bench_clock_calibrate(&bench.clock);
    if (!failed)
        failed = bench_pin(bench.cores.own);
    bench.kernel = arguments[1];
    if (!failed)
        failed = attach ? attached(&bench, arguments[2])
                        : hosted(&bench, count > 2 ? atof(arguments[2]) : 6);
    if (failed)
        say_none("psr", failed);
    return failed ? 1 : 0;
}
