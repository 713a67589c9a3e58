/* pigctl poweroff and reboot. */
#include "tools/pigctl/pigctl.h"

enum { STOP_POWER_OFF = 1, STOP_REBOOT = 2 }; /* System_Stop's */

static int stop(struct session *session, int count, char **words, unsigned what)
{
    if (count)
        return complain_word(session, words[0]);
    int error = piglet_call(session->piglet, PIGLET_OP_SYSTEM_STOP,
                            piglet_capability(piglet_window(session->piglet)->system),
                            piglet_number(what), piglet_none(), piglet_none(), NULL);
    /* It may have gone before its answer was looked at. */
    return error && error != ERR_CANCELLED ? complain_error(session->noun, error) : 0;
}

int stop_poweroff(struct session *session, int count, char **words)
{
    return stop(session, count, words, STOP_POWER_OFF);
}

int stop_reboot(struct session *session, int count, char **words)
{
    return stop(session, count, words, STOP_REBOOT);
}
