# The parent: options, what needs rights, the children's lives.
noinst_LIBRARIES += parent/libparent.a
parent_libparent_a_SOURCES = \
	parent/attest.c parent/attest.h \
	parent/command.c parent/command.h \
	parent/config_check.c parent/config_file.c parent/config_print.c \
	parent/configuration.h \
	parent/configure.c \
	parent/control.c parent/control.h \
	parent/cpu_alarm.c parent/cpu_alarm.h \
	parent/dispatch_netproc.c parent/dispatch_relayproc.c \
	parent/evidence.c parent/evidence.h \
	parent/first.c parent/first.h \
	parent/follow.c \
	parent/frame_open.c parent/frame_open.h \
	parent/host_addrs.c parent/host_addrs.h \
	parent/host_routes.c parent/host_routes.h \
	parent/launch.c parent/launch.h \
	parent/notify.c parent/notify.h \
	parent/option_ids.h parent/option_table.c \
	parent/options.c parent/options.h \
	parent/parent.h \
	parent/peer.c \
	parent/publish.c parent/publish.h \
	parent/resolv_conf.c parent/resolv_conf.h \
	parent/resolv_watch.c parent/resolv_watch.h \
	parent/rtnetlink.c parent/rtnetlink.h \
	parent/respawn.c parent/respawn.h \
	parent/run.c \
	parent/spawn.c parent/spawn.h \
	parent/spawner.c parent/spawner.h \
	parent/spec.c parent/spec.h \
	parent/unix_listen.c parent/unix_listen.h \
	parent/vmm.c \
	parent/watchdog.c parent/watchdog.h

bin_PROGRAMS += sallyportctl
sallyportctl_SOURCES = parent/ctl.c
sallyportctl_LDADD = $(LIBBSD_LIBS)

dist_man_MANS += parent/sallyport.8 parent/sallyportctl.8
