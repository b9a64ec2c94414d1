// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages that are not executed from: a fetch makes them small, which is undone after a while,
 * with nx_huge_pages in force and not in a VM that wants none of it; and the module's parameters,
 * written while guests run.
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <linux/capability.h>

#define SLOT	1
#define BASE	0x1000000ull
#define SIZE	(8 * MiB)
#define RET	0xc3
#define PARAMETERS "/sys/module/kvm/parameters/"
#define MODE	"nx_huge_pages"
#define RATIO	"nx_huge_pages_recovery_ratio"
#define PERIOD	"nx_huge_pages_recovery_period_ms"

/* RBX: address */
GUEST(visit_code, 64,
	"	mov	(%rbx), %rax\n"
	"	hlt\n"
	"visit_write:\n"
	"	mov	%rbx, (%rbx)\n"
	"	hlt\n"
	"visit_call:\n"
	"	call	*%rbx\n"
	"	hlt\n"
	/* RCX pages called one after the other, for ever */
	"visit_all:\n"
	"	mov	%rbx, %rsi\n"
	"	mov	%rcx, %rdi\n"
	"1:	call	*%rsi\n"
	"	incq	0x800(%rsi)\n"
	"	add	$0x1000, %rsi\n"
	"	dec	%rdi\n"
	"	jnz	1b\n"
	"	hlt\n"
	"	jmp	visit_all\n");
extern const uint8_t visit_write[], visit_call[], visit_all[];

/* Called at RBX: reads and writes pages of the same huge one, its own among them. */
GUEST(own_code, 64,
	"	mov	0x1000(%rbx), %rax\n"
	"	mov	%rax, 0x2008(%rbx)\n"
	"	mov	0x100(%rbx), %rax\n"
	"	mov	%rax, 0x200(%rbx)\n"
	"	incq	0x3ffc(%rbx)\n"
	"	ret\n");

static int try_write(const char *name, const char *value)
{
	char path[128];
	int fd, r;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	fd = must(open(path, O_WRONLY));
	r = write(fd, value, strlen(value)) < 0 ? errno : 0;
	close(fd);
	return r;
}

static void set(const char *name, const char *value)
{
	check_equal(try_write(name, value), 0);
}

static void check_reads(const char *name, const char *value)
{
	char path[128], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	fd = must(open(path, O_RDONLY));
	must(read(fd, text, sizeof(text) - 1));
	close(fd);
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, value))
		fail("%s reads \"%s\", not \"%s\"", name, text, value);
}

static void setup(const char *mode, const char *ratio, const char *period)
{
	if (geteuid())
		skip("only root sets parameters of modules");
	set(RATIO, ratio);
	set(PERIOD, period);
	set(MODE, mode);
}

static uint8_t *huge_area(void)
{
	uint8_t *area = mmap(NULL, SIZE + 2 * MiB, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(area != MAP_FAILED);
	area = (uint8_t *)(((uintptr_t)area + 2 * MiB - 1) & ~(2 * MiB - 1));
	madvise(area, SIZE, MADV_HUGEPAGE);
	memset(area, RET, SIZE);
	return area;
}

/* Its only huge pages are those of the area: its other memory is shared. */
static struct guest *new_guest(uint8_t *area)
{
	struct guest *g = guest_new(LONG, visit_code);

	must(vm_set_slot(g->vm, SLOT, 0, BASE, SIZE, area));
	return g;
}

static void visit(struct guest *g, const uint8_t *how, uint64_t offset)
{
	struct kvm_regs regs = vcpu_regs(g->vcpu);

	regs.rip = guest_address(g, how);
	regs.rbx = BASE + offset;
	regs.rsp = GUEST_STACK;
	vcpu_set_regs(g->vcpu, &regs);
	run_to(g, KVM_EXIT_HLT);
}

static void check_counts(struct guest *g, uint64_t pages_2m, uint64_t splits)
{
	check_equal(vcpu_stat(g->vm, "pages_2m"), pages_2m);
	check_equal(vcpu_stat(g->vm, "nx_lpage_splits"), splits);
}

/* The first access tells whether there are huge pages at all. */
static void visit_first(struct guest *g, const uint8_t *how)
{
	visit(g, how, 0);
	if (!vcpu_stat(g->vm, "pages_2m") && !vcpu_stat(g->vm, "nx_lpage_splits"))
		skip("the host gives no huge pages");
}

static void wait_recovered(struct guest *g)
{
	for (int i = 0; i < 500; i++) {
		if (!vcpu_stat(g->vm, "nx_lpage_splits"))
			return;
		sleep_ms(10);
	}
	fail("%llu pages are still split",
	     (unsigned long long)vcpu_stat(g->vm, "nx_lpage_splits"));
}

static void parameters(void)
{
	static const struct { const char *set, *reads; } good[] = {
		{ "force", "Y" }, { "off", "N" }, { "1", "Y" }, { "0", "N" }, { "on\n", "Y" },
		{ "n", "N" }, { "Y\n", "Y" }, { "off\n", "N" },
	};
	struct guest *g;

	setup("off", "60", "0");
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		set(MODE, good[i].set);
		check_reads(MODE, good[i].reads);
	}
	set(MODE, "force");
	check_equal(try_write(MODE, "maybe"), EINVAL);
	check_equal(try_write(MODE, "\n"), EINVAL);
	check_reads(MODE, "Y");
	g = new_guest(huge_area());
	check_equal(try_write(MODE, "never"), EBUSY);
	check_reads(MODE, "Y");
	close(g->vcpu);

	check_equal(try_write(RATIO, "-1"), EINVAL);
	check_equal(try_write(RATIO, "x"), EINVAL);
	check_equal(try_write(PERIOD, "4294967296"), ERANGE);
	check_reads(RATIO, "60");
	set(PERIOD, "4294967295");
	check_reads(PERIOD, "4294967295");
	setup("auto", "60", "0");
}

static void split_and_recovered(void)
{
	uint8_t *area = huge_area();
	struct guest *g;

	setup("force", "0", "10");
	g = new_guest(area);
	visit_first(g, visit_code);
	check_counts(g, 1, 0);
	visit(g, visit_write, 5 * PAGE);
	check_counts(g, 1, 0);
	visit(g, visit_call, 0);
	check_counts(g, 0, 1);
	visit(g, visit_call, 7 * PAGE);
	visit(g, visit_code, 8 * PAGE);
	check_counts(g, 0, 1);
	/* A fetch is the first access. */
	visit(g, visit_call, 2 * MiB);
	check_counts(g, 0, 2);
	visit(g, visit_code, 2 * MiB + PAGE);
	visit(g, visit_write, 2 * MiB + 2 * PAGE);
	check_counts(g, 0, 2);
	visit(g, visit_code, 4 * MiB);
	check_counts(g, 1, 2);
	/* Ratio 0: they stay. */
	sleep_ms(100);
	check_counts(g, 1, 2);
	set(RATIO, "1");
	wait_recovered(g);
	check_counts(g, 1, 0);
	visit(g, visit_code, 0);
	visit(g, visit_code, 2 * MiB);
	check_counts(g, 3, 0);
	check_equal(*(uint64_t *)(area + 5 * PAGE), BASE + 5 * PAGE);
	check_equal(*(uint64_t *)(area + 2 * MiB + 2 * PAGE), BASE + 2 * MiB + 2 * PAGE);
	/* And once more: the worker has come to its end in between. */
	sleep_ms(50);
	set(RATIO, "0");
	visit(g, visit_call, 0);
	check_counts(g, 2, 1);
	set(RATIO, "1");
	wait_recovered(g);
	setup("auto", "60", "0");
}

/* The oldest go first, and no more than their part. */
static void recovered_by_ratio(void)
{
	struct guest *g;

	setup("force", "0", "3600000");
	g = new_guest(huge_area());
	visit_first(g, visit_call);
	for (int i = 1; i < 4; i++)
		visit(g, visit_call, i * 2 * MiB);
	check_counts(g, 0, 4);
	set(RATIO, "3");
	set(PERIOD, "300");
	for (int i = 0; i < 500 && vcpu_stat(g->vm, "nx_lpage_splits") == 4; i++)
		sleep_ms(1);
	set(RATIO, "0");
	if (vcpu_stat(g->vm, "nx_lpage_splits") < 2)
		skip("the host is too slow to be looked at between two periods");
	check_counts(g, 0, 2);
	visit(g, visit_code, 0);
	visit(g, visit_code, 2 * MiB);
	check_counts(g, 2, 2);
	visit(g, visit_code, 4 * MiB);
	visit(g, visit_code, 6 * MiB);
	check_counts(g, 2, 2);
	setup("auto", "60", "0");
}

/* An instruction that uses the page it is on gets on. */
static void own_page(void)
{
	uint8_t *area = huge_area();
	struct guest *g;

	setup("force", "0", "0");
	for (uint64_t at = 0; at < SIZE; at += 2 * MiB)
		memcpy(area + at, own_code, own_code_end - own_code);
	g = new_guest(area);
	visit_first(g, visit_call);
	check_counts(g, 0, 1);
	visit(g, visit_code, 2 * MiB);
	visit(g, visit_call, 2 * MiB);
	visit(g, visit_write, 4 * MiB + 100 * PAGE);
	visit(g, visit_call, 4 * MiB);
	check_counts(g, 0, 3);
	check_equal(*(uint64_t *)(area + 0x2008), *(uint64_t *)(area + 0x1000));
	check_equal(*(uint64_t *)(area + 2 * MiB + 0x200), *(uint64_t *)(area + 2 * MiB + 0x100));
	setup("auto", "60", "0");
}

static void switched_while_mapped(void)
{
	struct guest *g;

	setup("off", "60", "0");
	g = new_guest(huge_area());
	visit_first(g, visit_call);
	check_counts(g, 1, 0);
	set(MODE, "force");
	check_counts(g, 0, 0);
	visit(g, visit_code, 0);
	check_counts(g, 1, 0);
	visit(g, visit_call, 0);
	check_counts(g, 0, 1);
	/* Nothing changes. */
	set(MODE, "1");
	check_counts(g, 0, 1);
	set(MODE, "off");
	check_counts(g, 0, 0);
	visit(g, visit_call, 0);
	check_counts(g, 1, 0);
	setup("auto", "60", "0");
}

static int disable(int vm, uint64_t arg)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_VM_DISABLE_NX_HUGE_PAGES, .args[0] = arg,
	};

	return ioctl(vm, KVM_ENABLE_CAP, &cap);
}

static void fails_without_reboot(int vm)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct had[2], sets[2];

	must(syscall(SYS_capget, &head, had));
	memcpy(sets, had, sizeof(sets));
	sets[CAP_SYS_BOOT / 32].effective &= ~(1u << CAP_SYS_BOOT % 32);
	must(syscall(SYS_capset, &head, sets));
	must_fail(disable(vm, 0), EPERM);
	must_fail(disable(vm, 1), EINVAL);
	must(syscall(SYS_capset, &head, had));
}

static void not_in_this_vm(void)
{
	int kvm = open_kvm(), vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	struct guest *g, *other;

	NEED(kvm, KVM_CAP_VM_DISABLE_NX_HUGE_PAGES);
	NEED(vm, KVM_CAP_VM_DISABLE_NX_HUGE_PAGES);
	setup("force", "0", "0");
	must_fail(disable(vm, 1), EINVAL);
	must_fail(disable(vm, 1ull << 32), EINVAL);
	fails_without_reboot(vm);
	must(disable(vm, 0));
	must(disable(vm, 0));
	g = guest_in_vm(kvm, vm, LONG, visit_code);
	must_fail(disable(vm, 0), EINVAL);
	must(vm_set_slot(g->vm, SLOT, 0, BASE, SIZE, huge_area()));
	visit_first(g, visit_code);
	visit(g, visit_call, 0);
	visit(g, visit_call, 2 * MiB);
	check_counts(g, 2, 0);
	other = new_guest(huge_area());
	visit(other, visit_call, 0);
	check_counts(other, 0, 1);
	setup("auto", "60", "0");
}

/* Small pages that the dirty log needs are not recovered, but are large again after it. */
static void with_dirty_log(void)
{
	uint8_t *area = huge_area();
	uint64_t bitmap[SIZE / PAGE / 64];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bitmap };
	struct guest *g;

	setup("force", "0", "10");
	g = new_guest(area);
	visit_first(g, visit_call);
	visit(g, visit_write, 3 * PAGE);
	visit(g, visit_code, 2 * MiB);
	check_counts(g, 1, 1);
	must(vm_set_slot(g->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, SIZE, area));
	must(ioctl(g->vm, KVM_GET_DIRTY_LOG, &log));
	set(RATIO, "1");
	wait_recovered(g);
	visit(g, visit_write, 9 * PAGE);
	visit(g, visit_call, 2 * MiB + 5 * PAGE);
	visit(g, visit_write, 2 * MiB + 6 * PAGE);
	must(ioctl(g->vm, KVM_GET_DIRTY_LOG, &log));
	check_equal(bitmap[0], 1ull << 9);
	check_equal(bitmap[8], 1ull << 6);
	must(vm_set_slot(g->vm, SLOT, 0, BASE, SIZE, area));
	visit(g, visit_code, 0);
	visit(g, visit_code, 2 * MiB);
	check_counts(g, 2, 0);
	check_equal(*(uint64_t *)(area + 9 * PAGE), BASE + 9 * PAGE);
	setup("auto", "60", "0");
}

#define GIB_PAGES "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"

/* Two levels are split at once, and both recovered. */
static void one_gib(void)
{
	uint8_t *area;
	struct guest *g;

	if (!nested_paging())
		skip("the guest's own pages are smaller");
	setup("force", "0", "10");
	if (read_number(GIB_PAGES) < 1)
		write_text(GIB_PAGES, "1");
	area = mmap(NULL, GiB, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 30 << 26, -1, 0);
	if (area == MAP_FAILED)
		skip("no page of 1 GiB to be had");
	memset(area, RET, 4 * MiB);
	g = guest_new(LONG, visit_code);
	must(vm_set_slot(g->vm, SLOT, 0, GiB, GiB, area));
	visit(g, visit_code, GiB - BASE);
	if (!vcpu_stat(g->vm, "pages_1g"))
		skip("the processor has no pages of 1 GiB for guests");
	visit(g, visit_call, GiB - BASE + 2 * MiB);
	check_equal(vcpu_stat(g->vm, "pages_1g"), 0);
	check_counts(g, 511, 2);
	visit(g, visit_call, GiB - BASE);
	check_counts(g, 510, 3);
	set(RATIO, "1");
	wait_recovered(g);
	check_counts(g, 0, 0);
	visit(g, visit_code, GiB - BASE);
	check_equal(vcpu_stat(g->vm, "pages_1g"), 1);
	setup("auto", "60", "0");
	munmap(area, GiB);
	write_text(GIB_PAGES, "0");
}

/* Everything at once: parameters, recovery and removal under a guest that executes everywhere. */
static void *disturb(void *data)
{
	uint8_t *area = data;
	uint64_t seed = 7;

	for (int i = 0; i < 60; i++) {
		switch (random_next(&seed) % 4) {
		case 0:
			set(MODE, "off");
			sleep_ms(1);
			set(MODE, "force");
			break;
		case 1:
			set(RATIO, "2");
			break;
		case 2:
			set(PERIOD, random_next(&seed) & 1 ? "1" : "3");
			break;
		default:
			/* Gone from the guest's tables, not from memory. */
			mprotect(area, 2 * MiB, PROT_READ);
			mprotect(area, 2 * MiB, PROT_READ | PROT_WRITE);
		}
		sleep_ms(3);
	}
	return NULL;
}

static void under_load(void)
{
	uint8_t *area = huge_area();
	struct guest *g;
	pthread_t thread;
	uint64_t rounds = 0;
	struct kvm_regs regs;

	setup("force", "1", "1");
	g = new_guest(area);
	for (uint64_t at = 0; at < SIZE; at += PAGE)
		memset(area + at + 0x800, 0, 8);
	check_equal(pthread_create(&thread, NULL, disturb, area), 0);
	regs = vcpu_regs(g->vcpu);
	regs.rip = guest_address(g, visit_all);
	regs.rbx = BASE;
	regs.rcx = SIZE / PAGE;
	vcpu_set_regs(g->vcpu, &regs);
	while (pthread_tryjoin_np(thread, NULL)) {
		int error = guest_run(g);

		/* Between the two mprotect() */
		if (error == EFAULT)
			continue;
		check_equal(error, 0);
		check_equal(g->run->exit_reason, KVM_EXIT_HLT);
		rounds++;
	}
	run_to(g, KVM_EXIT_HLT);
	rounds++;
	for (uint64_t at = 0; at < SIZE; at += PAGE)
		check_equal(*(uint64_t *)(area + at + 0x800), rounds);
	note("%llu rounds", (unsigned long long)rounds);
	wait_recovered(g);
	setup("auto", "60", "0");
}

/* A VM goes while its worker is about to run. */
static void closed_meanwhile(void)
{
	uint8_t *area = huge_area();

	setup("force", "1", "1");
	for (int i = 0; i < 20; i++) {
		struct guest *g = new_guest(area);

		for (uint64_t at = 0; at < SIZE; at += 2 * MiB)
			visit(g, visit_call, at);
		munmap(g->run, g->run_size);
		close(g->vcpu);
		close(g->vm);
		close(g->kvm);
		munmap(g->memory, GUEST_MEMORY);
	}
	setup("auto", "60", "0");
}

static const struct test_case cases[] = {
	{ "the parameters take what they say they take", parameters },
	{ "a fetch splits a huge page, recovery undoes it", split_and_recovered },
	{ "recovery takes its part of the oldest", recovered_by_ratio },
	{ "code that uses its own page gets on", own_page },
	{ "the parameter takes effect on VMs that run", switched_while_mapped },
	{ "KVM_CAP_VM_DISABLE_NX_HUGE_PAGES", not_in_this_vm },
	{ "recovery leaves what the dirty log needs", with_dirty_log },
	{ "pages of 1 GiB", one_gib },
	{ "parameters and recovery under a running guest", under_load, 60 },
	{ "VMs that close before recovery", closed_meanwhile },
};

int main(int argc, char **argv)
{
	return RUN_CASES("nxhuge", cases);
}
