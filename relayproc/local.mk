# relayproc: the host's sockets.
noinst_LIBRARIES += relayproc/librelayproc.a
relayproc_librelayproc_a_SOURCES = \
	relayproc/addr_class.c relayproc/addr_class.h \
	relayproc/assoc.c relayproc/assoc.h \
	relayproc/assoc_peer.c relayproc/assoc_peer.h \
	relayproc/assoc_record.c relayproc/assoc_record.h \
	relayproc/budget.c relayproc/budget.h \
	relayproc/denial.c relayproc/denial.h \
	relayproc/dgram.c relayproc/dgram_error.c relayproc/dgram.h \
	relayproc/dispatch_netproc.c relayproc/dispatch_netproc.h \
	relayproc/dispatch_parent.c relayproc/dispatch_parent.h \
	relayproc/flow.c relayproc/flow.h \
	relayproc/lend.c relayproc/lend.h \
	relayproc/loop.c \
	relayproc/meter.c relayproc/meter.h \
	relayproc/outbound.c relayproc/outbound.h \
	relayproc/own_addr.c relayproc/own_addr.h \
	relayproc/policy.c relayproc/policy.h \
	relayproc/publish_accept.c relayproc/publish_accept.h \
	relayproc/relayproc.c relayproc/relayproc.h \
	relayproc/resolver.c relayproc/resolver.h \
	relayproc/setup.c \
	relayproc/splice.c relayproc/splice.h \
	relayproc/splice_pipe.c relayproc/splice_pipe.h \
	relayproc/tcp_connect.c relayproc/tcp_connect.h \
	relayproc/udp_assoc.c relayproc/udp_assoc.h \
	relayproc/udp_publish.c relayproc/udp_publish.h
