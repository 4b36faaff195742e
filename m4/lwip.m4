# SP_WITH_LWIP
# Takes lwIP's source from --with-lwip=DIR.  config.status links the headers and
# the files that netproc/lwip/sources.list names, and no others, into the build
# directory: nothing of lwIP is in our tree, our tarball, or written beside its
# source.
AC_DEFUN([SP_WITH_LWIP], [
	AC_ARG_WITH([lwip], [AS_HELP_STRING([--with-lwip=DIR],
	    [lwIP 2.2.1's source, as tools/fetch-lwip DIR lays it])],
	    [], [with_lwip=])
	AC_SUBST([LWIP_DIR])
	AC_SUBST([LWIP_OBJECTS])
	AC_SUBST([LWIP_CPPFLAGS])
	AC_MSG_CHECKING([for lwIP's source])
	AS_CASE([$with_lwip], [''|yes|no], [AC_MSG_RESULT([not given])
	    AC_MSG_ERROR([lwIP's source is not in this tree.  Mend:
    tools/fetch-lwip DIR && ./configure --with-lwip=DIR])])
	AS_IF([test -f "$with_lwip/src/include/lwip/init.h"], [],
	    [AC_MSG_RESULT([no])
	    AC_MSG_ERROR([there is no lwIP in $with_lwip.  Mend:
    tools/fetch-lwip $with_lwip])])
	LWIP_DIR=`cd "$with_lwip" && pwd`
	AC_MSG_RESULT([$LWIP_DIR])

	AC_MSG_CHECKING([for lwIP's version])
	LWIP_VERSION=`sed -n -e ['s/^#define LWIP_VERSION_[MR][A-Z]* *//p'] \
	    "$LWIP_DIR/src/include/lwip/init.h" | head -n 3 | tr '\n' '.'`
	LWIP_VERSION=${LWIP_VERSION%.}
	AC_MSG_RESULT([$LWIP_VERSION])
	AS_IF([test "$LWIP_VERSION" = 2.2.1], [],
	    [AC_MSG_ERROR([the internals that netproc relies on are those of
lwIP 2.2.1, not of $LWIP_VERSION.  Mend: tools/fetch-lwip DIR])])

	AC_MSG_CHECKING([for the files of netproc/lwip/sources.list])
	lwip_sources=`sed -e 's/#.*//' "$srcdir/netproc/lwip/sources.list"`
	lwip_count=0
	LWIP_OBJECTS=
	for lwip_file in $lwip_sources; do
		AS_IF([test -f "$LWIP_DIR/$lwip_file"], [],
		    [AC_MSG_RESULT([$lwip_file is missing])
		    AC_MSG_ERROR([$LWIP_DIR is not a whole lwIP.  Mend:
    rm -r $LWIP_DIR && tools/fetch-lwip $LWIP_DIR])])
		lwip_object=`AS_ECHO(["$lwip_file"]) | sed 's/\.c$/.o/'`
		LWIP_OBJECTS="$LWIP_OBJECTS netproc/lwip/$lwip_object"
		lwip_count=`expr $lwip_count + 1`
	done
	AC_MSG_RESULT([$lwip_count])

	# lwIP's headers are not ours to warn about: -isystem.  By the link, as
	# the name of the place itself may have blanks.
	LWIP_CPPFLAGS='-I$(top_srcdir)/netproc/lwip'
	LWIP_CPPFLAGS="$LWIP_CPPFLAGS -isystem netproc/lwip/src/include"
	LWIP_CFLAGS=
	SP_TRY_CFLAG([LWIP_CFLAGS], [-fno-strict-aliasing])
	SP_TRY_CFLAG([LWIP_CFLAGS], [-Wno-address])
	SP_TRY_CFLAG([LWIP_CFLAGS], [-Wno-unused-variable])
	SP_TRY_CFLAG([LWIP_CFLAGS],
	    [-Wno-tautological-constant-out-of-range-compare])
	# It reads a timestamp with shifts into the sign bit.
	SP_TRY_CFLAG([LWIP_CFLAGS], [-fno-sanitize=shift-base])
	AC_SUBST([LWIP_CFLAGS])

	AC_CONFIG_COMMANDS([lwip], [
		for lwip_file in src/include $lwip_sources; do
			lwip_link=netproc/lwip/$lwip_file
			AS_MKDIR_P([`AS_DIRNAME(["$lwip_link"])`])
			rm -f "$lwip_link"
			ln -s "$lwip_dir/$lwip_file" "$lwip_link" ||
			    AC_MSG_ERROR([cannot link $lwip_link])
		done
	], [
		lwip_dir='$LWIP_DIR'
		lwip_sources='`echo $lwip_sources`'
	])
])
