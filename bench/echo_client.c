/* Asks a UDP echo server, with a window of requests under way, and says how long each took.
 *
 *   echo_client ADDRESS PORT WINDOW SECONDS CORE
 *
 * Spins on its core: the server's time is what is measured, not this one's sleep. Requests are 18
 * bytes (a frame of 60), numbered, and each answer is checked against them. Prints a line
 * "requests N seconds S lost N p50_us X p99_us X p999_us X". Bounded: a request not answered in
 * LOST_MS is lost. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <stdbool.h>

#include "measure.h"

enum {
    WINDOW_MAX = 64,
    SAMPLES_MAX = 4 << 20,
    LOST_MS = 100,
    WARM_UP = 1000, /* requests before anything counts: ARP, caches, a core waking up */
    REQUEST_BYTES = 18,
};

struct request {
    uint64_t number;
    uint64_t sent;
    uint16_t rest;
} __attribute__((packed));
_Static_assert(sizeof(struct request) == REQUEST_BYTES, "a frame of 60 bytes");

struct asking {
    int socket;
    unsigned window, out; /* out: under way */
    uint64_t next, counted, lost;
    struct bench_samples samples;
    struct mmsghdr message[WINDOW_MAX];
    struct iovec piece[WINDOW_MAX];
    struct request request[WINDOW_MAX];
};

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static void ask(struct asking *asking)
{
    unsigned count = asking->window - asking->out;
    for (unsigned i = 0; i < count; i++)
        asking->request[i] = (struct request){asking->next++, bench_ticks(), 0};
    int sent = count ? sendmmsg(asking->socket, asking->message, count, MSG_DONTWAIT) : 0;
    if (sent < (int)count) /* what did not go out is not waited for */
        asking->next -= count - (unsigned)(sent < 0 ? 0 : sent);
    asking->out += (unsigned)(sent < 0 ? 0 : sent);
}

/* Whether something came. */
static bool answers(struct asking *asking)
{
    int count = recvmmsg(asking->socket, asking->message, WINDOW_MAX, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        const struct request *answer = &asking->request[i];
        if (asking->message[i].msg_len != REQUEST_BYTES || answer->number >= asking->next) {
            fprintf(stderr, "echo_client: an answer to nothing\n");
            exit(2);
        }
        if (asking->out)
            asking->out--;
        if (++asking->counted > WARM_UP)
            bench_samples_add(&asking->samples, bench_ticks() - answer->sent);
    }
    return count > 0;
}

static void run(struct asking *asking, double seconds)
{
    uint64_t lost_ticks = bench_ticks_of(&asking->samples.clock, LOST_MS / 1000.0);
    uint64_t run_ticks = bench_ticks_of(&asking->samples.clock, seconds);
    uint64_t begin = bench_ticks(), heard = begin, started = 0;
    while (bench_ticks() - begin < run_ticks) {
        ask(asking);
        if (answers(asking)) {
            heard = bench_ticks();
        } else if (bench_ticks() - heard > lost_ticks) {
            asking->lost += asking->out;
            asking->out = 0;
            heard = bench_ticks();
        }
        if (!started && asking->counted > WARM_UP)
            started = bench_ticks();
    }
    double taken = (double)(bench_ticks() - started) * asking->samples.clock.ns_per_tick / 1e9;
    uint64_t counted = asking->counted > WARM_UP ? asking->counted - WARM_UP : 0;
    bench_samples_sort(&asking->samples);
    printf("requests %llu seconds %.3f lost %llu p50_us %.2f p99_us %.2f p999_us %.2f\n",
           (unsigned long long)counted, taken, (unsigned long long)asking->lost,
           bench_samples_ns(&asking->samples, 50) / 1000,
           bench_samples_ns(&asking->samples, 99) / 1000,
           bench_samples_ns(&asking->samples, 99.9) / 1000);
}

int main(int count, char **word)
{
    static struct asking asking;
    struct bench_clock clock;
    const char *wrong;
    if (count != 6) {
        fprintf(stderr, "usage: echo_client ADDRESS PORT WINDOW SECONDS CORE\n");
        return 1;
    }
    asking.window = (unsigned)atoi(word[3]);
    if (asking.window < 1 || asking.window > WINDOW_MAX)
        asking.window = WINDOW_MAX;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(word[2]))};
    inet_pton(AF_INET, word[1], &to.sin_addr);
    asking.socket = socket(AF_INET, SOCK_DGRAM, 0);
    if (asking.socket < 0 || connect(asking.socket, (struct sockaddr *)&to, sizeof to) < 0)
        fail(word[1]);
    for (unsigned i = 0; i < WINDOW_MAX; i++) {
        asking.piece[i] = (struct iovec){&asking.request[i], REQUEST_BYTES};
        asking.message[i].msg_hdr = (struct msghdr){.msg_iov = &asking.piece[i], .msg_iovlen = 1};
    }
    if ((wrong = bench_pin(atoi(word[5]))) || (wrong = bench_clock_calibrate(&clock)) ||
        (wrong = bench_samples_open(&asking.samples, SAMPLES_MAX, &clock))) {
        fprintf(stderr, "echo_client: %s\n", wrong);
        return 2;
    }
    run(&asking, atof(word[4]));
    return 0;
}
