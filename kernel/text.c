/* Addresses and numbers as text. */
#include <stdio.h>

#include "kernel/service.h"

struct ip_text ip_text(uint32_t ip)
{
    struct ip_text text;
    snprintf(text.text, sizeof text.text, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255,
             ip & 255);
    return text;
}

struct mac_text mac_text(const uint8_t mac[6])
{
    struct mac_text text;
    snprintf(text.text, sizeof text.text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
             mac[3], mac[4], mac[5]);
    return text;
}

int service_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
    uint64_t value = 0;
    if (!*text)
        return ERR_INVALID;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return ERR_INVALID;
        unsigned digit = (unsigned)(*text - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return ERR_RANGE;
        value = value * 10 + digit;
    }
    if (value < min || value > max)
        return ERR_RANGE;
    *number = value;
    return 0;
}
