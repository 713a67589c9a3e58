/* The 82599 model itself, against the datasheet and published vectors: not by our driver. */
#include "tests/unit/ixgbe_model.h"

#define PEER IP(10, 0, 0, 1)
#define OURS IP(10, 0, 0, 2)

/* ---- RSS: "Verifying the RSS Hash Calculation", Microsoft's Windows driver documentation
 * -------- */

static const uint8_t microsoft_key[40] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static const struct vector {
    uint32_t from;
    uint16_t from_port;
    uint32_t to;
    uint16_t to_port;
    uint32_t addresses, with_ports;
} vector[] = {
    {IP(66, 9, 149, 187), 2794, IP(161, 142, 100, 80), 1766, 0x323e8fc2, 0x51ccc178},
    {IP(199, 92, 111, 2), 14230, IP(65, 69, 140, 83), 4739, 0xd718262a, 0xc626b0ea},
    {IP(24, 19, 198, 95), 12898, IP(12, 22, 207, 184), 38024, 0xd2d0a5de, 0x5c2b394a},
    {IP(38, 27, 205, 30), 48228, IP(209, 142, 163, 6), 2217, 0x82989176, 0xafc7327f},
    {IP(153, 39, 163, 191), 44251, IP(202, 188, 127, 2), 1303, 0x5d1809c5, 0x10e828a2},
};

static void ixgbe_model_01_toeplitz(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(vector); i++) {
        const struct vector *v = &vector[i];
        struct packet packet = packet_tcp_to(v->from, v->from_port, v->to, v->to_port, 2);
        const uint8_t *addresses = (const uint8_t *)packet_ip(&packet) + 12;
        assert_int_equal(ixgbe_toeplitz(microsoft_key, addresses, 8), v->addresses);
        assert_int_equal(ixgbe_toeplitz(microsoft_key, addresses, 12), v->with_ports);
    }
    static const uint8_t v6[32] = {/* 3ffe:2501:200:1fff::7 to 3ffe:2501:200:3::1 */
                                   0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0,    0,    0,
                                   0,    0,    0,    0,    7,    0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00,
                                   0x00, 0x03, 0,    0,    0,    0,    0,    0,    0,    1};
    assert_int_equal(ixgbe_toeplitz(microsoft_key, v6, 32), 0x2cc18cd5);
}

static void ixgbe_model_02_rss_spreads(void **state)
{
    (void)state;
    struct queue rx[4], tx;
    start(&rx[0], &tx);
    for (unsigned i = 1; i < 4; i++) {
        rx[i] = receiver(i);
        enable_queue(&rx[i]);
        fill(&rx[i]);
    }
    for (unsigned i = 0; i < 10; i++)
        put(IXGBE_RSSRK + 4 * i, microsoft_key[4 * i] | microsoft_key[4 * i + 1] << 8 |
                                     microsoft_key[4 * i + 2] << 16 |
                                     (uint32_t)microsoft_key[4 * i + 3] << 24);
    for (unsigned i = 0; i < 32; i++)
        put(IXGBE_RETA + 4 * i, 0x03020100);
    put(IXGBE_RXCTRL, 0);
    put(IXGBE_MRQC, IXGBE_MRQC_RSS | IXGBE_MRQC_HASH_TCP_IPV4 | IXGBE_MRQC_HASH_IPV4);
    set(IXGBE_SECRXCTRL, IXGBE_SECRXCTRL_RX_DIS);
    put(IXGBE_RXCTRL, IXGBE_RXCTRL_RXEN);
    put(IXGBE_SECRXCTRL, 0);
    for (unsigned i = 0; i < COUNT_OF(vector); i++) {
        const struct vector *v = &vector[i];
        struct packet tcp = packet_tcp_to(v->from, v->from_port, v->to, v->to_port, 2);
        struct packet udp = packet_udp_to(v->from, v->from_port, v->to, v->to_port, 20);
        assert_true(inject(&tcp));
        struct queue *queue = &rx[v->with_ports & 3];
        uint64_t first = queue->ring[queue->next % RING].address;
        assert_true(received(queue));
        assert_int_equal(first >> 32, v->with_ports);
        assert_int_equal(first & 15, 1);            /* the hash is of TCP over IPv4 */
        assert_int_equal(first >> 4 & 0xfff, 0x11); /* and so is the packet */
        give_back(queue);
        assert_true(inject(&udp)); /* its ports are not hashed */
        queue = &rx[v->addresses & 3];
        first = queue->ring[queue->next % RING].address;
        assert_true(received(queue));
        assert_int_equal(first >> 32, v->addresses);
        assert_int_equal(first & 15, 2);
        give_back(queue);
    }
    struct packet arp = packet_arp_request(PEER, OURS); /* not hashed: queue 0 */
    assert_true(inject(&arp));
    assert_true(received(&rx[0]));
}

/* ---- reset, registers, EEPROM -------------------------------------------------------------- */

static void ixgbe_model_03_reset(void **state)
{
    (void)state;
    power_on(SFP);
    put(IXGBE_FCTRL, IXGBE_FCTRL_BAM);
    put(IXGBE_CTRL, IXGBE_CTRL_RST);
    assert_true(get(IXGBE_CTRL) & IXGBE_CTRL_RST);
    wait_us(500);
    sim.strict = false;
    get(IXGBE_STATUS);
    expect_violation("8.2.3.1.1", "read of STATUS while CTRL.RST is set");
    put(IXGBE_FCTRL, 0);
    expect_violation("8.2.3.1.1", "write of FCTRL while CTRL.RST is set");
    sim.strict = true;
    wait_us(600);
    assert_int_equal(get(IXGBE_CTRL), 0);
    assert_false(get(IXGBE_EEC) & IXGBE_EEC_AUTO_RD);
    assert_false(get(IXGBE_RDRXCTL) & IXGBE_RDRXCTL_DMAIDONE);
    wait_us(10000);
    assert_true(get(IXGBE_EEC) & IXGBE_EEC_AUTO_RD);
    assert_true(get(IXGBE_RDRXCTL) & IXGBE_RDRXCTL_DMAIDONE);
    assert_int_equal(get(IXGBE_FCTRL), 0);
    assert_int_equal(get(IXGBE_RAL), 0x00000002);
    assert_int_equal(get(IXGBE_RAH), 0x80000100);
    assert_int_equal(get(IXGBE_RAL_82598), 0x00000002);
}

static uint16_t eeprom(unsigned index)
{
    put(IXGBE_EERD, index << IXGBE_EERD_ADDRESS_SHIFT | IXGBE_EERD_START);
    assert_false(get(IXGBE_EERD) & IXGBE_EERD_DONE);
    wait_us(20);
    assert_true(get(IXGBE_EERD) & IXGBE_EERD_DONE);
    return (uint16_t)(get(IXGBE_EERD) >> IXGBE_EERD_DATA_SHIFT);
}

/* 6.4: words 0 to 0x3f, and the sections that words 3 to 0x0e point to. */
static uint16_t eeprom_sum(void)
{
    uint16_t sum = 0;
    for (unsigned i = 0; i < 0x40; i++)
        sum = (uint16_t)(sum + eeprom(i));
    for (unsigned i = 3; i < 0x0f; i++) {
        uint16_t section = eeprom(i);
        if (section == 0 || section == 0xffff)
            continue;
        uint16_t words = eeprom(section);
        for (unsigned j = 1; j <= words; j++)
            sum = (uint16_t)(sum + eeprom(section + j));
    }
    return sum;
}

static void ixgbe_model_04_eeprom(void **state)
{
    (void)state;
    power_on(SFP);
    reset();
    assert_int_equal(eeprom_sum(), 0xbaba);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_EEPROM_CHECKSUM, 1);
    assert_int_not_equal(eeprom_sum(), 0xbaba);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_EEPROM_CHECKSUM, 0);
    assert_int_equal(eeprom_sum(), 0xbaba);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_EEPROM_SILENT, IXGBE_ALWAYS);
    put(IXGBE_EERD, IXGBE_EERD_START);
    wait_us(100000);
    assert_false(get(IXGBE_EERD) & IXGBE_EERD_DONE);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_EEPROM_SILENT, 0);
    sim.strict = false;
    put(IXGBE_EERD, 5000 << IXGBE_EERD_ADDRESS_SHIFT | IXGBE_EERD_START);
    wait_us(20);
    get(IXGBE_EERD);
    expect_violation("8.2.3.2.2", "EERD.ADDR 5000 is outside");
}

static void ixgbe_model_05_register_kinds(void **state)
{
    (void)state;
    power_on(SFP);
    reset();
    put(IXGBE_EIMS, 0x00100003);
    put(IXGBE_EIMC, 0x00000001);
    assert_int_equal(get(IXGBE_EIMS), 0x00100002);
    assert_int_equal(get(IXGBE_EIMS_EX), 2);
    get(IXGBE_EICR);
    put(IXGBE_EICS, 0x00100002);
    assert_int_equal(ixgbe_model_interrupt(&sim.model), 0x00100002);
    put(IXGBE_EICR, 2); /* ones clear */
    assert_int_equal(ixgbe_model_interrupt(&sim.model), 0x00100000);
    assert_int_equal(get(IXGBE_EICR), 0x00100000);
    assert_int_equal(get(IXGBE_EICR), 0); /* reading cleared it */
    assert_false(get(IXGBE_SWSM) & IXGBE_SWSM_SMBI);
    assert_true(get(IXGBE_SWSM) & IXGBE_SWSM_SMBI); /* the read before took it */
    put(IXGBE_SWSM, IXGBE_SWSM_SMBI | IXGBE_SWSM_SWESMBI);
    put(IXGBE_SW_FW_SYNC, IXGBE_SYNC_PHY(0));
    put(IXGBE_SWSM, 0);
    sim.strict = false;
    assert_int_equal(get(0x0ff00), 0);
    expect_violation("8.2.2", "read of 0ff00, which is no register");
    put(0x0ff00, 1);
    expect_violation("8.2.2", "write of 0ff00");
    get(0x20000);
    expect_violation("8.1", "outside");
    get(IXGBE_STATUS + 2);
    expect_violation("8.1", "not aligned");
    put(IXGBE_STATUS, 1);
    expect_violation("8.2.3.1.2", "STATUS, which is read-only");
    put(IXGBE_GPRC, 1);
    expect_violation("8.2.3.23.25", "GPRC, which is read-only");
    get(IXGBE_EIMC);
    expect_violation("8.2.3.5.4", "EIMC, which is write-only");
    put(IXGBE_FCTRL, 1);
    expect_violation("8.2.3.7.1", "changes reserved bits");
    put(IXGBE_SW_FW_SYNC, 0);
    expect_violation("10.5.4", "without SWSM.SWESMBI");
    put(IXGBE_MTQC, 4);
    expect_violation("7.2.1.2.1", "MTQC written");
}

/* ---- link ---------------------------------------------------------------------------------- */

static void ixgbe_model_06_link(void **state)
{
    (void)state;
    power_on(SFP);
    reset();
    assert_int_equal(get(IXGBE_LINKS) & 0xf0000000, 0x70000000);
    assert_true(get(IXGBE_LINKS) & IXGBE_LINKS_WAS_UP);
    get(IXGBE_EICR);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_LINK_FLAP, 1);
    assert_false(get(IXGBE_LINKS) & IXGBE_LINKS_UP);
    assert_int_equal(get(IXGBE_EICR), IXGBE_EICR_LSC);
    wait_us(100000);
    assert_false(get(IXGBE_LINKS) & IXGBE_LINKS_UP);
    wait_us(110000);
    wait_us(10000);
    assert_int_equal(get(IXGBE_LINKS) & (IXGBE_LINKS_UP | IXGBE_LINKS_WAS_UP), IXGBE_LINKS_UP);
    assert_int_equal(get(IXGBE_EICR), IXGBE_EICR_LSC);
    set(IXGBE_ESDP, IXGBE_ESDP_SDP3); /* laser off */
    wait_us(10000);
    assert_false(get(IXGBE_LINKS) & IXGBE_LINKS_UP);
    put(IXGBE_ESDP, get(IXGBE_ESDP) & ~IXGBE_ESDP_SDP3);
    wait_us(10000);
    assert_true(get(IXGBE_LINKS) & IXGBE_LINKS_UP);
    uint32_t autoc = get(IXGBE_AUTOC);
    put(IXGBE_AUTOC, (autoc & ~0xe000u) | IXGBE_AUTOC_RESTART_AN); /* 1 Gb/s: no partner for that */
    wait_us(10000);
    assert_false(get(IXGBE_LINKS) & IXGBE_LINKS_UP);
    put(IXGBE_AUTOC, autoc | IXGBE_AUTOC_RESTART_AN);
    assert_int_equal(get(IXGBE_AUTOC), autoc);
    wait_us(10000);
    assert_true(get(IXGBE_LINKS) & IXGBE_LINKS_UP);
    assert_false(get(IXGBE_ESDP) & IXGBE_ESDP_SDP2);
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_NO_MODULE, IXGBE_ALWAYS);
    assert_true(get(IXGBE_ESDP) & IXGBE_ESDP_SDP2);
    assert_false(get(IXGBE_LINKS) & IXGBE_LINKS_UP);
    power_on(KX4);
    reset();
    assert_int_equal(IXGBE_AUTOC_LMS(get(IXGBE_AUTOC)), IXGBE_LMS_BACKPLANE);
    assert_true(get(IXGBE_LINKS) & IXGBE_LINKS_UP);
}

static void i2c(bool clock, bool data)
{
    put(IXGBE_I2CCTL, (clock ? IXGBE_I2CCTL_CLK_OUT : 0) | (data ? IXGBE_I2CCTL_DATA_OUT : 0));
}

static bool i2c_bit(bool data)
{
    i2c(false, data);
    i2c(true, data);
    bool line = get(IXGBE_I2CCTL) & IXGBE_I2CCTL_DATA_IN;
    i2c(false, data);
    return line;
}

/* Whether it was acknowledged. */
static bool i2c_write(uint8_t byte)
{
    for (unsigned i = 0; i < 8; i++)
        i2c_bit(byte << i & 0x80);
    return !i2c_bit(true);
}

static uint8_t i2c_read(bool more)
{
    unsigned byte = 0;
    for (unsigned i = 0; i < 8; i++)
        byte = byte << 1 | i2c_bit(true);
    i2c_bit(!more);
    return (uint8_t)byte;
}

static void i2c_start(void)
{
    i2c(false, true);
    i2c(true, true);
    i2c(true, false);
    i2c(false, false);
}

static void i2c_stop(void)
{
    i2c(false, false);
    i2c(true, false);
    i2c(true, true);
}

static void ixgbe_model_07_module(void **state)
{
    (void)state;
    power_on(SFP);
    reset();
    get(IXGBE_SWSM);
    set(IXGBE_SWSM, IXGBE_SWSM_SWESMBI);
    put(IXGBE_SW_FW_SYNC, IXGBE_SYNC_PHY(0));
    i2c_start();
    assert_true(i2c_write(0xa0));
    assert_true(i2c_write(0));
    i2c_start();
    assert_true(i2c_write(0xa1));
    assert_int_equal(i2c_read(true), 3);
    assert_int_equal(i2c_read(true), 4);
    assert_int_equal(i2c_read(true), 7);
    assert_int_equal(i2c_read(false), 0x10);
    i2c_stop();
    i2c_start();
    assert_false(i2c_write(0x50)); /* nobody there */
    i2c_stop();
    i2c_start();
    assert_true(i2c_write(0xa0));
    assert_true(i2c_write(20));
    i2c_stop();
    i2c_start();
    assert_true(i2c_write(0xa1));
    assert_int_equal(i2c_read(false), 'P');
    i2c_stop();
    ixgbe_model_fault(&sim.model, IXGBE_FAULT_NO_MODULE, IXGBE_ALWAYS);
    i2c_start();
    assert_false(i2c_write(0xa0));
    i2c_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ixgbe_model_01_toeplitz),
        cmocka_unit_test(ixgbe_model_02_rss_spreads),
        cmocka_unit_test(ixgbe_model_03_reset),
        cmocka_unit_test(ixgbe_model_04_eeprom),
        cmocka_unit_test(ixgbe_model_05_register_kinds),
        cmocka_unit_test(ixgbe_model_06_link),
        cmocka_unit_test(ixgbe_model_07_module),
    };
    return cmocka_run_group_tests_name("ixgbe_model", tests, NULL, NULL);
}
