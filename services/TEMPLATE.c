/* TEMPLATE: a service to copy. This one counts what arrives by protocol and says now and then which
 * was busiest.
 *
 * (This comment is the service's manual page: what it does, then its settings, counters, drops and
 * cost.)
 *
 * Settings  template.every=SECONDS (60)
 * Counters  template.icmp, template.udp, template.tcp
 * Drops     none: it passes everything on
 * Cost      one frame: five instructions. One line in the log every so often */
#include "kernel/service.h"
#include "wire/ipv4.h"

extern const struct service service_template;

/* Limits and defaults are named, with their unit and reason. */
enum {
    TEMPLATE_EVERY_S = 60, /* often enough to be seen, too seldom to be a nuisance */
    TEMPLATE_EVERY_MAX_S = 86400,
};

#define US_PER_SECOND 1000000ull

/* All that changes. Every instance has its own, zeroed; nothing in this file is static and mutable.
 */
struct template
{
    struct service_timer timer; /* one for each thing that is timed */
    uint32_t every_s;           /* a setting: template_settings says so */
    uint64_t *icmp, *udp, *tcp; /* counters: they live in the registry */
};

/* Called when a setting was changed while the service runs. Only for what was derived from the old
 * value, here the time of the next line. */
static void template_changed(struct service_self *self)
{
    struct template *template = self->state;
    service_timer_arm(self, &template->timer, template->every_s * US_PER_SECOND);
}

/* Called once the configuration is there. A negative error would keep the service off. */
static int template_start(struct service_self *self)
{
    struct template *template = self->state;
    template->icmp = service_counter(self, "icmp", "ICMP packets seen");
    template->udp = service_counter(self, "udp", "UDP packets seen");
    template->tcp = service_counter(self, "tcp", "TCP packets seen");
    template_changed(self);
    return 0;
}

/* The other way round: timers cancelled, and every frame that was kept given back (here: none is).
 */
static void template_stop(struct service_self *self)
{
    struct template *template = self->state;
    service_timer_cancel(self, &template->timer);
}

/* Judges one frame. Only frames of receive_kinds come here. */
static inline enum verdict template_judge(struct service_self *self, struct frame *frame)
{
    struct template *template = self->state;
    /* To drop it:    return service_drop_for(frame, DROP_...);
     * to answer it:  change it in place, set length and kind, service_send(self, frame), and
     *                return VERDICT_CONSUMED. */
    if (frame->kind == FRAME_ICMP)
        ++*template->icmp;
    else if (frame->kind == FRAME_UDP)
        ++*template->udp;
    else
        ++*template->tcp;
    return VERDICT_PASS;
}

/* Batches in, verdicts out: template_judge is inlined here, not called. */
static void template_receive(struct service_self *self, struct batch *batch)
{
    service_each(self, batch, template_judge);
}

/* Returns when to be called again. */
static uint64_t template_timeout(struct service_self *self, struct service_timer *timer)
{
    struct template *template = self->state;
    (void)timer; /* the only one */
    const char *busiest = *template->udp > *template->tcp ? "UDP" : "TCP";
    if (*template->icmp > *template->udp && *template->icmp > *template->tcp)
        busiest = "ICMP";
    service_log(self, LOG_INFO, "busiest so far: %s", busiest);
    return template->every_s * US_PER_SECOND;
}

/* "template.every=10" sets, and everybody can read it back: checked and stored before anything here
 * is called. */
static const struct service_setting template_settings[] = {
    SERVICE_NUMBER("every", template, every_s, 1, TEMPLATE_EVERY_MAX_S, TEMPLATE_EVERY_S,
                   "seconds between two lines in the log"),
    {0},
};

const struct service service_template = {
    .name = "template",
    .help = "template.every=1..86400",
    .on_by_default = false,
    .receive_kinds = FRAME_ICMP | FRAME_UDP | FRAME_TCP,
    .state_bytes = sizeof(struct template),
    .settings = template_settings,
    .start = template_start,
    .stop = template_stop,
    .changed = template_changed,
    .receive = template_receive,
    .timeout = template_timeout,
};
