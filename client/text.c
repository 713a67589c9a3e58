/* Requests as text, for people: the decoder. */
#include "internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct piglet_opcode_info infos[] = {PIGLET_OPCODES(PIGLET_OPCODE_INFO)};

const struct piglet_opcode_info *piglet_opcode(unsigned number)
{
    return number < sizeof infos / sizeof infos[0] ? &infos[number] : NULL;
}

int piglet_opcode_number(const char *name)
{
    for (unsigned i = 0; i < sizeof infos / sizeof infos[0]; i++)
        if (strcasecmp(infos[i].name, name) == 0)
            return (int)i;
    return ERR_NOT_FOUND;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct writer {
    char *text;
    size_t room, length; /* length may go beyond room; what does is not written */
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *writer, const char *format,
                                                      ...)
{
    bool fits = writer->length < writer->room;
    va_list list;
    va_start(list, format);
    int length = vsnprintf(fits ? writer->text + writer->length : NULL,
                           fits ? writer->room - writer->length : 0, format, list);
    va_end(list);
    writer->length += length > 0 ? (size_t)length : 0;
}

static void put_address(struct writer *writer, uint64_t address)
{
    put(writer, "%u.%u.%u.%u", (unsigned)(address >> 24 & 255), (unsigned)(address >> 16 & 255),
        (unsigned)(address >> 8 & 255), (unsigned)(address & 255));
}

size_t piglet_address_text(uint32_t address, char *text, size_t room)
{
    struct writer writer = {.text = text, .room = room};
    put_address(&writer, address);
    return writer.length;
}

/* ---- arguments ------------------------------------------------------------------------------- */

/* A number as people write what it means, which its name in the opcode table says. */
static void put_number(struct writer *writer, const char *name, uint64_t number)
{
    if (strcmp(name, "address") == 0 || strcmp(name, "gateway") == 0) {
        put_address(writer, number);
    } else if (strstr(name, "<< 8 | length")) {
        put_address(writer, number >> 8);
        put(writer, "/%u", (unsigned)(number & 255));
    } else if (strcmp(name, "mac") == 0) {
        for (int shift = 40; shift >= 0; shift -= 8)
            put(writer, "%02x%s", (unsigned)(number >> shift & 255), shift ? ":" : "");
    } else if (strcmp(name, "service << 32 | first") == 0) {
        put(writer, "%" PRIu64 " from %" PRIu64, number >> 32, number & UINT32_MAX);
    } else {
        put(writer, "%" PRIu64, number);
    }
}

static void put_capability(struct writer *writer, uint64_t capability)
{
    put(writer, "<Capability %" PRIu64 ">", capability);
}

static void put_argument(struct writer *writer, const char *name, unsigned tag, uint64_t value)
{
    switch (tag) {
    case PIGLET_TAG_NONE:
        put(writer, "-");
        break;
    case PIGLET_TAG_NUMBER:
        put_number(writer, name, value);
        break;
    case PIGLET_TAG_CAPABILITY:
        put_capability(writer, value);
        break;
    case PIGLET_TAG_NEW:
        put(writer, "Cap_Ref_New");
        break;
    case PIGLET_TAG_REFERENCE:
        put(writer, "<Reference %" PRIu64 ">", value);
        break;
    case PIGLET_TAG_OFFSET:
        put(writer, "<Offset %" PRIu64 ">", value);
        break;
    default:
        put(writer, "<Tag %u %" PRIu64 ">", tag, value);
        break;
    }
}

/* ---- what became of it ------------------------------------------------------------------------ */

static void put_result(struct writer *writer, const struct piglet_opcode_info *info,
                       uint64_t result)
{
    const char *kind = info ? info->result : "";
    if (strcmp(kind, "0") == 0)
        return;
    if (strncmp(kind, "capability", strlen("capability")) == 0) {
        put(writer, " ");
        put_capability(writer, piglet_result_capability(result));
        if (strstr(kind, "page"))
            put(writer, " at page %" PRIu64, result >> 32);
        return;
    }
    put(writer, " %" PRIu64, result);
}

static void put_state(struct writer *writer, const struct piglet_opcode_info *info,
                      const struct piglet_request *request)
{
    const struct piglet_status *status = &request->status;
    switch (status->state) {
    case PIGLET_STATE_NONE:
        put(writer, "waiting");
        break;
    case PIGLET_STATE_DONE:
        put(writer, "done");
        put_result(writer, info, request->result);
        break;
    case PIGLET_STATE_FAILED:
        put(writer, "failed: %s", piglet_error_text(status->error));
        break;
    case PIGLET_STATE_CANCELLED:
    case PIGLET_STATE_UNDONE:
        put(writer, status->state == PIGLET_STATE_UNDONE ? "undone" : "cancelled");
        if (status->root)
            put(writer, " because of %u: %s", status->root, piglet_error_text(status->error));
        break;
    default:
        put(writer, "<State %u>", status->state);
        break;
    }
}

size_t piglet_request_text(const struct piglet_request *request, char *text, size_t room)
{
    struct writer writer = {.text = text, .room = room};
    const struct piglet_opcode_info *info = piglet_opcode(request->opcode);
    unsigned arguments = 4;
    if (room)
        text[0] = 0;
    if (info)
        put(&writer, "%s", info->name);
    else
        put(&writer, "<Opcode %u>", request->opcode);
    while (arguments && request->tag[arguments - 1] == PIGLET_TAG_NONE)
        arguments--;
    for (unsigned i = 0; i < arguments; i++) {
        put(&writer, i ? ", " : " ");
        put_argument(&writer, info ? info->argument[i] : "", request->tag[i], request->argument[i]);
    }
    put(&writer, "  ");
    put_state(&writer, info, request);
    return writer.length;
}
