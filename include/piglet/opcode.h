/* The opcodes of posted service requests: one table, from which come the enum, the kernel's checks,
 * the decoder, the fuzzer's dictionary and the reference in docs/PSR.md (`make docs`).
 *
 * Append-only: a number, once given, keeps its meaning; an opcode may gain optional arguments at its
 * end. An opcode a kernel does not know fails with ERR_UNSUPPORTED. */
#ifndef PIGLET_OPCODE_H
#define PIGLET_OPCODE_H

/* What an opcode takes in each of its four arguments, beside what the tag allows anyway: wherever a
 * number or a capability is wanted, a reference to the result of an earlier request of the chain
 * will do. */
enum piglet_want {
    PIGLET_WANT_NONE,     /* nothing: the tag is PIGLET_TAG_NONE */
    PIGLET_WANT_NEW,      /* Cap_Ref_New: the result goes into a new capability */
    PIGLET_WANT_NUMBER,   /* an immediate number */
    PIGLET_WANT_OPTION,   /* a number that may be left out */
    PIGLET_WANT_OFFSET,   /* an offset into the window's data */
    PIGLET_WANT_VALUE,    /* a number, a capability or an offset: not looked at */
    PIGLET_WANT_ANY,      /* a capability of any kind of object */
    PIGLET_WANT_MEMORY,   /* a capability of memory */
    PIGLET_WANT_FRAMESET, /* of a frameset */
    PIGLET_WANT_TIMER,    /* of a timer */
    PIGLET_WANT_SYSTEM,   /* of the system */
};

/* X(ENUM, number, "Name", result, (four arguments), (their names), right, undo, cost, errors, help)
 *
 * right:  what the first capability among the arguments must carry; any behind it must carry USE.
 * undo:   what happens to its effect when an ATOMIC chain fails behind it.
 * cost:   how its work is bounded.
 * errors: its own, "NAME: when; NAME: when"; "any: when" for those of a driver or service. Those of
 *         the checks before it come in addition: ARGUMENT; and where it takes a capability,
 *         CAPABILITY, TYPE (but for ANY) and DENIED (where a right is wanted). */
#define PIGLET_OPCODES(X)                                                                          \
    X(NOP, 0, "Nop", "0", (NONE, NONE, NONE, NONE), ("", "", "", ""), NONE, "nothing to undo",     \
      "constant", "", "Does nothing; for measuring, and to carry an event.")                       \
    X(ECHO, 1, "Echo", "the argument", (VALUE, NONE, NONE, NONE), ("value", "", "", ""), NONE,     \
      "nothing to undo", "constant", "",                                                           \
      "Gives its argument back; a reference gives that result, a number later requests can "       \
      "refer to.")                                                                                 \
    X(BARRIER, 2, "Barrier", "0", (NONE, NONE, NONE, NONE), ("", "", "", ""), NONE,                \
      "nothing to undo", "constant", "",                                                           \
      "What follows in the chain depends on everything before: if an earlier request failed, "     \
      "the barrier and all behind it are cancelled.")                                              \
    X(ALLOC_MEM, 3, "Alloc_Mem", "capability and page", (NEW, NUMBER, NONE, NONE),                 \
      ("capability", "pages", "", ""), NONE, "the memory is freed",                                \
      "a look at each page of the window",                                                         \
      "RANGE: 0 pages, or more than the window has; LIMIT: 64 memories, or 256 capabilities; "     \
      "NO_MEMORY: no free pages in one piece",                                                     \
      "Takes pages of 4,096 bytes, in one piece, from the window's data. They are not zeroed.")    \
    X(FREE_MEM, 4, "Free_Mem", "0", (MEMORY, NONE, NONE, NONE), ("memory", "", "", ""), FREE,      \
      "given back only when the chain has succeeded", "the client's capabilities",                 \
      "BUSY: a frameset uses it", "Gives memory back; every capability of it ends.")               \
    X(CAP_COPY, 5, "Cap_Copy", "capability", (NEW, ANY, NUMBER, NONE),                             \
      ("capability", "original", "rights", ""), COPY, "the copy is dropped",                       \
      "the client's capabilities",                                                                 \
      "RANGE: no such rights; DENIED: rights the original lacks; LIMIT: 256 capabilities, or "     \
      "copies of copies more than 8 deep",                                                         \
      "Another name for the same object, with the rights named and no others.")                    \
    X(CAP_DROP, 6, "Cap_Drop", "0", (ANY, NONE, NONE, NONE), ("capability", "", "", ""), NONE,     \
      "dropped only when the chain has succeeded", "the client's capabilities",                    \
      "BUSY: the last capability of memory that a frameset uses",                                  \
      "Ends a capability. The object goes with its last one; the copies of a capability stay.")    \
    X(CAP_REVOKE, 7, "Cap_Revoke", "how many ended", (ANY, NONE, NONE, NONE),                      \
      ("capability", "", "", ""), NONE, "ended only when the chain has succeeded",                 \
      "the client's capabilities", "",                                                             \
      "Ends every copy made from this capability, and copies of copies; itself it stays.")         \
    X(MAKE_FRAMESET, 8, "Make_Frameset", "capability", (NEW, MEMORY, MEMORY, NONE),                \
      ("capability", "transmit", "receive", ""), USE, "the frameset is unmade", "constant",        \
      "ARGUMENT: the same memory twice; RANGE: less than two pages; BUSY: the memory is in a "     \
      "frameset; LIMIT: 8 framesets, or 256 capabilities",                                         \
      "Joins transmit memory and receive memory into a packet path; each gets a ring "             \
      "(piglet/frame.h), at least two pages. Memory serves one ring only.")                        \
    X(SET_PEER, 9, "Set_Peer", "0", (FRAMESET, NUMBER, OPTION, OPTION),                            \
      ("frameset", "address", "port", "protocol"), BIND, "the former peer is back", "constant",    \
      "RANGE: no such address, port or protocol, a port without UDP, or an address with an "       \
      "EtherType; INVALID: it has joined a nic, has a port and this is not UDP, or is started "    \
      "and would need a port; NOT_FOUND: no such nic; DENIED: EtherType IPv4 or ARP",              \
      "Who is at the other end. protocol 0: whole IPv4 packets to and from the address; 17: "      \
      "UDP datagrams, port being the peer's (0: any, named frame by frame), our own by "           \
      "Bind_Port; another below 256: that IP protocol's payload; 0x600 and above: whole frames "   \
      "of that EtherType by nic `port`. Address 0: anybody.")                                      \
    X(FRAMESET_START, 10, "Frameset_Start", "0", (FRAMESET, NONE, NONE, NONE),                     \
      ("frameset", "", "", ""), USE, "stopped", "constant",                                        \
      "INVALID: nothing says where frames come from and go to, or UDP without Bind_Port; FULL: "   \
      "32 framesets of all clients have a peer and no port",                                       \
      "Frames begin to move, from where the rings stand. It needs a peer, a port or a nic.")       \
    X(FRAMESET_STOP, 11, "Frameset_Stop", "0", (FRAMESET, NONE, NONE, NONE),                       \
      ("frameset", "", "", ""), USE, "started again, where the rings stood", "constant", "",       \
      "Frames stop moving; what lies in the transmit ring stays there.")                           \
    X(BIND_PORT, 12, "Bind_Port", "the port", (FRAMESET, NUMBER, NONE, NONE),                      \
      ("frameset", "port", "", ""), BIND, "unbound", "constant; port 0: 64 ports looked at",       \
      "RANGE: above 65535; INVALID: it has a port, a nic or a peer that is not UDP, or is "        \
      "started; EXISTS: another frameset has the port; FULL: port 0, and no free one among "       \
      "those looked at",                                                                           \
      "Datagrams to this UDP port go to the frameset, and its own leave from it. Port 0: a "       \
      "free one from 49152 on. It stays bound until the frameset ends.")                           \
    X(JOIN, 13, "Join", "0", (SYSTEM, FRAMESET, NUMBER, OPTION),                                   \
      ("system", "frameset", "nic", "mac"), JOIN, "left again",                                    \
      "constant; the nic's filter is set",                                                         \
      "NOT_FOUND: no such nic; INVALID: the frameset has a peer, a port or a nic, or is "          \
      "started, or the address is of a group or zero; RANGE: more than 48 bits; EXISTS: the "      \
      "address is the nic's or another station's; FULL: 8 have joined the nic; UNSUPPORTED: the "  \
      "nic has no filter; any: its driver cannot set it",                                          \
      "With a MAC address: the frameset is a station of its own on the nic's wire: frames to "     \
      "that address and to groups come, and what it sends leaves from it, or goes to Piglet "      \
      "itself. Without: a copy of every frame received and sent, nothing can be sent.")            \
    X(ADDRESS_ADD, 14, "Address_Add", "0", (SYSTEM, NUMBER, NUMBER, OPTION),                       \
      ("system", "address << 8 | length", "nic", "gateway"), CONFIG, "deleted again",              \
      "a few route changes",                                                                       \
      "RANGE: more than 32 bits; NOT_FOUND: no such nic; INVALID: not an address of a host, or "   \
      "a gateway that is not on its link; EXISTS: ours already, or one of its routes is there; "   \
      "FULL: 32 addresses, or no room for its routes",                                             \
      "Gives a nic an IPv4 address, and a default route by the gateway.")                          \
    X(ADDRESS_DELETE, 15, "Address_Delete", "0", (SYSTEM, NUMBER, NONE, NONE),                     \
      ("system", "address", "", ""), CONFIG, "added again", "a few route changes",                 \
      "RANGE: more than 32 bits; NOT_FOUND: not our address",                                      \
      "Takes an address away, with the routes that came with it.")                                 \
    X(ROUTE_ADD, 16, "Route_Add", "0", (SYSTEM, NUMBER, NUMBER, OPTION),                           \
      ("system", "prefix << 8 | length", "gateway", "nic"), CONFIG, "deleted again",               \
      "one route change",                                                                          \
      "RANGE: more than 32 bits, or a gateway that is on no link, or not on the nic's; "           \
      "ARGUMENT: neither gateway nor nic; NOT_FOUND: no such nic; INVALID: a length above 32, "    \
      "or bits behind it; EXISTS: a route for this prefix; FULL: 1,024 routes",                    \
      "A route by a gateway on a link, or, with gateway 0, on the nic's link.")                    \
    X(ROUTE_DELETE, 17, "Route_Delete", "0", (SYSTEM, NUMBER, NONE, NONE),                         \
      ("system", "prefix << 8 | length", "", ""), CONFIG, "added again", "one route change",       \
      "RANGE: more than 32 bits; NOT_FOUND: no such route; DENIED: one of the kernel's own; "      \
      "BUSY: it came with an address",                                                             \
      "Takes a route away that Route_Add or the configuration made.")                              \
    X(SERVICE_START, 18, "Service_Start", "1 when it ran already", (SYSTEM, NUMBER, NONE, NONE),   \
      ("system", "service", "", ""), CONFIG, "stopped again", "the service's start",               \
      "NOT_FOUND: no such service; any: what its start fails with",                                \
      "Starts a service, by its number in Service_List.")                                          \
    X(SERVICE_STOP, 19, "Service_Stop", "1 when it was stopped already",                           \
      (SYSTEM, NUMBER, NONE, NONE), ("system", "service", "", ""), CONFIG,                         \
      "started again; what it had learned is gone", "the service's stop",                          \
      "NOT_FOUND: no such service", "Stops a service; frames it holds are dropped and counted.")   \
    X(SERVICE_CONFIGURE, 20, "Service_Configure", "0", (SYSTEM, NUMBER, OFFSET, NUMBER),           \
      ("system", "service", "text", "bytes"), CONFIG, "the former value is back",                  \
      "the service's settings",                                                                    \
      "NOT_FOUND: no such service, or it has no such key; RANGE: no bytes, more than 96 or not "   \
      "all in the data, or a value out of its bounds; INVALID: no `=`, or not a value",            \
      "Applies \"key=value\", at most 96 bytes, in the window's data.")                            \
    X(SERVICE_LIST, 21, "Service_List", "entries written", (SYSTEM, MEMORY, OPTION, OPTION),       \
      ("system", "memory", "first", "offset"), READ, "nothing to undo", "32 entries",              \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset",                                                                          \
      "Writes struct piglet_service_entry for the services from number `first` on.")               \
    X(SERVICE_SHOW, 22, "Service_Show", "entries written", (SYSTEM, MEMORY, NUMBER, OPTION),       \
      ("system", "memory", "service << 32 | first", "offset"), READ, "nothing to undo",            \
      "32 entries",                                                                                \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset; NOT_FOUND: no such service; UNSUPPORTED: it has nothing to show",         \
      "Writes struct piglet_text_entry with lines about the service's own tables; none while "     \
      "it is stopped.")                                                                            \
    X(COUNTER_READ, 23, "Counter_Read", "entries written", (SYSTEM, MEMORY, OPTION, OPTION),       \
      ("system", "memory", "first", "offset"), READ, "nothing to undo", "32 entries",              \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset",                                                                          \
      "Writes struct piglet_counter_entry for the counters from number `first` on.")               \
    X(LOG_READ, 24, "Log_Read", "entries written", (SYSTEM, MEMORY, OPTION, OPTION),               \
      ("system", "memory", "first", "offset"), READ, "nothing to undo", "32 entries",              \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset",                                                                          \
      "Writes struct piglet_log_entry from line `first` on, or the oldest kept.")                  \
    X(NIC_LIST, 25, "Nic_List", "entries written", (SYSTEM, MEMORY, OPTION, OPTION),               \
      ("system", "memory", "first", "offset"), READ, "nothing to undo", "32 entries",              \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset",                                                                          \
      "Writes struct piglet_nic_entry.")                                                           \
    X(ADDRESS_LIST, 26, "Address_List", "entries written", (SYSTEM, MEMORY, OPTION, OPTION),       \
      ("system", "memory", "first", "offset"), READ, "nothing to undo", "32 entries",              \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset",                                                                          \
      "Writes struct piglet_address_entry.")                                                       \
    X(ROUTE_LIST, 27, "Route_List", "entries written", (SYSTEM, MEMORY, OPTION, OPTION),           \
      ("system", "memory", "first", "offset"), READ, "nothing to undo",                            \
      "32 entries; 1,024 places looked at",                                                        \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset",                                                                          \
      "Writes struct piglet_route_entry.")                                                         \
    X(CLIENT_LIST, 28, "Client_List", "entries written", (SYSTEM, MEMORY, OPTION, OPTION),         \
      ("system", "memory", "first", "offset"), READ, "nothing to undo",                            \
      "32 entries; every client's place looked at",                                                \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset",                                                                          \
      "Writes struct piglet_client_entry for attached clients from number `first` on.")            \
    X(STATUS_READ, 29, "Status_Read", "1", (SYSTEM, MEMORY, OPTION, OPTION),                       \
      ("system", "memory", "first", "offset"), READ, "nothing to undo", "constant",                \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset",                                                                          \
      "Writes struct piglet_status_entry: time, machine, load. There is one; `first` is not "      \
      "looked at.")                                                                                \
    X(TIMER_START, 30, "Timer_Start", "capability", (NEW, NUMBER, OPTION, NONE),                   \
      ("capability", "delay_us", "period_us", ""), NONE, "stopped", "constant",                    \
      "RANGE: more than 30 days, or a period below 100 us; LIMIT: 16 timers, or 256 "              \
      "capabilities; FULL: no room for its event",                                                 \
      "After the delay an event TIMER comes, with the request's cookie; with a period (at "        \
      "least 100 us) again and again. What comes due while there is no room for an event is "      \
      "counted in the next one. One that is through stays until Timer_Stop.")                      \
    X(TIMER_STOP, 31, "Timer_Stop", "0", (TIMER, NONE, NONE, NONE), ("timer", "", "", ""), USE,    \
      "stopped only when the chain has succeeded", "the client's capabilities", "",                \
      "Ends a timer and its capabilities.")                                                        \
    X(SERVICE_LOAD, 32, "Service_Load", "number of the load", (SYSTEM, NUMBER, MEMORY, NUMBER),    \
      ("system", "service", "memory", "text bytes << 32 | bytes"), CONFIG, "nothing to undo",      \
      "copying and checking the table",                                                            \
      "NOT_FOUND: no such service; UNSUPPORTED: it takes no table; RANGE: more bytes than it "     \
      "takes, or than the memory has, or more than 524,288 of text; NO_MEMORY: none for the "      \
      "copies; BUSY: the memory is in a frameset; any: what the service finds wrong, "             \
      "Service_List says at which byte",                                                           \
      "Gives a service a table, such as a firewall's rules: a copy is checked and made ready, "    \
      "beside the one in force. Behind it in the memory may stand the text it was made from, "     \
      "which is kept for Table_Read.")                                                             \
    X(SERVICE_SWAP, 33, "Service_Swap", "0", (SYSTEM, NUMBER, NUMBER, NONE),                       \
      ("system", "service", "load", ""), CONFIG, "the former table is in force again", "constant", \
      "NOT_FOUND: no such service; INVALID: not the last load, or swapped already, or 0 and no "   \
      "former table, or something was loaded since",                                               \
      "Puts the table of that load in force, between two frames; 0: the former one again.")        \
    X(SERVICE_FIND, 34, "Service_Find", "the service's number", (SYSTEM, OFFSET, NUMBER, NONE),    \
      ("system", "name", "bytes", ""), READ, "nothing to undo", "16 names",                        \
      "NOT_FOUND: no such service; RANGE: no bytes, more than 23 or not all in the data",          \
      "Finds a service by its name in the window's data. Numbers are a kernel's own: a chain "     \
      "that refers to this result does the same on every kernel.")                                 \
    X(SETTING_LIST, 35, "Setting_List", "entries written", (SYSTEM, MEMORY, OPTION, OPTION),       \
      ("system", "memory", "first", "offset"), READ, "nothing to undo", "32 entries",              \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset",                                                                          \
      "Writes struct piglet_setting_entry: for each service whether it runs, then its settings.")  \
    X(RECORD_READ, 36, "Record_Read", "entries written", (SYSTEM, MEMORY, OPTION, OPTION),         \
      ("system", "memory", "first", "offset"), READ, "nothing to undo", "32 entries",              \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset",                                                                          \
      "Writes struct piglet_record_entry for dropped frames, and while the service recorder runs " \
      "for all others, from record `first` on, or the oldest kept.")                               \
    X(TABLE_READ, 37, "Table_Read", "bytes written", (SYSTEM, MEMORY, NUMBER, OPTION),             \
      ("system", "memory", "service", "from byte"), READ, "nothing to undo", "copying the text",   \
      "NOT_FOUND: no such service; UNSUPPORTED: it takes no table; BUSY: the memory is in a "      \
      "frameset",                                                                                  \
      "Writes the text that the service's table in force was made from, as far as it fits the "    \
      "memory; none where it was loaded without.")                                                 \
    X(REGISTER_READ, 38, "Register_Read", "entries written", (SYSTEM, MEMORY, NUMBER, OPTION),     \
      ("system", "memory", "nic << 32 | first", "offset"), CONFIG, "nothing to undo",              \
      "32 reads of the device",                                                                    \
      "RANGE: an offset that is no multiple of 8, or no room for one entry; BUSY: the memory "     \
      "is in a frameset; NOT_FOUND: no such nic, or it failed its probe; DEVICE: the device is "   \
      "gone",                                                                                      \
      "Writes struct piglet_register_entry for the registers of a nic whose reading changes "      \
      "nothing, from the `first` of them on; none where its driver lists none.")                   \
    X(SYSTEM_STOP, 39, "System_Stop", "what was asked for before", (SYSTEM, NUMBER, NONE, NONE),   \
      ("system", "stop", "", ""), CONFIG, "asked for what was before", "constant",                 \
      "RANGE: none of these",                                                                      \
      "`stop`: 0 nothing, 1 power off, 2 reboot. The kernel ends with this turn, in order; then "  \
      "the machine is off, or starts again. (A "                                                   \
      "Linux process: it ends, or starts again with its arguments.)")

enum piglet_opcode {
#define PIGLET_OPCODE_ENUM(name, number, ...) PIGLET_OP_##name = (number),
    PIGLET_OPCODES(PIGLET_OPCODE_ENUM)
#undef PIGLET_OPCODE_ENUM
        PIGLET_OP_COUNT
};

/* A row of the table, for whoever decodes or documents. */
struct piglet_opcode_info {
    const char *name, *result;
    unsigned char want[4]; /* enum piglet_want */
    const char *argument[4];
    unsigned char right;
    const char *undo, *cost, *errors, *help;
};

#define PIGLET_OPCODE_FOUR(a, b, c, d)                                                             \
    {                                                                                              \
        a, b, c, d                                                                                 \
    }
#define PIGLET_OPCODE_WANTS(a, b, c, d)                                                            \
    {                                                                                              \
        PIGLET_WANT_##a, PIGLET_WANT_##b, PIGLET_WANT_##c, PIGLET_WANT_##d                         \
    }
#define PIGLET_OPCODE_INFO(name, number, text, result, wants, names, right, undo, cost, errors,    \
                           help)                                                                   \
    {text,                                                                                         \
     result,                                                                                       \
     PIGLET_OPCODE_WANTS wants,                                                                    \
     PIGLET_OPCODE_FOUR names,                                                                     \
     PIGLET_RIGHT_##right,                                                                         \
     undo,                                                                                         \
     cost,                                                                                         \
     errors,                                                                                       \
     help},

#endif
