# SPDX-License-Identifier: BSD-2-Clause
# Services that live in a folder of their own, outside this tree: `make service DIR=FOLDER`. The Makefile includes this file for
# that target alone. docs/services.md is the guide.
#
#   FOLDER/*.proto, below too   -> FOLDER/build/schemas.binpb, FOLDER/build/gen/*.pb-c.[ch] and *.weft.[ch]
#   FOLDER/NAME.c, NAME/*.c     -> FOLDER/build/images/NAME.elf, FOLDER/build/services/NAME
#   FOLDER/common/*.c           -> part of each
#
# Nothing of the folder but its build/ is written.
OWN := $(patsubst %/,%,$(DIR))
ifneq ($(words $(OWN)),1)
$(error make service needs DIR=FOLDER, one path without blanks; docs/services.md has an example)
endif
ifeq ($(wildcard $(OWN)/.),)
$(error DIR=$(OWN): there is no such folder)
endif
OWN_NAMES := $(basename $(notdir $(wildcard $(OWN)/*.c)))
OWN_PROTO := $(sort $(shell cd $(OWN) && find . -name build -prune -o -type f -name '*.proto' -printf '%P\n'))
ifeq ($(OWN_NAMES),)
$(error DIR=$(OWN): no service there; a service NAME is a file NAME.c that defines service_start())
endif
ifeq ($(OWN_PROTO),)
$(error DIR=$(OWN): no .proto file there or below)
endif

OWN_BUILD := $(OWN)/build
OWN_GEN := $(OWN_BUILD)/gen
# protobuf's own messages that are imported (Timestamp and so on): protobuf-c has no library of them.
OWN_GOOGLE := $(sort $(shell sed -nE 's,^ *import [a-z ]*"(google/protobuf/[a-z_]+\.proto)".*,\1,p' \
	$(addprefix $(OWN)/,$(OWN_PROTO))))
OWN_PB_C := $(patsubst %.proto,$(OWN_GEN)/%.pb-c.c,$(OWN_PROTO) $(OWN_GOOGLE))
OWN_WEFT_C := $(patsubst %.proto,$(OWN_GEN)/%.weft.c,$(OWN_PROTO))
OWN_SET := $(OWN_BUILD)/schemas.binpb
# Those of GEN_H that are of options alone are enough as they are: buf/validate/validate.pb-c.h, weft/options.pb-c.h.
OWN_GEN_H := $(patsubst %.c,%.h,$(OWN_PB_C) $(OWN_WEFT_C)) $(GEN_H)
OWN_CPPFLAGS = -I$(OWN) -I$(OWN_GEN) $(CPPFLAGS) $(LIB_CFLAGS)
# Warnings about somebody else's code are no errors; OWN_WARN takes other habits.
OWN_WARN ?= -Wall -Wextra

# What a fabric would not take, rules that contradict themselves and so on, ends the build here.
$(OWN_SET): $(addprefix $(OWN)/,$(OWN_PROTO)) $(BUILD)/config.mk $(WEFT)
	@mkdir -p $(@D)
	$(call say,SCHEMA,$@)
	$(Q)$(WEFT) schema build -Ischemas $(OWN) -o $@ >/dev/null
$(OWN_GEN)/%.pb-c.c $(OWN_GEN)/%.pb-c.h: $(OWN)/%.proto $(BUILD)/config.mk
	@mkdir -p $(OWN_GEN)
	$(call say,PROTOC,$<)
	$(Q)protoc --c_out=$(OWN_GEN) -I$(OWN) -Ischemas $<
$(OWN_GEN)/%.weft.c $(OWN_GEN)/%.weft.h: $(OWN)/%.proto $(PLUGIN)
	@mkdir -p $(OWN_GEN)
	$(call say,PROTOC,$< (services))
	$(Q)$(call generate_weft,$(OWN_GEN)) -I$(OWN) -Ischemas $<
$(OWN_GEN)/google/%.pb-c.c $(OWN_GEN)/google/%.pb-c.h: /usr/include/google/%.proto
	@mkdir -p $(OWN_GEN)
	$(call say,PROTOC,$<)
	$(Q)protoc --c_out=$(OWN_GEN) -I/usr/include $<
$(OWN_BUILD)/uk/%.o: $(OWN)/%.c $(BUILD)/config.mk $(FLAGS) | $(OWN_GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$< (unikernel))
	$(call compile,$(CC) $(OWN_CPPFLAGS) $(filter-out $(WARN),$(UK_CFLAGS)) $(OWN_WARN))
$(OWN_BUILD)/uk/gen/%.o: $(OWN_GEN)/%.c $(BUILD)/config.mk $(FLAGS) | $(OWN_GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$< (unikernel))
	$(call compile,$(CC) $(OWN_CPPFLAGS) $(filter-out $(WARN),$(UK_CFLAGS)))
$(OWN_BUILD)/obj/%.o: $(OWN)/%.c $(BUILD)/config.mk $(FLAGS) | $(OWN_GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(call compile,$(CC) $(OWN_CPPFLAGS) $(filter-out $(WARN),$(CFLAGS)) $(OWN_WARN))
$(OWN_BUILD)/obj/gen/%.o: $(OWN_GEN)/%.c $(BUILD)/config.mk $(FLAGS) | $(OWN_GEN_H)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(call compile,$(CC) $(OWN_CPPFLAGS) $(filter-out $(WARN),$(CFLAGS)))

# $(1) is uk or obj, $(2) a service: its objects, those of the folder's common part and of the messages.
own_objs = $(patsubst $(OWN)/%.c,$(OWN_BUILD)/$(1)/%.o,$(OWN)/$(2).c $(wildcard $(OWN)/$(2)/*.c $(OWN)/common/*.c)) \
	$(patsubst $(OWN_GEN)/%.c,$(OWN_BUILD)/$(1)/gen/%.o,$(OWN_PB_C) $(OWN_WEFT_C))
define own_service
$(OWN_BUILD)/images/$(1).elf: $(call own_objs,uk,$(1)) $(call uk_obj,unikernel/main.c $(UK_KERNEL_SRCS) $(UK_GUEST_SRCS)) \
	unikernel/image.ld
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(UK_LINK)
$(OWN_BUILD)/services/$(1): $(call own_objs,obj,$(1)) $(call obj,unikernel/process_main.c unikernel/format.c) $$(GUEST_LIB)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) $$(filter %.o %.a,$$^) $$(GUEST_LIBS) -o $$@.part && $$(put)
endef
$(foreach s,$(OWN_NAMES),$(eval $(call own_service,$(s))))

service: $(OWN_SET) $(foreach s,$(OWN_NAMES),$(OWN_BUILD)/images/$(s).elf $(OWN_BUILD)/services/$(s)) $(WEFTD) $(WEFT)
-include $(shell find $(OWN_BUILD) -name '*.d' 2>/dev/null)
