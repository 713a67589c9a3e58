/* The clock: the time stamp counter, measured against the 8254 timer (or told by the processor),
 * and with it the APIC timer. Sources: SDM vol. 3, 18.7.3 and leaf 15H; Intel 8254 datasheet, mode
 * 0. */
#include "x86.h"

enum {
    PIT_HZ = 1193182,
    PIT_CHANNEL_2 = 0x42,
    PIT_COMMAND = 0x43,
    PIT_CHANNEL_2_MODE_0 = 0xb0, /* low byte, then high byte */
    PIT_GATE = 0x61,             /* bit 0: gate of channel 2, bit 1: speaker, bit 5: its output */
    PIT_GATE_ON = 0x01,
    PIT_GATE_SPEAKER = 0x02,
    PIT_GATE_OUTPUT = 0x20,
    RUN_TICKS = PIT_HZ / 500, /* 2 ms */
    RUNS_MAX = 12,
    /* How far apart two runs may be to believe both: a loaded host's jitter is far beyond,
     * silicon's far below. */
    AGREE_PPM = 500,
    POLLS_MAX =
        1000000, /* a port read takes about 1 us; so this is never reached while the timer runs */
};

#define TSC_HZ_MIN 10000000ull
#define TSC_HZ_MAX 20000000000ull

struct clock_scale clock_scale;
uint32_t apic_ticks_per_ms;

struct run {
    uint64_t tsc;
    uint32_t apic;
};

/* Counts both clocks over 2 ms of the 8254. False: it does not run. */
static bool clock_run(struct run *run)
{
    uint8_t gate = in8(PIT_GATE) & (uint8_t) ~(PIT_GATE_ON | PIT_GATE_SPEAKER);
    out8(PIT_GATE, gate);
    out8(PIT_COMMAND, PIT_CHANNEL_2_MODE_0);
    out8(PIT_CHANNEL_2, RUN_TICKS & 0xff);
    out8(PIT_CHANNEL_2, RUN_TICKS >> 8);
    out8(PIT_GATE, gate | PIT_GATE_ON);
    uint64_t tsc = read_tsc();
    uint32_t apic = apic_timer_count();
    unsigned polls = 0;
    while (!(in8(PIT_GATE) & PIT_GATE_OUTPUT))
        if (++polls == POLLS_MAX)
            return false;
    run->tsc = read_tsc() - tsc;
    run->apic = apic - apic_timer_count();
    return polls > 1 && run->tsc != 0;
}

static bool clock_agree(uint64_t a, uint64_t b)
{
    uint64_t less = a < b ? a : b, more = a < b ? b : a;
    return (more - less) * 1000000 <= less * AGREE_PPM;
}

/* Runs until two agree; being held up only ever makes a run longer, so the shortest are the right
 * ones. */
static bool clock_measure(struct run *good)
{
    struct run run, best = {0, 0};
    for (unsigned i = 0; i < RUNS_MAX; i++) {
        if (!clock_run(&run)) {
            report_line(
                "PANIC: no clock: the 8254 timer does not count, and the processor does not "
                "tell its TSC's frequency");
            return false;
        }
        if (best.tsc && clock_agree(run.tsc, best.tsc)) {
            *good = run.tsc < best.tsc ? run : best;
            return true;
        }
        if (!best.tsc || run.tsc < best.tsc)
            best = run;
    }
    report_line(
        "PANIC: no clock: %d measurements of the TSC over 2 ms disagree, the shortest %lu, the "
        "last %lu",
        RUNS_MAX, best.tsc, run.tsc);
    return false;
}

/* The TSC's frequency where the processor says it; 0: it does not. */
static uint64_t clock_told_hz(void)
{
    if (cpuid(0).a < 0x15)
        return 0;
    struct cpuid ratio = cpuid(0x15);
    return ratio.a && ratio.b && ratio.c ? (uint64_t)ratio.c * ratio.b / ratio.a : 0;
}

bool clock_start(void)
{
    struct run run;
    if (!(cpuid(1).d & 1 << 4)) {
        report_line("PANIC: no clock: this processor has no time stamp counter");
        return false;
    }
    apic_timer_arm(UINT32_MAX);
    if (!clock_measure(&run))
        return false;
    uint64_t hz = clock_told_hz();
    if (!hz)
        hz = run.tsc * PIT_HZ / RUN_TICKS;
    if (hz < TSC_HZ_MIN || hz > TSC_HZ_MAX) {
        report_line("PANIC: no clock: a TSC of %lu Hz is not believable", hz);
        return false;
    }
    apic_ticks_per_ms = (uint32_t)((uint64_t)run.apic * PIT_HZ / RUN_TICKS / 1000);
    clock_scale.multiplier = (1000000000ull << CLOCK_SHIFT) / hz;
    clock_scale.base = read_tsc();
    return true;
}

void arch_delay_us(unsigned delay_us)
{
    uint64_t until_ns = arch_clock_ns() + delay_us * 1000ull;
    while (arch_clock_ns() < until_ns)
        arch_pause();
}
