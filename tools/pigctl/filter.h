/* Expressions of pcap-filter(7), about whole Ethernet frames. */
#ifndef PIGCTL_FILTER_H
#define PIGCTL_FILTER_H

#include <pcap/pcap.h>

#include "tools/pigctl/pigctl.h"

/* Compiles the words as one expression, to be freed by pcap_freecode; complains itself. */
int filter_compile(const struct session *session, int count, char **words,
                   struct bpf_program *filter);

#endif
