/* Prints what DPDK's librte_sched costs for frames of one flow, as lines "key value unit": nanoseconds for
 * a frame's way in and out, in batches of 64. One subport, four pipes, rates that never limit. */
#include <rte_eal.h>
#include <rte_mbuf.h>
#include <rte_sched.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    BATCH = 64,
    ROUNDS = 30,
    ROUND_FRAMES = 16384,
    FRAMES = 128, /* under way: what comes late does not empty the queue */
    FRAME = 60,
    QUEUE = 256, /* frames */
    PIPES = 4,
    PERIOD_MS = 10,
    BUCKET = 1000000, /* bytes */
};

#define RATE 12500000000ull /* bytes a second */

static struct rte_sched_port *port_make(void)
{
    struct rte_sched_pipe_params pipe = {.tb_rate = RATE,
                                         .tb_size = BUCKET,
                                         .tc_period = PERIOD_MS,
                                         .tc_ov_weight = 1,
                                         .wrr_weights = {1, 1, 1, 1}};
    struct rte_sched_subport_profile_params profile = {
        .tb_rate = RATE, .tb_size = BUCKET, .tc_period = PERIOD_MS};
    struct rte_sched_subport_params subport = {.n_pipes_per_subport_enabled = PIPES,
                                               .pipe_profiles = &pipe,
                                               .n_pipe_profiles = 1,
                                               .n_max_pipe_profiles = 1};
    struct rte_sched_port_params params = {.name = "bench",
                                           .rate = RATE,
                                           .mtu = 1522,
                                           .frame_overhead = RTE_SCHED_FRAME_OVERHEAD_DEFAULT,
                                           .n_subports_per_port = 1,
                                           .subport_profiles = &profile,
                                           .n_subport_profiles = 1,
                                           .n_max_subport_profiles = 1,
                                           .n_pipes_per_subport = PIPES};
    for (unsigned i = 0; i < RTE_SCHED_TRAFFIC_CLASSES_PER_PIPE; i++) {
        pipe.tc_rate[i] = profile.tc_rate[i] = RATE;
        subport.qsize[i] = QUEUE;
    }
    struct rte_sched_port *port = rte_sched_port_config(&params);
    if (!port || rte_sched_subport_config(port, 0, &subport, 0) != 0)
        return NULL;
    for (uint32_t i = 0; i < PIPES; i++)
        if (rte_sched_pipe_config(port, 0, i, 0) != 0)
            return NULL;
    return port;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Nanoseconds a frame: what is at hand goes in, up to a batch, and what may come out does. */
static double round_ns(struct rte_sched_port *port, struct rte_mbuf **frame, unsigned at_hand)
{
    unsigned out = 0;
    uint64_t from = now_ns();
    while (out < ROUND_FRAMES) {
        unsigned in = at_hand < BATCH ? at_hand : BATCH;
        struct rte_mbuf **batch = frame + at_hand - in;
        for (unsigned i = 0; i < in; i++) /* where it goes, as a classifier writes it */
            rte_sched_port_pkt_write(port, batch[i], 0, 2, RTE_SCHED_TRAFFIC_CLASS_BE, 0,
                                     RTE_COLOR_GREEN);
        if (in && rte_sched_port_enqueue(port, batch, in) != (int)in)
            return 0;
        at_hand -= in;
        int came = rte_sched_port_dequeue(port, frame + at_hand, BATCH);
        at_hand += (unsigned)came;
        out += (unsigned)came;
    }
    double took = (double)(now_ns() - from) / out;
    while (at_hand < FRAMES)
        at_hand += (unsigned)rte_sched_port_dequeue(port, frame + at_hand, FRAMES - at_hand);
    return took;
}

int main(void)
{
    char *arguments[] = {"sched", "--no-huge", "--no-pci", "--no-shconf", "--no-telemetry",
                         "-m",    "256",       "-l",       "0",           "--log-level=1"};
    struct rte_mbuf *frame[FRAMES + BATCH];
    double best = 1e9;
    if (rte_eal_init(sizeof arguments / sizeof arguments[0], arguments) < 0) {
        printf("sched_ns - DPDK does not start here\n");
        return 0;
    }
    struct rte_mempool *pool =
        rte_pktmbuf_pool_create("frames", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    struct rte_sched_port *port = port_make();
    if (!pool || !port || rte_pktmbuf_alloc_bulk(pool, frame, FRAMES) != 0) {
        printf("sched_ns - librte_sched takes no such tree\n");
        return 0;
    }
    for (unsigned i = 0; i < FRAMES; i++)
        frame[i]->data_len = (uint16_t)(frame[i]->pkt_len = FRAME);
    for (unsigned i = 0; i < ROUNDS; i++) {
        double ns = round_ns(port, frame, FRAMES);
        if (ns == 0) {
            printf("sched_ns - it dropped frames\n");
            return 0;
        }
        if (ns < best)
            best = ns;
    }
    printf("sched_ns %.1f ns\n", best);
    return 0;
}
