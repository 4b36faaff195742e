# Compiler and linker flags, each taken only after a probe of its own.

# SP_TRY_CFLAG(VARIABLE, FLAG, [IF-ACCEPTED], [IF-REFUSED])
# Adds FLAG to VARIABLE if a program compiles and links with it, warning-free.
AC_DEFUN([SP_TRY_CFLAG], [
	AC_MSG_CHECKING([whether $CC takes $2])
	sp_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS -Werror $2"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]],
	    [[char b[64]; memset(b, 1, sizeof(b)); return (b[3] - 1);]])],
	    [sp_taken=yes], [sp_taken=no])
	CFLAGS=$sp_save_CFLAGS
	AC_MSG_RESULT([$sp_taken])
	AS_IF([test "$sp_taken" = yes], [$1="$$1 $2"
	    $3], [:
	    $4])
])

# SP_TRY_LDFLAG(VARIABLE, FLAG)
AC_DEFUN([SP_TRY_LDFLAG], [
	AC_MSG_CHECKING([whether the linker takes $2])
	sp_save_LDFLAGS=$LDFLAGS
	sp_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS -Werror -fPIE"
	LDFLAGS="$LDFLAGS $2"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
	    [sp_taken=yes], [sp_taken=no])
	LDFLAGS=$sp_save_LDFLAGS
	CFLAGS=$sp_save_CFLAGS
	AC_MSG_RESULT([$sp_taken])
	AS_IF([test "$sp_taken" = yes], [$1="$$1 $2"])
])

# SP_UNSAFE_BUILDS
# --enable-sanitizers and --enable-fuzzers: builds that trade the jail's
# tightness for reports, and that make install refuses.
AC_DEFUN([SP_UNSAFE_BUILDS], [
	AC_ARG_ENABLE([sanitizers], [AS_HELP_STRING([--enable-sanitizers],
	    [ASan and UBSan; UNSAFE, for tests alone])],
	    [], [enable_sanitizers=no])
	AC_ARG_ENABLE([fuzzers], [AS_HELP_STRING([--enable-fuzzers@<:@=memory@:>@],
	    [libFuzzer targets (clang), with ASan and UBSan, or with MSan;
	    UNSAFE, for tests alone])],
	    [], [enable_fuzzers=no])
	AS_CASE([$enable_fuzzers], [yes|no|memory], [],
	    [AC_MSG_ERROR([--enable-fuzzers=$enable_fuzzers: yes or memory])])
	AS_IF([test "$enable_fuzzers" = memory],
	    [sp_sanitizer=memory], [sp_sanitizer=address,undefined])
	unsafe_build=no
	SANITIZER_CFLAGS=
	SANITIZER_CPPFLAGS=
	FUZZER_LDFLAGS=
	AS_IF([test "$enable_sanitizers" != no || test "$enable_fuzzers" != no], [
		unsafe_build=yes
		SANITIZER_CPPFLAGS=-DSALLYPORT_SANITIZERS=1
		SP_TRY_CFLAG([SANITIZER_CFLAGS], [-fsanitize=$sp_sanitizer], [],
		    [AC_MSG_ERROR([$CC has no -fsanitize=$sp_sanitizer])])
		SP_TRY_CFLAG([SANITIZER_CFLAGS], [-fno-sanitize-recover=all])
		SP_TRY_CFLAG([SANITIZER_CFLAGS], [-fno-omit-frame-pointer])
	])
	AS_IF([test "$enable_fuzzers" != no], [
		SP_TRY_CFLAG([SANITIZER_CFLAGS], [-fsanitize=fuzzer-no-link], [],
		    [AC_MSG_ERROR([$CC has no libFuzzer: use CC=clang])])
		FUZZER_LDFLAGS=-fsanitize=fuzzer
	])
	AC_SUBST([SANITIZER_CFLAGS])
	AC_SUBST([SANITIZER_CPPFLAGS])
	AC_SUBST([FUZZER_LDFLAGS])
	AM_CONDITIONAL([SANITIZERS], [test "$unsafe_build" = yes])
	AM_CONDITIONAL([FUZZERS], [test "$enable_fuzzers" != no])
	AM_CONDITIONAL([UNSAFE_BUILD], [test "$unsafe_build" = yes])
])

# SP_HARDENING
# HARDENING_{CPPFLAGS,CFLAGS,LDFLAGS}, for every object that we link, lwIP's
# too.
AC_DEFUN([SP_HARDENING], [
	HARDENING_CPPFLAGS=
	HARDENING_CFLAGS=
	HARDENING_LDFLAGS=
	SP_TRY_CFLAG([HARDENING_CFLAGS], [-fPIE])
	SP_TRY_CFLAG([HARDENING_CFLAGS], [-fstack-protector-strong])
	SP_TRY_CFLAG([HARDENING_CFLAGS], [-fstack-clash-protection])
	SP_TRY_CFLAG([HARDENING_CFLAGS], [-fcf-protection=full])
	SP_TRY_CFLAG([HARDENING_CFLAGS], [-mbranch-protection=standard])
	SP_TRY_CFLAG([HARDENING_CFLAGS], [-fno-common])
	SP_TRY_CFLAG([HARDENING_CFLAGS], [-fno-delete-null-pointer-checks])
	SP_TRY_CFLAG([HARDENING_CFLAGS], [-ftrivial-auto-var-init=zero], [],
	    # clang before 16 wants to be asked twice
	    [SP_TRY_CFLAG([HARDENING_CFLAGS], m4_normalize([
		-ftrivial-auto-var-init=zero
		-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang]))])
	# FORTIFY needs the optimizer, and ASan's interceptors do its work.
	AS_CASE([$unsafe_build:$CFLAGS], [no:*-O[[123s]]*],
	    [SP_TRY_CFLAG([HARDENING_CPPFLAGS],
		[-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3], [],
		[SP_TRY_CFLAG([HARDENING_CPPFLAGS],
		    [-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2])])])
	SP_TRY_LDFLAG([HARDENING_LDFLAGS], [-pie])
	SP_TRY_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,relro])
	SP_TRY_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,now])
	SP_TRY_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,noexecstack])
	SP_TRY_LDFLAG([HARDENING_LDFLAGS], [-Wl,-z,separate-code])
	SP_TRY_LDFLAG([HARDENING_LDFLAGS], [-Wl,--as-needed])
	AC_SUBST([HARDENING_CPPFLAGS])
	AC_SUBST([HARDENING_CFLAGS])
	AC_SUBST([HARDENING_LDFLAGS])
])

# SP_WARNINGS
# WARNING_CFLAGS, for our own code alone.
AC_DEFUN([SP_WARNINGS], [
	AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror],
	    [a warning in our own code fails the build])],
	    [], [enable_werror=no])
	WARNING_CFLAGS=
	m4_foreach_w([sp_flag], [-Wall -Wextra -Wconversion -Wshadow -Wvla
	    -Wformat=2 -Wmissing-prototypes -Wstrict-prototypes
	    -Wold-style-definition -Wpointer-arith -Wwrite-strings -Wundef
	    -Wimplicit-fallthrough],
	    [SP_TRY_CFLAG([WARNING_CFLAGS], sp_flag)])
	AS_IF([test "$enable_werror" != no],
	    [WARNING_CFLAGS="$WARNING_CFLAGS -Werror"])
	AC_SUBST([WARNING_CFLAGS])
])
