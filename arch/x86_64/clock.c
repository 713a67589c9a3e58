/* The clock: the time stamp counter, whose frequency the processor or a hypervisor tells, or which is
 * measured against the 8254 timer; and by it the APIC timer. Sources: SDM vol. 3, 18.7.3 and 18.17;
 * SDM vol. 2, CPUID leaf 15H; for leaf 40000010H "Hypervisor CPUID interface proposal" (VMware);
 * Intel 8254 datasheet, mode 2. */
#include "x86.h"

enum {
    PIT_HZ = 1193182,
    /* Every machine has channel 0; channel 2's gate is elsewhere, and not on microvm. */
    PIT_CHANNEL_0 = 0x40,
    PIT_COMMAND = 0x43,
    PIT_CHANNEL_0_MODE_2 = 0x34, /* low byte, then high byte; from 65,536 down, round and round */
    PIT_LATCH_CHANNEL_0 = 0x00,
    RUN_TICKS_MIN = PIT_HZ / 500, /* 2 ms */
    RUN_TICKS_MAX = PIT_HZ / 30,  /* 33 ms: the timer's 16 bits go round in 55 */
    /* A run is believed when the doubt about when its ends were read is this small a part of it; and
     * two runs, because one may have slept through a whole round of the timer. */
    DOUBT_PPM = 1000,
    AGREE_PPM = 2000,
    RUNS_MAX = 12,
    POLLS_MAX = 200000, /* a reading takes 3 us: this is not reached while the timer counts */
    APIC_DOUBT_PPM = 5000,
    APIC_READINGS_MAX = 100000,
    CPUID_TSC = 1 << 4,
    CPUID_INVARIANT_TSC = 1 << 8,
    LEAF_TSC_RATIO = 0x15,
    LEAF_HYPERVISOR = 0x40000000,
    LEAF_HYPERVISOR_TSC_KHZ = 0x40000010,
};

#define CPUID_HYPERVISOR (1u << 31)
#define TSC_HZ_MIN       10000000ull
#define TSC_HZ_MAX       20000000000ull

struct clock_scale clock_scale;
uint32_t apic_ticks_per_ms;

/* A timer's count at one moment, as far as that can be had. Another processor's or the host's work may
 * come between any two instructions: while the count is read it shows as doubt, elsewhere it does no
 * harm. */
struct reading {
    uint64_t tsc, doubt; /* the count was that somewhere in `doubt` ticks around `tsc` */
    uint32_t count;
};

static struct reading pit_read(void)
{
    uint64_t before = read_tsc();
    out8(PIT_COMMAND, PIT_LATCH_CHANNEL_0);
    uint64_t doubt = read_tsc() - before;
    uint8_t low = in8(PIT_CHANNEL_0);
    return (struct reading){before + doubt / 2, doubt, low | (uint32_t)in8(PIT_CHANNEL_0) << 8};
}

static struct reading apic_read_timer(void)
{
    uint64_t before = read_tsc();
    uint32_t count = apic_timer_count();
    uint64_t doubt = read_tsc() - before;
    return (struct reading){before + doubt / 2, doubt, count};
}

static bool clock_sharp(const struct reading *from, const struct reading *to, unsigned doubt_ppm)
{
    return (from->doubt + to->doubt) * 1000000 <= (to->tsc - from->tsc) * doubt_ppm;
}

/* Measures until the ends are sharp enough for the length. 0: the 8254 does not count. */
static uint64_t clock_run_hz(void)
{
    struct reading start = pit_read();
    for (unsigned polls = 0; polls < POLLS_MAX; polls++) {
        struct reading now = pit_read();
        uint16_t ticks = (uint16_t)(start.count - now.count);
        if (ticks < RUN_TICKS_MIN)
            continue;
        if (clock_sharp(&start, &now, DOUBT_PPM))
            return (now.tsc - start.tsc) * PIT_HZ / ticks;
        if (ticks > RUN_TICKS_MAX || now.doubt < start.doubt)
            start = now; /* it was the start that was held up */
    }
    return 0;
}

static bool clock_agree(uint64_t a, uint64_t b)
{
    uint64_t less = a < b ? a : b, more = a < b ? b : a;
    return (more - less) * 1000000 <= less * AGREE_PPM;
}

/* The TSC's frequency by the 8254. 0: it cannot be had, and it was said why. */
static uint64_t clock_measured_hz(void)
{
    uint64_t before = 0, hz = 0;
    out8(PIT_COMMAND, PIT_CHANNEL_0_MODE_2);
    out8(PIT_CHANNEL_0, 0);
    out8(PIT_CHANNEL_0, 0);
    for (unsigned i = 0; i < RUNS_MAX; i++) {
        before = hz;
        hz = clock_run_hz();
        if (!hz) {
            report_line(
                "PANIC: no clock: the 8254 timer does not count, or cannot be read in time");
            return 0;
        }
        if (before && clock_agree(hz, before))
            return hz;
    }
    report_line(
        "PANIC: no clock: %d measurements of the TSC disagree, the last two being %lu and %lu Hz",
        RUNS_MAX, before, hz);
    return 0;
}

/* The TSC's frequency where the processor or a hypervisor says it; 0: they do not. */
static uint64_t clock_told_hz(void)
{
    if (cpuid(0).a >= LEAF_TSC_RATIO) {
        struct cpuid ratio = cpuid(LEAF_TSC_RATIO);
        if (ratio.a && ratio.b && ratio.c)
            return (uint64_t)ratio.c * ratio.b / ratio.a;
    }
    bool hypervisor = cpuid(1).c & CPUID_HYPERVISOR;
    if (hypervisor && cpuid(LEAF_HYPERVISOR).a >= LEAF_HYPERVISOR_TSC_KHZ)
        return cpuid(LEAF_HYPERVISOR_TSC_KHZ).a * 1000ull;
    return 0;
}

/* How far the APIC's timer counts in a millisecond, by the TSC. 0: it does not. */
static uint32_t clock_apic_rate(uint64_t tsc_per_ms)
{
    apic_timer_arm(UINT32_MAX);
    struct reading start = apic_read_timer();
    for (unsigned i = 0; i < APIC_READINGS_MAX; i++) {
        struct reading now = apic_read_timer();
        uint64_t tsc = now.tsc - start.tsc;
        if (tsc < tsc_per_ms)
            continue;
        if (clock_sharp(&start, &now, APIC_DOUBT_PPM)) {
            apic_timer_arm(0);
            return (uint32_t)((start.count - now.count) * tsc_per_ms / tsc);
        }
        if (now.doubt < start.doubt)
            start = now;
    }
    return 0;
}

/* A hypervisor keeps the TSC even whether it says so or not; of silicon we want to be told. */
bool clock_steady(void)
{
    bool invariant = cpuid(0x80000000).a >= 0x80000007 && cpuid(0x80000007).d & CPUID_INVARIANT_TSC;
    return invariant || cpuid(1).c & CPUID_HYPERVISOR;
}

uint64_t clock_hz(void)
{
    return (1000000000ull << CLOCK_SHIFT) / clock_scale.multiplier;
}

bool clock_start(void)
{
    if (!(cpuid(1).d & CPUID_TSC)) {
        report_line("PANIC: no clock: this processor has no time stamp counter");
        return false;
    }
    uint64_t hz = clock_told_hz();
    if (!hz)
        hz = clock_measured_hz();
    if (!hz)
        return false;
    if (hz < TSC_HZ_MIN || hz > TSC_HZ_MAX) {
        report_line("PANIC: no clock: a TSC of %lu Hz is not believable", hz);
        return false;
    }
    apic_ticks_per_ms = clock_apic_rate(hz / 1000);
    if (!apic_ticks_per_ms) {
        report_line(
            "PANIC: no clock: the local APIC's timer does not count, or cannot be read in time");
        return false;
    }
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
