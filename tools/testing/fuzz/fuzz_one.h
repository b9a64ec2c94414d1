/* SPDX-License-Identifier: GPL-2.0 */
/* The fuzzer's entry point, by the name that libFuzzer calls. */
#ifndef FUZZ_FUZZ_ONE_H
#define FUZZ_FUZZ_ONE_H

#include "types.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#endif
