// SPDX-License-Identifier: GPL-2.0
/*
 * The guest of the tests of interrupts: it does one thing a time, says by an OUT that it is done, and
 * counts the interrupts it takes, each vector apart, at GUEST_DATA. AMD64 manual, volume 2, chapter 16.
 */
#include "tick.h"

#include <signal.h>
#include <sys/mman.h>

/*
 * A guest that does one thing a time and says when it is done: interrupts are taken at the head of
 * its loop, and the test sends it to one of the labels by changing RIP.
 */
GUEST(tick_guest, 64,
	"	mov	$0xfee00000, %ebx\n"
	"	movl	$0x1ff, 0xf0(%rbx)\n"
	"1:	sti\n"
	"	nop\n"
	"	nop\n"
	"	cli\n"
	"2:	out	%al, $0x51\n"
	"	jmp	1b\n"
	"	.globl	tick_store, tick_load, tick_wrmsr, tick_out, tick_halt, tick_pong\n"
	"	.globl	tick_ping, tick_vectors, tick_closed, tick_cr8\n"
	"tick_store: mov %eax, (%rdi)\n"
	"	jmp	1b\n"
	"tick_load: mov	(%rdi), %eax\n"
	"	jmp	2b\n"
	"tick_wrmsr: wrmsr\n"
	"	jmp	1b\n"
	"tick_cr8: mov	%rax, %cr8\n"
	"	jmp	1b\n"
	"tick_out: out	%al, %dx\n"
	"	jmp	1b\n"
	"tick_closed: mov $0x1000, %ecx\n"	/* a while with interrupts disabled */
	"3:	loop	3b\n"
	"	jmp	2b\n"
	"tick_halt: sti\n"
	"	hlt\n"
	"	jmp	1b\n"
	/* RSI times: interrupt the other, sleep until it has answered. A surplus answer shows in the count. */
	"tick_ping: xor	%r12d, %r12d\n"
	"4:	inc	%r12d\n"
	"	mov	$0x81, %eax\n"
	"	mov	$1, %ecx\n"
	"	call	send\n"
	"5:	cmp	%r12d, 0xa208\n"	/* COUNTS + 4 * PONG */
	"	jae	6f\n"
	"	sti\n"
	"	hlt\n"
	"	cli\n"
	"	jmp	5b\n"
	"6:	cmp	%esi, %r12d\n"
	"	jb	4b\n"
	"	jmp	2b\n"
	"tick_pong: mov	$0xfee00000, %ebx\n"
	"	mov	$0x1ff, %eax\n"
	"	cmpl	$1, 0xa800\n"
	"	je	7f\n"
	"	mov	%eax, 0xf0(%rbx)\n"
	"	jmp	14f\n"
	"7:	mov	$0x80f, %ecx\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"14:	out	%al, $0x51\n"
	"8:	sti\n"
	"	hlt\n"
	"	jmp	8b\n"
	/* EAX to the APIC whose id is ECX. */
	"send:	cmpl	$1, 0xa800\n"
	"	je	9f\n"
	"	shl	$24, %ecx\n"
	"	mov	%ecx, 0x310(%rbx)\n"
	"	mov	%eax, 0x300(%rbx)\n"
	"	ret\n"
	"9:	mov	%ecx, %edx\n"
	"	mov	$0x830, %ecx\n"
	"	wrmsr\n"
	"	ret\n"
	/* Counts the vector, ends it in the way the test has chosen. */
	"taken:	push	%rax\n"
	"	push	%rcx\n"
	"	push	%rdx\n"
	"	mov	24(%rsp), %eax\n"
	"	mov	%eax, 0xa804\n"
	"	incl	0xa000(, %rax, 4)\n"
	"	cmp	$2, %eax\n"
	"	je	10f\n"
	"	cmpl	$2, 0xa800\n"
	"	je	10f\n"
	"	cmpl	$3, 0xa800\n"
	"	je	12f\n"
	"	cmpl	$1, 0xa800\n"
	"	je	11f\n"
	"	movl	$0, 0xb0(%rbx)\n"
	"	jmp	10f\n"
	"11:	mov	$0x80b, %ecx\n"
	"	xor	%eax, %eax\n"
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	jmp	10f\n"
	"12:	mov	$0x20, %al\n"
	"	out	%al, $0x20\n"
	"10:	cmpb	$0x81, 24(%rsp)\n"
	"	jne	13f\n"
	"	mov	$0x82, %eax\n"
	"	xor	%ecx, %ecx\n"
	"	call	send\n"
	"13:	pop	%rdx\n"
	"	pop	%rcx\n"
	"	pop	%rax\n"
	"	add	$8, %rsp\n"
	"	iretq\n"
	"	.balign 16\n"
	"tick_vectors:\n"
	"	.set	vector, 0\n"
	"	.rept	256\n"
	"	.balign	16\n"
	"	push	$vector - 256 * (vector / 128)\n"
	"	movl	$vector, (%rsp)\n"
	"	jmp	taken\n"
	"	.set	vector, vector + 1\n"
	"	.endr\n");

/* ---- machines -------------------------------------------------------------------------------- */

int new_vm(void)
{
	int kvm = open_kvm(), vm;

	NEED(kvm, KVM_CAP_IRQCHIP);
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0));
	close(kvm);
	return vm;
}

int enable(int vm, uint32_t cap, uint64_t value)
{
	struct kvm_enable_cap args = { .cap = cap, .args = { value } };

	return ioctl(vm, KVM_ENABLE_CAP, &args);
}

uint32_t counted(struct guest *g, unsigned int vector)
{
	return __atomic_load_n((uint32_t *)(g->memory + COUNTS) + vector, __ATOMIC_RELAXED);
}

uint32_t *word(struct guest *g, uint32_t address)
{
	return (uint32_t *)(g->memory + address);
}

/* The library's guest with another VM under it, which has interrupt controllers. */
struct guest *prepared_guest(enum vm_kind kind, void (*prepare)(int vm))
{
	struct guest *g = guest_new(LONG, tick_guest);

	NEED(g->kvm, KVM_CAP_IRQCHIP);
	munmap(g->run, g->run_size);
	close(g->vcpu);
	close(g->vm);
	g->vm = must(ioctl(g->kvm, KVM_CREATE_VM, 0));
	if (kind == FULL)
		must(ioctl(g->vm, KVM_CREATE_IRQCHIP, 0));
	else
		must(enable(g->vm, KVM_CAP_SPLIT_IRQCHIP, 24));
	must(vm_set_slot(g->vm, 0, 0, 0, GUEST_MEMORY, g->memory));
	if (prepare)
		prepare(g->vm);
	g->vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, 0));
	g->run = vcpu_map_run(g->kvm, g->vcpu, &g->run_size);
	vcpu_set_supported_cpuid(g->kvm, g->vcpu);
	vcpu_set_mode(g->vcpu, LONG);
	guest_gate(g, VECTOR_NMI, guest_address(g, tick_vectors) + VECTOR_NMI * 16);
	for (unsigned int vector = 32; vector < 256; vector++)
		guest_gate(g, vector, guest_address(g, tick_vectors) + vector * 16);
	memset(g->memory + COUNTS, 0, PAGE);
	return g;
}

struct guest *new_guest(enum vm_kind kind)
{
	return prepared_guest(kind, NULL);
}

struct guest *ready_guest(enum vm_kind kind)
{
	struct guest *g = new_guest(kind);

	run_to_out(g, TICK_PORT);
	return g;
}

/* Run the code at the label with these registers, until the guest is back at its loop's end. */
uint64_t guest_do(struct guest *g, const uint8_t *label, uint64_t rax, uint64_t rdi,
			 uint64_t rcx, uint64_t rdx)
{
	struct kvm_regs regs;

	guest_complete(g);
	regs = vcpu_regs(g->vcpu);
	regs.rip = guest_address(g, label);
	regs.rax = rax;
	regs.rdi = rdi;
	regs.rcx = rcx;
	regs.rdx = rdx;
	vcpu_set_regs(g->vcpu, &regs);
	run_to_out(g, TICK_PORT);
	return vcpu_regs(g->vcpu).rax;
}

void apic_write(struct guest *g, uint32_t reg, uint32_t value)
{
	guest_do(g, tick_store, value, APIC + reg, 0, 0);
}

uint32_t apic_read(struct guest *g, uint32_t reg)
{
	return guest_do(g, tick_load, 0, APIC + reg, 0, 0);
}

void guest_wrmsr(struct guest *g, uint32_t msr, uint64_t value)
{
	guest_do(g, tick_wrmsr, (uint32_t)value, 0, msr, value >> 32);
}

void guest_out(struct guest *g, uint16_t port, uint8_t value)
{
	guest_do(g, tick_out, value, 0, 0, port);
}

void set_x2apic(struct guest *g, int vcpu)
{
	uint64_t base;

	check(vcpu_get_msr(vcpu, MSR_APIC_BASE, &base));
	check(vcpu_set_msr(vcpu, MSR_APIC_BASE, base | BASE_ENABLE | BASE_EXTD));
	*word(g, EOI_KIND) = EOI_X2APIC;
}

/* Two rounds of its loop. */
void tick(struct guest *g)
{
	run_to_out(g, TICK_PORT);
	run_to_out(g, TICK_PORT);
}

int send_msi(struct guest *g, uint32_t address, uint32_t data)
{
	struct kvm_msi msi = { .address_lo = address, .data = data };

	return ioctl(g->vm, KVM_SIGNAL_MSI, &msi);
}

void set_line(struct guest *g, uint32_t gsi, uint32_t level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	must(ioctl(g->vm, KVM_IRQ_LINE, &line));
}

int32_t set_line_status(struct guest *g, uint32_t gsi, uint32_t level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	must(ioctl(g->vm, KVM_IRQ_LINE_STATUS, &line));
	return line.status;
}

void program_pin(struct guest *g, unsigned int pin, uint64_t entry)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };

	must(ioctl(g->vm, KVM_GET_IRQCHIP, &chip));
	chip.chip.ioapic.redirtbl[pin].bits = entry;
	must(ioctl(g->vm, KVM_SET_IRQCHIP, &chip));
}

uint32_t mp_state(int vcpu)
{
	struct kvm_mp_state state;

	must(ioctl(vcpu, KVM_GET_MP_STATE, &state));
	return state.mp_state;
}

int set_mp_state(int vcpu, uint32_t value)
{
	struct kvm_mp_state state = { value };

	return ioctl(vcpu, KVM_SET_MP_STATE, &state);
}

uint32_t *lapic_word(struct kvm_lapic_state *state, uint32_t reg)
{
	return (uint32_t *)(state->regs + reg);
}

int set_entry(int vm, struct kvm_irq_routing_entry entry)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = { .head.nr = 1, .entry = entry };

	return ioctl(vm, KVM_SET_GSI_ROUTING, &table);
}

void wait_count(struct guest *g, unsigned int vector, uint32_t count)
{
	while (counted(g, vector) < count) {
		run_to_out(g, TICK_PORT);
		sleep_ms(1);
	}
}

/* ---- a second vcpu, which runs on a thread of its own -------------------------------------------- */

static void interrupt_thread(int number)
{
	/* Nothing to do: KVM_RUN comes back. */
}

static void *second_run(void *data)
{
	struct second *s = data;
	int error;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		error = guest_run(&s->guest);
		if (error == EINTR || error == EAGAIN)
			continue;
		check_equal(error, 0);
		check_equal(s->guest.run->exit_reason, KVM_EXIT_IO);
		__atomic_add_fetch(&s->outs, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

struct second *second_new(struct guest *g)
{
	struct second *s = calloc(1, sizeof(*s));

	check(s);
	s->guest = *g;
	s->guest.vcpu = must(ioctl(g->vm, KVM_CREATE_VCPU, 1));
	s->guest.run = vcpu_map_run(g->kvm, s->guest.vcpu, &s->guest.run_size);
	vcpu_set_supported_cpuid(g->kvm, s->guest.vcpu);
	return s;
}

void second_start(struct second *s)
{
	struct sigaction action = { .sa_handler = interrupt_thread };

	must(sigaction(SIGUSR1, &action, NULL));
	check_equal(pthread_create(&s->thread, NULL, second_run, s), 0);
}

void second_stop(struct second *s)
{
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	s->guest.run->immediate_exit = 1;
	pthread_kill(s->thread, SIGUSR1);
	pthread_join(s->thread, NULL);
	s->guest.run->immediate_exit = 0;
}

/* Its last answer may have come before its HLT. */
void second_stop_halted(struct second *s)
{
	for (unsigned int i = 0; i < 200; i++) {
		second_stop(s);
		if (mp_state(s->guest.vcpu) == KVM_MP_STATE_HALTED)
			return;
		s->stop = false;
		second_start(s);
		sleep_ms(5);
	}
	second_stop(s);
	check_equal(mp_state(s->guest.vcpu), KVM_MP_STATE_HALTED);
}

void wait_outs(struct second *s, uint32_t count)
{
	while (__atomic_load_n(&s->outs, __ATOMIC_ACQUIRE) < count)
		sleep_ms(1);
}
