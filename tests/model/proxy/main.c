/* ixgbe-model: runs QEMU with 82599 controllers that QEMU does not have.
 *
 * Each --wire makes a device. QEMU's command follows "--" and names the devices' sockets as {fd0},
 * {fd1} and so on:
 *   -accel tcg,thread=single -object memory-backend-memfd,id=ram,size=64M,share=on
 *   -machine q35,memory-backend=ram -device x-pci-proxy-dev,fd={fd0}
 * The exit status is QEMU's; 99 when a run that ended well counts for nothing: a violation with
 * --strict, or an access that QEMU refused. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/model/proxy/device.h"
#include "tests/model/proxy/launch.h"
#include "tests/model/proxy/wire.h"

enum {
    DEVICES_MAX = 8,
    FAULTS_MAX = 32,
    SENTENCES_MAX = 16,  /* violations told of each device */
    FRAMES_A_ROUND = 64, /* from a wire, before QEMU is asked again */
    FILE_EVERY_MS = 1,
    FIRST_STATION = 4, /* of what is polled; each has two */
    STOP_MS = 3000,    /* from SIGTERM to SIGKILL */
    EXIT_VOID = 99,
    EXIT_USAGE = 2,
};

struct station {
    struct proxy_device proxy;
    struct ixgbe_model *model;
    struct wire wire;
    const char *spec;
    char sentence[SENTENCES_MAX][IXGBE_MODEL_SENTENCE]; /* its first violations */
};

static struct {
    struct station *station[DEVICES_MAX];
    unsigned count;
    struct {
        enum ixgbe_fault fault;
        uint32_t times;
        uint64_t at_ns;
        bool done;
    } fault[FAULTS_MAX];
    unsigned faults;
    bool strict;
    int cpu, control;
    uint16_t id;
    uint64_t mac[DEVICES_MAX];
    unsigned macs;
    const char *statistics;
    struct launched qemu;
    uint64_t kill_ns;
} run = {.cpu = -1, .control = -1, .id = 0x10fb, .mac = {0x525400123456}, .macs = 0};

/* ---- what the models call ----------------------------------------------------------------- */

static void *station_translate(void *argument, uint64_t address, size_t bytes)
{
    struct station *station = argument;
    return proxy_device_translate(&station->proxy, address, bytes);
}

static void station_send(void *argument, const uint8_t *frame, size_t length)
{
    struct station *station = argument;
    wire_send(&station->wire, frame, length);
}

/* Printed where it fails the run, and on a line of its own: QEMU's console may share the
 * terminal. */
static void station_violation(void *argument, const char *sentence)
{
    struct station *station = argument;
    if (station->model->violations > SENTENCES_MAX)
        return;
    snprintf(station->sentence[station->model->violations - 1], IXGBE_MODEL_SENTENCE, "%s",
             sentence);
    if (run.strict)
        fprintf(stderr, "\nixgbe-model: nic%u: violation of %s\n", station->proxy.index, sentence);
}

/* ---- options ------------------------------------------------------------------------------ */

static void usage(void)
{
    fprintf(stderr,
            "usage: ixgbe-model --wire WIRE... [option...] -- qemu-system-x86_64 ... {fd0}\n"
            "  --wire dgram:LOCAL,REMOTE | tap:NAME | fd:N | pcap:IN,OUT | none\n"
            "  --device ID     PCI id: 10fb (SFP+), 10f7 (KX4)\n"
            "  --mac MAC       of the first device, the second …; the others count on\n"
            "  --cpu N         everything runs on this processor\n"
            "  --strict        a violation of the datasheet fails the run\n"
            "  --stats FILE    counts of registers and frames, at the end\n"
            "  --fault NAME[=TIMES][@MS]  what goes wrong, from when on:\n");
    for (unsigned i = 0; i < IXGBE_FAULT_COUNT; i++)
        fprintf(stderr, "      %-16s %s\n", ixgbe_fault_word[i], ixgbe_fault_help[i]);
    exit(EXIT_USAGE);
}

static void refuse(const char *option, const char *value, const char *wanted)
{
    fprintf(stderr, "ixgbe-model: --%s %s: %s\n", option, value, wanted);
    exit(EXIT_USAGE);
}

static unsigned long number(const char *option, const char *text, int base, unsigned long most)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, base);
    if (errno || end == text || *end || value > most)
        refuse(option, text, "a number was expected");
    return value;
}

static void add_fault(const char *text)
{
    char name[32] = "", *at, *times;
    if (strlen(text) >= sizeof name || run.faults == FAULTS_MAX)
        refuse("fault", text, "too long, or too many");
    strcpy(name, text);
    if ((at = strchr(name, '@')))
        *at++ = 0;
    if ((times = strchr(name, '=')))
        *times++ = 0;
    int fault = ixgbe_fault_find(name);
    if (fault < 0)
        refuse("fault", text, "there is no fault of this name; --help lists them");
    run.fault[run.faults].fault = (enum ixgbe_fault)fault;
    run.fault[run.faults].times =
        times ? (uint32_t)number("fault", times, 10, UINT32_MAX - 1) : IXGBE_ALWAYS;
    run.fault[run.faults++].at_ns = at ? number("fault", at, 10, 1u << 30) * 1000000 : 0;
}

static void add_wire(const char *spec)
{
    if (run.count == DEVICES_MAX)
        refuse("wire", spec, "more devices than 8");
    struct station *station = calloc(1, sizeof *station);
    if (station)
        station->model = malloc(sizeof *station->model);
    if (!station || !station->model)
        refuse("wire", spec, "no memory");
    station->spec = spec;
    run.station[run.count++] = station;
}

static uint64_t parse_mac(const char *text)
{
    unsigned byte[6];
    uint64_t mac = 0;
    char rest;
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4],
               &byte[5], &rest) != 6)
        refuse("mac", text, "six bytes were expected, as in 52:54:00:12:34:56");
    for (unsigned i = 0; i < 6; i++)
        mac = mac << 8 | byte[i];
    return mac;
}

static void parse(int count, char **words)
{
    static const struct option options[] = {{"wire", required_argument, NULL, 'w'},
                                            {"fault", required_argument, NULL, 'f'},
                                            {"strict", no_argument, NULL, 's'},
                                            {"stats", required_argument, NULL, 'o'},
                                            {"cpu", required_argument, NULL, 'c'},
                                            {"mac", required_argument, NULL, 'm'},
                                            {"control", required_argument, NULL, 'C'},
                                            {"device", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(count, words, "+", options, NULL)) != -1;) {
        switch (option) {
        case 'w':
            add_wire(optarg);
            break;
        case 'f':
            add_fault(optarg);
            break;
        case 's':
            run.strict = true;
            break;
        case 'o':
            run.statistics = optarg;
            break;
        case 'c':
            run.cpu = (int)number("cpu", optarg, 10, 1023);
            break;
        case 'm':
            if (run.macs == DEVICES_MAX)
                refuse("mac", optarg, "more than devices");
            run.mac[run.macs++] = parse_mac(optarg);
            break;
        case 'C':
            run.control = (int)number("control", optarg, 10, 1 << 20);
            break;
        case 'd':
            run.id = (uint16_t)number("device", optarg, 16, 0xffff);
            break;
        default:
            usage();
        }
    }
    if (!run.count || optind >= count)
        usage();
    for (unsigned i = run.macs ? run.macs : 1; i < run.count; i++)
        run.mac[i] = run.mac[i - 1] + 1;
}

/* ---- the run ------------------------------------------------------------------------------ */

static void pin(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)run.cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        fprintf(stderr, "ixgbe-model: --cpu %d: %s; going on unpinned\n", run.cpu, strerror(errno));
}

/* Devices and wires; QEMU's ends of their sockets go to `sockets`. */
static bool start_stations(int sockets[DEVICES_MAX])
{
    const struct ixgbe_model_host host = {NULL, station_translate, station_send, station_violation};
    for (unsigned i = 0; i < run.count; i++) {
        struct station *station = run.station[i];
        struct ixgbe_model_host own = host;
        char why[160];
        int pair[2];
        uint8_t mac[6];
        for (unsigned j = 0; j < 6; j++)
            mac[j] = (uint8_t)(run.mac[i] >> (40 - 8 * j));
        if (!wire_open(&station->wire, station->spec, why)) {
            fprintf(stderr, "ixgbe-model: %s\n", why);
            return false;
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
            perror("ixgbe-model: socketpair");
            return false;
        }
        own.argument = station;
        proxy_device_start(&station->proxy, pair[0], station->model, run.id, mac, &own);
        station->proxy.index = i;
        sockets[i] = pair[1];
    }
    return true;
}

static void apply_faults(uint64_t since_ns)
{
    for (unsigned i = 0; i < run.faults; i++) {
        if (run.fault[i].done || since_ns < run.fault[i].at_ns)
            continue;
        run.fault[i].done = true;
        for (unsigned j = 0; j < run.count; j++)
            ixgbe_model_fault(run.station[j]->model, run.fault[i].fault, run.fault[i].times);
    }
}

/* One request by the control socket, answered by "ok" or a reason; its end is no matter. */
static void serve_control(void)
{
    char text[64], name[32];
    unsigned nic, times;
    ssize_t got = recv(run.control, text, sizeof text - 1, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        close(run.control);
        run.control = -1;
    }
    if (got <= 0)
        return;
    text[got] = 0;
    const char *answer = "give NIC FAULT TIMES";
    if (sscanf(text, "%u %31s %u", &nic, name, &times) == 3 && nic < run.count) {
        int fault = ixgbe_fault_find(name);
        answer = fault < 0 ? "no such fault" : "ok";
        if (fault >= 0)
            ixgbe_model_fault(run.station[nic]->model, (enum ixgbe_fault)fault, times);
    }
    send(run.control, answer, strlen(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A device whose packet buffer is half full leaves frames on the wire, which waits as QEMU's do. */
static bool station_has_room(const struct station *station)
{
    return station->model->buffer.bytes < IXGBE_MODEL_BUFFER / 2;
}

static void station_receive(struct station *station)
{
    static uint8_t frame[WIRE_FRAME];
    size_t length;
    for (unsigned i = 0; i < FRAMES_A_ROUND && station_has_room(station); i++) {
        if (wire_is_file(&station->wire) && !ixgbe_model_listens(station->model))
            return;
        if ((length = wire_receive(&station->wire, station->model->now_ns, frame)) == 0)
            return;
        ixgbe_model_receive(station->model, frame, length);
    }
}

static int wait_ms(uint64_t now_ns, uint64_t start_ns)
{
    uint64_t next_ns = run.kill_ns ? run.kill_ns : UINT64_MAX;
    for (unsigned i = 0; i < run.count; i++) {
        uint64_t due_ns = ixgbe_model_next_ns(run.station[i]->model);
        next_ns = due_ns < next_ns ? due_ns : next_ns;
        if (wire_is_file(&run.station[i]->wire))
            next_ns = next_ns < now_ns + FILE_EVERY_MS * 1000000 ? next_ns
                                                                 : now_ns + FILE_EVERY_MS * 1000000;
    }
    for (unsigned i = 0; i < run.faults; i++)
        if (!run.fault[i].done && start_ns + run.fault[i].at_ns < next_ns)
            next_ns = start_ns + run.fault[i].at_ns;
    if (next_ns == UINT64_MAX)
        return -1;
    return next_ns <= now_ns ? 0 : (int)((next_ns - now_ns) / 1000000 + 1);
}

/* Serves until QEMU has ended. */
static void serve(int signals)
{
    uint64_t start_ns = proxy_now_ns();
    struct pollfd fd[FIRST_STATION + 2 * DEVICES_MAX];
    for (;;) {
        uint64_t now_ns = proxy_now_ns();
        fd[0] = (struct pollfd){.fd = run.qemu.pidfd, .events = POLLIN};
        fd[1] = (struct pollfd){.fd = run.qemu.errors, .events = POLLIN};
        fd[2] = (struct pollfd){.fd = signals, .events = POLLIN};
        fd[3] = (struct pollfd){.fd = run.control, .events = POLLIN};
        for (unsigned i = 0; i < run.count; i++) {
            struct station *station = run.station[i];
            short in = station_has_room(station) ? POLLIN : 0,
                  out = station->wire.queued ? POLLOUT : 0;
            fd[FIRST_STATION + 2 * i] =
                (struct pollfd){.fd = station->proxy.socket, .events = POLLIN};
            fd[FIRST_STATION + 1 + 2 * i] =
                (struct pollfd){.fd = in || out ? station->wire.fd : -1, .events = in | out};
        }
        if (poll(fd, FIRST_STATION + 2 * run.count, wait_ms(now_ns, start_ns)) < 0 &&
            errno != EINTR)
            return;
        now_ns = proxy_now_ns();
        apply_faults(now_ns - start_ns);
        for (unsigned i = 0; i < run.count; i++) {
            struct station *station = run.station[i];
            if (fd[FIRST_STATION + 2 * i].revents &&
                proxy_device_serve(&station->proxy) != PROXY_MORE) {
                close(station->proxy.socket); /* without its device QEMU is of no use */
                station->proxy.socket = -1;
                run.kill_ns = run.kill_ns ? run.kill_ns : now_ns + STOP_MS * 1000000ull;
            }
            ixgbe_model_tick(station->model, now_ns);
            if (fd[FIRST_STATION + 1 + 2 * i].revents & POLLOUT)
                wire_flush(&station->wire);
            if (fd[FIRST_STATION + 1 + 2 * i].revents & POLLIN || wire_is_file(&station->wire))
                station_receive(station);
        }
        if (fd[3].revents)
            serve_control();
        if (fd[1].revents)
            launch_read_errors(&run.qemu);
        if (fd[0].revents)
            return;
        struct signalfd_siginfo signal;
        if (fd[2].revents && read(signals, &signal, sizeof signal) == sizeof signal) {
            kill(run.qemu.pid, (int)signal.ssi_signo);
            run.kill_ns = now_ns + STOP_MS * 1000000ull;
        }
        if (run.kill_ns && now_ns >= run.kill_ns)
            kill(run.qemu.pid, SIGKILL);
    }
}

static int report(int status)
{
    uint32_t violations = 0;
    FILE *out = run.statistics ? fopen(run.statistics, "w") : NULL;
    if (run.statistics && !out)
        fprintf(stderr, "ixgbe-model: %s: %s\n", run.statistics, strerror(errno));
    for (unsigned i = 0; i < run.count; i++) {
        violations += run.station[i]->model->violations;
        if (out) {
            fprintf(out, "nic%u\n", i);
            ixgbe_model_report(run.station[i]->model, out);
            for (unsigned j = 0; j < SENTENCES_MAX && run.station[i]->sentence[j][0]; j++)
                fprintf(out, "violation of %s\n", run.station[i]->sentence[j]);
        }
        wire_close(&run.station[i]->wire);
    }
    if (out)
        fclose(out);
    if (run.strict && violations)
        fprintf(stderr, "ixgbe-model: %u violations of the datasheet: the run fails\n", violations);
    if (run.qemu.reentrant)
        fprintf(stderr, "ixgbe-model: QEMU blocked accesses: the run counts for nothing; cure: "
                        "-accel tcg,thread=single\n");
    return (run.strict && violations) || run.qemu.reentrant ? EXIT_VOID : status;
}

int main(int count, char **words)
{
    int sockets[DEVICES_MAX];
    sigset_t set;
    parse(count, words);
    if (run.cpu >= 0)
        pin();
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || !start_stations(sockets) ||
        !launch(&run.qemu, words + optind, sockets, run.count))
        return 1;
    serve(signals);
    return report(launch_status(&run.qemu));
}
