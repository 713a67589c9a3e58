/* The clock: the time stamp counter, measured against the 8254 timer (or told by the processor),
 * and with it the APIC timer. Sources: SDM vol. 3, 18.7.3 and leaf 15H; Intel 8254 datasheet, mode
 * 2. */
#include "x86.h"

enum {
    PIT_HZ = 1193182,
    PIT_CHANNEL_0 =
        0x40, /* every machine has it; channel 2's gate is elsewhere, and not on microvm */
    PIT_COMMAND = 0x43,
    PIT_CHANNEL_0_MODE_2 =
        0x34, /* low byte, then high byte; counts from 65,536 down, round and round */
    PIT_LATCH_CHANNEL_0 = 0x00,
    RUN_TICKS = PIT_HZ / 500, /* 2 ms */
    RUNS_MAX = 12,
    /* How far apart two runs may be to believe both: a loaded host's jitter is far beyond,
     * silicon's far below. */
    AGREE_PPM = 500,
    POLLS_MAX = 100000, /* a reading takes 3 us: this is not reached while the timer counts */
};

#define TSC_HZ_MIN 10000000ull
#define TSC_HZ_MAX 20000000000ull

struct clock_scale clock_scale;
uint32_t apic_ticks_per_ms;

struct run {
    uint64_t tsc;
    uint32_t apic;
};

static uint16_t pit_read(void)
{
    out8(PIT_COMMAND, PIT_LATCH_CHANNEL_0);
    uint8_t low = in8(PIT_CHANNEL_0);
    return (uint16_t)(low | in8(PIT_CHANNEL_0) << 8);
}

/* Counts the TSC and the APIC timer over 2 ms of the 8254. False: it does not run. */
static bool clock_run(struct run *run)
{
    uint16_t start = pit_read();
    uint64_t tsc = read_tsc();
    uint32_t apic = apic_timer_count();
    for (unsigned polls = 0; polls < POLLS_MAX; polls++) {
        uint16_t ticks = (uint16_t)(start - pit_read());
        if (ticks < RUN_TICKS)
            continue;
        /* Ticks beyond the 2 ms are counted too: the last reading may come late. */
        run->tsc = (read_tsc() - tsc) * RUN_TICKS / ticks;
        run->apic = (uint32_t)((uint64_t)(apic - apic_timer_count()) * RUN_TICKS / ticks);
        return polls != 0 && run->tsc != 0;
    }
    return false;
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
    out8(PIT_COMMAND, PIT_CHANNEL_0_MODE_2);
    out8(PIT_CHANNEL_0, 0);
    out8(PIT_CHANNEL_0, 0);
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
