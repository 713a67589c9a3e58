# pigtap: a Piglet's nic as an Ethernet device of Linux.

.PHONY: pigtap
pigtap: $(BUILD)/tools/pigtap

$(BUILD)/tools/pigtap: tools/pigtap/pigtap.c $(BUILD)/client/libpiglet.a $(CLIENT_STAGED)
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CSTD) -O2 -g $(WARNINGS) -I$(BUILD)/client/include -o $@ $< \
		$(BUILD)/client/libpiglet.a -pthread
