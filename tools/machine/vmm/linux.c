// SPDX-License-Identifier: GPL-2.0
/*
 * Puts a Linux kernel into the guest's memory and says how it is entered: a bzImage by its 32-bit
 * entry, without paging; an uncompressed vmlinux by its ELF entry, in long mode. The kernel's
 * Documentation/arch/x86/boot.rst and zero-page.rst describe both.
 */
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <asm/bootparam.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "vmm.h"

#define SECTOR		512
#define HEADER_MAGIC	0x53726448	/* "HdrS" */
#define LOADER_OTHER	0xff
#define E820_MEMORY	1

struct file {
	const uint8_t *data;
	size_t size;
};

static struct file file_map(const char *path)
{
	struct file f;
	struct stat st;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fstat(fd, &st))
		fail("%s: %m", path);
	f.size = st.st_size;
	f.data = mmap(NULL, f.size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (f.data == MAP_FAILED)
		fail("%s: %m", path);
	close(fd);
	return f;
}

static void *place(struct machine *m, uint64_t addr, uint64_t size)
{
	if (addr > m->size || size > m->size - addr)
		fail("memory is too small: %#lx bytes at %#lx", (long)size, (long)addr);
	return m->memory + addr;
}

/* Flat segments of the boot protocol, and an identity map of the first 4 GiB in pages of 2 MiB. */
static void write_tables(struct machine *m)
{
	static const uint64_t gdt[] = { 0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
	uint64_t *table = place(m, TABLES_ADDR, 6 * PAGE);
	unsigned int i;

	memcpy(place(m, GDT_ADDR, sizeof(gdt)), gdt, sizeof(gdt));
	table[0] = (TABLES_ADDR + PAGE) | 3;
	for (i = 0; i < 4; i++)
		table[512 + i] = (TABLES_ADDR + (2 + i) * PAGE) | 3;
	for (i = 0; i < 4 * 512; i++)
		table[1024 + i] = (uint64_t)i << 21 | 0x83;
}

static struct entry load_bzimage(struct machine *m, const struct file *f, struct boot_params *params)
{
	const struct setup_header *header = (const void *)(f->data + 0x1f1);
	size_t setup = ((header->setup_sects ?: 4) + 1) * SECTOR;

	if (header->header != HEADER_MAGIC || header->version < 0x206 || setup > f->size)
		fail("the kernel is neither a bzImage nor a vmlinux");
	params->hdr = *header;
	memcpy(place(m, KERNEL_ADDR, f->size - setup), f->data + setup, f->size - setup);
	return (struct entry) { KERNEL_ADDR, false };
}

static struct entry load_elf(struct machine *m, const struct file *f, struct boot_params *params)
{
	const Elf64_Ehdr *elf = (const void *)f->data;
	const Elf64_Phdr *segment = (const void *)(f->data + elf->e_phoff);
	unsigned int i;

	for (i = 0; i < elf->e_phnum; i++, segment++) {
		if (segment->p_type != PT_LOAD)
			continue;
		if (segment->p_offset + segment->p_filesz > f->size)
			fail("the kernel is cut short");
		memcpy(place(m, segment->p_paddr, segment->p_memsz), f->data + segment->p_offset,
		       segment->p_filesz);
	}
	params->hdr.header = HEADER_MAGIC;
	params->hdr.version = 0x20c;
	params->hdr.initrd_addr_max = 0x7fffffff;
	return (struct entry) { elf->e_entry, true };
}

static void load_initrd(struct machine *m, const char *path, struct boot_params *params)
{
	struct file f = file_map(path);
	uint64_t top = m->size - 1 < params->hdr.initrd_addr_max ? m->size : params->hdr.initrd_addr_max;
	uint64_t addr = (top - f.size) & ~(PAGE - 1);

	memcpy(place(m, addr, f.size), f.data, f.size);
	params->hdr.ramdisk_image = addr;
	params->hdr.ramdisk_size = f.size;
}

struct entry linux_load(struct machine *m, const char *kernel, const char *initrd, const char *command)
{
	struct boot_params *params = place(m, PARAMS_ADDR, sizeof(*params));
	struct file f = file_map(kernel);
	struct entry entry;

	if (f.size < PAGE)
		fail("%s: not a kernel", kernel);
	entry = memcmp(f.data, ELFMAG, SELFMAG) ? load_bzimage(m, &f, params) : load_elf(m, &f, params);
	write_tables(m);
	if (initrd)
		load_initrd(m, initrd, params);
	strcpy(place(m, COMMAND_ADDR, strlen(command) + 1), command);
	params->hdr.type_of_loader = LOADER_OTHER;
	params->hdr.loadflags |= CAN_USE_HEAP;
	params->hdr.heap_end_ptr = 0xfe00;
	params->hdr.cmd_line_ptr = COMMAND_ADDR;
	params->hdr.cmdline_size = strlen(command);
	params->e820_entries = 2;
	params->e820_table[0] = (struct boot_e820_entry) { 0, LOW_END, E820_MEMORY };
	params->e820_table[1] = (struct boot_e820_entry) { KERNEL_ADDR, m->size - KERNEL_ADDR, E820_MEMORY };
	munmap((void *)f.data, f.size);
	return entry;
}
