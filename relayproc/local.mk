# relayproc: the host's sockets.
noinst_LIBRARIES += relayproc/librelayproc.a
relayproc_librelayproc_a_SOURCES = \
	relayproc/addr_class.c relayproc/addr_class.h \
	relayproc/budget.c relayproc/budget.h \
	relayproc/denial.c relayproc/denial.h \
	relayproc/dispatch_netproc.c relayproc/dispatch_netproc.h \
	relayproc/dispatch_parent.c relayproc/dispatch_parent.h \
	relayproc/flow.c relayproc/flow.h \
	relayproc/lend.c relayproc/lend.h \
	relayproc/loop.c \
	relayproc/outbound.c relayproc/outbound.h \
	relayproc/policy.c relayproc/policy.h \
	relayproc/publish_accept.c relayproc/publish_accept.h \
	relayproc/relayproc.c relayproc/relayproc.h \
	relayproc/resolver.c relayproc/resolver.h \
	relayproc/setup.c \
	relayproc/tcp_connect.c relayproc/tcp_connect.h
