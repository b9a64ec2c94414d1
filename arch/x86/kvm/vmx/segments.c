// SPDX-License-Identifier: GPL-2.0
/*
 * Segment and descriptor table registers, which live in the VMCS. SDM 3, 25.4.1 (fields), 27.3.1.2
 * and 27.3.1.3 (what an entry demands of them).
 */
#include "vmx.h"
#include "../emulate/emulate.h"

/* Fields of the registers follow each other in the order of the encoding, then LDTR and TR. */
#define SEG_FIELD(base, seg)	((base) + 2 * (seg))

static_assert(GUEST_TR_SELECTOR == SEG_FIELD(GUEST_ES_SELECTOR, KVM_TR));
static_assert(GUEST_LDTR_LIMIT == SEG_FIELD(GUEST_ES_LIMIT, KVM_LDTR));
static_assert(GUEST_GS_AR_BYTES == SEG_FIELD(GUEST_ES_AR_BYTES, KVM_GS));
static_assert(GUEST_TR_BASE == SEG_FIELD(GUEST_ES_BASE, KVM_TR));

unsigned long vmx_segment_base(struct kvm_vcpu *vcpu, enum kvm_seg seg)
{
	if (unlikely(seg == KVM_TR && to_vmx(vcpu)->vm86))
		return to_vmx(vcpu)->real_segment[KVM_TR].base;
	return vmcs_read(SEG_FIELD(GUEST_ES_BASE, seg));
}

int vmx_cpl(struct kvm_vcpu *vcpu)
{
	if (unlikely(to_vmx(vcpu)->vm86))
		return 0;
	return VMX_AR_DPL(vmcs_read32(GUEST_SS_AR_BYTES));
}

void vmx_get_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, struct kvm_segment *s)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	u32 ar;

	if (unlikely(vmx->vm86 && seg != KVM_LDTR)) {
		vmx_vm86_get_segment(vmx, seg, s);
		return;
	}
	ar = vmcs_read32(SEG_FIELD(GUEST_ES_AR_BYTES, seg));
	s->base = vmcs_read(SEG_FIELD(GUEST_ES_BASE, seg));
	s->limit = vmcs_read32(SEG_FIELD(GUEST_ES_LIMIT, seg));
	s->selector = vmcs_read32(SEG_FIELD(GUEST_ES_SELECTOR, seg));
	s->unusable = !!(ar & VMX_AR_UNUSABLE_MASK);
	s->type = ar & VMX_AR_TYPE_MASK;
	s->s = !!(ar & VMX_AR_S_MASK);
	s->dpl = VMX_AR_DPL(ar);
	/* Other processors have no unusable registers, but such with nothing present in them. */
	s->present = (ar & VMX_AR_P_MASK) && !s->unusable;
	s->avl = (ar >> 12) & 1;
	s->l = !!(ar & VMX_AR_L_MASK);
	s->db = !!(ar & VMX_AR_DB_MASK);
	s->g = !!(ar & VMX_AR_G_MASK);
	s->padding = 0;
}

/* Attributes of a descriptor without the limit's bits between them. */
static u16 attributes(const struct kvm_segment *s)
{
	return s->type | s->s << 4 | s->dpl << EMU_ATTR_DPL_SHIFT |
	       (s->unusable ? 0 : s->present << 7) | s->avl << 8 | s->l << 9 | s->db << 10 |
	       s->g << 11;
}

void vmx_read_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, struct emu_segment *s)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct kvm_segment real;
	u32 ar;

	if (unlikely(vmx->vm86 && seg != KVM_LDTR)) {
		vmx_vm86_get_segment(vmx, seg, &real);
		s->base = real.base;
		s->limit = real.limit;
		s->selector = real.selector;
		s->attr = attributes(&real);
		return;
	}
	ar = vmcs_read32(SEG_FIELD(GUEST_ES_AR_BYTES, seg));
	s->base = vmcs_read(SEG_FIELD(GUEST_ES_BASE, seg));
	s->limit = vmcs_read32(SEG_FIELD(GUEST_ES_LIMIT, seg));
	s->selector = vmcs_read32(SEG_FIELD(GUEST_ES_SELECTOR, seg));
	s->attr = (ar & 0xff) | (ar >> 4 & 0xf00);
	if (ar & VMX_AR_UNUSABLE_MASK)
		s->attr &= ~EMU_ATTR_P;
}

/* An entry is refused unless the granularity is one that the limit can have come from. */
static bool granular(const struct kvm_segment *s)
{
	if (s->limit & 0xfff00000)
		return true;
	return s->g && (s->limit & 0xfff) == 0xfff;
}

static u32 access_rights(enum kvm_seg seg, const struct kvm_segment *s)
{
	u32 ar, type = s->type & VMX_AR_TYPE_MASK;

	/* What was loaded is accessed, and a loaded TSS is busy: SVM is not so particular. */
	if (seg == KVM_TR)
		type |= 2;
	else if (seg != KVM_LDTR)
		type |= VMX_AR_TYPE_ACCESSES_MASK;
	ar = type | (s->s & 1) << 4 | (s->dpl & 3) << VMX_AR_DPL_SHIFT | (s->present & 1) << 7 |
	     (s->avl & 1) << 12 | (s->l & 1) << 13 | (s->db & 1) << 14;
	if (granular(s))
		ar |= VMX_AR_G_MASK;
	if (s->unusable || !s->present)
		ar |= VMX_AR_UNUSABLE_MASK;
	return ar;
}

void vmx_set_segment(struct kvm_vcpu *vcpu, enum kvm_seg seg, const struct kvm_segment *s)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	vmx->state_changed = true;
	if (unlikely(vmx->vm86 && seg != KVM_LDTR)) {
		vmx_vm86_set_segment(vmx, seg, s);
		return;
	}
	vmcs_write(SEG_FIELD(GUEST_ES_BASE, seg), s->base);
	vmcs_write(SEG_FIELD(GUEST_ES_LIMIT, seg), s->limit);
	vmcs_write(SEG_FIELD(GUEST_ES_SELECTOR, seg), s->selector);
	vmcs_write(SEG_FIELD(GUEST_ES_AR_BYTES, seg), access_rights(seg, s));
}

void vmx_get_gdt(struct kvm_vcpu *vcpu, struct desc_ptr *dt)
{
	dt->size = vmcs_read32(GUEST_GDTR_LIMIT);
	dt->address = vmcs_read(GUEST_GDTR_BASE);
}

void vmx_set_gdt(struct kvm_vcpu *vcpu, const struct desc_ptr *dt)
{
	vmcs_write(GUEST_GDTR_LIMIT, dt->size);
	vmcs_write(GUEST_GDTR_BASE, dt->address);
}

void vmx_get_idt(struct kvm_vcpu *vcpu, struct desc_ptr *dt)
{
	dt->size = vmcs_read32(GUEST_IDTR_LIMIT);
	dt->address = vmcs_read(GUEST_IDTR_BASE);
}

void vmx_set_idt(struct kvm_vcpu *vcpu, const struct desc_ptr *dt)
{
	vmcs_write(GUEST_IDTR_LIMIT, dt->size);
	vmcs_write(GUEST_IDTR_BASE, dt->address);
}
