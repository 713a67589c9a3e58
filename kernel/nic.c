/* Nics as the kernel sees them: finding, naming, counting, the link. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/chain.h"
#include "kernel/clients.h"
#include "kernel/core.h"
#include "wire/ethernet.h"

enum { PCI_CLASS_NETWORK = 2 };

void nic_log(struct nic *nic, enum log_level level, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_write(&nic->core->log, level, nic->name, "%s", text);
}

uint64_t *nic_counter(struct nic *nic, const char *what, const char *help)
{
    return counter_new(&nic->core->counters, nic->name, what, help);
}

void nic_link(struct nic *nic, bool up, uint32_t speed_mbps)
{
    if (nic->link_up == up && (!up || nic->speed_mbps == speed_mbps))
        return;
    bool changed = nic->link_up != up;
    nic->link_up = up;
    nic->carries = up ? nic->mtu : 0;
    nic->speed_mbps = speed_mbps;
    if (up)
        nic_log(nic, LOG_INFO, "link up %lu Mb/s", (unsigned long)speed_mbps);
    else
        nic_log(nic, LOG_WARNING, "link down");
    if (!changed)
        return;
    ++*nic->count.link_changes;
    chain_notice(nic->core, up ? SERVICE_NIC_UP : SERVICE_NIC_DOWN, nic->index);
}

/* What stands in for the driver of a nic that failed its probe: it has a name and does nothing. */
static unsigned absent_receive(struct nic *nic, struct frame **frames, unsigned max)
{
    (void)nic, (void)frames, (void)max;
    return 0;
}

static unsigned absent_transmit(struct nic *nic, struct frame **frames, unsigned count)
{
    (void)nic, (void)frames, (void)count;
    return 0;
}

static void absent_attend(struct nic *nic)
{
    (void)nic;
}

static void absent_interrupts(struct nic *nic, bool on)
{
    (void)nic, (void)on;
}

static const struct nic_driver absent_driver = {
    .name = "absent",
    .receive = absent_receive,
    .transmit = absent_transmit,
    .attend = absent_attend,
    .interrupts = absent_interrupts,
    .stop = absent_attend,
};

bool nic_present(const struct nic *nic)
{
    return nic->driver && nic->driver != &absent_driver;
}

static int nic_filter_check(const struct nic *nic, const struct nic_filter *filter)
{
    if (!nic->driver || !nic->driver->filter)
        return ERR_UNSUPPORTED;
    if (filter->stations > NIC_STATIONS_MAX)
        return ERR_RANGE;
    for (unsigned i = 0; i < filter->stations; i++)
        if (eth_is_group(filter->station[i]))
            return ERR_INVALID;
    return 0;
}

int nic_filter(struct nic *nic, const struct nic_filter *filter)
{
    int error = nic_filter_check(nic, filter);
    if (error == 0)
        error = nic->driver->filter(nic, filter);
    if (error < 0)
        nic_log(nic, LOG_WARNING, "receive filter with %u stations%s%s not set: %s",
                filter->stations, filter->all_multicast ? ", all multicast" : "",
                filter->promiscuous ? ", promiscuous" : "", piglet_error_text(error));
    return error;
}

static void nic_attend_event(void *argument)
{
    struct nic *nic = argument;
    nic->driver->attend(nic);
}

static void nic_count_start(struct nic *nic)
{
    nic->count.rx_frames = nic_counter(nic, "rx_frames", "frames received");
    nic->count.rx_bytes = nic_counter(nic, "rx_bytes", "bytes received, without FCS");
    nic->count.rx_batches = nic_counter(nic, "rx_batches", "batches they came in");
    nic->count.rx_errors = nic_counter(nic, "rx_errors", "frames the device found damaged");
    nic->count.rx_missed = nic_counter(nic, "rx_missed", "frames the device had no room for");
    nic->count.tx_frames = nic_counter(nic, "tx_frames", "frames given to the device");
    nic->count.tx_bytes = nic_counter(nic, "tx_bytes", "bytes given to the device");
    nic->count.tx_batches = nic_counter(nic, "tx_batches", "batches they went in");
    nic->count.tx_errors = nic_counter(nic, "tx_errors", "frames the device failed to send");
    nic->count.link_changes = nic_counter(nic, "link_changes", "times the link came or went");
}

static void nic_start(struct core *core, const struct nic_driver *driver,
                      const struct arch_device *device)
{
    struct nic *nic = &core->nic[core->nic_count];
    nic->index = (uint8_t)core->nic_count++;
    snprintf(nic->name, sizeof nic->name, "nic%u", nic->index);
    nic->core = core;
    nic->pool = &core->frames;
    nic->device = device;
    nic->mtu = FRAME_LENGTH_MAX - 14;
    nic->driver = driver;
    nic_out_start(nic);
    nic_count_start(nic);
    nic->event = event_new(&core->events, nic->name, nic_attend_event, nic);
    int error = nic->event ? driver->probe(nic, device) : ERR_FULL;
    if (error < 0) {
        log_write(&core->log, LOG_ERROR, nic->name, "%s at %s left out: %s", driver->name,
                  device->name, piglet_error_text(error));
        nic->driver = &absent_driver;
        nic->link_up = false;
        return;
    }
    log_write(&core->log, LOG_INFO, nic->name, "%s %s at %s%s", driver->name,
              mac_text(nic->mac).text, device->name, nic->interrupts_work ? "" : ", no interrupt");
    nic->carries = nic->link_up ? nic->mtu : 0;
    if (nic->link_up)
        log_write(&core->log, LOG_INFO, nic->name, "link up %lu Mb/s",
                  (unsigned long)nic->speed_mbps);
    else
        log_write(&core->log, LOG_WARNING, nic->name, "link down");
}

static const struct nic_driver *nic_driver_for(const struct arch_device *device)
{
    for (const struct nic_driver *const *row = nic_drivers; *row; row++)
        if ((*row)->match(device))
            return *row;
    return NULL;
}

void nics_start(struct core *core)
{
    core->device_count = arch_devices(core->device, sizeof core->device / sizeof core->device[0]);
    for (unsigned i = 0; i < core->device_count; i++) {
        const struct arch_device *device = &core->device[i];
        const struct nic_driver *driver = nic_driver_for(device);
        if (driver && core->nic_count < NICS_MAX)
            nic_start(core, driver, device);
        else if (driver)
            log_write(&core->log, LOG_ERROR, "nic", "%s left out: more than %d nics", device->name,
                      NICS_MAX);
        else if (clients_know(device))
            continue;
        else if (device->bus == ARCH_BUS_HOST)
            log_write(&core->log, LOG_ERROR, "nic", "%s left out: no such kind of nic",
                      device->name);
        else if (device->class_code == PCI_CLASS_NETWORK)
            log_write(&core->log, LOG_WARNING, "nic",
                      "%s left out: no driver for network device %04x:%04x", device->name,
                      device->vendor, device->device);
    }
    if (core->nic_count == 0)
        log_write(&core->log, LOG_WARNING, "nic", "none found: running without a network");
}

void nics_stop(struct core *core)
{
    for (unsigned i = 0; i < core->nic_count; i++)
        core->nic[i].driver->stop(&core->nic[i]);
}
