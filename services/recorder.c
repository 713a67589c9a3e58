/* recorder: while it runs, the flight recorder keeps what passes, too.
 *
 * Drops are recorded always. With this service each frame that the classifier found good is recorded
 * as received, and each that goes to a nic as sent, with the line of the firewall's rule where one was
 * asked about it: `pigctl why --all` then says where a frame went. All share the 2,048 records, so that
 * they reach back less far.
 *
 * No settings, counters or drops of its own.
 * Cost      stopped: a branch a batch. Running: 65 instructions for a frame received, and for one sent */
#include "kernel/service.h"

extern const struct service service_recorder;

static int recorder_start_all(struct service_self *self)
{
    service_record_all(self, true);
    return 0;
}

static void recorder_stop_all(struct service_self *self)
{
    service_record_all(self, false);
}

const struct service service_recorder = {
    .name = "recorder",
    .help = "records what passes, too, for pigctl why --all: no settings",
    .start = recorder_start_all,
    .stop = recorder_stop_all,
};
