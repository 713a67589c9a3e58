/* The 82599 model as a device of the simulated machine. */
#include "tests/model/ixgbe_sim.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static void *sim_translate(void *argument, uint64_t address, size_t bytes)
{
    (void)argument;
    return sim_dma(address, bytes);
}

static void sim_send(void *argument, const uint8_t *frame, size_t length)
{
    struct ixgbe_sim *sim = argument;
    struct ixgbe_sim_frame *kept = &sim->kept[sim->sent++ % IXGBE_SIM_SENT];
    memcpy(kept->data, frame, length);
    kept->length = (uint16_t)length;
}

static void sim_violation(void *argument, const char *sentence)
{
    const struct ixgbe_sim *sim = argument;
    if (!sim->strict)
        return;
    fprintf(stderr, "82599 model: %s\n", sentence);
    abort();
}

void ixgbe_sim_tick(struct ixgbe_sim *sim)
{
    ixgbe_model_tick(&sim->model, arch_clock_ns());
}

static uint32_t sim_read32(void *model, uint32_t offset)
{
    struct ixgbe_sim *sim = model;
    ixgbe_sim_tick(sim);
    return ixgbe_model_read(&sim->model, offset);
}

static void sim_write32(void *model, uint32_t offset, uint32_t value)
{
    struct ixgbe_sim *sim = model;
    ixgbe_sim_tick(sim);
    ixgbe_model_write(&sim->model, offset, value);
}

static const struct arch_model_ops sim_ops = {sim_read32, sim_write32};

void ixgbe_sim_start(struct ixgbe_sim *sim, uint16_t device, const uint8_t mac[6])
{
    const struct ixgbe_model_host host = {sim, sim_translate, sim_send, sim_violation};
    sim->ops = &sim_ops;
    sim->strict = true;
    sim->sent = sim->sent_taken = 0;
    ixgbe_model_start(&sim->model, device, mac, &host);
    sim->model.bus_master = true;
}

void ixgbe_sim_add(struct ixgbe_sim *sim, unsigned slot)
{
    struct arch_device device = {
        .bus = ARCH_BUS_PCI,
        .vendor = 0x8086,
        .device = sim->model.device,
        .class_code = 2,
        .address = (uint16_t)(slot << 3),
        .region[0] = {.address = 0xfe000000 + slot * IXGBE_MODEL_BYTES, .bytes = IXGBE_MODEL_BYTES},
        .machine = sim,
    };
    snprintf(device.name, sizeof device.name, "pci 00:%02x.0", slot);
    sim_add_device(&device);
}

bool ixgbe_sim_inject(struct ixgbe_sim *sim, const void *data, size_t length)
{
    ixgbe_sim_tick(sim);
    return ixgbe_model_receive(&sim->model, data, length);
}

const struct ixgbe_sim_frame *ixgbe_sim_sent(struct ixgbe_sim *sim)
{
    if (sim->sent_taken == sim->sent)
        return NULL;
    return &sim->kept[sim->sent_taken++ % IXGBE_SIM_SENT];
}
