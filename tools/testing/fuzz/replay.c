// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the fuzzer's target on inputs that are kept, one of them a line of hexadecimal digits, or on
 * one file as libFuzzer leaves it. Needs no libFuzzer.
 *
 *	replay corpus.hex	replay --raw file
 */
#include <stdio.h>
#include <string.h>

#include "fuzz_one.h"

#define MAX_INPUT	4096u

static u8 input[MAX_INPUT];

static int digit(int c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t parse(const char *line)
{
	size_t n = 0;

	for (; n < MAX_INPUT && digit(line[0]) >= 0 && digit(line[1]) >= 0; line += 2)
		input[n++] = digit(line[0]) << 4 | digit(line[1]);
	return n;
}

static int replay_lines(FILE *file)
{
	static char line[2 * MAX_INPUT + 2];
	unsigned long n = 0;

	while (fgets(line, sizeof(line), file)) {
		if (line[0] == '#')
			continue;
		LLVMFuzzerTestOneInput(input, parse(line));
		n++;
	}
	printf("%lu passed, 0 failed, 0 skipped\n", n);
	return !n;
}

int main(int argc, char **argv)
{
	bool raw = argc == 3 && !strcmp(argv[1], "--raw");
	FILE *file = argc > 1 ? fopen(argv[argc - 1], "rb") : NULL;

	if (!file) {
		fprintf(stderr, "replay [--raw] file\n");
		return 2;
	}
	if (!raw)
		return replay_lines(file);
	LLVMFuzzerTestOneInput(input, fread(input, 1, sizeof(input), file));
	return 0;
}
