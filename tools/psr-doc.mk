# The reference of opcodes in docs/PSR.md: `make docs` writes it, a stale one fails `make check` and
# the tests.

PSR_DOC_SOURCES = tools/psr-doc.c client/text.c

$(BUILD)/tools/psr-doc: $(PSR_DOC_SOURCES) client/piglet.h client/requests.h client/internal.h \
		$(sort $(wildcard include/piglet/*.h)) | packages
	@mkdir -p $(@D)
	$(QUIET)$(CC) $(CSTD) -O1 -g $(WARNINGS) $(INCLUDES) -o $@ $(PSR_DOC_SOURCES)

.PHONY: docs check-docs
docs: $(BUILD)/tools/psr-doc
	@$< docs/PSR.md

check-docs: $(BUILD)/tools/psr-doc
	@$< --check docs/PSR.md

check tests: check-docs
