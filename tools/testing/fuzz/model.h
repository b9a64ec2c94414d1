/* SPDX-License-Identifier: GPL-2.0 */
/* Generated cases in the emulator: results to compare with those of a processor, or of a guest. */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "generate.h"
#include "machine.h"

/* features->mxcsr_mask and ->avx are what the other side has. */
void model_prepare(struct machine *m, bool is_long, const struct native_features *features);
/* Decodes and runs the case to its end; the result is the emulator's. */
int model_run(struct machine *m, const struct test *t);

#endif
