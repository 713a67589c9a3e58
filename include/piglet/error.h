/* Errors, shared by the kernel, its drivers and its clients: 0 is success, a failure is negative.
 *
 * The list is append-only: a number, once given, keeps its meaning. */
#ifndef PIGLET_ERROR_H
#define PIGLET_ERROR_H

/* name, number, the sentence a person reads */
#define PIGLET_ERRORS(X)                                                                           \
    X(NO_MEMORY, -1, "out of memory")                                                              \
    X(NOT_FOUND, -2, "no such thing")                                                              \
    X(EXISTS, -3, "exists already")                                                                \
    X(INVALID, -4, "malformed")                                                                    \
    X(RANGE, -5, "outside the allowed range")                                                      \
    X(FULL, -6, "the table is full")                                                               \
    X(UNSUPPORTED, -7, "not supported here")                                                       \
    X(TIMEOUT, -8, "the device did not answer in time")                                            \
    X(DEVICE, -9, "the device answered nonsense")                                                  \
    X(BUSY, -10, "in use")                                                                         \
    X(DENIED, -11, "not permitted")                                                                \
    X(CAPABILITY, -12, "no such capability, or one that has ended")                                \
    X(TYPE, -13, "a capability of another kind of object")                                         \
    X(ARGUMENT, -14, "an argument that is missing, or of the wrong kind")                          \
    X(LIMIT, -15, "the client's limit is reached")                                                 \
    X(CANCELLED, -16, "cancelled")

enum piglet_error {
    PIGLET_OK = 0,
#define PIGLET_ERROR_ENUM(name, number, text) ERR_##name = (number),
    PIGLET_ERRORS(PIGLET_ERROR_ENUM)
#undef PIGLET_ERROR_ENUM
};

/* The sentence for an error; never NULL. */
static inline const char *piglet_error_text(int error)
{
    switch (error) {
    case PIGLET_OK:
        return "success";
#define PIGLET_ERROR_CASE(name, number, text)                                                      \
    case (number):                                                                                 \
        return text;
        PIGLET_ERRORS(PIGLET_ERROR_CASE)
#undef PIGLET_ERROR_CASE
    default:
        return "unknown error";
    }
}

#endif
