// SPDX-License-Identifier: GPL-2.0
/*
 * vsock host MONITOR MIB, vsock guest MIB: data through vhost-vsock in both directions at once, checked
 * at both ends. The host's side asks QEMU's monitor for the vcpu's statistics (KVM_GET_STATS_FD)
 * before and after: queues that are kicked through ioeventfd and answered through irqfd cost
 * interrupts and exits, but none of them to userspace.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#define PORT		5000
#define CHUNK		65536u
#define WARM_UP		1u		/* MiB, before the first look at the statistics */
#define USER_EXITS	4		/* what the guest may do besides */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void fill(uint64_t *words, uint64_t seed, uint64_t chunk)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ull + chunk * 0xbf58476d1ce4e5b9ull + 1;
	size_t i;

	for (i = 0; i < CHUNK / sizeof(*words); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = x;
	}
}

static void send_all(int fd, uint64_t seed, uint64_t chunks)
{
	static uint64_t data[CHUNK / sizeof(uint64_t)];
	uint64_t i;
	size_t done;
	ssize_t n;

	for (i = 0; i < chunks; i++) {
		fill(data, seed, i);
		for (done = 0; done < CHUNK; done += n) {
			n = write(fd, (char *)data + done, CHUNK - done);
			if (n <= 0)
				die("write");
		}
	}
}

static void receive_all(int fd, uint64_t seed, uint64_t chunks)
{
	static uint64_t data[CHUNK / sizeof(uint64_t)], wanted[CHUNK / sizeof(uint64_t)];
	uint64_t i;
	size_t done;
	ssize_t n;

	for (i = 0; i < chunks; i++) {
		for (done = 0; done < CHUNK; done += n) {
			n = read(fd, (char *)data + done, CHUNK - done);
			if (n <= 0)
				die("read");
		}
		fill(wanted, seed, i);
		if (memcmp(data, wanted, CHUNK)) {
			printf("vsock: chunk %llu is not what was sent\n", (unsigned long long)i);
			exit(1);
		}
	}
}

/* Both directions at once */
static void exchange(int fd, uint64_t send_seed, uint64_t receive_seed, uint64_t mib)
{
	uint64_t chunks = (mib << 20) / CHUNK;
	int status;
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (!child) {
		send_all(fd, send_seed, chunks);
		exit(0);
	}
	receive_all(fd, receive_seed, chunks);
	if (waitpid(child, &status, 0) != child || status)
		exit(1);
}

static int run_guest(uint64_t mib)
{
	struct sockaddr_vm host = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = PORT,
	};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&host, sizeof(host)))
		die("connect");
	exchange(fd, 1, 2, WARM_UP);
	exchange(fd, 3, 4, mib);
	return 0;
}

struct counts {
	unsigned long long exits, user, injections;
};

static unsigned long long count_of(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	at = at ? strchr(at, ':') : NULL;
	if (!at) {
		printf("vsock: the monitor does not show %s\n", name);
		exit(1);
	}
	return strtoull(at + 1, NULL, 10);
}

/* The monitor's answer up to its next prompt */
static void monitor_read(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;

	do {
		n = read(fd, text + length, size - 1 - length);
		if (n <= 0)
			die("monitor");
		length += n;
		text[length] = 0;
	} while (length < 7 || strcmp(text + length - 7, "(qemu) "));
}

static struct counts look(const char *monitor)
{
	static char text[65536];
	static const char command[] = "info stats vcpu\n";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", monitor);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		die(monitor);
	monitor_read(fd, text, sizeof(text));
	if (write(fd, command, strlen(command)) < 0)
		die(monitor);
	monitor_read(fd, text, sizeof(text));
	close(fd);
	return (struct counts) {
		.exits = count_of(text, "\n    exits "),
		.user = count_of(text, "io_exits ") + count_of(text, "mmio_exits "),
		.injections = count_of(text, "irq_injections "),
	};
}

static int run_host(const char *monitor, uint64_t mib)
{
	struct sockaddr_vm here = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = PORT,
	};
	int listener = socket(AF_VSOCK, SOCK_STREAM, 0), fd;
	struct counts before, after;

	if (listener < 0 || bind(listener, (struct sockaddr *)&here, sizeof(here)) ||
	    listen(listener, 1))
		die("listen");
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept");
	exchange(fd, 2, 1, WARM_UP);
	before = look(monitor);
	exchange(fd, 4, 3, mib);
	after = look(monitor);
	printf("vsock: %llu MiB each way: %llu exits, %llu of them to userspace, %llu interrupts\n",
	       (unsigned long long)mib, after.exits - before.exits, after.user - before.user,
	       after.injections - before.injections);
	if (after.user - before.user > USER_EXITS || after.injections == before.injections)
		return 1;
	printf("VSOCK OK\n");
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && !strcmp(argv[1], "host"))
		return run_host(argv[2], strtoull(argv[3], NULL, 10));
	if (argc == 3 && !strcmp(argv[1], "guest"))
		return run_guest(strtoull(argv[2], NULL, 10));
	fprintf(stderr, "vsock host MONITOR MIB | vsock guest MIB\n");
	return 2;
}
