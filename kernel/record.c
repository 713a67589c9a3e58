/* The flight recorder. */
#include "kernel/record.h"

#include <string.h>

enum { RECORDER_SHARE = 16 }; /* of the memory left: at most this part */

void recorder_start(struct recorder *recorder)
{
    size_t bytes = RECORDS * sizeof(struct record);
    if (arch_memory_left() / RECORDER_SHARE >= bytes)
        recorder->record = arch_memory_take(bytes, FRAME_METADATA);
}

void recorder_note(struct recorder *recorder, const struct frame *frame, unsigned reason,
                   const char *who, uint64_t now_ns)
{
    if (!recorder->record)
        return;
    struct record *record = &recorder->record[recorder->written++ % RECORDS];
    unsigned kept = frame->length < RECORD_BYTES ? frame->length : RECORD_BYTES;
    record->time_ns = now_ns;
    record->who = who;
    record->length = frame->length;
    /* Only those with tables write it: otherwise it is of some frame before. */
    bool judged = (reason >= DROP_SHAPER_LIMIT && reason <= DROP_FIREWALL_STATE_FULL) ||
                  (reason == DROP_NONE && frame->flags & FRAME_FORWARDED);
    record->line = judged ? frame->line : 0;
    record->swaps = recorder->swaps;
    record->nic = frame->nic;
    record->reason = (uint8_t)reason;
    record->outgoing = (frame->kind & FRAME_OUTGOING) != 0;
    record->kept = (uint8_t)kept;
    memcpy(record->bytes, frame->data, kept);
}

void recorder_note_all(struct recorder *recorder, const struct batch *batch, const char *who,
                       uint64_t now_ns)
{
    for (unsigned i = 0; i < batch->count; i++) {
        struct frame *frame = batch->frame[i];
        if (!(frame->kind & FRAME_OUTGOING))
            frame->line = 0; /* of no rule yet */
        recorder_note(recorder, frame, DROP_NONE, who, now_ns);
    }
}

const struct record *recorder_find(const struct recorder *recorder, uint64_t number)
{
    if (!recorder->record || number >= recorder->written || recorder->written - number > RECORDS)
        return NULL;
    return &recorder->record[number % RECORDS];
}
