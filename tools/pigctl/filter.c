/* Expressions of pcap-filter(7). */
#define _GNU_SOURCE /* libpcap wants BSD's names of types */
#include "tools/pigctl/filter.h"

enum {
    EXPRESSION_ROOM = 1024,
    SNAP_LENGTH = 65535,
};

int filter_compile(const struct session *session, int count, char **words,
                   struct bpf_program *filter)
{
    char expression[EXPRESSION_ROOM] = "";
    size_t used = 0;
    for (int i = 0; i < count && used < sizeof expression; i++)
        used += (size_t)snprintf(expression + used, sizeof expression - used, "%s%s", i ? " " : "",
                                 words[i]);
    if (used >= sizeof expression)
        return complain(PIGCTL_USAGE, "%s: the expression is longer than %d bytes", session->noun,
                        EXPRESSION_ROOM - 1);
    pcap_t *ethernet = pcap_open_dead(DLT_EN10MB, SNAP_LENGTH);
    if (!ethernet)
        return complain(PIGCTL_REFUSED, "%s: out of memory", session->noun);
    int code = PIGCTL_DONE;
    if (pcap_compile(ethernet, filter, expression, 1, PCAP_NETMASK_UNKNOWN) != 0)
        code = complain(PIGCTL_USAGE, "%s: \"%s\": %s; see pcap-filter(7)", session->noun,
                        expression, pcap_geterr(ethernet));
    pcap_close(ethernet);
    return code;
}
