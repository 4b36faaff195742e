#include <sys/syscall.h>

#include <unistd.h>

#include "sandbox/rules.h"

/*
 * What AddressSanitizer and UBSan do behind the program's back, so that the
 * whole suite can run under the filters with them.  Such a build is UNSAFE,
 * says so at start and is never installed; any other build has no row here.
 */
/* clang-format off */
static const struct filter_rule rules[] = {
#ifdef SALLYPORT_SANITIZERS
	{ CALL(mmap), { ANY }, "shadow memory, quarantine, stack depot" },
	{ CALL(munmap), { ANY }, "shadow memory given back" },
	{ CALL(mprotect), { ANY }, "guard pages" },
	{ CALL(madvise), { ANY }, "shadow pages given back" },
	{ CALL(sigaltstack), { ANY }, "stack overflows are reported" },
	{ CALL(rt_sigaction), { ANY }, "deadly signals are reported" },
	{ CALL(rt_sigprocmask), { ANY }, "reports are not interrupted" },
	{ CALL(futex), { ANY }, "the run-time's locks" },
	{ CALL(sched_yield), { ANY }, "the run-time's spin locks" },
	{ CALL(getpid), { ANY }, "a report's head" },
	{ CALL(gettid), { ANY }, "a report's head" },
	{ CALL(tgkill), { ANY }, "abort() after a report" },
	{ CALL(getrlimit), { ANY }, "the bounds of the stack" },
	{ CALL(prlimit64), { ANY }, "the bounds of the stack" },
	{ CALL(openat), { ANY }, "/proc/self/maps" },
#ifdef __NR_open
	{ CALL(open), { ANY }, "/proc/self/maps" },
	{ CALL(readlink), { ANY }, "/proc/self/exe" },
	{ CALL(stat), { ANY }, "is there a symbolizer" },
#endif
	{ CALL(readlinkat), { ANY }, "/proc/self/exe" },
	{ CALL(newfstatat), { ANY }, "is there a symbolizer" },
	{ CALL(fstat), { ANY }, "the size of a file to map" },
	{ CALL(ioctl), { ANY }, "is the report's descriptor a terminal" },
	{ CALL(close), { ANY }, "/proc/self/maps" },
	{ CALL(read), { ANY }, "/proc/self/maps" },
	{ CALL(write), { INT(STDERR_FILENO) }, "the report itself" },
	{ CALL(rt_sigreturn), { ANY }, "after a handled signal" },
	{ CALL(clock_gettime), { ANY }, "the allocator's aging" },
	{ CALL(getrandom), { ANY }, "the allocator's seed" },
#else
	{ -1, NULL, { ANY }, NULL },
#endif
};
/* clang-format on */

#ifdef SALLYPORT_SANITIZERS
const struct filter filter_sanitizer = { FILTER_ROWS(rules) };

/* The children's environment is empty: their options can stand only here. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	/* the leak check traces its own process, which the jail forbids */
	return ("detect_leaks=0:symbolize=0");
}
#else
const struct filter filter_sanitizer = { rules, 0 };
#endif
