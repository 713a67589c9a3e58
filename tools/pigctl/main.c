/* pigctl: looks at a running Piglet and changes it. `pigctl help` is its manual. */
#include "tools/pigctl/pigctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct command {
    const char *name, *arguments, *help;
    command_function *run;
    bool opens; /* main opens the session for it */
    const char *more;
};

#define CHANGE_MORE                                                                                \
    "Several changes on one line, of addresses, routes and services, are one: all of it is done "  \
    "or nothing.\n"

static const struct command commands[] = {
    {"status", "", "the kernel: its machine, load and totals", show_status, true,
     "load is time not spent asleep or looking in vain; drops and turns count from the start.\n"},
    {"nics", "", "the nics, their links and what they moved", show_nics, true, ""},
    {"services", "[start NAME... | stop NAME... | set NAME KEY=VALUE... | show NAME]",
     "the services, in the order of their chain", show_services, true,
     CHANGE_MORE "  pigctl services set arp lifetime=30 dad=off\n"
                 "  pigctl services stop echo start forward\n"
                 "  pigctl services show arp\n"},
    {"counters", "[PREFIX]", "every counter, with what it counts", show_counters, true,
     "  pigctl counters nic0.\n"},
    {"drops", "[--all]", "why frames were dropped, and how many", show_drops, true,
     "Reasons that did not occur are left out, unless --all is given.\n"},
    {"why", "[--all] [EXPRESSION]", "why the last frames were dropped, one by one", why, true,
     "The last 2,048 dropped frames are kept; while the service recorder runs, those that came "
     "and\n"
     "went too, which --all shows. EXPRESSION is pcap-filter(7)'s, tcpdump's language, "
     "about\n"
     "their first 96 bytes:\n"
     "  pigctl why host 10.0.0.9 and tcp port 22\n"},
    {"flows", "[-n N] [--sort bytes|frames|age] [EXPRESSION]",
     "the firewall's connections, what they moved, and by which rule", show_flows, true,
     "The greatest come first; -n N shows only that many. EXPRESSION is pcap-filter(7)'s, about\n"
     "packets of the side that began:\n"
     "  pigctl flows -n 10 tcp and dst port 443\n"},
    {"capture", "[-w FILE] [-n NIC] [-c N] [--drops | --no-drops] [EXPRESSION]",
     "what nics receive, send and drop, as pcapng", capture, true,
     "To FILE or standard output, until Ctrl-C or N frames. A dropped frame comes once as received "
     "or\n"
     "sent, and again, its first 96 bytes, with a comment that says why. --drops: only those.\n"
     "EXPRESSION is pcap-filter(7)'s, tcpdump's language.\n"
     "  pigctl capture -n nic0 icmp | tshark -r -\n"},
    {"export", "[--listen ADDRESS:PORT]", "the counters as Prometheus reads them", export_metrics,
     true,
     "Prints them, or serves them over HTTP until Ctrl-C:\n"
     "  pigctl export --listen 127.0.0.1:9100\n"},
    {"regs", "[NIC] [REGISTER]", "a nic's registers, by name, from its driver's table", regs, true,
     "The first nic's, or NIC's; only those whose reading changes nothing, and of arrays, unless\n"
     "REGISTER names it, only what is not as after a reset. The section is the datasheet's.\n"
     "  pigctl regs nic0 LINKS2\n"},
    {"log", "[-f]", "the kernel's log", show_log, true,
     "-f stays and shows new lines as they come; with --json, each is an object on a line.\n"},
    {"clients", "", "who is attached, and what they do", show_clients, true, ""},
    {"addresses", "[add A/L[@nicN] [gateway G]... | delete A...]", "the nics' IPv4 addresses",
     show_addresses, true,
     CHANGE_MORE "  pigctl addresses add 10.0.0.2/24@nic0 gateway 10.0.0.1\n"
                 "  pigctl addresses delete 10.0.0.2 add 10.0.0.3/24 routes add 10.9.0.0/16 via "
                 "10.0.0.9\n"},
    {"routes", "[add P/L via G [nicN] | add P/L nicN | delete P/L...]", "the route table",
     show_routes, true,
     CHANGE_MORE "  pigctl routes add 192.0.2.0/24 via 10.0.0.1 delete 198.51.100.0/24\n"},
    {"arp", "", "the neighbours that arp knows", show_arp, true, ""},
    {"ping", "ADDRESS [-c N] [-i SECONDS]", "sends ICMP echo requests from Piglet", ping, true,
     "-c N ends after N, else Ctrl-C does; -i is the time between them (1). The exit code is 1 "
     "when no\nanswer came. With --json, only the statistics are printed.\n"},
    {"requests", "[demo | shm:FILE]", "decodes the requests in a window", requests, false,
     "requests           of this pigctl's own window, which has just asked for the status\n"
     "requests demo      runs the reference chain in a window of its own and shows it\n"
     "requests shm:FILE  of the client that has this window; it is only read, once a second,\n"
     "                   until Ctrl-C; with --json, or where the output is no terminal, once\n"
     "Windows that a socket handed to other processes are theirs alone and cannot be seen.\n"},
    {"compile", "FILE -o OUT", "a configuration file as a boot module", compile, false,
     "OUT is for `qemu -initrd`, or a hosted Piglet's --module. FILE - is standard input.\n"},
    {"apply", "[--confirm SECONDS] FILE", "makes what runs be what the file says", apply, false,
     "The difference is posted as one chain: all of it is done, or nothing, and what is done is\n"
     "printed. With --confirm, the former configuration comes back by itself unless `pigctl\n"
     "confirm` is typed in time.\n"},
    {"confirm", "", "keeps what `apply --confirm` did", confirm, false, ""},
    {"diff", "FILE", "what `apply` would do", diff, false,
     "The exit code is 0 when there is nothing to do, 1 when there is something.\n"},
    {"show", "config", "what runs, as a configuration file", show, true, ""},
    {"poweroff", "", "ends Piglet; its machine is off then, a Linux process has ended",
     stop_poweroff, true, ""},
    {"reboot", "", "ends Piglet and starts it again", stop_reboot, true, ""},
    {"top", "", "rates, time and drops, refreshed every second; q quits", top, true, ""},
    {"doctor", "", "checks what must be right, with a cure for what is not", doctor, false,
     "It looks for two seconds. The exit code is 1 when something is wrong.\n"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

/* ---- complaints ---------------------------------------------------------------------------------- */

int complain(enum pigctl_exit code, const char *format, ...)
{
    va_list list;
    fflush(stdout);
    fputs("pigctl: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    putc('\n', stderr);
    return (int)code;
}

const char *error_cure(int error)
{
    static const struct {
        int error;
        const char *cure;
    } cures[] = {
        {ERR_DENIED, "start Piglet with window.rights=all, or a word for what is wanted"},
        {ERR_TIMEOUT, "Piglet is too busy or stopped; see `pigctl doctor`"},
        {ERR_CANCELLED, "Piglet has gone; start it again"},
        {ERR_LIMIT, "end other work of this client, or start Piglet with a greater window="},
        {ERR_NO_MEMORY, "start Piglet with a greater window="},
        {ERR_FULL, "delete something first"},
        {ERR_EXISTS, "delete it first"},
        {ERR_NOT_FOUND, "see what there is with `pigctl status`"},
        {ERR_UNSUPPORTED, "this Piglet is older than pigctl, or does not have it"},
        {ERR_BUSY, "end what uses it first"},
    };
    for (size_t i = 0; i < sizeof cures / sizeof cures[0]; i++)
        if (cures[i].error == error)
            return cures[i].cure;
    return "see `pigctl help`";
}

int complain_error(const char *wanted, int error)
{
    return complain(PIGCTL_REFUSED, "%s: %s; %s", wanted, piglet_error_text(error),
                    error_cure(error));
}

int complain_word(const struct session *session, const char *word)
{
    if (!word)
        return complain(PIGCTL_USAGE, "%s: something is missing; see `pigctl help %s`",
                        session->noun, session->noun);
    return complain(PIGCTL_USAGE, "%s: \"%s\" is not understood; see `pigctl help %s`",
                    session->noun, word, session->noun);
}

/* ---- finding Piglet ------------------------------------------------------------------------------ */

int session_open(struct session *session)
{
    int error;
    const char *where = session->where ? session->where : getenv("PIGLET");
    session->piglet = piglet_open(session->where, "pigctl", &error);
    if (session->piglet)
        return PIGCTL_DONE;
    if (!where || !*where)
        where = "the usual places";
    switch (error) {
    case ERR_NOT_FOUND:
        return complain(PIGCTL_NONE,
                        "no Piglet found at %s; start one with --window PATH, or "
                        "name it with -s unix:PATH or -s shm:FILE",
                        where);
    case ERR_DENIED:
        return complain(PIGCTL_NONE,
                        "Piglet at %s may not be opened; run pigctl as the user who "
                        "runs Piglet",
                        where);
    case ERR_TIMEOUT:
        return complain(PIGCTL_NONE, "nobody answers at %s; start Piglet, or see whether it hangs",
                        where);
    case ERR_BUSY:
        return complain(PIGCTL_NONE,
                        "another client has the window at %s; end it, or give Piglet "
                        "another window",
                        where);
    case ERR_UNSUPPORTED:
        return complain(PIGCTL_NONE,
                        "Piglet at %s has another major version of the ABI than %d; "
                        "use its own pigctl",
                        where, PIGLET_ABI_MAJOR);
    case ERR_LIMIT:
    case ERR_FULL:
        return complain(PIGCTL_NONE,
                        "Piglet at %s has all the clients it may; start it with a "
                        "greater clients=",
                        where);
    default:
        return complain(PIGCTL_NONE, "%s: %s; name a Piglet with -s unix:PATH or -s shm:FILE",
                        where, piglet_error_text(error));
    }
}

/* ---- help ---------------------------------------------------------------------------------------- */

static int help_all(void)
{
    puts("usage: pigctl [-s WHERE] [--json] COMMAND [ARGUMENTS]\n");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].help);
    puts("  help       [COMMAND]: this, or more about one\n\n"
         "-s WHERE  names the Piglet: unix:PATH or shm:FILE (else $PIGLET, else the first found)\n"
         "--json    prints listings for programs\n"
         "--help    like help; --version: pigctl's\n\n"
         "exit code: 0 done, 1 refused or failed, 2 usage, 3 no Piglet found");
    return PIGCTL_DONE;
}

static int help_one(const struct command *command)
{
    printf("usage: pigctl %s%s%s\n%s\n", command->name, *command->arguments ? " " : "",
           command->arguments, command->help);
    if (*command->more)
        printf("\n%s", command->more);
    return PIGCTL_DONE;
}

/* ---- the command line ---------------------------------------------------------------------------- */

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* What is for every command is taken out of the words, wherever it stands. Returns how many words
 * stay, or an error. */
static int options_take(struct session *session, char **words, bool *help)
{
    int count = 0;
    for (char **word = words; *word; word++) {
        if (strcmp(*word, "--json") == 0) {
            session->json = true;
        } else if (strcmp(*word, "--help") == 0 || strcmp(*word, "-h") == 0) {
            *help = true;
        } else if (strcmp(*word, "-s") == 0) {
            if (!word[1])
                return complain(PIGCTL_USAGE, "-s: give unix:PATH or shm:FILE behind it"), -1;
            session->where = *++word;
        } else {
            words[count++] = *word;
        }
    }
    words[count] = NULL;
    return count;
}

static int help(char **words)
{
    const struct command *command;
    if (!words[0])
        return help_all();
    command = command_find(words[0]);
    if (!command)
        return complain(PIGCTL_USAGE, "no command \"%s\"; see `pigctl help`", words[0]);
    return help_one(command);
}

static int run(struct session *session, const struct command *command, int count, char **words)
{
    session->noun = command->name;
    if (command->opens) {
        int code = session_open(session);
        if (code != PIGCTL_DONE)
            return code;
    }
    int code = command->run(session, count, words);
    piglet_close(session->piglet);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == PIGCTL_DONE)
        code = complain(PIGCTL_REFUSED, "cannot write the output; see whether the disk is full");
    return code;
}

int main(int count, char **words)
{
    struct session session = {.piglet = NULL};
    bool helps = false;
    count = count ? options_take(&session, ++words, &helps) : 0;
    if (count < 0)
        return PIGCTL_USAGE;
    if (count && strcmp(words[0], "--version") == 0)
        return printf("pigctl %s, ABI %d.%d\n", PIGLET_VERSION, PIGLET_ABI_MAJOR,
                      PIGLET_ABI_MINOR) < 0;
    if (count && strcmp(words[0], "help") == 0)
        return help(words + 1);
    if (helps)
        return help(words);
    /* `pigctl counters help` is asked often enough. */
    if (count == 2 && strcmp(words[1], "help") == 0 && command_find(words[0]))
        return help(words);
    if (count == 0)
        return help_all(), complain(PIGCTL_USAGE, "give a command");
    const struct command *command = command_find(words[0]);
    if (!command)
        return complain(PIGCTL_USAGE, "no command \"%s\"; see `pigctl help`", words[0]);
    return run(&session, command, count - 1, words + 1);
}
