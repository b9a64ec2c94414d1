// SPDX-License-Identifier: GPL-2.0
/* Runs the groups of test cases one after the other. */
#include <stdlib.h>

#include "machine.h"

int main(int argc, char **argv)
{
	unsigned long cases = argc > 1 ? strtoul(argv[1], NULL, 0) : 50000;

	test_decode();
	test_integer();
	test_stack_and_control();
	test_transfers();
	test_tasks();
	test_string();
	test_system();
	test_vector();
	test_faults();
	test_restart();
	test_native(cases);
	test_native32(cases / 5);
	return report();
}
