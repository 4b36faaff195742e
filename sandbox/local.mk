# The jail: the filters as tables, and the fences that a process puts up.
noinst_LIBRARIES += sandbox/libsandbox.a
sandbox_libsandbox_a_SOURCES = \
	sandbox/dump.c \
	sandbox/isolate.c sandbox/isolate.h \
	sandbox/landlock.c sandbox/landlock.h \
	sandbox/load.c \
	sandbox/policy_netproc.c \
	sandbox/policy_parent.c \
	sandbox/policy_relayproc.c \
	sandbox/policy_sanitizer.c \
	sandbox/policy_splice.c \
	sandbox/rules.h \
	sandbox/stages.c sandbox/stages.h
