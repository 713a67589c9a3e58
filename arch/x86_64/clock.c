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
    RUN_TICKS_MIN = PIT_HZ / 500, /* 2 ms */
    RUN_TICKS_MAX = PIT_HZ / 30,  /* 33 ms: the timer's 16 bits go round in 55 */
    /* A run is believed when the doubt about when its ends were read is this small a part of it; and
     * two runs, because one may have slept through a whole round of the timer. */
    DOUBT_PPM = 1000,
    AGREE_PPM = 2000,
    RUNS_MAX = 12,
    POLLS_MAX = 200000, /* a reading takes 3 us: this is not reached while the timer counts */
};

#define TSC_HZ_MIN 10000000ull
#define TSC_HZ_MAX 20000000000ull

struct clock_scale clock_scale;
uint32_t apic_ticks_per_ms;

/* The three clocks at one moment, as far as that can be had. */
struct reading {
    uint64_t tsc, doubt; /* the latch fell somewhere in `doubt` ticks around `tsc` */
    uint32_t apic;
    uint16_t pit;
};

struct run {
    uint64_t tsc_hz, apic_hz;
};

/* Another processor's or the host's work may come between any two instructions here; between the first
 * two readings of the TSC it shows as doubt, and elsewhere it does no harm. */
static struct reading clock_read(void)
{
    struct reading now;
    uint64_t before = read_tsc();
    out8(PIT_COMMAND, PIT_LATCH_CHANNEL_0);
    now.doubt = read_tsc() - before;
    now.apic = apic_timer_count();
    now.tsc = before + now.doubt / 2;
    uint8_t low = in8(PIT_CHANNEL_0);
    now.pit = (uint16_t)(low | in8(PIT_CHANNEL_0) << 8);
    return now;
}

/* Measures until the ends are sharp enough for the length. False: the 8254 does not count. */
static bool clock_run(struct run *run)
{
    struct reading start = clock_read();
    for (unsigned polls = 0; polls < POLLS_MAX; polls++) {
        struct reading now = clock_read();
        uint16_t ticks = (uint16_t)(start.pit - now.pit);
        uint64_t tsc = now.tsc - start.tsc;
        if (ticks < RUN_TICKS_MIN)
            continue;
        if ((start.doubt + now.doubt) * 1000000 <= tsc * DOUBT_PPM) {
            run->tsc_hz = tsc * PIT_HZ / ticks;
            run->apic_hz = (uint64_t)(start.apic - now.apic) * PIT_HZ / ticks;
            return true;
        }
        if (ticks > RUN_TICKS_MAX)
            start = now;
    }
    return false;
}

static bool clock_agree(uint64_t a, uint64_t b)
{
    uint64_t less = a < b ? a : b, more = a < b ? b : a;
    return (more - less) * 1000000 <= less * AGREE_PPM;
}

static bool clock_measure(struct run *run)
{
    struct run before = {0, 0};
    for (unsigned i = 0; i < RUNS_MAX; i++) {
        if (!clock_run(run)) {
            report_line(
                "PANIC: no clock: the 8254 timer does not count, or cannot be read in time");
            return false;
        }
        if (i && clock_agree(run->tsc_hz, before.tsc_hz))
            return true;
        before = *run;
    }
    report_line(
        "PANIC: no clock: %d measurements of the TSC disagree, the last two being %lu and %lu Hz",
        RUNS_MAX, before.tsc_hz, run->tsc_hz);
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
        hz = run.tsc_hz;
    if (hz < TSC_HZ_MIN || hz > TSC_HZ_MAX) {
        report_line("PANIC: no clock: a TSC of %lu Hz is not believable", hz);
        return false;
    }
    apic_ticks_per_ms = (uint32_t)(run.apic_hz / 1000);
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
