// SPDX-License-Identifier: GPL-2.0
/*
 * System instructions in the emulator, and user instructions that ask for more than registers and memory,
 * compared with the processor (comparison.h). Not here: what changes the flow of control is in transfer.c,
 * INVPCID in pcid.c, RSM in smm.c, and all other user instructions in emulate.c.
 */
#include "comparison.h"

COMPARE(tables, LONG, 64,
	"	P\n	sgdt	0x9000\n"
	"	P\n	sidt	0x9010\n"
	"	decw	0x9000\n	decw	0x9010\n"
	"	P\n	lgdt	0x9000\n"
	"	P\n	lidt	0x9010\n" END);
COMPARE(control, LONG, 64,
	"	P\n	mov	%cr0, %rbx\n"
	"	P\n	smsw	%ecx\n"
	"	mov	$0xb, %eax\n"
	"	P\n	lmsw	%ax\n"
	"	P\n	mov	%cr0, %rdx\n"
	"	P\n	clts\n"
	"	P\n	mov	%cr0, %rsi\n"
	"	P\n	mov	%cr3, %rdi\n"
	"	P\n	mov	%rdi, %cr3\n"
	"	P\n	mov	%cr4, %r8\n"
	"	mov	%r8, %r9\n	or	$0x80, %r9\n"
	"	P\n	mov	%r9, %cr4\n"
	"	mov	$5, %r9d\n"
	"	P\n	mov	%r9, %cr8\n"
	"	P\n	mov	%cr8, %r10\n"
	"	P\n	invlpg	0x9000\n"
	"	P\n	wbinvd\n"
	"	P\n	invd\n" END);
COMPARE(control_reserved, LONG, 64, "	mov	$1 << 15, %eax\n	P\n	mov	%rax, %cr4\n" END);
COMPARE(control_absent, LONG, 64, "	P\n	.byte 0x0f, 0x20, 0xc8\n" END);
COMPARE(debug_registers, LONG, 64,
	"	mov	$0x9000, %eax\n"
	"	P\n	mov	%rax, %dr0\n"
	"	P\n	mov	%dr0, %rbx\n"
	"	P\n	mov	%dr6, %rcx\n"
	"	P\n	mov	%dr7, %rdx\n"
	"	P\n	mov	%dr5, %rsi\n" END);
COMPARE(model_specific, LONG, 64,
	"	mov	$0x12345678, %eax\n	mov	$0xffff8000, %edx\n	mov	$0xc0000102, %ecx\n"
	"	P\n	wrmsr\n	xor	%eax, %eax\n	xor	%edx, %edx\n"
	"	P\n	rdmsr\n"
	"	P\n	swapgs\n"
	"	P\n	rdmsr\n" END);
COMPARE(model_specific_unknown, LONG, 64, "	mov	$0x4b564dff, %ecx\n	P\n	rdmsr\n" END);
COMPARE(identification, LONG, 64,
	"	mov	$0x9200, %edi\n	xor	%esi, %esi\n"
	"1:	mov	%esi, %eax\n	xor	%ecx, %ecx\n"
	"	P\n	cpuid\n"
	"	stosl\n	mov	%ebx, %eax\n	stosl\n	mov	%ecx, %eax\n	stosl\n	mov	%edx, %eax\n"
	"	stosl\n	inc	%esi\n	cmp	$8, %esi\n	jne	1b\n"
	"	mov	$0x80000008, %eax\n	P\n	cpuid\n" END);
/* Of four readings each is no earlier than the one before. */
#define WHOLE_TSC(to) "	shl	$32, %rdx\n	or	%rdx, %rax\n	mov	%rax, " to "\n"
COMPARE(counter, LONG, 64,
	"	mov	$0xc0000103, %ecx\n	mov	$0x77, %eax\n	xor	%edx, %edx\n	wrmsr\n"
	"	rdtsc\n" WHOLE_TSC("%r8")
	"	P\n	rdtsc\n" WHOLE_TSC("%r9")
	"	P\n	rdtscp\n" WHOLE_TSC("%r10")
	"	rdtsc\n" WHOLE_TSC("%r11")
	"	xor	%ebx, %ebx\n"
	"	cmp	%r8, %r9\n	adc	$0, %ebx\n"
	"	cmp	%r9, %r10\n	adc	$0, %ebx\n"
	"	cmp	%r10, %r11\n	adc	$0, %ebx\n"
	"	xor	%eax, %eax\n	xor	%edx, %edx\n	xor	%r8, %r8\n	mov	%r8, %r9\n"
	"	mov	%r8, %r10\n	mov	%r8, %r11\n" END);
COMPARE(counter_denied, LONG, 64,
	"	mov	%cr4, %rax\n	or	$4, %eax\n	mov	%rax, %cr4\n" USER "	P\n	rdtsc\n" USER_END);
COMPARE(performance_counter, LONG, 64, "	xor	%ecx, %ecx\n	P\n	rdpmc\n" END);
COMPARE(processor_id, LONG, 64,
	"	mov	$0xc0000103, %ecx\n	mov	$0x77, %eax\n	xor	%edx, %edx\n	wrmsr\n"
	"	or	$-1, %rbx\n"
	"	P\n	rdpid	%rbx\n" END);
#define SET_CR4(bit) "	mov	%cr4, %rax\n	bts	$" bit ", %eax\n	mov	%rax, %cr4\n"
COMPARE(bases, LONG, 64, SET_CR4("16")
	"	mov	$0x12345678, %eax\n	shl	$12, %rax\n	or	$-1, %rbx\n	or	$-1, %rdx\n"
	"	P\n	wrfsbase %rax\n"
	"	P\n	rdfsbase %rbx\n"
	"	P\n	wrgsbase %eax\n"
	"	P\n	rdgsbase %rcx\n"
	"	P\n	rdfsbase %edx\n"
	"	mov	$0x9000, %esi\n	movl	$0x600df00d, (%rsi)\n"
	"	P\n	wrgsbase %rsi\n"
	"	mov	%gs:0, %r8d\n" END);
COMPARE(bases_of_user, LONG, 64, SET_CR4("16") USER
	"	mov	$0x9000, %esi\n	movl	$0x600df00d, (%rsi)\n"
	"	P\n	wrfsbase %rsi\n"
	"	mov	%fs:0, %r8d\n" USER_END);
COMPARE(bases_off, LONG, 64, "	P\n	rdfsbase %rbx\n" END);
COMPARE(keys, LONG, 64, SET_CR4("22")
	"	xor	%ecx, %ecx\n	or	$-1, %rdx\n"
	"	P\n	rdpkru\n	mov	%rax, %rbx\n	mov	%rdx, %r8\n"
	"	mov	$0x55555554, %eax\n	xor	%edx, %edx\n"
	"	P\n	wrpkru\n"
	"	rdpkru\n	mov	%eax, %esi\n"
	"	mov	$0xaaaaaaa0, %eax\n	wrpkru\n	xor	%eax, %eax\n"
	"	P\n	rdpkru\n" END);
COMPARE(keys_of_user, LONG, 64, SET_CR4("22") USER
	"	xor	%ecx, %ecx\n	xor	%edx, %edx\n	mov	$0x1230, %eax\n"
	"	P\n	wrpkru\n	xor	%eax, %eax\n"
	"	P\n	rdpkru\n" USER_END);
COMPARE(keys_with_index, LONG, 64, SET_CR4("22") "	mov	$1, %ecx\n	P\n	rdpkru\n" END);
COMPARE(keys_off, LONG, 64, "	xor	%ecx, %ecx\n	P\n	rdpkru\n" END);
COMPARE(extended_state, LONG, 64, SET_CR4("18")
	"	xor	%ecx, %ecx\n"
	"	P\n	xgetbv\n	mov	%rax, %r8\n"
	"	mov	$3, %eax\n	xor	%edx, %edx\n"
	"	P\n	xsetbv\n	xor	%eax, %eax\n"
	"	P\n	xgetbv\n	mov	%rax, %r9\n"
	"	xgetbv\n" END);
COMPARE(extended_state_bad, LONG, 64, SET_CR4("18")
	"	xor	%ecx, %ecx\n	mov	$2, %eax\n	xor	%edx, %edx\n	P\n	xsetbv\n" END);
COMPARE(extended_state_off, LONG, 64, "	xor	%ecx, %ecx\n	P\n	xgetbv\n" END);
COMPARE(access_flag, LONG, 64,
	"	P\n	stac\n	pushf\n	pop	%rbx\n"
	"	P\n	clac\n	pushf\n	pop	%rsi\n" END);
COMPARE(user_access_flag, LONG, 64, USER "	P\n	stac\n" USER_END);
COMPARE(monitor, LONG, 64,
	"	mov	$0x9000, %eax\n	xor	%ecx, %ecx\n	xor	%edx, %edx\n"
	"	P\n	monitor\n"
	"	P\n	mwait\n" END);
/* The emulator writes the processor's instruction there, which makes the page dirty: it is before. */
COMPARE(hypercall, LONG, 64, "	movl	$0, 0x9000\n	mov	$0x7fff, %eax\n	P\n	vmcall\n" END);
COMPARE(user_hypercall, LONG, 64, USER "	mov	$1, %eax\n	P\n	vmcall\n" USER_END);
COMPARE(privileged_of_user, LONG, 64, USER "	P\n	wbinvd\n" USER_END);
/* By SYSENTER from kernel code, by SYSEXIT to user code, and back */
#define ENTRY32(label) \
	"	mov	$0x176, %ecx\n	lea	" label "(%ebp), %eax\n	wrmsr\n"
COMPARE(fast_calls, PROTECTED, 32,
	"	call	9f\n9:	pop	%ebp\n	xor	%edx, %edx\n"
	"	mov	$0x174, %ecx\n	mov	$0x18, %eax\n	wrmsr\n"
	"	mov	$0x175, %ecx\n	mov	$0x9f00, %eax\n	wrmsr\n" ENTRY32("1f-9b")
	"	P\n	sysenter\n"
	"1:	mov	%cs, %ebx\n	mov	%ss, %esi\n" ENTRY32("2f-9b")
	"	lea	3f-9b(%ebp), %edx\n	mov	$0x9e00, %ecx\n"
	"	P\n	sysexit\n"
	"3:	mov	%cs, %edi\n	mov	%ss, 0x9000\n	sysenter\n"
	"2:\n" END);
COMPARE(protected_segments, PROTECTED, 32,
	"	movl	$0xa800, 0x9000\n	movw	$0x10, 0x9004\n"
	"	P\n	push	%ds\n"
	"	P\n	pop	%es\n"
	"	P\n	push	%cs\n"
	"	pop	%eax\n"
	"	P\n	les	0x9000, %ecx\n"
	"	P\n	lds	0x9000, %edx\n"
	"	P\n	lfs	0x9000, %ebx\n"
	"	P\n	pusha\n"
	"	P\n	popa\n"
	"	P\n	lss	0x9000, %esp\n" END);

/* Cases that are about a feature of the processor's */
#define WITH(feature, leaf, ecx, bit, name) \
	static void with_##name(void) \
	{ \
		int kvm = open_kvm(); \
\
		if (!cpuid_offers(kvm, leaf, ecx, bit)) \
			skip("no " feature " on this processor"); \
		close(kvm); \
		name(); \
	} \
	struct comparison

WITH("RDPID", 7, true, 22, processor_id);
WITH("FSGSBASE", 7, false, 0, bases);
WITH("FSGSBASE", 7, false, 0, bases_of_user);
WITH("FSGSBASE", 7, false, 0, bases_off);
WITH("protection keys", 7, true, 3, keys);
WITH("protection keys", 7, true, 3, keys_of_user);
WITH("protection keys", 7, true, 3, keys_with_index);
WITH("protection keys", 7, true, 3, keys_off);
WITH("XSAVE", 1, true, 26, extended_state);
WITH("XSAVE", 1, true, 26, extended_state_bad);
WITH("XSAVE", 1, true, 26, extended_state_off);
WITH("SMAP", 7, false, 20, access_flag);
WITH("SMAP", 7, false, 20, user_access_flag);

/* QEMU's processor takes any base. */
GUEST(base_code, 64, SET_CR4("16")
	"	mov	$1, %esi\n	shl	$50, %rsi\n"
	FORCED "base_insn:	wrgsbase %rsi\n	hlt\n");
extern const uint8_t base_insn[];

static void base_not_canonical(void)
{
	struct guest *g = guest_new(LONG, base_code);

	set_emulation_prefix("1");
	run_to_exception(g, VECTOR_GP, 0);
	check_equal(guest_report(g)->rip, guest_address(g, base_insn));
}

WITH("FSGSBASE", 7, false, 0, base_not_canonical);

/* ---- ports, and the end, which only userspace sees ------------------------------------------- */

GUEST(ports_code, 64,
	"	mov	$0x4241, %eax\n"
	FORCED "	out	%ax, $0x20\n"
	FORCED "	in	$0x21, %al\n"
	"	mov	%al, 0xa100\n	mov	$0x22, %edx\n"
	FORCED "	out	%al, %dx\n"
	"	movl	$0x45444342, 0xa000\n	mov	$0xa000, %esi\n	mov	$4, %ecx\n"
	FORCED "	rep outsb\n"
	"	mov	$0xa101, %edi\n	mov	$3, %ecx\n"
	FORCED "	rep insw\n"
	FORCED "	in	%dx, %eax\n"
	"	mov	%eax, 0xa107\n"
	FORCED "	hlt\n");

static void ports(void)
{
	static const uint8_t wanted_out[] = "\x41\x42" "a" "BCDE";
	struct guest *g = guest_new(LONG, ports_code);
	uint8_t out[16], next = 'a';
	size_t sent = 0;

	set_emulation_prefix("1");
	for (;;) {
		uint8_t *data;
		size_t bytes;

		check_equal(guest_run(g), 0);
		if (g->run->exit_reason == KVM_EXIT_HLT)
			break;
		check_equal(g->run->exit_reason, KVM_EXIT_IO);
		data = (uint8_t *)g->run + g->run->io.data_offset;
		bytes = g->run->io.size * g->run->io.count;
		check(g->run->io.port >= 0x20 && g->run->io.port <= 0x22);
		for (size_t i = 0; i < bytes; i++) {
			if (g->run->io.direction == KVM_EXIT_IO_IN) {
				data[i] = next++;
				continue;
			}
			check(sent < sizeof(out));
			out[sent++] = data[i];
		}
	}
	check_equal(sent, sizeof(wanted_out) - 1);
	check(!memcmp(out, wanted_out, sent));
	check(!memcmp(g->memory + 0xa100, "abcdefghijk", 11));
}

/* For a guest that was told of it; the processor need not have it. */
GUEST(rdpid_code, 64,
	"	mov	$0xc0000103, %ecx\n	mov	$0x77, %eax\n	xor	%edx, %edx\n	wrmsr\n"
	"	or	$-1, %rbx\n"
	FORCED "	rdpid	%rbx\n	hlt\n");

static void processor_id_emulated(void)
{
	struct guest *g = guest_new(LONG, rdpid_code);
	struct kvm_cpuid2 *cpuid = cpuid_supported(g->kvm);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, 7, 0);

	if (!e || !(cpuid_find(cpuid, 0x80000001, 0)->edx & 1u << 27))
		skip("no TSC_AUX on this processor");
	e->ecx |= 1u << 22;
	must(ioctl(g->vcpu, KVM_SET_CPUID2, cpuid));
	free(cpuid);
	set_emulation_prefix("1");
	run_to(g, KVM_EXIT_HLT);
	check_equal(vcpu_regs(g->vcpu).rbx, 0x77);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "LGDT, LIDT, SGDT, SIDT", tables },
		{ "control registers", control },
		{ "CR4 with reserved bits", control_reserved },
		{ "CR1", control_absent },
		{ "debug registers", debug_registers },
		{ "MSRs and SWAPGS", model_specific },
		{ "an MSR that does not exist", model_specific_unknown },
		{ "CPUID", identification },
		{ "RDTSC, RDTSCP", counter },
		{ "RDTSC of user code, denied", counter_denied },
		{ "RDPMC", performance_counter },
		{ "RDPID", with_processor_id },
		{ "RDPID that the processor need not have", processor_id_emulated },
		{ "RDFSBASE, WRFSBASE, RDGSBASE, WRGSBASE", with_bases },
		{ "WRFSBASE of user code", with_bases_of_user },
		{ "WRGSBASE, not canonical", with_base_not_canonical },
		{ "RDFSBASE, not enabled", with_bases_off },
		{ "RDPKRU, WRPKRU", with_keys },
		{ "RDPKRU, WRPKRU of user code", with_keys_of_user },
		{ "RDPKRU with ECX", with_keys_with_index },
		{ "RDPKRU, not enabled", with_keys_off },
		{ "XGETBV, XSETBV", with_extended_state },
		{ "XSETBV of a bad value", with_extended_state_bad },
		{ "XGETBV, not enabled", with_extended_state_off },
		{ "STAC, CLAC", with_access_flag },
		{ "STAC of user code", with_user_access_flag },
		{ "MONITOR, MWAIT", monitor },
		{ "VMCALL", hypercall },
		{ "VMCALL of user code", user_hypercall },
		{ "WBINVD of user code", privileged_of_user },
		{ "SYSENTER, SYSEXIT", fast_calls },
		{ "far loads and segments on the stack", protected_segments },
		{ "IN, OUT, INS, OUTS, HLT", ports },
	};
	int status = RUN_CASES("instructions", cases);

	write_text(EMULATION_PREFIX, "0");
	return status;
}
