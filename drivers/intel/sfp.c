/* SFP+ modules, by I2C. */
#include "drivers/intel/sfp.h"

#include "drivers/intel/device.h"

enum {
    SFP_HALF_US = 5,    /* 100 kHz, which every module can */
    SFP_ADDRESS = 0xa0, /* of its EEPROM (SFF-8472 4.1), where these bytes are (5.1, 5.4): */
    SFP_IDENTIFIER = 0,
    SFP_10G = 3,
    SFP_1G = 6,
    SFP_CABLE = 8,
};

/* Lines are let go by writing ones; the read makes sure that the write is out before the wait. */
static void sfp_lines(const struct intel_i2c *i2c, bool clock, bool data)
{
    intel_write(i2c->device, i2c->offset,
                (clock ? i2c->clock_out : 0) | (data ? i2c->data_out : 0));
    intel_read(i2c->device, i2c->offset);
    arch_delay_us(SFP_HALF_US);
}

static void sfp_start(const struct intel_i2c *i2c)
{
    sfp_lines(i2c, false, true);
    sfp_lines(i2c, true, true);
    sfp_lines(i2c, true, false);
    sfp_lines(i2c, false, false);
}

static void sfp_stop(const struct intel_i2c *i2c)
{
    sfp_lines(i2c, false, false);
    sfp_lines(i2c, true, false);
    sfp_lines(i2c, true, true);
}

/* One bit out, which a 1 leaves to the module, and what was on the line meanwhile. */
static bool sfp_bit(const struct intel_i2c *i2c, bool bit)
{
    sfp_lines(i2c, false, bit);
    sfp_lines(i2c, true, bit);
    bool seen = intel_read(i2c->device, i2c->offset) & i2c->data_in;
    sfp_lines(i2c, false, bit);
    return seen;
}

/* False: not acknowledged. */
static bool sfp_send(const struct intel_i2c *i2c, uint8_t byte)
{
    for (unsigned i = 0; i < 8; i++)
        sfp_bit(i2c, byte >> (7 - i) & 1);
    return !sfp_bit(i2c, true);
}

/* -1: no answer. */
static int sfp_byte(const struct intel_i2c *i2c, uint8_t at)
{
    int byte = 0;
    sfp_start(i2c);
    bool answers = sfp_send(i2c, SFP_ADDRESS) && sfp_send(i2c, at); /* sets its pointer */
    if (answers) {
        sfp_start(i2c);
        answers = sfp_send(i2c, SFP_ADDRESS | 1);
        for (unsigned i = 0; i < 8; i++)
            byte = byte << 1 | sfp_bit(i2c, true);
        sfp_bit(i2c, true); /* no more */
    }
    sfp_stop(i2c);
    return answers ? byte : -1;
}

bool intel_sfp_read(const struct intel_i2c *i2c, struct intel_sfp *sfp)
{
    static const struct {
        uint8_t byte, bit;
        const char *name;
    } kind[] = {
        {SFP_CABLE, 0x04, "passive cable"}, {SFP_CABLE, 0x08, "active cable"},
        {SFP_10G, 0x10, "10GBASE-SR"},      {SFP_10G, 0x20, "10GBASE-LR"},
        {SFP_10G, 0x40, "10GBASE-LRM"},     {SFP_10G, 0x80, "10GBASE-ER"},
        {SFP_1G, 0x01, "1000BASE-SX"},      {SFP_1G, 0x02, "1000BASE-LX"},
        {SFP_1G, 0x08, "1000BASE-T"},
    };
    static const uint8_t wanted[] = {SFP_IDENTIFIER, SFP_10G, SFP_1G, SFP_CABLE};
    int byte[SFP_CABLE + 1];
    for (unsigned i = 0; i < sizeof wanted; i++)
        if ((byte[wanted[i]] = sfp_byte(i2c, wanted[i])) < 0)
            return false;
    *sfp = (struct intel_sfp){(uint8_t)byte[SFP_IDENTIFIER], false, false, "of a kind not known"};
    for (unsigned i = sizeof kind / sizeof kind[0]; i-- > 0;)
        if (byte[kind[i].byte] & kind[i].bit) {
            sfp->name = kind[i].name;
            sfp->slow |= kind[i].byte == SFP_1G;
            sfp->fast |= kind[i].byte != SFP_1G;
        }
    return true;
}
