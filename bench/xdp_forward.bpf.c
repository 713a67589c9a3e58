/* What Linux's XDP would forward with, for bench/xdp_run.c: checks a frame's IPv4 header, looks its next hop up,
 * counts its time to live down, writes new addresses and hands it to another interface. */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum {
    ETH_BYTES = 14,
    IPV4_BYTES = 20,
    ETH_IPV4 = 0x0800,
    TTL_FIRST = 64, /* where it starts again: a repeated run is of the same frame */
};

struct frame {
    __u8 to[6], from[6];
    __be16 type;
    __u8 version_length, tos;
    __be16 total_length, id, fragment;
    __u8 ttl, protocol;
    __be16 checksum;
    __be32 source, target;
} __attribute__((packed));

struct next_hop {
    __u8 to[6], from[6];
    __u32 interface;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __be32);
    __type(value, struct next_hop);
} next_hops SEC(".maps");

static bool checksum_good(const struct frame *frame)
{
    const __u16 *word = (const __u16 *)&frame->version_length;
    __u32 sum = 0;
#pragma unroll
    for (int i = 0; i < IPV4_BYTES / 2; i++)
        sum += word[i];
    sum = (sum & 0xffff) + (sum >> 16);
    sum += sum >> 16;
    return (sum & 0xffff) == 0xffff;
}

SEC("xdp")
int xdp_forward(struct xdp_md *context)
{
    struct frame *frame = (void *)(long)context->data;
    if ((void *)(frame + 1) > (void *)(long)context->data_end ||
        frame->type != bpf_htons(ETH_IPV4) || frame->version_length != 0x45 ||
        (frame->fragment & bpf_htons(0x3fff)) || !checksum_good(frame))
        return XDP_PASS;
    __be32 target = frame->target;
    struct next_hop *hop = bpf_map_lookup_elem(&next_hops, &target);
    if (!hop || frame->ttl == 0)
        return XDP_PASS;
    __u32 sum = (__u16)~frame->checksum;
    __u16 before = bpf_htons((__u16)(frame->ttl << 8));
    frame->ttl = frame->ttl > 1 ? frame->ttl - 1 : TTL_FIRST;
    sum += (__u16)~before + bpf_htons((__u16)(frame->ttl << 8)); /* RFC 1624 */
    sum = (sum & 0xffff) + (sum >> 16);
    sum += sum >> 16;
    frame->checksum = (__u16)~sum;
    __builtin_memcpy(frame->to, hop->to, 12);
    return bpf_redirect(hop->interface, 0);
}

char licence[] SEC("license") = "GPL";
