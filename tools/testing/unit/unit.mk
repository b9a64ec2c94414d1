# SPDX-License-Identifier: GPL-2.0
#
# What the unit tests have in common: files of the modules and a test of their own, linked into one
# program with sanitizers and run. A test's Makefile sets
#
#	NAME	its directory here, and the program
#	PARTS	files of the modules, from the top of the repository; their directories are searched
#		for headers
#	ARGS	arguments of the program; FLAGS: more compiler flags
#
# and includes this file.
#
#	make check	build and run; the last line counts the cases
#	make clean	remove what it wrote
#
# SANITIZE= builds without sanitizers.

ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../../..)
HERE := $(ROOT)/tools/testing/unit/$(NAME)
OUT := $(ROOT)/build/unit/$(NAME)

SANITIZE ?= -fsanitize=address,undefined -fno-sanitize-recover=undefined
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wno-missing-field-initializers
DIRS := $(sort $(dir $(addprefix $(ROOT)/,$(PARTS))))
ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARN) $(SANITIZE) $(FLAGS) $(DIRS:%=-I%) \
	-I$(ROOT)/include/uapi -I$(ROOT)/arch/x86/include/uapi

SOURCES := $(addprefix $(ROOT)/,$(PARTS)) $(wildcard $(HERE)/*.c)
HEADERS := $(wildcard $(HERE)/*.h $(DIRS:%=%*.h))
OBJECTS := $(addprefix $(OUT)/,$(notdir $(SOURCES:.c=.o)))

vpath %.c $(DIRS) $(HERE)

check: $(OUT)/$(NAME)
	@$(OUT)/$(NAME) $(ARGS)

$(OUT)/$(NAME): $(OBJECTS)
	@$(CC) $(ALL_CFLAGS) -o $@ $(OBJECTS)

$(OUT)/%.o: %.c $(HEADERS) $(HERE)/Makefile $(HERE)/../unit.mk
	@mkdir -p $(OUT)
	@$(CC) $(ALL_CFLAGS) -c -o $@ $<

clean:
	rm -rf $(OUT)

.PHONY: check clean
