/* A table's rules in the two forms that the classifier is built from and made of. */
#ifndef FIREWALL_LANES_H
#define FIREWALL_LANES_H

#include "services/firewall/classifier.h"

/* A rule by masks: which bits of a key it fixes, and how. */
struct build_rule {
    uint64_t addresses, addresses_mask;
    uint64_t rest, rest_mask;
    uint16_t forbidden; /* groups */
};

/* The ports that share so many leading bits, as a mask. */
static inline uint64_t lanes_port_mask(unsigned bits)
{
    return (0xffff0000u >> bits) & 0xffff;
}

struct build_rule lanes_masks(const struct piglet_firewall_rule *rule);

/* What the lanes leave out, and whether that is anything. */
struct classifier_more lanes_more(const struct piglet_firewall_rule *rule,
                                  const struct build_rule *masks);
bool lanes_has_more(const struct classifier_more *more);

/* The rule as it is compared; `more`: in part only. */
struct classifier_rule lanes_rule(const struct piglet_firewall_rule *rule,
                                  const struct build_rule *masks, uint32_t index, bool more);

#endif
