/* The 82599 model's EEPROM and the semaphores around it. */
#include "tests/model/ixgbe_parts.h"

#include <string.h>

/* Where sections lie in our EEPROM. The words that point to sections, 6.3: the checksum covers
 * what 3 to 0x0e point to, whose first word is the number of words that follow (6.4). */
enum {
    WORD_ANALOG = 0x03,
    WORD_LAN_CORE_0 = 0x09,
    WORD_POINTERS_END = 0x0f,
    SECTION_ANALOG = 0x40,
    SECTION_ANALOG_WORDS = 3,
    SECTION_LAN_CORE = 0x50,
    SECTION_LAN_CORE_WORDS = 8,
    WORD_VALIDITY = 0x00, /* 01b in bits 7:6: an EEPROM is there, 6.3.1.1 */
    VALID = 1 << 6,
};

static uint16_t eeprom_sum(const struct ixgbe_model *model)
{
    uint16_t sum = 0;
    for (unsigned i = 0; i < IXGBE_EEPROM_WORDS - 1; i++)
        sum = (uint16_t)(sum + model->eeprom[i]);
    for (unsigned i = WORD_ANALOG; i < WORD_POINTERS_END; i++) {
        unsigned section = model->eeprom[i];
        if (section == 0 || section >= IXGBE_MODEL_EEPROM_WORDS)
            continue;
        for (unsigned j = 1; j <= model->eeprom[section]; j++)
            sum = (uint16_t)(sum + model->eeprom[(section + j) % IXGBE_MODEL_EEPROM_WORDS]);
    }
    return sum;
}

void ixgbe_model_fix_eeprom(struct ixgbe_model *model)
{
    model->eeprom[IXGBE_EEPROM_WORDS - 1] = (uint16_t)(IXGBE_EEPROM_SUM - eeprom_sum(model));
}

void model_eeprom_start(struct ixgbe_model *model, const uint8_t mac[6])
{
    memset(model->eeprom, 0xff, sizeof model->eeprom);
    model->eeprom[WORD_VALIDITY] = VALID;
    model->eeprom[WORD_ANALOG] = SECTION_ANALOG;
    model->eeprom[SECTION_ANALOG] = SECTION_ANALOG_WORDS;
    model->eeprom[WORD_LAN_CORE_0] = SECTION_LAN_CORE;
    model->eeprom[SECTION_LAN_CORE] = SECTION_LAN_CORE_WORDS;
    for (unsigned i = 0; i < 3; i++)
        model->eeprom[SECTION_LAN_CORE + 1 + i] = (uint16_t)(mac[2 * i] | mac[2 * i + 1] << 8);
    ixgbe_model_fix_eeprom(model);
}

/* 6.3.5: after a reset the device takes from it the MAC address and the link mode of its board. */
void model_eeprom_load(struct ixgbe_model *model)
{
    const uint16_t *mac = &model->eeprom[SECTION_LAN_CORE + 1];
    REG(RAL) = mac[0] | (uint32_t)mac[1] << 16;
    REG(RAH) = mac[2] | IXGBE_RAH_AV;
    bool cage = model->device == 0x10fb;
    uint32_t mode = cage ? IXGBE_LMS_10G_SERIAL : IXGBE_LMS_BACKPLANE;
    REG(AUTOC) = (REG(AUTOC) & ~(7u << IXGBE_AUTOC_LMS_SHIFT)) | mode << IXGBE_AUTOC_LMS_SHIFT;
}

/* 8.2.3.2.2. */
uint32_t model_read_eerd(struct ixgbe_model *model)
{
    uint32_t value = REG(EERD), index = value >> IXGBE_EERD_ADDRESS_SHIFT & 0x3fff;
    if (!(value & IXGBE_EERD_START) || model->now_ns < model->eerd_ns ||
        model->fault[IXGBE_FAULT_EEPROM_SILENT])
        return value & 0xffff;
    if (model_forbid(model, index >= IXGBE_MODEL_EEPROM_WORDS, "8.2.3.2.2",
                     "EERD.ADDR %u is outside the EEPROM", index))
        return IXGBE_EERD_DONE;
    return (value & 0xffff) | IXGBE_EERD_DONE |
           (uint32_t)model->eeprom[index] << IXGBE_EERD_DATA_SHIFT;
}

void model_write_eerd(struct ixgbe_model *model, uint32_t value)
{
    model_forbid(model, REG(EERD) & IXGBE_EERD_START && model->now_ns < model->eerd_ns, "8.2.3.2.2",
                 "EERD written (%08x) while a read is under way", value);
    REG(EERD) = value & 0xfffd;
    model->eerd_ns = model->now_ns + MODEL_EERD_US * MODEL_US;
}

/* 8.2.3.4.9: whoever reads SMBI as zero has set it. */
uint32_t model_read_swsm(struct ixgbe_model *model)
{
    uint32_t value = REG(SWSM);
    REG(SWSM) |= IXGBE_SWSM_SMBI;
    return value;
}
