/* The 82599 model as a whole: power-on, time, faults, violations, and the way to memory. */
#include "tests/model/ixgbe_parts.h"

#include <stdarg.h>
#include <string.h>

const char *const ixgbe_fault_word[IXGBE_FAULT_COUNT] = {
#define FAULT_WORD(name, word, help) word,
    IXGBE_FAULTS(FAULT_WORD)
#undef FAULT_WORD
};

const char *const ixgbe_fault_help[IXGBE_FAULT_COUNT] = {
#define FAULT_HELP(name, word, help) help,
    IXGBE_FAULTS(FAULT_HELP)
#undef FAULT_HELP
};

int ixgbe_fault_find(const char *word)
{
    for (int i = 0; i < IXGBE_FAULT_COUNT; i++)
        if (strcmp(ixgbe_fault_word[i], word) == 0)
            return i;
    return -1;
}

bool model_fault(struct ixgbe_model *model, enum ixgbe_fault fault)
{
    uint32_t *times = &model->fault[fault];
    if (*times == 0)
        return false;
    if (*times != IXGBE_ALWAYS)
        --*times;
    return true;
}

void ixgbe_model_fault(struct ixgbe_model *model, enum ixgbe_fault fault, uint32_t times)
{
    model->fault[fault] = times;
    if (fault == IXGBE_FAULT_LINK_FLAP && model_fault(model, fault))
        model->flap_ns = model->now_ns + MODEL_FLAP_US * MODEL_US;
    if (fault == IXGBE_FAULT_EEPROM_CHECKSUM) {
        ixgbe_model_fix_eeprom(model);
        model->eeprom[IXGBE_EEPROM_WORDS - 1] ^= times ? 0x5a5a : 0;
    }
    ixgbe_model_tick(model, model->now_ns);
}

bool model_forbid(struct ixgbe_model *model, bool broken, const char *section, const char *format,
                  ...)
{
    if (!broken)
        return false;
    char *sentence = model->last_violation;
    int used = snprintf(sentence, IXGBE_MODEL_SENTENCE, "%s: ", section);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence + used, (size_t)(IXGBE_MODEL_SENTENCE - used), format, arguments);
    va_end(arguments);
    if (model->violations++ == 0)
        memcpy(model->first_violation, sentence, IXGBE_MODEL_SENTENCE);
    if (model->host.violation)
        model->host.violation(model->host.argument, sentence);
    return true;
}

void *model_dma(struct ixgbe_model *model, uint64_t address, size_t bytes, const char *what,
                unsigned index)
{
    if (model_forbid(model, !model->bus_master, "9.3.3", "DMA of %s %u without bus mastering", what,
                     index))
        return NULL;
    void *memory = model->host.translate(model->host.argument, address, bytes);
    model_forbid(model, !memory, "5.2", "DMA of %s %u at %llx, %lu bytes: no memory there", what,
                 index, (unsigned long long)address, (unsigned long)bytes);
    return memory;
}

void model_interrupt_cause(struct ixgbe_model *model, uint32_t causes)
{
    REG(EICR) |= causes & 0x7fffffff;
}

uint32_t ixgbe_model_interrupt(const struct ixgbe_model *model)
{
    return REG(EICR) & REG(EIMS);
}

void ixgbe_model_pci_reset(struct ixgbe_model *model)
{
    model_registers_reset(model);
    model_queues_reset(model);
    model->bus_master = false;
    model->reset_ns = 0;
    model->loaded_ns = model->now_ns;
    model_eeprom_load(model);
    model_link_reset(model);
}

void ixgbe_model_start(struct ixgbe_model *model, uint16_t device, const uint8_t mac[6],
                       const struct ixgbe_model_host *host)
{
    memset(model, 0, sizeof *model);
    model->host = *host;
    model->device = device;
    for (unsigned i = 0; i < IXGBE_MODEL_QUEUES; i++) {
        model->rx[i].receive = true;
        model->rx[i].index = model->tx[i].index = (uint8_t)i;
    }
    model_eeprom_start(model, mac);
    model_module_start(model);
    ixgbe_model_pci_reset(model);
}

void ixgbe_model_tick(struct ixgbe_model *model, uint64_t now_ns)
{
    model->now_ns = now_ns;
    if (model->reset_ns && now_ns >= model->reset_ns && !model->fault[IXGBE_FAULT_STUCK_RESET]) {
        model->reset_ns = 0;
        REG(CTRL) &= ~IXGBE_CTRL_RST;
        model_eeprom_load(model);
    }
    if (model->mdio_ns && now_ns >= model->mdio_ns) {
        model->mdio_ns = 0;
        REG(MSCA) &= 0x3fffffff;
    }
    model_link_tick(model);
    model_queues_tick(model);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return b && b < a ? b : a;
}

uint64_t ixgbe_model_next_ns(const struct ixgbe_model *model)
{
    uint64_t next = earlier(UINT64_MAX, model->reset_ns);
    next = earlier(next, model->mdio_ns);
    next = earlier(next, model->flap_ns);
    if (!model->link)
        next = earlier(next, model->link_ns);
    for (unsigned i = 0; i < IXGBE_MODEL_QUEUES; i++) {
        next = earlier(next, model->rx[i].enable_ns);
        next = earlier(next, model->tx[i].enable_ns);
    }
    for (unsigned i = 0; i < model->late.count; i++)
        next = earlier(next, model->late.entry[i].due_ns);
    return next <= model->now_ns ? model->now_ns + 1 : next;
}
