/* Prints what an XDP program needs for a frame in memory, by BPF_PROG_TEST_RUN, as a line "key value unit":
 * xdp_run PROGRAM.o. Linux says the mean of many runs with one frame; the best of some such is printed. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "wire/ethernet.h"
#include "wire/udp.h"

enum { ROUNDS = 9, RUNS = 1000000, FRAME = 60, TO = 0x0a010001 };

struct next_hop {
    uint8_t to[6], from[6];
    uint32_t interface;
};

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
    (void)level, (void)format, (void)arguments;
    return 0;
}

static void frame_make(uint8_t *frame)
{
    struct eth_header *eth = (struct eth_header *)frame;
    struct ipv4_header *ip = (struct ipv4_header *)(eth + 1);
    struct udp_header *udp = (struct udp_header *)(ip + 1);
    *eth = (struct eth_header){.to = {2, 0, 0, 0, 0, 1}, .from = {2}, .type = be16(ETH_TYPE_IPV4)};
    *ip = (struct ipv4_header){.version_length = 0x45,
                               .total_length = be16(FRAME - ETH_HEADER_LENGTH),
                               .ttl = 64,
                               .protocol = IPV4_UDP,
                               .from = be32(0x0a000001),
                               .to = be32(TO)};
    ipv4_checksum_set(ip);
    *udp = (struct udp_header){
        .from = be16(4000), .to = be16(7), .length = be16(FRAME - ETH_HEADER_LENGTH - 20)};
}

/* The mean of a round, or 0: not possible, and why is printed. */
static double round_ns(int program, uint8_t *frame)
{
    uint8_t out[FRAME];
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = FRAME,
                .data_out = out, .data_size_out = FRAME, .repeat = RUNS);
    int error = bpf_prog_test_run_opts(program, &options);
    if (error)
        printf("xdp_forward_ns - BPF_PROG_TEST_RUN: %s\n", strerror(-error));
    else if (options.retval != XDP_REDIRECT)
        printf("xdp_forward_ns - the program forwards nothing (%u)\n", options.retval);
    else
        return options.duration;
    return 0;
}

int main(int count, char **word)
{
    static uint8_t frame[FRAME];
    const be32_t target = be32(TO);
    struct next_hop hop = {{2, 9}, {2, 0, 0, 0, 0, 2}, if_nametoindex("lo")};
    double best = 0;
    if (count != 2)
        return 2;
    libbpf_set_print(quiet);
    struct bpf_object *object = bpf_object__open(word[1]);
    struct bpf_map *hops = object ? bpf_object__find_map_by_name(object, "next_hops") : NULL;
    struct bpf_program *program =
        object ? bpf_object__find_program_by_name(object, "xdp_forward") : NULL;
    int error = hops && program ? bpf_object__load(object) : -1;
    if (error || bpf_map_update_elem(bpf_map__fd(hops), &target, &hop, BPF_ANY)) {
        printf("xdp_forward_ns - Linux does not load the program: %s\n", strerror(-error));
        return 0;
    }
    frame_make(frame);
    for (unsigned i = 0; i < ROUNDS; i++) {
        double ns = round_ns(bpf_program__fd(program), frame);
        if (ns == 0)
            return 0;
        if (best == 0 || ns < best)
            best = ns;
    }
    printf("xdp_forward_ns %.1f ns\n", best);
    bpf_object__close(object);
    return 0;
}
