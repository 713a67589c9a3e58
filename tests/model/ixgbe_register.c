/* The 82599 model's registers: reads and writes as the table says, and those with a will of their
 * own. */
#include "tests/model/ixgbe_parts.h"

#include <string.h>

enum model_access {
    ACCESS_RO,
    ACCESS_RW,
    ACCESS_SC,
    ACCESS_RC,
    ACCESS_W1C,
    ACCESS_WO,
    ACCESS_S,
    ACCESS_C
};

static const struct model_register {
    const char *name;
    uint32_t offset, count, stride;
    enum model_access access;
    uint32_t reset, writable;
    const char *section;
} model_register[] = {
#define MODEL_ROW(name, offset, count, stride, access, reset, writable, section, help)             \
    {#name, offset, count, stride, ACCESS_##access, reset, writable, section},
    IXGBE_REGISTERS(MODEL_ROW)
#undef MODEL_ROW
};

enum { MODEL_REGISTERS = sizeof model_register / sizeof model_register[0] };

/* Second places of registers, and where they are. */
static const struct {
    uint32_t offset, bytes, stride, target, target_stride;
} model_alias[] = {
    {IXGBE_RAL_82598, 16 * 8, 8, IXGBE_RAL, 8}, /* RAH is between */
    {IXGBE_PSRTYPE_82598, 16 * 4, 4, IXGBE_PSRTYPE, 4},
    {IXGBE_SRRCTL_82598, 16 * 4, 4, IXGBE_SRRCTL, IXGBE_QUEUE_STRIDE},
    {IXGBE_DCA_RXCTRL_82598, 16 * 4, 4, IXGBE_DCA_RXCTRL, IXGBE_QUEUE_STRIDE},
};

static uint32_t model_place(uint32_t offset)
{
    for (unsigned i = 0; i < sizeof model_alias / sizeof model_alias[0]; i++) {
        uint32_t into = offset - model_alias[i].offset;
        if (into < model_alias[i].bytes)
            return model_alias[i].target +
                   into / model_alias[i].stride * model_alias[i].target_stride +
                   into % model_alias[i].stride;
    }
    return offset;
}

static const struct model_register *model_row(const struct ixgbe_model *model, uint32_t offset)
{
    return &model_register[model->kind[offset / 4] - 1];
}

void model_registers_reset(struct ixgbe_model *model)
{
    memset(model->reg, 0, sizeof model->reg);
    for (unsigned i = 0; i < MODEL_REGISTERS; i++) {
        const struct model_register *row = &model_register[i];
        for (unsigned n = 0; n < row->count; n++) {
            model->reg[(row->offset + n * row->stride) / 4] = row->reset;
            model->kind[(row->offset + n * row->stride) / 4] = (uint16_t)(i + 1);
        }
    }
}

const char *model_register_name(const struct ixgbe_model *model, uint32_t offset, char text[32])
{
    if (!model->kind[offset / 4]) {
        snprintf(text, 32, "%05x", offset);
        return text;
    }
    const struct model_register *row = model_row(model, offset);
    if (row->count == 1)
        snprintf(text, 32, "%s", row->name);
    else
        snprintf(text, 32, "%s[%u]", row->name, (offset - row->offset) / row->stride);
    return text;
}

const char *model_register_section(const struct ixgbe_model *model, uint32_t offset)
{
    return model->kind[offset / 4] ? model_row(model, offset)->section : "8.2.2";
}

/* Whether it is a register that may be touched now. */
static bool model_reachable(struct ixgbe_model *model, uint32_t offset, const char *how)
{
    char name[32];
    if (model_forbid(model, offset >= IXGBE_MODEL_BYTES || offset % 4, "8.1",
                     "%s of %06x, outside the registers or not aligned", how, offset) ||
        model_forbid(model, !model->kind[offset / 4], "8.2.2", "%s of %05x, which is no register",
                     how, offset))
        return false;
    model_forbid(model, model->reset_ns && offset != IXGBE_CTRL, "8.2.3.1.1",
                 "%s of %s while CTRL.RST is set", how, model_register_name(model, offset, name));
    return true;
}

/* ---- reads -------------------------------------------------------------------------------- */

static uint32_t model_read_status(const struct ixgbe_model *model)
{
    bool master =
        !(REG(CTRL) & IXGBE_CTRL_MASTER_DISABLE) || model->fault[IXGBE_FAULT_STUCK_MASTER];
    return (REG(STATUS) & ~(IXGBE_STATUS_MASTER | IXGBE_STATUS_LU)) |
           (master ? IXGBE_STATUS_MASTER : 0) | (model->link ? IXGBE_STATUS_LU : 0);
}

/* 8.2.3.5.1: in the mode with auto-clear (OCD), reading clears only what EIAC names. */
static uint32_t model_read_eicr(struct ixgbe_model *model)
{
    uint32_t value = REG(EICR);
    REG(EICR) &= REG(GPIE) & IXGBE_GPIE_OCD ? ~REG(EIAC) : 0;
    return value;
}

static uint32_t model_read_esdp(const struct ixgbe_model *model)
{
    bool empty = model->fault[IXGBE_FAULT_NO_MODULE] || model->device != 0x10fb;
    return (REG(ESDP) & ~IXGBE_ESDP_SDP2) | (empty ? IXGBE_ESDP_SDP2 : 0);
}

/* Registers whose value is made when they are read. */
static bool model_read_special(struct ixgbe_model *model, uint32_t offset, uint32_t *value)
{
    bool loaded = model->now_ns >= model->loaded_ns;
    switch (offset) {
    case IXGBE_STATUS:
        *value = model_read_status(model);
        return true;
    case IXGBE_EICR:
        *value = model_read_eicr(model);
        return true;
    case IXGBE_ESDP:
        *value = model_read_esdp(model);
        return true;
    case IXGBE_I2CCTL:
        *value = model_read_i2c(model);
        return true;
    case IXGBE_EERD:
        *value = model_read_eerd(model);
        return true;
    case IXGBE_EEC:
        *value = loaded ? REG(EEC) : REG(EEC) & ~IXGBE_EEC_AUTO_RD;
        return true;
    case IXGBE_EEMNGCTL:
        *value = loaded ? REG(EEMNGCTL) : 0;
        return true;
    case IXGBE_SWSM:
        *value = model_read_swsm(model);
        return true;
    case IXGBE_LINKS:
        *value = model_read_links(model);
        return true;
    case IXGBE_SECRXSTAT:
        *value = REG(SECRXCTRL) & IXGBE_SECRXCTRL_RX_DIS ? IXGBE_SECRXSTAT_RDY : 0;
        return true;
    case IXGBE_RDRXCTL:
        loaded = loaded && !model->fault[IXGBE_FAULT_STUCK_DMA];
        *value = loaded ? REG(RDRXCTL) : REG(RDRXCTL) & ~IXGBE_RDRXCTL_DMAIDONE;
        return true;
    default:
        return false;
    }
}

uint32_t ixgbe_model_read(struct ixgbe_model *model, uint32_t offset)
{
    if (!model_reachable(model, offset, "read"))
        return model->fault[IXGBE_FAULT_GONE] ? UINT32_MAX : 0;
    model->reads[offset / 4]++;
    if (model->fault[IXGBE_FAULT_GONE])
        return UINT32_MAX;
    const struct model_register *row = model_row(model, offset);
    model_forbid(model, row->access == ACCESS_WO || row->access == ACCESS_C, row->section,
                 "read of %s, which is write-only", row->name);
    offset = model_place(offset);
    uint32_t value = model->reg[offset / 4];
    if (model_read_special(model, offset, &value))
        return value;
    if (row->access == ACCESS_RC)
        model->reg[offset / 4] = 0;
    model_queue_read(model, offset, &value);
    return row->access == ACCESS_WO || row->access == ACCESS_C ? 0 : value;
}

/* ---- writes ------------------------------------------------------------------------------- */

static bool model_any_queue(const struct ixgbe_model *model)
{
    for (unsigned i = 0; i < IXGBE_MODEL_QUEUES; i++)
        if (model->rx[i].enabled || model->tx[i].enabled)
            return true;
    return false;
}

/* 5.2.5.3.2: no request may be under way when the device is reset. */
static void model_write_control(struct ixgbe_model *model, uint32_t value)
{
    REG(CTRL) = value & IXGBE_CTRL_MASTER_DISABLE;
    if (!(value & (IXGBE_CTRL_RST | IXGBE_CTRL_LRST)))
        return;
    bool master = model_read_status(model) & IXGBE_STATUS_MASTER;
    model_forbid(model, master && model_any_queue(model) && !model->fault[IXGBE_FAULT_STUCK_MASTER],
                 "5.2.5.3.2",
                 "CTRL %08x: reset of a device whose queues are on, without master disable", value);
    model_registers_reset(model);
    model_queues_reset(model);
    REG(CTRL) = IXGBE_CTRL_RST;
    model->reset_ns = model->now_ns + MODEL_RESET_US * MODEL_US;
    model->loaded_ns = model->reset_ns + MODEL_LOAD_US * MODEL_US;
    model_link_reset(model);
}

/* 4.6.7: what must be so when receiving begins. */
static void model_write_receive_enable(struct ixgbe_model *model, uint32_t value)
{
    bool on = value & IXGBE_RXCTRL_RXEN && !(REG(RXCTRL) & IXGBE_RXCTRL_RXEN);
    uint32_t rdrxctl = REG(RDRXCTL), hlreg0 = REG(HLREG0);
    REG(RXCTRL) = value & IXGBE_RXCTRL_RXEN;
    if (!on)
        return;
    model_forbid(model, !(REG(SECRXCTRL) & IXGBE_SECRXCTRL_RX_DIS), "4.6.7",
                 "RXCTRL.RXEN set while the path is not halted by SECRXCTRL.RX_DIS (%08x)",
                 REG(SECRXCTRL));
    model_forbid(model, !(rdrxctl & IXGBE_RDRXCTL_CRC_STRIP) != !(hlreg0 & IXGBE_HLREG0_RXCRCSTRP),
                 "8.2.3.8.8", "RDRXCTL.CRCSTRIP (%08x) and HLREG0.RXCRCSTRP (%08x) differ", rdrxctl,
                 hlreg0);
    model_forbid(model, rdrxctl & IXGBE_RDRXCTL_RSCFRSTSIZE, "8.2.3.8.8",
                 "RDRXCTL.RSCFRSTSIZE (%08x) is not zero", rdrxctl);
    model_forbid(model, !(rdrxctl & IXGBE_RDRXCTL_RSCACKC), "8.2.3.8.8",
                 "RDRXCTL.RSCACKC (%08x) is not set", rdrxctl);
}

/* What the other registers must be like when this one is written. */
static void model_check_order(struct ixgbe_model *model, uint32_t offset, uint32_t value)
{
    bool receiving = REG(RXCTRL) & IXGBE_RXCTRL_RXEN, changed = value != model->reg[offset / 4];
    bool arbiter = !(REG(RTTDCS) & IXGBE_RTTDCS_ARBDIS);
    model_forbid(model, offset == IXGBE_MTQC && changed && arbiter, "7.2.1.2.1",
                 "MTQC written (%08x) while RTTDCS.ARBDIS is clear", value);
    model_forbid(model, offset - IXGBE_RXPBSIZE < 32 && changed && receiving, "8.2.3.8.9",
                 "RXPBSIZE[%u] written (%08x) while RXCTRL.RXEN is set",
                 (offset - IXGBE_RXPBSIZE) / 4, value);
    model_forbid(model, offset == IXGBE_RDRXCTL && changed && receiving, "4.6.7",
                 "RDRXCTL written (%08x) while RXCTRL.RXEN is set", value);
    model_forbid(model, offset == IXGBE_MRQC && (value ^ REG(MRQC)) & 15 && receiving, "8.2.3.7.12",
                 "MRQC.MRQE written (%08x) while RXCTRL.RXEN is set", value);
    model_forbid(model, offset == IXGBE_SW_FW_SYNC && !(REG(SWSM) & IXGBE_SWSM_SWESMBI), "10.5.4",
                 "SW_FW_SYNC written (%08x) without SWSM.SWESMBI", value);
}

/* The first 16 of EIMS and of EIMS_EX[0] are the same bits, 8.2.3.5.8. */
static void model_set_mask(struct ixgbe_model *model, uint32_t offset, uint32_t set, uint32_t clear)
{
    model->reg[offset / 4] = (model->reg[offset / 4] | set) & ~clear;
    uint32_t other = offset == IXGBE_EIMS      ? IXGBE_EIMS_EX
                     : offset == IXGBE_EIMS_EX ? IXGBE_EIMS
                                               : 0;
    if (other)
        model->reg[other / 4] =
            (model->reg[other / 4] & ~IXGBE_EICR_RTXQ) | (model->reg[offset / 4] & IXGBE_EICR_RTXQ);
}

static bool model_write_interrupt(struct ixgbe_model *model, uint32_t offset, uint32_t value)
{
    switch (offset) {
    case IXGBE_EICR:
        REG(EICR) &= ~value;
        return true;
    case IXGBE_EICS:
        model_interrupt_cause(model, value);
        return true;
    case IXGBE_EICS_EX:
        model_interrupt_cause(model, value & IXGBE_EICR_RTXQ);
        return true;
    case IXGBE_EIMS:
    case IXGBE_EIMS_EX:
    case IXGBE_EIMS_EX + 4:
        model_set_mask(model, offset, value, 0);
        return true;
    case IXGBE_EIMC:
        model_set_mask(model, IXGBE_EIMS, 0, value);
        return true;
    case IXGBE_EIMC_EX:
    case IXGBE_EIMC_EX + 4:
        model_set_mask(model, offset - IXGBE_EIMC_EX + IXGBE_EIMS_EX, 0, value);
        return true;
    default:
        return false;
    }
}

/* Registers that do something when they are written. */
static bool model_write_special(struct ixgbe_model *model, uint32_t offset, uint32_t value)
{
    switch (offset) {
    case IXGBE_CTRL:
        model_write_control(model, value);
        return true;
    case IXGBE_RXCTRL:
        model_write_receive_enable(model, value);
        return true;
    case IXGBE_I2CCTL:
        model_write_i2c(model, value);
        return true;
    case IXGBE_EERD:
        model_write_eerd(model, value);
        return true;
    case IXGBE_MSCA:
        model_write_mdio(model, value);
        return true;
    case IXGBE_AUTOC:
        model_write_autoc(model, value);
        return true;
    default:
        return model_write_interrupt(model, offset, value);
    }
}

void ixgbe_model_write(struct ixgbe_model *model, uint32_t offset, uint32_t value)
{
    char name[32];
    if (!model_reachable(model, offset, "write"))
        return;
    model->writes[offset / 4]++;
    if (model->fault[IXGBE_FAULT_GONE])
        return;
    const struct model_register *row = model_row(model, offset);
    if (model_forbid(model, row->access == ACCESS_RO || row->access == ACCESS_RC, row->section,
                     "write (%08x) of %s, which is read-only", value,
                     model_register_name(model, offset, name)))
        return;
    uint32_t old = model->reg[model_place(offset) / 4];
    bool pins = offset == IXGBE_I2CCTL; /* what it reads there is the other side's */
    model_forbid(model, row->access == ACCESS_RW && !pins && (value ^ old) & ~row->writable,
                 row->section, "write (%08x) of %s (%08x) changes reserved bits", value,
                 model_register_name(model, offset, name), old);
    offset = model_place(offset);
    model_check_order(model, offset, value);
    if (model_write_special(model, offset, value))
        return;
    value = (old & ~row->writable) | (value & row->writable);
    if (!model_queue_write(model, offset, value))
        model->reg[offset / 4] = value;
    if (offset == IXGBE_DMATXCTL || offset == IXGBE_RTTDCS || offset == IXGBE_SECRXCTRL)
        ixgbe_model_tick(model, model->now_ns); /* what was held up goes on */
}

/* ---- counts ------------------------------------------------------------------------------- */

static void model_report_each(const struct ixgbe_model *model, FILE *out)
{
    char name[32];
    for (uint32_t i = 0; i < IXGBE_MODEL_BYTES / 4; i++)
        if (model->reads[i] || model->writes[i])
            fprintf(out, "  %-16s %8u reads %8u writes\n", model_register_name(model, i * 4, name),
                    model->reads[i], model->writes[i]);
}

void ixgbe_model_report(const struct ixgbe_model *model, FILE *out)
{
    uint64_t reads = 0, writes = 0, frames = model->received + model->sent;
    for (uint32_t i = 0; i < IXGBE_MODEL_BYTES / 4; i++) {
        reads += model->reads[i];
        writes += model->writes[i];
    }
    fprintf(out, "frames %lu received %lu sent %lu missed %lu filtered\n",
            (unsigned long)model->received, (unsigned long)model->sent,
            (unsigned long)model->missed, (unsigned long)model->filtered);
    fprintf(out, "registers %lu reads %lu writes", (unsigned long)reads, (unsigned long)writes);
    if (frames)
        fprintf(out, ", %.3f a frame", (double)(reads + writes) / (double)frames);
    fprintf(out, "\nviolations %u\n", model->violations);
    model_report_each(model, out);
}
