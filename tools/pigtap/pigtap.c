/* pigtap: a Piglet's nic as an Ethernet device of Linux, by a tap and a station on the nic's wire. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <piglet/piglet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 64,         /* frames moved before the other direction has its turn */
    TX_PAGES_MAX = 65,  /* 128 frames: what finds no room there waits in the tap */
    RX_PAGES_MAX = 513, /* 1,024 frames: what finds none here is lost */
    OTHER_PAGES = 1,    /* libpiglet reads tables through it */
    SPIN_US = 30,       /* after work it looks on for so long: less than falling asleep costs */
    SLEEP_MS = 500,     /* at most, before it looks whether the Piglet is there */
    UNWOKEN_MS = 1,     /* the same where the Piglet cannot wake its clients */
    RETRY_US = 200000,  /* between attempts to reach a Piglet that went */
    CALL_US = 5000000,  /* how long the Piglet has for joining */
    MTU_DEFAULT = 1500, /* where we may not read what the nic has */
};

struct counts {
    uint64_t sent, sent_bytes;         /* from the tap to the Piglet */
    uint64_t received, received_bytes; /* from the Piglet to the tap */
    uint64_t too_long;                 /* from the tap: no Ethernet frame fits the slot */
    uint64_t untaken;                  /* the tap took no frame: it is down, or its queue full */
    uint64_t dropped, refused;         /* by the Piglet: no room for us, not ours to send */
    uint64_t sleeps, restarts;
};

struct pigtap {
    const char *where, *name;
    uint32_t nic;
    bool mac_given;
    uint8_t mac[6];
    int tap;
    char device[16]; /* the nic's driver */
    uint32_t mtu;    /* that the tap has; 0: not set yet */
    bool full;       /* what the tap has must wait for room in the transmit ring */
    struct piglet *piglet;
    struct piglet_frameset frameset;
    struct counts counts;
};

static volatile sig_atomic_t stop_wanted, report_wanted;

static const char help[] =
    "pigtap: a Piglet's nic as an Ethernet device of Linux\n"
    "\n"
    "usage: pigtap [-s WHERE] [-i NAME] [-n NIC] [-m MAC]\n"
    "\n"
    "  -s, --where WHERE  unix:PATH or shm:FILE; without it $PIGLET, or the first Piglet found\n"
    "  -i, --interface NAME  of the tap (pig0); one that is there already is used, and stays\n"
    "  -n, --nic NIC      number of the Piglet's nic (0)\n"
    "  -m, --mac MAC      address of the tap and on the wire (the one Linux gave the tap)\n"
    "  -f, --foreground   stays in the foreground, as it does anyway\n"
    "  -h, --help         this\n"
    "\n"
    "It needs CAP_NET_ADMIN, for the tap. SIGUSR1 prints the counters, as does its end.\n"
    "\n"
    "examples:\n"
    "  pigtap -s unix:/tmp/piglet.sock &\n"
    "  ip address add 10.0.0.7/24 dev pig0; ip link set pig0 up; ping 10.0.0.1\n"
    "\n"
    "  ip tuntap add dev lab0 mode tap          # addresses and MAC outlive pigtap\n"
    "  pigtap -i lab0 -n 1 -m 02:00:00:00:07:01\n";

/* ---- the tap -------------------------------------------------------------------------------- */

static void fail(const char *what)
{
    fprintf(stderr, "pigtap: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void tap_carrier(const struct pigtap *pigtap, int on)
{
    ioctl(pigtap->tap, TUNSETCARRIER, &on); /* Linux before 5.0 shows a carrier always */
}

/* The tap answers for its own address by its descriptor, in whichever namespace it is now. */
static void tap_mac(struct pigtap *pigtap)
{
    struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};
    if (pigtap->mac_given) {
        memcpy(request.ifr_hwaddr.sa_data, pigtap->mac, sizeof pigtap->mac);
        if (ioctl(pigtap->tap, SIOCSIFHWADDR, &request) < 0)
            fail("setting the MAC address");
    }
    if (ioctl(pigtap->tap, SIOCGIFHWADDR, &request) < 0)
        fail("the MAC address");
    memcpy(pigtap->mac, request.ifr_hwaddr.sa_data, sizeof pigtap->mac);
}

static void tap_mtu(struct pigtap *pigtap, uint32_t mtu)
{
    struct ifreq request = {.ifr_mtu = (int)mtu};
    if (mtu == pigtap->mtu)
        return;
    struct ifreq named = {.ifr_flags = 0};
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ioctl(pigtap->tap, TUNGETIFF, &named); /* it may have been renamed */
    memcpy(request.ifr_name, named.ifr_name, sizeof request.ifr_name);
    if (any < 0 || ioctl(any, SIOCSIFMTU, &request) < 0)
        fprintf(stderr, "pigtap: %s keeps its MTU, the nic's is %u: %s\n", request.ifr_name, mtu,
                strerror(errno));
    pigtap->mtu = mtu;
    if (any >= 0)
        close(any);
}

static void tap_open(struct pigtap *pigtap)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    if (strlen(pigtap->name) >= sizeof request.ifr_name) {
        errno = ENAMETOOLONG;
        fail(pigtap->name);
    }
    strcpy(request.ifr_name, pigtap->name);
    pigtap->tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (pigtap->tap < 0)
        fail("/dev/net/tun");
    if (ioctl(pigtap->tap, TUNSETIFF, &request) < 0)
        fail(pigtap->name);
    tap_carrier(pigtap, 0);
    /* Every frame comes whole, with its checksums: the Piglet sends it as it is. */
    ioctl(pigtap->tap, TUNSETOFFLOAD, 0);
    tap_mac(pigtap);
}

/* ---- the Piglet ----------------------------------------------------------------------------- */

static int nic_entry(const void *entry, void *context)
{
    const struct piglet_nic_entry *nic = entry;
    *(struct piglet_nic_entry *)context = *nic;
    return 1;
}

static int nic_read(struct pigtap *pigtap, struct piglet_nic_entry *nic)
{
    int found = piglet_read_table(pigtap->piglet, PIGLET_OP_NIC_LIST, pigtap->nic, nic_entry, nic);
    if (found == ERR_DENIED) { /* a window may have the right to join, and no other */
        nic->mtu = MTU_DEFAULT;
        return 0;
    }
    return found == 0 ? ERR_NOT_FOUND : found < 0 ? found : 0;
}

/* As much of the window as is useful. */
static int frameset_open(struct pigtap *pigtap)
{
    uint32_t pages = piglet_window(pigtap->piglet)->data_pages - OTHER_PAGES;
    uint32_t tx = pages / 4 < TX_PAGES_MAX ? pages / 4 : TX_PAGES_MAX;
    uint32_t rx = pages - tx < RX_PAGES_MAX ? pages - tx : RX_PAGES_MAX;
    return piglet_frameset_open(pigtap->piglet, tx, rx, &pigtap->frameset);
}

/* Becomes a station on the nic's wire. */
static int join(struct pigtap *pigtap)
{
    struct piglet_nic_entry nic = {.mtu = 0};
    int error = nic_read(pigtap, &nic);
    if (error)
        return error;
    error = frameset_open(pigtap);
    if (error)
        return error;
    uint64_t mac = 0;
    for (unsigned i = 0; i < sizeof pigtap->mac; i++)
        mac = mac << 8 | pigtap->mac[i];
    struct piglet_chain chain;
    struct piglet_argument frameset = piglet_capability(pigtap->frameset.capability);
    piglet_chain_begin(pigtap->piglet, &chain, PIGLET_ATOMIC);
    piglet_chain_join(&chain, frameset, pigtap->nic, mac);
    piglet_chain_frameset_start(&chain, frameset);
    error = piglet_wait(pigtap->piglet, piglet_post(&chain), CALL_US, NULL);
    if (error)
        return error;
    tap_mtu(pigtap, nic.mtu);
    tap_carrier(pigtap, 1);
    const uint8_t *m = pigtap->mac;
    printf("pigtap: %s %02x:%02x:%02x:%02x:%02x:%02x is on nic%" PRIu32 " %.16s of %s, MTU %u\n",
           pigtap->name, m[0], m[1], m[2], m[3], m[4], m[5], pigtap->nic, nic.driver,
           piglet_where(pigtap->piglet), pigtap->mtu);
    fflush(stdout);
    return 0;
}

/* What the Piglet counted since the frameset was made. */
static void counts_fold(struct pigtap *pigtap, struct counts *counts)
{
    if (!pigtap->frameset.rx)
        return;
    counts->dropped += pigtap->frameset.rx->dropped;
    counts->refused += pigtap->frameset.tx->refused;
}

/* The Piglet has gone: the tap has no carrier until there is one again, and we are on its wire. */
static void rejoin(struct pigtap *pigtap)
{
    counts_fold(pigtap, &pigtap->counts);
    memset(&pigtap->frameset, 0, sizeof pigtap->frameset);
    tap_carrier(pigtap, 0);
    fprintf(stderr, "pigtap: the Piglet at %s has gone; waiting for it\n",
            piglet_where(pigtap->piglet));
    int shown = 0, error = ERR_CANCELLED;
    while (!stop_wanted && error) {
        error = piglet_reopen(pigtap->piglet);
        if (!error) {
            error = join(pigtap);
            if (error && error != shown)
                fprintf(stderr, "pigtap: it is back, but joining nic%" PRIu32 " failed: %s\n",
                        pigtap->nic, piglet_error_text(error));
            shown = error;
        }
        if (error) {
            memset(&pigtap->frameset, 0, sizeof pigtap->frameset);
            usleep(RETRY_US);
        }
    }
    pigtap->counts.restarts += !error;
}

/* ---- frames --------------------------------------------------------------------------------- */

/* From the tap into the window: the frames are read to where the Piglet takes them from. */
static unsigned pump_out(struct pigtap *pigtap)
{
    struct piglet_view view[BATCH];
    unsigned room = piglet_send_slots(&pigtap->frameset, view, BATCH), count = 0;
    pigtap->full = room == 0;
    for (unsigned reads = 0; reads < BATCH && count < room; reads++) {
        ssize_t got = read(pigtap->tap, view[count].data, PIGLET_SLOT_BYTES - PIGLET_FRAME_DATA);
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            fail(pigtap->name);
        if (got <= 0)
            break;
        if (got > PIGLET_FRAME_MAX) {
            pigtap->counts.too_long++;
            continue;
        }
        view[count++].frame.length = (uint32_t)got;
        pigtap->counts.sent_bytes += (uint64_t)got;
    }
    if (count && piglet_send(&pigtap->frameset, view, count) == 0)
        pigtap->counts.sent += count;
    return count;
}

/* From the window to the tap. */
static unsigned pump_in(struct pigtap *pigtap)
{
    struct piglet_view view[BATCH];
    unsigned count = piglet_receive(&pigtap->frameset, view, BATCH);
    for (unsigned i = 0; i < count; i++) {
        if (write(pigtap->tap, view[i].data, view[i].frame.length) < 0) {
            pigtap->counts.untaken++;
            continue;
        }
        pigtap->counts.received++;
        pigtap->counts.received_bytes += view[i].frame.length;
    }
    if (count)
        piglet_receive_done(&pigtap->frameset);
    return count;
}

static unsigned pump(struct pigtap *pigtap)
{
    unsigned in = pump_in(pigtap);
    return in + pump_out(pigtap);
}

/* Until the tap or the Piglet has something; a tap whose frames have no room to go to is not
 * looked at, but the Piglet wakes us when it has taken some. */
static void sleep_until_work(struct pigtap *pigtap)
{
    int wake = piglet_fd(pigtap->piglet);
    piglet_sleep_begin(pigtap->piglet);
    if (!pump(pigtap)) {
        struct pollfd fds[2] = {{.fd = pigtap->full ? -1 : pigtap->tap, .events = POLLIN},
                                {.fd = wake, .events = POLLIN}};
        pigtap->counts.sleeps++;
        poll(fds, 2, wake < 0 ? UNWOKEN_MS : SLEEP_MS);
    }
    piglet_sleep_end(pigtap->piglet);
}

static void report(struct pigtap *pigtap)
{
    struct counts counts = pigtap->counts;
    counts_fold(pigtap, &counts);
    printf("pigtap: %s sent %" PRIu64 " frames %" PRIu64 " bytes, received %" PRIu64
           " frames %" PRIu64 " bytes\n"
           "pigtap: too long %" PRIu64 ", refused by the Piglet %" PRIu64
           ", dropped by the Piglet %" PRIu64 ", not taken by the tap %" PRIu64 ", sleeps %" PRIu64
           ", restarts %" PRIu64 "\n",
           pigtap->name, counts.sent, counts.sent_bytes, counts.received, counts.received_bytes,
           counts.too_long, counts.refused, counts.dropped, counts.untaken, counts.sleeps,
           counts.restarts);
    fflush(stdout);
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void run(struct pigtap *pigtap)
{
    uint64_t worked_us = 0;
    while (!stop_wanted) {
        if (report_wanted) {
            report_wanted = 0;
            report(pigtap);
        }
        if (pump(pigtap)) {
            worked_us = 0;
            continue;
        }
        uint64_t us = now_us();
        if (!worked_us)
            worked_us = us;
        if (us - worked_us < SPIN_US)
            continue;
        if (piglet_alive(pigtap->piglet))
            sleep_until_work(pigtap);
        else
            rejoin(pigtap);
        worked_us = 0;
    }
}

/* ---- the command line ----------------------------------------------------------------------- */

static void on_signal(int number)
{
    if (number == SIGUSR1)
        report_wanted = 1;
    else
        stop_wanted = 1;
}

static void usage(const char *what, const char *value)
{
    fprintf(stderr, "pigtap: %s %s; see pigtap --help\n", what, value);
    exit(2);
}

static void mac_parse(struct pigtap *pigtap, const char *text)
{
    unsigned byte[6];
    int end = 0;
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4],
               &byte[5], &end) != 6 ||
        text[end] || byte[0] & 1)
        usage("no MAC address of a station:", text);
    for (unsigned i = 0; i < 6; i++)
        pigtap->mac[i] = (uint8_t)byte[i];
    pigtap->mac_given = true;
}

static void options(struct pigtap *pigtap, int argc, char **argv)
{
    static const struct option known[] = {
        {"where", required_argument, NULL, 's'},
        {"interface", required_argument, NULL, 'i'},
        {"nic", required_argument, NULL, 'n'},
        {"mac", required_argument, NULL, 'm'},
        {"foreground", no_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    char *end;
    while ((option = getopt_long(argc, argv, "s:i:n:m:fh", known, NULL)) != -1) {
        switch (option) {
        case 's':
            pigtap->where = optarg;
            break;
        case 'i':
            pigtap->name = optarg;
            break;
        case 'n':
            pigtap->nic = (uint32_t)strtoul(optarg, &end, 10);
            if (*end || !*optarg)
                usage("no number of a nic:", optarg);
            break;
        case 'm':
            mac_parse(pigtap, optarg);
            break;
        case 'f':
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            exit(2);
        }
    }
    if (optind < argc)
        usage("what is", argv[optind]);
}

int main(int argc, char **argv)
{
    struct pigtap pigtap = {.name = "pig0"};
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: poll is to end */
    int error;
    options(&pigtap, argc, argv);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    pigtap.piglet = piglet_open(pigtap.where, "pigtap", &error);
    if (!pigtap.piglet) {
        fprintf(stderr, "pigtap: no Piglet at %s: %s\n",
                pigtap.where ? pigtap.where : "any usual place", piglet_error_text(error));
        return 1;
    }
    tap_open(&pigtap);
    error = join(&pigtap);
    if (error) {
        fprintf(stderr, "pigtap: joining nic%" PRIu32 " failed: %s\n", pigtap.nic,
                piglet_error_text(error));
        return 1;
    }
    run(&pigtap);
    tap_carrier(&pigtap, 0);
    report(&pigtap);
    piglet_close(pigtap.piglet);
    return 0;
}
