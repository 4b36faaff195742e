# lwIP, from the links that config.status made: our hardening flags, its own
# idea of warnings.  sources.list says which files; configure made
# LWIP_OBJECTS of it.

noinst_LIBRARIES += netproc/lwip/liblwip.a
netproc_lwip_liblwip_a_SOURCES =
netproc_lwip_liblwip_a_LIBADD = $(LWIP_OBJECTS)
netproc_lwip_liblwip_a_DEPENDENCIES = $(LWIP_OBJECTS)

lwip_port = netproc/lwip/lwipopts.h netproc/lwip/arch/cc.h
EXTRA_DIST += netproc/lwip/sources.list $(lwip_port)

$(LWIP_OBJECTS): netproc/lwip/%.o: netproc/lwip/%.c $(lwip_port) config.status
	$(AM_V_CC)$(CC) $(LWIP_CPPFLAGS) $(HARDENING_CPPFLAGS) $(CPPFLAGS) \
	    -std=gnu11 -Wall $(HARDENING_CFLAGS) $(SANITIZER_CFLAGS) \
	    $(LWIP_CFLAGS) $(CFLAGS) -c -o $@ $<

CLEANFILES += $(LWIP_OBJECTS)
distclean-local:
	rm -rf netproc/lwip/src
