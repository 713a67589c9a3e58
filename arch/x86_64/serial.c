/* The console: a 16550 serial port, polled, and the screen (screen.c). Source: National Semiconductor
 * PC16550D datasheet, 8.0. */
#include <string.h>

#include "screen.h"
#include "x86.h"

enum {
    UART_DATA = 0,
    UART_INTERRUPT_ENABLE = 1,
    UART_DIVISOR_LOW = 0,
    UART_DIVISOR_HIGH = 1,
    UART_FIFO_CONTROL = 2,
    UART_LINE_CONTROL = 3,
    UART_MODEM_CONTROL = 4,
    UART_LINE_STATUS = 5,
    UART_SCRATCH = 7,
    LINE_8N1 = 0x03,
    LINE_DIVISOR = 0x80,
    FIFO_ON_AND_CLEAR = 0x07,
    MODEM_DTR_RTS = 0x03,
    STATUS_ROOM = 0x20, /* transmitter holding register empty */
    UART_CLOCK = 115200,
    /* A byte at 1,200 baud takes 8 ms; a port read about 1 us. A byte that is not taken by then is
       lost. */
    UART_POLLS_MAX = 10000,
};

static const uint16_t uart_port[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};

static uint16_t console;   /* 0: none */
static bool console_stuck; /* it did not take its last byte */

static bool uart_present(uint16_t port)
{
    out8(port + UART_SCRATCH, 0x5a);
    if (in8(port + UART_SCRATCH) != 0x5a)
        return false;
    out8(port + UART_SCRATCH, 0xa5);
    return in8(port + UART_SCRATCH) == 0xa5;
}

static void uart_start(uint16_t port, unsigned baud)
{
    uint16_t divisor = (uint16_t)(UART_CLOCK / baud);
    out8(port + UART_INTERRUPT_ENABLE, 0);
    out8(port + UART_LINE_CONTROL, LINE_DIVISOR);
    out8(port + UART_DIVISOR_LOW, (uint8_t)divisor);
    out8(port + UART_DIVISOR_HIGH, (uint8_t)(divisor >> 8));
    out8(port + UART_LINE_CONTROL, LINE_8N1);
    out8(port + UART_FIFO_CONTROL, FIFO_ON_AND_CLEAR);
    out8(port + UART_MODEM_CONTROL, MODEM_DTR_RTS);
    console = port;
}

void serial_start(void)
{
    if (uart_present(uart_port[0]))
        uart_start(uart_port[0], UART_CLOCK);
}

static void uart_put(char byte)
{
    /* Waited for once: a port that is stuck must not cost this for each byte. */
    unsigned polls_max = console_stuck ? 1 : UART_POLLS_MAX;
    for (unsigned polls = 0; polls < polls_max; polls++)
        if (in8(console + UART_LINE_STATUS) & STATUS_ROOM) {
            out8(console + UART_DATA, (uint8_t)byte);
            console_stuck = false;
            return;
        }
    console_stuck = true;
}

void arch_console_write(const char *text, size_t bytes)
{
    screen_write(text, bytes);
    for (size_t i = 0; console && i < bytes; i++) {
        if (text[i] == '\n')
            uart_put('\r');
        uart_put(text[i]);
    }
}

/* "115200", "9600n8": 0 when it is not a rate this port can have. */
static unsigned uart_baud(const char *text)
{
    unsigned baud = 0;
    for (; *text >= '0' && *text <= '9' && baud <= UART_CLOCK; text++)
        baud = baud * 10 + (unsigned)(*text - '0');
    bool good = *text == 0 || strcmp(text, "n8") == 0;
    return good && baud && baud <= UART_CLOCK && UART_CLOCK % baud == 0 ? baud : 0;
}

int arch_console_select(const char *value)
{
    if (strcmp(value, "none") == 0) {
        console = 0;
        screen_start(NULL, NULL);
        return 0;
    }
    unsigned baud = UART_CLOCK;
    if (strncmp(value, "ttyS", 4) != 0 || value[4] < '0' || value[4] > '3')
        return ERR_INVALID;
    if (value[5] == ',')
        baud = uart_baud(value + 6);
    else if (value[5])
        baud = 0;
    if (!baud)
        return ERR_INVALID;
    uint16_t port = uart_port[value[4] - '0'];
    if (!uart_present(port))
        return ERR_UNSUPPORTED;
    uart_start(port, baud);
    return 0;
}
