// SPDX-License-Identifier: GPL-2.0
/* Runs the groups of test cases one after the other. */
#include "machine.h"

int main(void)
{
	test_decode();
	test_integer();
	test_stack_and_control();
	test_transfers();
	test_tasks();
	test_string();
	test_system();
	test_vector();
	test_x87_and_avx();
	test_faults();
	test_restart();
	test_vendors();
	test_coverage();
	return report();
}
