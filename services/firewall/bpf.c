/* Classic BPF, the machine that libpcap compiles for (McCanne and Jacobson 1993; the numbers are
 * those of every system's bpf.h). Reading beyond the packet, or dividing by 0, returns 0. */
#include "services/firewall/bpf.h"

#include <stddef.h>
#include <string.h>

/* Bits 0 to 2: class. LD, LDX: bits 3, 4 size and 5 to 7 mode. ALU, JMP: bits 4 to 7 operation and
 * bit 3 X for K. RET: bits 3, 4 what. MISC: bit 7 TXA. */
enum {
    LD = 0,
    LDX = 1,
    ST = 2,
    STX = 3,
    ALU = 4,
    JMP = 5,
    RET = 6,
    MISC = 7,
    W = 0x00,
    H = 0x08,
    B = 0x10,
    IMM = 0x00,
    ABS = 0x20,
    IND = 0x40,
    MEM = 0x60,
    LEN = 0x80,
    MSH = 0xa0,
    ADD = 0x00,
    SUB = 0x10,
    MUL = 0x20,
    DIV = 0x30,
    OR = 0x40,
    AND = 0x50,
    LSH = 0x60,
    RSH = 0x70,
    NEG = 0x80,
    MOD = 0x90,
    XOR = 0xa0,
    JA = 0x00,
    JEQ = 0x10,
    JGT = 0x20,
    JGE = 0x30,
    JSET = 0x40,
    X = 0x08,
    A = 0x10,
    TAX = 0x00,
    TXA = 0x80,
    WORDS = 16, /* of memory */
};

static bool bpf_check_jump(const struct piglet_bpf *at, unsigned behind)
{
    /* `behind` instructions follow; a jump of n needs n + 1 of them. */
    if (at->code == (JMP | JA))
        return at->k < behind;
    return at->jump_true < behind && at->jump_false < behind;
}

static bool bpf_check_one(const struct piglet_bpf *at, unsigned behind)
{
    switch (at->code) {
    case LD | W | ABS:
    case LD | H | ABS:
    case LD | B | ABS:
    case LD | W | IND:
    case LD | H | IND:
    case LD | B | IND:
    case LD | W | LEN:
    case LD | IMM:
    case LDX | W | LEN:
    case LDX | IMM:
    case LDX | B | MSH:
    case ALU | ADD:
    case ALU | SUB:
    case ALU | MUL:
    case ALU | OR:
    case ALU | AND:
    case ALU | XOR:
    case ALU | NEG:
    case ALU | ADD | X:
    case ALU | SUB | X:
    case ALU | MUL | X:
    case ALU | DIV | X:
    case ALU | MOD | X:
    case ALU | OR | X:
    case ALU | AND | X:
    case ALU | XOR | X:
    case ALU | LSH | X:
    case ALU | RSH | X:
    case MISC | TAX:
    case MISC | TXA:
        return behind > 0;
    case ALU | DIV:
    case ALU | MOD:
        return at->k != 0 && behind > 0;
    case ALU | LSH:
    case ALU | RSH:
        return at->k < 32 && behind > 0;
    case LD | MEM:
    case LDX | MEM:
    case ST:
    case STX:
        return at->k < WORDS && behind > 0;
    case JMP | JA:
    case JMP | JEQ:
    case JMP | JGT:
    case JMP | JGE:
    case JMP | JSET:
    case JMP | JEQ | X:
    case JMP | JGT | X:
    case JMP | JGE | X:
    case JMP | JSET | X:
        return bpf_check_jump(at, behind);
    case RET:
    case RET | A:
        return true;
    default:
        return false;
    }
}

bool bpf_check(const struct piglet_bpf *program, unsigned count, unsigned *wrong)
{
    for (unsigned i = 0; i < count; i++) {
        *wrong = i;
        if (!bpf_check_one(&program[i], count - 1 - i))
            return false;
    }
    return count > 0;
}

/* Big-endian value of 1, 2 or 4 bytes at an offset. False: beyond the packet. */
static inline bool bpf_load(const uint8_t *packet, uint32_t bytes, uint64_t at, unsigned size,
                            uint32_t *value)
{
    unsigned width = size == W ? 4 : size == H ? 2 : 1;
    if (at + width > bytes)
        return false;
    uint32_t sum = 0;
    for (unsigned i = 0; i < width; i++)
        sum = sum << 8 | packet[at + i];
    *value = sum;
    return true;
}

static uint32_t bpf_alu(unsigned operation, uint32_t a, uint32_t b)
{
    switch (operation) {
    case ADD:
        return a + b;
    case SUB:
        return a - b;
    case MUL:
        return a * b;
    case DIV:
        return a / b;
    case MOD:
        return a % b;
    case OR:
        return a | b;
    case AND:
        return a & b;
    case XOR:
        return a ^ b;
    case LSH:
        return b < 32 ? a << b : 0;
    case RSH:
        return b < 32 ? a >> b : 0;
    default: /* NEG */
        return -a;
    }
}

static bool bpf_test(unsigned operation, uint32_t a, uint32_t b)
{
    switch (operation) {
    case JEQ:
        return a == b;
    case JGT:
        return a > b;
    case JGE:
        return a >= b;
    default: /* JSET */
        return (a & b) != 0;
    }
}

struct bpf_machine {
    uint32_t a, x, memory[WORDS];
};

/* LD and LDX. False: beyond the packet. */
static bool bpf_step_load(struct bpf_machine *machine, const struct piglet_bpf *at,
                          const uint8_t *packet, uint32_t bytes)
{
    uint32_t value = at->k;
    switch (at->code & 0xe0) {
    case ABS:
        if (!bpf_load(packet, bytes, at->k, at->code & 0x18, &value))
            return false;
        break;
    case IND:
        if (!bpf_load(packet, bytes, (uint64_t)at->k + machine->x, at->code & 0x18, &value))
            return false;
        break;
    case MSH: /* the length of an IPv4 header from its first byte */
        if (!bpf_load(packet, bytes, at->k, B, &value))
            return false;
        value = (value & 15) * 4;
        break;
    case MEM:
        value = machine->memory[at->k];
        break;
    case LEN:
        value = bytes;
        break;
    default: /* IMM */
        break;
    }
    *((at->code & 7) == LD ? &machine->a : &machine->x) = value;
    return true;
}

uint32_t bpf_run(const struct piglet_bpf *program, const uint8_t *packet, uint32_t bytes)
{
    struct bpf_machine machine = {0};
    for (const struct piglet_bpf *at = program;; at++) {
        uint32_t other = at->code & X ? machine.x : at->k;
        switch (at->code & 7) {
        case LD:
        case LDX:
            if (!bpf_step_load(&machine, at, packet, bytes))
                return 0;
            break;
        case ST:
            machine.memory[at->k] = machine.a;
            break;
        case STX:
            machine.memory[at->k] = machine.x;
            break;
        case ALU:
            if (other == 0 && ((at->code & 0xf0) == DIV || (at->code & 0xf0) == MOD))
                return 0;
            machine.a = bpf_alu(at->code & 0xf0, machine.a, other);
            break;
        case JMP:
            if (at->code == (JMP | JA))
                at += at->k;
            else
                at += bpf_test(at->code & 0xf0, machine.a, other) ? at->jump_true : at->jump_false;
            break;
        case RET:
            return at->code & A ? machine.a : at->k;
        default: /* MISC */
            if (at->code & TXA)
                machine.a = machine.x;
            else
                machine.x = machine.a;
            break;
        }
    }
}
