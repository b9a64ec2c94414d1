// SPDX-License-Identifier: GPL-2.0
/*
 * gdb ADDRESS WORD COMMAND...: debugs a guest's kernel by QEMU's stub, as gdb would. COMMAND is QEMU,
 * given the stub's socket by -gdb; the guest's kernel executes ADDRESS often and writes to WORD. The
 * guest is stopped, stepped, stopped by breakpoints in debug registers and by writes where the host's processor
 * does that, and goes on in the end. GDB manual, appendix E (remote serial protocol).
 */
#include <cpuid.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOCKET		"/tmp/gdb.socket"
#define STEPS		30
#define BREAKS		5
#define RIP_REGISTER	16
#define TIME_LIMIT_MS	60000

static int stub;
static char request[256];	/* the last one */

static bool host_is_tcg(void)
{
	unsigned int eax, signature[3];

	__cpuid(0x40000000, eax, signature[0], signature[1], signature[2]);
	return !memcmp(signature, "TCGTCGTCGTCG", sizeof(signature));
}

static void give_up(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("gdb: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	exit(1);
}

static void connect_to_stub(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };

	stub = socket(AF_UNIX, SOCK_STREAM, 0);
	for (int tries = 0; tries < 100; tries++) {
		if (!connect(stub, (struct sockaddr *)&address, sizeof(address)))
			return;
		usleep(200000);
	}
	give_up("no stub: %s", strerror(errno));
}

static char next_char(void)
{
	struct pollfd p = { .fd = stub, .events = POLLIN };
	char c;

	if (poll(&p, 1, TIME_LIMIT_MS) != 1)
		give_up("the stub says nothing after \"%s\"", request);
	if (read(stub, &c, 1) != 1)
		give_up("the stub has gone");
	return c;
}

static void send_text(const char *text, size_t size)
{
	if (write(stub, text, size) != (ssize_t)size)
		give_up("the stub has gone");
}

/* $data#sum, and a + for it. */
static void send_packet(const char *format, ...)
{
	char packet[300];
	unsigned char sum = 0;
	va_list args;
	int n;

	va_start(args, format);
	vsnprintf(request, sizeof(request), format, args);
	va_end(args);
	for (const char *p = request; *p; p++)
		sum += *p;
	n = snprintf(packet, sizeof(packet), "$%s#%02x", request, sum);
	send_text(packet, n);
}

static const char *receive_packet(void)
{
	static char data[8192];
	size_t n = 0;
	char c;

	while (next_char() != '$')
		;
	while ((c = next_char()) != '#') {
		if (n < sizeof(data) - 1)
			data[n++] = c;
	}
	data[n] = 0;
	next_char();
	next_char();
	send_text("+", 1);
	return data;
}

static const char *ask(const char *what)
{
	send_packet("%s", what);
	return receive_packet();
}

static void want_ok(const char *reply, const char *what)
{
	if (strcmp(reply, "OK"))
		give_up("%s: \"%s\"", what, reply);
}

static void want_stop(const char *what)
{
	const char *reply = receive_packet();

	if (*reply != 'T' && *reply != 'S')
		give_up("%s: \"%s\" is no stop", what, reply);
}

/* QEMU may say by itself that it stopped the guest for the debugger; what comes before OK is that. */
static void begin(void)
{
	send_packet("?");
	send_packet("Hg0");
	while (strcmp(receive_packet(), "OK"))
		;
}

/* The registers are 8 bytes each in hexadecimal, the lowest byte first. */
static uint64_t rip(void)
{
	const char *p = ask("g") + RIP_REGISTER * 16;
	uint64_t value = 0;
	unsigned int byte;

	for (int i = 0; i < 8; i++) {
		if (sscanf(p + 2 * i, "%2x", &byte) != 1)
			give_up("no registers");
		value |= (uint64_t)byte << (8 * i);
	}
	return value;
}

static void stop(void)
{
	send_text("\x03", 1);
	want_stop("interrupting");
}

static void steps(void)
{
	uint64_t before = rip(), now;
	int moved = 0;

	for (int i = 0; i < STEPS; i++) {
		send_packet("s");
		want_stop("a step");
		now = rip();
		moved += now != before;
		before = now;
	}
	if (moved < STEPS / 2)
		give_up("%d of %d steps went nowhere", STEPS - moved, STEPS);
	printf("gdb: %d steps, %d to another instruction\n", STEPS, moved);
}

static void breakpoints(uint64_t address)
{
	send_packet("Z1,%llx,1", (unsigned long long)address);
	want_ok(receive_packet(), "setting a breakpoint");
	for (int i = 0; i < BREAKS; i++) {
		send_packet("c");
		want_stop("a breakpoint");
		if (rip() != address)
			give_up("stopped at %llx, not %llx", (unsigned long long)rip(),
				(unsigned long long)address);
	}
	send_packet("z1,%llx,1", (unsigned long long)address);
	want_ok(receive_packet(), "removing a breakpoint");
	printf("gdb: %d times at the breakpoint\n", BREAKS);
}

static void watchpoint(uint64_t word)
{
	send_packet("Z2,%llx,8", (unsigned long long)word);
	want_ok(receive_packet(), "watching a word");
	send_packet("c");
	want_stop("a write");
	send_packet("z2,%llx,8", (unsigned long long)word);
	want_ok(receive_packet(), "watching no more");
	printf("gdb: the write was seen\n");
}

int main(int argc, char **argv)
{
	uint64_t address, word;
	pid_t vmm;
	int status;

	if (argc < 4)
		give_up("usage: gdb ADDRESS WORD COMMAND...");
	address = strtoull(argv[1], NULL, 16);
	word = strtoull(argv[2], NULL, 16);
	vmm = fork();
	if (!vmm) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	connect_to_stub();
	begin();
	/* The guest is on its way to userspace. */
	send_packet("c");
	sleep(4);
	stop();
	steps();
	if (host_is_tcg()) {
		printf("gdb: no breakpoints: the emulated processor ignores DR7 of a VMCB\n");
	} else {
		breakpoints(address);
		watchpoint(word);
	}
	want_ok(ask("D"), "detaching");
	if (waitpid(vmm, &status, 0) != vmm || status)
		give_up("QEMU ended with status %d", status);
	return 0;
}
