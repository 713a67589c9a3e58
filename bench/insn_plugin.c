/* A TCG plugin that counts the guest instructions of the loop's turns, those left out that found
 * nothing to do.
 *
 *   -plugin insn_plugin.so,turn=ADDRESS,nothing=ADDRESS,out=FILE[,symbols=FILE]
 *
 * Every instruction adds one to a counter in place, so the count is exact. `turn` is where a turn
 * begins (loop_turn), `nothing` is reached only by turns without work (loop_nothing). When a turn
 * begins, the instructions since the one before are charged to "working", unless that one came by
 * `nothing`. FILE is mapped, so that the bench can read it at any moment. With symbols ("ADDRESS
 * NAME" lines in order) there is a count for each function too, behind the totals. One virtual
 * processor only.
 *
 * A gate stops the guest: while the bench has set `gate`, no turn beyond that number begins. QEMU goes on
 * receiving meanwhile, so that the bench can say how many frames the next turn will find. Under
 * -icount the guest's clock stands still then. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qemu_plugin_api.h"

enum {
    SYMBOLS_MAX = 4096,
    GATE_US = 50, /* between two looks at a gate that is shut */
};

/* What the bench reads: the layout of FILE. */
struct counts {
    uint64_t working;       /* instructions of working turns */
    uint64_t turns_working; /* how many of those */
    uint64_t turns_empty;
    _Atomic uint64_t held; /* the turn that waits at the gate; all counts are those before it */
    _Atomic uint64_t gate; /* written by the bench: the last turn that may begin; 0: any */
    uint64_t symbols;      /* how many of the following are in use */
    uint64_t by_symbol[SYMBOLS_MAX]; /* instructions of working turns, by function */
};

static struct {
    uint64_t turn, nothing; /* addresses */
    uint64_t executed;      /* since the turn began */
    uint64_t begun;         /* turns, this one too */
    bool found_nothing;
    unsigned symbols;
    uint64_t symbol[SYMBOLS_MAX]; /* where each begins */
    uint64_t in_turn[SYMBOLS_MAX];
    struct counts *counts;
} bench;

int qemu_plugin_version = 1;

/* The turn that is about to begin waits until it may. */
static void gate_pass(struct counts *counts)
{
    bench.begun++;
    while (counts->gate && bench.begun > counts->gate) {
        counts->held = bench.begun;
        usleep(GATE_US);
    }
    counts->held = 0;
}

static void turn_begins(unsigned vcpu, void *argument)
{
    (void)vcpu, (void)argument;
    struct counts *counts = bench.counts;
    if (bench.begun && bench.found_nothing) {
        counts->turns_empty++;
    } else if (bench.begun) {
        counts->turns_working++;
        counts->working += bench.executed;
        for (unsigned i = 0; i < bench.symbols; i++)
            counts->by_symbol[i] += bench.in_turn[i];
    }
    memset(bench.in_turn, 0, bench.symbols * sizeof bench.in_turn[0]);
    bench.executed = 0;
    bench.found_nothing = false;
    gate_pass(counts);
}

static void nothing_found(unsigned vcpu, void *argument)
{
    (void)vcpu, (void)argument;
    bench.found_nothing = true;
}

static unsigned symbol_of(uint64_t address)
{
    unsigned found = 0;
    for (unsigned i = 0; i < bench.symbols && bench.symbol[i] <= address; i++)
        found = i;
    return found;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t address = qemu_plugin_insn_vaddr(insn);
        /* Callbacks come before the inline add of the same instruction: it belongs to the new turn.
         */
        if (address == bench.turn)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, turn_begins, QEMU_PLUGIN_CB_NO_REGS, NULL);
        if (address == bench.nothing)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, nothing_found, QEMU_PLUGIN_CB_NO_REGS,
                                                   NULL);
        qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
                                                   &bench.executed, 1);
        if (bench.symbols)
            qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
                                                       &bench.in_turn[symbol_of(address)], 1);
    }
}

static bool map_counts(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || ftruncate(file, sizeof *bench.counts) < 0)
        return false;
    bench.counts = mmap(NULL, sizeof *bench.counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return bench.counts != MAP_FAILED;
}

static bool read_symbols(const char *path)
{
    FILE *file = fopen(path, "r");
    unsigned long long address;
    if (!file)
        return false;
    while (bench.symbols < SYMBOLS_MAX && fscanf(file, "%llx %*s", &address) == 1)
        bench.symbol[bench.symbols++] = address;
    fclose(file);
    return bench.symbols != 0;
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    (void)info;
    bool good = true;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            continue;
        *value++ = 0;
        if (strcmp(argv[i], "turn") == 0)
            bench.turn = strtoull(value, NULL, 16);
        else if (strcmp(argv[i], "nothing") == 0)
            bench.nothing = strtoull(value, NULL, 16);
        else if (strcmp(argv[i], "out") == 0)
            good = good && map_counts(value);
        else if (strcmp(argv[i], "symbols") == 0)
            good = good && read_symbols(value);
    }
    if (!good || !bench.counts || !bench.turn || !bench.nothing) {
        fprintf(stderr,
                "insn_plugin: turn=, nothing= and out= are needed, and files that can be opened\n");
        return -1;
    }
    bench.counts->symbols = bench.symbols;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
