/* The hosted machine's front door: options, the core, and kernel_main. */
#define _GNU_SOURCE /* sched_setaffinity */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "arch/arch.h"
#include "hosted.h"

enum {
    EXIT_USAGE = 2, /* as the shell's own tools do */
    COMMAND_LINE_MAX = 4096,
    WINDOW_MAX = 256,       /* more than a unix socket's path can have */
    MODULE_PIECE = 1 << 20, /* read at once */
    MODULE_BYTES_MAX = 64 << 20,
    NOT_PINNED = -1,
};

struct options {
    int cpu;
    unsigned memory_mib;
    char window[WINDOW_MAX]; /* "window:PATH", or "" */
    unsigned modules;
    const char *module[ARCH_MODULES_MAX];
    char command_line[COMMAND_LINE_MAX];
};

static const char help_text[] =
    "Piglet, a network kernel, as a Linux process.\n"
    "\n"
    "  piglet --nic NIC [--nic NIC]... [--window PATH] [--module FILE]... [--cpu N]\n"
    "         [--memory MIB] -- 'COMMAND LINE'\n"
    "\n"
    "A nic is one of\n"
    "  tap:NAME             a Linux tap; made when it is not there (needs root, or a tap made\n"
    "                       for you: sudo ip tuntap add NAME mode tap user $USER)\n"
    "  packet:IFNAME        a Linux interface, shared with Linux (needs root or CAP_NET_RAW)\n"
    "  xdp:IFNAME[,OPTION]  a Linux interface, taken over by AF_XDP (needs root); options: busy,\n"
    "                       copy, zerocopy, queues=N\n"
    "  pair:PATH            a unix datagram socket at PATH, its peer at PATH.peer; needs nothing\n"
    "  pair:LOCAL,REMOTE    the same with both paths named. QEMU at the other end:\n"
    "                       -netdev dgram,id=n,local.type=unix,local.path=REMOTE,\n"
    "                               remote.type=unix,remote.path=LOCAL\n"
    "  vfio:ADDRESS         a PCI nic bound to vfio-pci, driven by Piglet's own driver (e1000,\n"
    "                       ixgbe); ADDRESS as lspci -D has it, 0000:03:00.0\n"
    "They are called nic0, nic1... in the order given.\n"
    "\n"
    "  --window PATH        a unix socket for clients, programs that use libpiglet; only your\n"
    "                       own may connect, in a set-group-ID folder those of its group too\n"
    "  --module FILE        a configuration that `pigctl compile` made, applied at the start;\n"
    "                       up to 4, in this order\n"
    "  --cpu N              run on core N and nowhere else\n"
    "  --memory MIB         memory for frames and tables, in MiB (64)\n"
    "  --help, --version    say this, or the version, and stop\n"
    "\n"
    "The command line is the kernel's, the same as on bare metal:\n"
    "  ip=10.0.0.2/24@nic0  an address; services=+echo,+forward; log=debug;\n"
    "  console=stderr       where the log goes: stderr, stdout or none\n"
    "\n"
    "Try it:\n"
    "  sudo piglet --nic tap:pig0 -- ip=10.0.0.2/24 &\n"
    "  sudo ip address add 10.0.0.1/24 dev pig0; sudo ip link set pig0 up; ping 10.0.0.2\n"
    "\n"
    "Ctrl-C or SIGTERM stops it in order; a second one stops it at once.\n";

static const struct option long_options[] = {
    {"nic", required_argument, NULL, 'n'},    {"cpu", required_argument, NULL, 'c'},
    {"memory", required_argument, NULL, 'm'}, {"window", required_argument, NULL, 'w'},
    {"module", required_argument, NULL, 'M'}, {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},      {NULL, 0, NULL, 0},
};

static _Noreturn __attribute__((format(printf, 1, 2))) void refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("piglet: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_USAGE);
}

static unsigned number(const char *option, const char *text, unsigned min, unsigned max)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || value < min || value > max)
        refuse("%s %s: give a number from %u to %u", option, text, min, max);
    return (unsigned)value;
}

static void add_nic(const char *spec)
{
    if (!strchr(spec, ':') || spec[strlen(spec) - 1] == ':')
        refuse("--nic %s: give a kind and a name, as in tap:pig0, packet:eth1, xdp:eth1, "
               "pair:/tmp/wire or "
               "vfio:0000:03:00.0",
               spec);
    if (!hosted_device_add(spec))
        refuse("--nic %s: at most %d nics can be given", spec, HOSTED_DEVICES_MAX);
}

static void add_window(struct options *options, const char *path)
{
    if (options->window[0])
        refuse("--window %s: all clients use one socket; give it once", path);
    int length = snprintf(options->window, WINDOW_MAX, "window:%s", path);
    if (!path[0] || length >= WINDOW_MAX)
        refuse("--window %s: give a path, as in --window /tmp/piglet.sock", path);
    if (!hosted_device_add(options->window))
        refuse("--window %s: with at most %d nics", path, HOSTED_DEVICES_MAX - 1);
}

static void add_module(struct options *options, const char *path)
{
    if (options->modules == ARCH_MODULES_MAX)
        refuse("--module %s: at most %d can be given", path, ARCH_MODULES_MAX);
    options->module[options->modules++] = path;
}

/* Read, not mapped: the file may change or shrink while Piglet runs. */
static void load_module(struct arch_boot *boot, const char *path)
{
    size_t bytes = 0, room = 0, got;
    char *data = NULL;
    FILE *file = fopen(path, "rb");
    if (!file)
        refuse("--module %s: %s", path, strerror(errno));
    do {
        room += MODULE_PIECE;
        data = realloc(data, room); /* cppcheck-suppress memleakOnRealloc; refuse() ends us */
        if (!data || room > MODULE_BYTES_MAX)
            refuse("--module %s: it is too long for a module", path);
        got = fread(data + bytes, 1, room - bytes, file);
        bytes += got;
    } while (bytes == room);
    if (ferror(file))
        refuse("--module %s: %s", path, strerror(errno));
    fclose(file);
    boot->module[boot->module_count].data = data;
    boot->module[boot->module_count].bytes = bytes;
    boot->module[boot->module_count++].name = path;
}

static void join_command_line(struct options *options, char **words)
{
    size_t length = 0;
    for (; *words; words++) {
        int added = snprintf(options->command_line + length, COMMAND_LINE_MAX - length, "%s%s",
                             length ? " " : "", *words);
        length += (size_t)added;
        if (length >= COMMAND_LINE_MAX)
            refuse("the command line is longer than %d bytes; shorten it", COMMAND_LINE_MAX - 1);
    }
}

static void read_options(struct options *options, int count, char **arguments)
{
    int option;
    /* "+": options end where the first other word stands, so that none is taken from behind it. */
    while ((option = getopt_long(count, arguments, "+h", long_options, NULL)) != -1) {
        switch (option) {
        case 'n':
            add_nic(optarg);
            break;
        case 'c':
            options->cpu = (int)number("--cpu", optarg, 0, CPU_SETSIZE - 1);
            break;
        case 'm':
            options->memory_mib = number("--memory", optarg, 1, HOSTED_MEMORY_MIB_MAX);
            break;
        case 'w':
            add_window(options, optarg);
            break;
        case 'M':
            add_module(options, optarg);
            break;
        case 'h':
            fputs(help_text, stdout);
            exit(EXIT_SUCCESS);
        case 'v':
            puts("piglet " PIGLET_VERSION);
            exit(EXIT_SUCCESS);
        default:
            fputs("piglet: try --help\n", stderr);
            exit(EXIT_USAGE);
        }
    }
    if (optind < count && strcmp(arguments[optind - 1], "--") != 0)
        refuse("%s: the kernel's command line goes behind --, as in: -- ip=10.0.0.2/24",
               arguments[optind]);
    join_command_line(options, arguments + optind);
}

/* "0-3,6" */
static void cores_allowed(const cpu_set_t *set, char *text, size_t room)
{
    size_t length = 0;
    text[0] = '\0';
    for (int first = 0; first < CPU_SETSIZE && length < room; first++) {
        int last = first;
        if (!CPU_ISSET(first, set))
            continue;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
            last++;
        length += (size_t)snprintf(text + length, room - length, last > first ? "%s%d-%d" : "%s%d",
                                   length ? "," : "", first, last);
        first = last;
    }
}

static void pin(int cpu)
{
    cpu_set_t set;
    char allowed[128];
    if (cpu == NOT_PINNED) {
        fputs("piglet: not pinned to a core; --cpu N gives it one of its own\n", stderr);
        return;
    }
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        refuse("--cpu %d: Linux does not tell which cores are allowed: %s", cpu, strerror(errno));
    if (!CPU_ISSET(cpu, &set)) {
        cores_allowed(&set, allowed, sizeof(allowed));
        refuse("--cpu %d: this process may run on %s only; name one of these", cpu, allowed);
    }
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        refuse("--cpu %d: %s; leave --cpu out to run on any core", cpu, strerror(errno));
}

/* For the boot log: "x86_64, Linux 6.1.0 process, core 1". */
static void describe(char *text, size_t room, int cpu)
{
    struct utsname host;
    char core[24] = "any core";
    if (uname(&host) != 0)
        memset(&host, 0, sizeof(host));
    if (cpu != NOT_PINNED)
        snprintf(core, sizeof(core), "core %d", cpu);
    snprintf(text, room, "%s, %s %s process, %s", host.machine, host.sysname, host.release, core);
}

int main(int count, char **arguments)
{
    static struct options options = {.cpu = NOT_PINNED, .memory_mib = HOSTED_MEMORY_MIB};
    char machine[256];
    read_options(&options, count, arguments);
    pin(options.cpu);
    signal(SIGPIPE, SIG_IGN); /* a reader of the console that went away is no reason to end */
    hosted_console_start();
    hosted_fault_start();
    hosted_stop_start();
    hosted_clock_start(options.cpu != NOT_PINNED);
    hosted_reboot_keep(arguments);
    if (hosted_memory_start((size_t)options.memory_mib << 20) != 0)
        refuse("--memory %u: Linux does not give that much; give less", options.memory_mib);
    const char *why = hosted_devices_open();
    if (why)
        refuse("%s", why);
    describe(machine, sizeof(machine), options.cpu);
    static struct arch_boot boot;
    boot.command_line = options.command_line;
    boot.machine = machine;
    for (unsigned i = 0; i < options.modules; i++)
        load_module(&boot, options.module[i]);
    return kernel_main(&boot);
}
