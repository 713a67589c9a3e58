/* What the opcodes that read tables write into a client's memory: arrays of these.
 *
 * Numbers are in host order, text is closed by NUL. At most PIGLET_TABLE_ENTRIES are written by one
 * request, and no more than fit the memory; `next` is what to give as `first` for those behind, and
 * fewer entries than fit mean that it was the end. */
#ifndef PIGLET_TABLE_H
#define PIGLET_TABLE_H

#include "piglet/window.h"

enum { PIGLET_TABLE_ENTRIES = 32, PIGLET_PHASES_MAX = 16 };

struct piglet_counter_entry {
    char name[40]; /* "nic0.rx_frames" */
    uint64_t value;
    char help[80];
    uint32_t next, reserved;
};

struct piglet_service_entry {
    char name[24];
    char help[128];  /* its settings */
    uint32_t number; /* for Service_Start and the like: its place in the chains */
    uint32_t running;
    uint64_t frames;          /* it was handed */
    uint64_t passed, dropped; /* of them, or, dropped later, of those it had kept */
    uint64_t time_ns;
    uint32_t next;
    uint32_t load_error_at;   /* byte of the table that Service_Load refused last */
    uint32_t table_since;     /* tables put in force, of any service, up to its own; 0: none yet */
    uint32_t load_error_line; /* in the table's source, of what that byte speaks of; 0: none */
};

/* A setting; with an empty key, whether the service runs: "on" or "off". Values are as
 * Service_Configure takes them. */
struct piglet_setting_entry {
    char service[24];
    char key[24];
    char value[24], initial[24];
    char help[80];
    uint64_t min, max; /* of a number; a switch is "on" or "off" */
    uint32_t kind;     /* 0 number, 1 switch */
    uint32_t next;
};

struct piglet_text_entry {
    char text[152];
    uint32_t next, reserved;
};

struct piglet_log_entry {
    uint64_t number; /* of the line, from 0, since the kernel started */
    uint64_t time_ns;
    char text[164];
    uint32_t level; /* 0 error, 1 warning, 2 info, 3 debug */
    uint32_t next, reserved;
};

struct piglet_nic_entry {
    char name[8];
    char driver[16];
    char device[24];
    uint8_t mac[6];
    uint8_t link_up, present;
    uint32_t speed_mbps, mtu;
    uint64_t rx_frames, rx_bytes, rx_batches, rx_errors, rx_missed;
    uint64_t tx_frames, tx_bytes, tx_batches, tx_errors;
    uint32_t next, reserved;
};

struct piglet_address_entry {
    uint32_t address, gateway; /* gateway 0: none */
    uint32_t length, nic;
    uint16_t state;   /* 0 tentative, 1 active, 2 duplicate */
    uint16_t service; /* whose it is, by number + 1, such as dhcp's; 0: the configuration's */
    uint32_t next;
};

struct piglet_route_entry {
    uint32_t prefix, length, gateway, nic;
    uint32_t type; /* 0 unicast, 1 unreachable, 2 local, 3 broadcast, 4 multicast, 5 martian */
    uint32_t next;
};

struct piglet_client_entry {
    char name[PIGLET_NAME_MAX];
    uint32_t client, pid;
    uint32_t capabilities, framesets;
    uint32_t pages, pages_total;
    uint64_t requests, chains, failed, undone, events, lies;
    uint64_t rx_frames, tx_frames, dropped, refused;
    uint64_t time_ns; /* of the core, spent on its requests and frames */
    uint32_t next, waiting;
};

/* A frame that was dropped; or, while the service recorder runs, one that came or left, for the reason
 * "none". */
struct piglet_record_entry {
    uint64_t number; /* of the record, from 0, since the kernel started */
    uint64_t time_ns;
    char who[16];      /* the nic, phase or service that dropped it */
    char reason[24];   /* as in the counter drop.REASON */
    char sentence[88]; /* what that means */
    uint32_t length;   /* of the frame */
    uint32_t line;     /* in the source of the firewall's or shaper's table: the rule or class that
                          decided; 0: none */
    uint32_t swaps;    /* tables put in force before, of any service: below table_since, it was by
                          another table */
    uint8_t nic;
    uint8_t outgoing; /* 1: it was on its way out by nic; 0: received by it */
    uint8_t kept;     /* how many of its bytes follow */
    uint8_t reserved0;
    uint8_t bytes[96];
    uint32_t next, reserved;
};

/* A register of a nic, as its driver's table and the datasheet call it. */
struct piglet_register_entry {
    char name[24];
    uint32_t value;
    uint32_t offset;       /* in the device's registers */
    uint32_t index, count; /* the element, of an array of so many */
    uint32_t next, reserved;
};

struct piglet_status_entry {
    uint64_t now_ns;
    uint64_t boot;
    char version[16];
    char machine[96];
    uint32_t nics, services, clients, frames, frames_free, phases;
    uint64_t turns, turns_worked, sleeps, drops;
    struct {
        char name[16];
        uint64_t time_ns;
    } phase[PIGLET_PHASES_MAX];
};

PIGLET_ASSERT(sizeof(struct piglet_counter_entry) == 136, "counter entry");
PIGLET_ASSERT(sizeof(struct piglet_service_entry) == 208, "service entry");
PIGLET_ASSERT(sizeof(struct piglet_setting_entry) == 200, "setting entry");
PIGLET_ASSERT(sizeof(struct piglet_text_entry) == 160, "text entry");
PIGLET_ASSERT(sizeof(struct piglet_log_entry) == 192, "log entry");
PIGLET_ASSERT(sizeof(struct piglet_nic_entry) == 144, "nic entry");
PIGLET_ASSERT(sizeof(struct piglet_address_entry) == 24, "address entry");
PIGLET_ASSERT(sizeof(struct piglet_route_entry) == 24, "route entry");
PIGLET_ASSERT(sizeof(struct piglet_record_entry) == 264, "record entry");
PIGLET_ASSERT(sizeof(struct piglet_client_entry) == 152, "client entry");
PIGLET_ASSERT(sizeof(struct piglet_register_entry) == 48, "register entry");

#endif
