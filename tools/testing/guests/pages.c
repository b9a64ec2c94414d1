// SPDX-License-Identifier: GPL-2.0
/*
 * pages MIB ROUNDS: one process for each processor fills its share of the memory and reads it again, in user
 * mode, where the guest's kernel can let others run while the host fetches a page. Contents depend on the
 * process, the page and the round. Succeeds if every word was right in every round.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	4096u
#define WORDS	(PAGE / sizeof(uint64_t))

static uint64_t first_word(unsigned int process, size_t page, unsigned int round)
{
	return (page + 1) * 0x9e3779b97f4a7c15ull ^ ((uint64_t)process << 32 | round);
}

static void fill(uint64_t *words, uint64_t word)
{
	for (size_t i = 0; i < WORDS; i++)
		words[i] = word + i;
}

static int is_right(const uint64_t *words, uint64_t word)
{
	for (size_t i = 0; i < WORDS; i++)
		if (words[i] != word + i)
			return 0;
	return 1;
}

static int work(unsigned int process, size_t pages, unsigned int rounds)
{
	uint64_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t page;

	if (memory == MAP_FAILED)
		return 1;
	for (unsigned int round = 0; round < rounds; round++) {
		for (page = 0; page < pages; page++)
			fill(memory + page * WORDS, first_word(process, page, round));
		for (page = 0; page < pages; page++) {
			if (is_right(memory + page * WORDS, first_word(process, page, round)))
				continue;
			printf("guest: process %u, round %u: page %zu is wrong\n", process, round, page);
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	long processes = sysconf(_SC_NPROCESSORS_ONLN);
	int status, failed = 0;
	size_t pages;

	if (argc != 3 || processes < 1) {
		fprintf(stderr, "pages MIB ROUNDS\n");
		return 2;
	}
	pages = strtoul(argv[1], NULL, 0) * ((1 << 20) / PAGE) / processes;
	for (long i = 0; i < processes; i++)
		if (!fork())
			_exit(work(i, pages, atoi(argv[2])));
	while (wait(&status) > 0)
		failed |= status;
	return failed != 0;
}
