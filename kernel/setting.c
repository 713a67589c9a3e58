/* Settings: a service's configuration, as fields of its state that its table names. */
#include <stdio.h>

#include "kernel/chain.h"

static const struct service_setting *setting_find(const struct service *service, const char *key)
{
    for (const struct service_setting *row = service->settings; row && row->name; row++)
        if (strcmp(row->name, key) == 0)
            return row;
    return NULL;
}

static uint64_t setting_read(const struct service_self *self, const struct service_setting *setting)
{
    const void *field = (const uint8_t *)self->state + setting->offset;
    switch (setting->bytes) {
    case sizeof(uint8_t):
        return *(const uint8_t *)field;
    case sizeof(uint16_t):
        return *(const uint16_t *)field;
    case sizeof(uint32_t):
        return *(const uint32_t *)field;
    default:
        return *(const uint64_t *)field;
    }
}

static void setting_write(struct service_self *self, const struct service_setting *setting,
                          uint64_t value)
{
    void *field = (uint8_t *)self->state + setting->offset;
    switch (setting->bytes) {
    case sizeof(uint8_t): /* a bool is a byte, 0 or 1 */
        *(uint8_t *)field = (uint8_t)value;
        break;
    case sizeof(uint16_t):
        *(uint16_t *)field = (uint16_t)value;
        break;
    case sizeof(uint32_t):
        *(uint32_t *)field = (uint32_t)value;
        break;
    default:
        *(uint64_t *)field = value;
        break;
    }
}
_Static_assert(sizeof(bool) == sizeof(uint8_t), "a switch is written as a byte");

static int setting_parse(const struct service_setting *setting, const char *text, uint64_t *value)
{
    if (setting->kind == SETTING_NUMBER)
        return service_number(text, setting->min, setting->max, value);
    *value = strcmp(text, "on") == 0;
    return *value || strcmp(text, "off") == 0 ? 0 : ERR_INVALID;
}

void chain_setting_defaults(struct service_self *self)
{
    for (const struct service_setting *row = self->service->settings; row && row->name; row++)
        setting_write(self, row, row->initial);
}

int chain_setting_set(struct service_self *self, const char *key, const char *text)
{
    const struct service_setting *setting = setting_find(self->service, key);
    uint64_t value;
    int error = setting ? setting_parse(setting, text, &value) : ERR_NOT_FOUND;
    if (error < 0 || value == setting_read(self, setting))
        return error;
    setting_write(self, setting, value);
    if (self->running && self->service->changed)
        self->service->changed(self);
    return 0;
}

int chain_setting_text(const struct service_setting *setting, uint64_t value, char *text,
                       size_t room)
{
    int length = setting->kind == SETTING_SWITCH
                     ? snprintf(text, room, "%s", value ? "on" : "off")
                     : snprintf(text, room, "%llu", (unsigned long long)value);
    if ((size_t)length < room)
        return 0;
    if (room)
        *text = 0;
    return ERR_RANGE;
}

int chain_setting_get(const struct service_self *self, const char *key, char *text, size_t room)
{
    const struct service_setting *setting = setting_find(self->service, key);
    if (!setting)
        return ERR_NOT_FOUND;
    return chain_setting_text(setting, setting_read(self, setting), text, room);
}
