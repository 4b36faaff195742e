# What the processes say to each other, and the leaf code that all share.
noinst_LIBRARIES += ipc/libipc.a
ipc_libipc_a_SOURCES = \
	ipc/addr.c ipc/addr.h \
	ipc/channel.c ipc/channel.h \
	ipc/channel_event.c ipc/channel_event.h \
	ipc/child_base.c ipc/child_base.h \
	ipc/clock.c ipc/clock.h \
	ipc/cursor.h \
	ipc/fd_wait.c ipc/fd_wait.h \
	ipc/journal.c ipc/journal.h \
	ipc/kernel.h \
	ipc/log.c ipc/log.h \
	ipc/proto.c ipc/proto.h \
	ipc/roles.h
