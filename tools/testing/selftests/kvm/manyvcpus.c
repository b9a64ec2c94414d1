// SPDX-License-Identifier: GPL-2.0
/*
 * A VM of 300 vcpus, with APIC ids beyond what eight bits hold: who gets an interrupt, by physical id,
 * by logical id of a cluster, by broadcast, by shorthand and by message, and who does not. Most vcpus
 * never run: what they have got is read from their APIC. AMD64 manual, volume 2, section 16.14; KVM API
 * document, KVM_CAP_X2APIC_API.
 */
#include "tick.h"

#include <signal.h>

#define VCPUS		300
#define FAR_ID		4000		/* of the last one */
#define LAST		(VCPUS - 1)
#define X2APIC_ICR	(MSR_X2APIC + 0x30)
#define LOGICAL		0x800
#define BROADCAST	0xffffffffull

struct crowd {
	struct guest *g;		/* vcpu 0, who sends */
	int vcpu[VCPUS];
	bool wanted[VCPUS];
};

static uint32_t id_of(unsigned int i)
{
	return i == LAST ? FAR_ID : i;
}

static unsigned int of_id(uint32_t id)
{
	return id == FAR_ID ? LAST : id;
}

static void wide_ids(int vm)
{
	must_fail(enable(vm, KVM_CAP_X2APIC_API, 1u << 31), EINVAL);
	must(enable(vm, KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS |
					    KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK));
}

/* Awake, enabled, and nothing pending. */
static void clear(struct crowd *c, unsigned int i)
{
	struct kvm_lapic_state state;

	must(ioctl(c->vcpu[i], KVM_GET_LAPIC, &state));
	*lapic_word(&state, APIC_SVR) = 0x1ff;
	for (uint32_t word = 0; word < 8; word++)
		*lapic_word(&state, APIC_IRR + word * 16) = 0;
	must(ioctl(c->vcpu[i], KVM_SET_LAPIC, &state));
}

static struct crowd *crowd_new(void)
{
	struct crowd *c = calloc(1, sizeof(*c));
	struct kvm_lapic_state state;
	struct kvm_cpuid2 *cpuid;

	check(c);
	c->g = prepared_guest(FULL, wide_ids);
	if (extension(c->g->kvm, KVM_CAP_MAX_VCPUS) < VCPUS)
		skip("only %d vcpus", extension(c->g->kvm, KVM_CAP_MAX_VCPUS));
	cpuid = cpuid_supported(c->g->kvm);
	c->vcpu[0] = c->g->vcpu;
	for (unsigned int i = 0; i < VCPUS; i++) {
		if (i) {
			c->vcpu[i] = must(ioctl(c->g->vm, KVM_CREATE_VCPU, id_of(i)));
			must(ioctl(c->vcpu[i], KVM_SET_CPUID2, cpuid));
		}
		set_x2apic(c->g, c->vcpu[i]);
		clear(c, i);
		must(ioctl(c->vcpu[i], KVM_GET_LAPIC, &state));
		check_equal(*lapic_word(&state, 0x20), id_of(i));
		check_equal(*lapic_word(&state, 0xd0), id_of(i) >> 4 << 16 | 1u << (id_of(i) & 15));
	}
	run_to_out(c->g, TICK_PORT);
	return c;
}

/* Exactly those that are wanted have the vector, and then no more. */
static void check_received(struct crowd *c, const char *what, unsigned int vector)
{
	struct kvm_lapic_state state;
	bool has;

	for (unsigned int i = 0; i < VCPUS; i++) {
		if (i) {
			must(ioctl(c->vcpu[i], KVM_GET_LAPIC, &state));
			has = *lapic_word(&state, APIC_IRR + vector / 32 * 16) & 1u << vector % 32;
		} else {
			tick(c->g);
			has = counted(c->g, vector);
			*word(c->g, COUNTS + 4 * vector) = 0;
		}
		if (has != c->wanted[i])
			fail("%s: id %u has %s interrupt", what, id_of(i), has ? "an" : "no");
		if (has && i)
			clear(c, i);
	}
	memset(c->wanted, 0, sizeof(c->wanted));
}

static void send(struct crowd *c, uint64_t dest, uint32_t low)
{
	guest_wrmsr(c->g, X2APIC_ICR, dest << 32 | low);
}

static void physical(struct crowd *c)
{
	static const uint32_t ids[] = { 0, 1, 15, 16, 127, 254, 255, 256, 257, 287, 298, FAR_ID };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		send(c, ids[i], VECTOR_A);
		c->wanted[of_id(ids[i])] = true;
		check_received(c, "physical", VECTOR_A);
	}
	send(c, 1000, VECTOR_A);
	check_received(c, "an id of nobody's", VECTOR_A);
	send(c, FAR_ID + 1, VECTOR_A);
	check_received(c, "an id of nobody's", VECTOR_A);
}

static void logical(struct crowd *c)
{
	send(c, 17 << 16 | 0x8001, LOGICAL | VECTOR_A);
	c->wanted[272] = c->wanted[287] = true;
	check_received(c, "two of cluster 17", VECTOR_A);
	send(c, 0xffff, LOGICAL | VECTOR_A);
	for (unsigned int i = 0; i < 16; i++)
		c->wanted[i] = true;
	check_received(c, "all of cluster 0", VECTOR_A);
	send(c, (uint64_t)(FAR_ID >> 4) << 16 | 0xffff, LOGICAL | VECTOR_A);
	c->wanted[LAST] = true;
	check_received(c, "all of the last cluster", VECTOR_A);
	send(c, 0x200 << 16 | 0xffff, LOGICAL | VECTOR_A);
	check_received(c, "a cluster of nobody's", VECTOR_A);
}

static void everybody(struct crowd *c)
{
	send(c, BROADCAST, VECTOR_A);
	memset(c->wanted, true, sizeof(c->wanted));
	check_received(c, "broadcast", VECTOR_A);
	send(c, BROADCAST, LOGICAL | VECTOR_A);
	memset(c->wanted, true, sizeof(c->wanted));
	check_received(c, "logical broadcast", VECTOR_A);
	send(c, 5, ICR_OTHERS | VECTOR_A);
	memset(c->wanted + 1, true, sizeof(c->wanted) - 1);
	check_received(c, "all but self", VECTOR_A);
	send(c, 5, ICR_SELF | VECTOR_A);
	c->wanted[0] = true;
	check_received(c, "self", VECTOR_A);
}

/* Bits 31:8 of the destination are in the upper half of the address. */
static int message(struct crowd *c, uint32_t dest, uint32_t flags, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = APIC | (dest & 0xff) << 12 | flags,
		.address_hi = dest & 0xffffff00,
		.data = data,
	};

	return ioctl(c->g->vm, KVM_SIGNAL_MSI, &msi);
}

static void messages(struct crowd *c)
{
	static const uint32_t ids[] = { 0, 255, 256, 287, FAR_ID };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		check_equal(message(c, ids[i], 0, VECTOR_B), 1);
		c->wanted[of_id(ids[i])] = true;
		check_received(c, "message", VECTOR_B);
	}
	check_equal(message(c, 17 << 16 | 0x3, 1 << 2, VECTOR_B), 2);
	c->wanted[272] = c->wanted[273] = true;
	check_received(c, "logical message", VECTOR_B);
	check_equal(message(c, BROADCAST, 0, VECTOR_B), VCPUS);
	memset(c->wanted, true, sizeof(c->wanted));
	check_received(c, "message to everybody", VECTOR_B);
	check_equal(message(c, 2000, 0, VECTOR_B), 0);
	check_received(c, "message to nobody", VECTOR_B);
}

static void destinations(void)
{
	struct crowd *c = crowd_new();

	physical(c);
	logical(c);
	everybody(c);
	messages(c);
}

/* The last one runs, and answers. */
static void far_answer(void)
{
	struct crowd *c = crowd_new();
	struct second *s = calloc(1, sizeof(*s));
	struct kvm_regs regs;

	s->guest = *c->g;
	s->guest.vcpu = c->vcpu[LAST];
	s->guest.run = vcpu_map_run(c->g->kvm, s->guest.vcpu, &s->guest.run_size);
	vcpu_set_mode(s->guest.vcpu, LONG);
	set_x2apic(c->g, s->guest.vcpu);
	regs = vcpu_regs(s->guest.vcpu);
	regs.rip = guest_address(c->g, tick_pong);
	regs.rsp = AP_STACK;
	regs.rbx = APIC;
	vcpu_set_regs(s->guest.vcpu, &regs);
	must(set_mp_state(s->guest.vcpu, KVM_MP_STATE_RUNNABLE));
	second_start(s);
	wait_outs(s, 1);
	for (unsigned int i = 1; i <= 20; i++) {
		if (i % 2)
			send(c, FAR_ID, PING);
		else
			check_equal(message(c, FAR_ID, 0, PING), 1);
		wait_count(c->g, PONG, i);
		check_equal(counted(c->g, PING), i);
	}
	second_stop(s);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{ "destinations", destinations },
		{ "an answer from far away", far_answer },
	};

	return RUN_CASES("manyvcpus", cases);
}
