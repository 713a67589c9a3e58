/* The 82599 model's link: SFP+ module by I2C, backplane, MDIO, and what AUTOC and LINKS say. */
#include "tests/model/ixgbe_parts.h"

#include <string.h>

enum { DEVICE_SFP = 0x10fb };

/* ---- up and down -------------------------------------------------------------------------- */

/* Whether mode and board fit each other, 3.7.4. */
static bool link_mode_fits(const struct ixgbe_model *model)
{
    uint32_t mode = IXGBE_AUTOC_LMS(REG(AUTOC)), serial = REG(AUTOC2) & IXGBE_AUTOC2_10G_SERIAL;
    if (model->device == DEVICE_SFP)
        return mode == IXGBE_LMS_10G_SERIAL && serial == IXGBE_AUTOC2_10G_SFI &&
               !model->fault[IXGBE_FAULT_NO_MODULE] && !(REG(ESDP) & IXGBE_ESDP_SDP3);
    return mode == IXGBE_LMS_BACKPLANE || mode == IXGBE_LMS_BACKPLANE_1G_AN ||
           mode == IXGBE_LMS_10G_PARALLEL;
}

static void link_restart(struct ixgbe_model *model, uint64_t from_ns)
{
    uint64_t delay_us = model->device == DEVICE_SFP ? MODEL_LINK_US : MODEL_BACKPLANE_US;
    model->link_ns = from_ns + delay_us * MODEL_US;
    model_link_tick(model);
}

void model_link_tick(struct ixgbe_model *model)
{
    if (model->flap_ns && model->now_ns >= model->flap_ns) {
        model->flap_ns = 0;
        link_restart(model, model->now_ns);
    }
    bool cut = model->fault[IXGBE_FAULT_LINK_DOWN] || model->flap_ns;
    bool forced = REG(AUTOC) & IXGBE_AUTOC_FLU;
    bool up = !cut && !model->reset_ns && !model->fault[IXGBE_FAULT_GONE] &&
              model->now_ns >= model->link_ns && (link_mode_fits(model) || forced);
    if (up == model->link)
        return;
    model->link = up;
    model->link_was_down = model->link_was_down || !up;
    model_interrupt_cause(model, IXGBE_EICR_LSC);
}

/* A module is in the cage whatever becomes of the device. */
void model_module_start(struct ixgbe_model *model)
{
    static const uint8_t vendor[] = "PIGLET          ";
    uint8_t *module = model->module;
    module[0] = 3;    /* SFP, SFF-8472 table 5-1 */
    module[1] = 4;    /* by two-wire interface only */
    module[2] = 7;    /* LC connector */
    module[3] = 0x10; /* 10GBASE-SR */
    memcpy(module + 20, vendor, 16);
    memcpy(module + 37, "\x00\x1b\x21", 3); /* Intel's OUI */
    for (unsigned i = 0; i < 63; i++)
        module[63] = (uint8_t)(module[63] + module[i]);
}

void model_link_reset(struct ixgbe_model *model)
{
    memset(&model->i2c, 0, sizeof model->i2c);
    model->i2c.data = true;
    model->link_was_down = true;
    link_restart(model, model->reset_ns ? model->reset_ns : model->now_ns);
}

/* 8.2.3.22.20: bit 7 tells of the time since the last read. */
uint32_t model_read_links(struct ixgbe_model *model)
{
    bool was_up = model->link && !model->link_was_down;
    model->link_was_down = !model->link;
    if (!model->link)
        return 0;
    return IXGBE_LINKS_UP | 3u << 28 | (was_up ? IXGBE_LINKS_WAS_UP : 0);
}

void model_write_autoc(struct ixgbe_model *model, uint32_t value)
{
    uint32_t old = REG(AUTOC);
    REG(AUTOC) = value & ~IXGBE_AUTOC_RESTART_AN;
    model_forbid(
        model, IXGBE_AUTOC_LMS(value) != IXGBE_AUTOC_LMS(old) && !(value & IXGBE_AUTOC_RESTART_AN),
        "8.2.3.22.19", "AUTOC.LMS written (%08x, was %08x) without Restart_AN", value, old);
    if (value & IXGBE_AUTOC_RESTART_AN)
        link_restart(model, model->now_ns);
}

/* ---- I2C ---------------------------------------------------------------------------------- */

/* The module is a serial memory at address 0xa0 (SFF-8472 4.1). `bits` counts the clocks of a
 * byte, of which the ninth is the acknowledgement. */
enum { I2C_IDLE, I2C_ADDRESS, I2C_POINTER, I2C_WRITE, I2C_READ };
enum { MODULE_ADDRESS = 0xa0 };

uint32_t model_read_i2c(struct ixgbe_model *model)
{
    uint32_t value = REG(I2CCTL) & ~(uint32_t)(IXGBE_I2CCTL_CLK_IN | IXGBE_I2CCTL_DATA_IN);
    bool present = model->device == DEVICE_SFP && !model->fault[IXGBE_FAULT_NO_MODULE];
    bool data = value & IXGBE_I2CCTL_DATA_OUT && (model->i2c.data || !present);
    return value | (value & IXGBE_I2CCTL_CLK_OUT ? IXGBE_I2CCTL_CLK_IN : 0) |
           (data ? IXGBE_I2CCTL_DATA_IN : 0);
}

/* A byte from the master is complete: whether it is acknowledged, and what comes next. */
static bool i2c_took(struct ixgbe_model *model)
{
    struct ixgbe_model_i2c *i2c = &model->i2c;
    switch (i2c->state) {
    case I2C_ADDRESS:
        if ((i2c->byte & 0xfe) != MODULE_ADDRESS) {
            i2c->state = I2C_IDLE;
            return false;
        }
        i2c->state = i2c->byte & 1 ? I2C_READ : I2C_POINTER;
        return true;
    case I2C_POINTER:
        i2c->pointer = i2c->byte;
        i2c->state = I2C_WRITE;
        return true;
    default: /* the module's memory is read-only here */
        i2c->pointer++;
        return true;
    }
}

static void i2c_fall(struct ixgbe_model *model)
{
    struct ixgbe_model_i2c *i2c = &model->i2c;
    bool sending = i2c->state == I2C_READ;
    if (i2c->state == I2C_IDLE)
        return;
    if (i2c->bits == 9)
        i2c->bits = 0;
    if (i2c->bits == 8)
        i2c->data = sending || !i2c_took(model);
    else if (sending)
        i2c->data = model->module[i2c->pointer] << i2c->bits & 0x80;
    else
        i2c->data = true;
}

static void i2c_rise(struct ixgbe_model *model, bool data)
{
    struct ixgbe_model_i2c *i2c = &model->i2c;
    bool acknowledged = i2c->bits++ == 8;
    if (!acknowledged)
        i2c->byte = (uint8_t)(i2c->byte << 1 | data);
    else if (i2c->state == I2C_READ && i2c->data && !data)
        i2c->pointer++; /* the master took a byte and wants another */
    else if (i2c->state == I2C_READ && i2c->data && data)
        i2c->state = I2C_IDLE; /* it wants no more */
}

void model_write_i2c(struct ixgbe_model *model, uint32_t value)
{
    struct ixgbe_model_i2c *i2c = &model->i2c;
    uint32_t old = REG(I2CCTL);
    bool clock = value & IXGBE_I2CCTL_CLK_OUT, data = value & IXGBE_I2CCTL_DATA_OUT;
    bool was_clock = old & IXGBE_I2CCTL_CLK_OUT, was_data = old & IXGBE_I2CCTL_DATA_OUT;
    model_forbid(model, !(REG(SW_FW_SYNC) & IXGBE_SYNC_PHY(0)), "10.5.4",
                 "I2CCTL written (%08x) without SW_FW_SYNC.SW_PHY_SM0", value);
    REG(I2CCTL) = value & (IXGBE_I2CCTL_CLK_OUT | IXGBE_I2CCTL_DATA_OUT);
    if (clock && was_clock && was_data && !data) { /* start */
        *i2c =
            (struct ixgbe_model_i2c){.state = I2C_ADDRESS, .pointer = i2c->pointer, .data = true};
        i2c->bits = 9;
    } else if (clock && was_clock && !was_data && data) { /* stop */
        i2c->state = I2C_IDLE;
        i2c->data = true;
    } else if (!was_clock && clock) {
        i2c_rise(model, data);
    } else if (was_clock && !clock) {
        i2c_fall(model);
    }
}

/* ---- MDIO --------------------------------------------------------------------------------- */

/* No PHY of ours is on the bus: it reads as ones, as pulled up. */
void model_write_mdio(struct ixgbe_model *model, uint32_t value)
{
    model_forbid(model, model->mdio_ns != 0, "8.2.3.22.11",
                 "MSCA written (%08x) while a command is under way", value);
    REG(MSCA) = value;
    if (!(value & 1u << 30))
        return;
    REG(MSRWD) |= 0xffff0000;
    model->mdio_ns = model->now_ns + MODEL_MDIO_US * MODEL_US;
}
