# The process that reads guest bytes: link/, then gateway/ or flow/.
noinst_LIBRARIES += netproc/libnetproc.a
netproc_libnetproc_a_CPPFLAGS = $(AM_CPPFLAGS) $(LWIP_CPPFLAGS)
netproc_libnetproc_a_SOURCES = \
	netproc/counters.c netproc/counters.h \
	netproc/dispatch_parent.c \
	netproc/dispatch_relay.c \
	netproc/lwip_port.c netproc/lwip_port.h \
	netproc/netproc.c netproc/netproc.h \
	netproc/siphash.c netproc/siphash.h \
	netproc/link/checksum.c netproc/link/checksum.h \
	netproc/link/fragment.c netproc/link/fragment.h \
	netproc/link/fragment_split.c \
	netproc/link/chunk.c netproc/link/chunk.h \
	netproc/link/frame.c netproc/link/frame.h \
	netproc/link/frame_writer.c \
	netproc/link/input.c \
	netproc/link/link.c netproc/link/link.h \
	netproc/link/moderate.c netproc/link/moderate.h \
	netproc/link/netif.c \
	netproc/link/offload.c netproc/link/offload.h \
	netproc/link/shield.c netproc/link/shield.h \
	netproc/link/shield_check.h \
	netproc/link/shield_ip4.c \
	netproc/link/shield_ip6.c \
	netproc/link/shield_l4.c \
	netproc/link/shield_nd.c \
	netproc/gateway/dhcp.c netproc/gateway/dhcp.h \
	netproc/gateway/dhcp6.c netproc/gateway/dhcp6.h \
	netproc/gateway/dhcp6_message.c netproc/gateway/dhcp6_message.h \
	netproc/gateway/dhcp_message.c netproc/gateway/dhcp_message.h \
	netproc/gateway/dns.c netproc/gateway/dns.h \
	netproc/gateway/dns_edns.c \
	netproc/gateway/dns_local.c \
	netproc/gateway/dns_name.c netproc/gateway/dns_name.h \
	netproc/gateway/dns_stream.c netproc/gateway/dns_stream.h \
	netproc/gateway/dns_table.c netproc/gateway/dns_table.h \
	netproc/gateway/gateway.c netproc/gateway/gateway.h \
	netproc/gateway/gateway6.c \
	netproc/gateway/gateway_dns.c \
	netproc/gateway/gateway_icmp.c \
	netproc/gateway/icmp.c netproc/gateway/icmp.h \
	netproc/gateway/icmp_datagram.c \
	netproc/gateway/icmp_unreach.c \
	netproc/gateway/packet.c netproc/gateway/packet.h \
	netproc/gateway/ra.c netproc/gateway/ra.h \
	netproc/flow/ack.c netproc/flow/ack.h \
	netproc/flow/ahead.c netproc/flow/ahead.h \
	netproc/flow/assoc.c netproc/flow/assoc.h \
	netproc/flow/blocks.c netproc/flow/blocks.h \
	netproc/flow/client.c netproc/flow/client.h \
	netproc/flow/coalesce.c netproc/flow/coalesce.h \
	netproc/flow/datagram.c netproc/flow/datagram.h \
	netproc/flow/demux.c netproc/flow/demux.h \
	netproc/flow/dns_flow.c netproc/flow/dns_flow.h \
	netproc/flow/end.c netproc/flow/end.h \
	netproc/flow/evict.c netproc/flow/evict.h \
	netproc/flow/flow.c netproc/flow/flow.h \
	netproc/flow/orphan.c netproc/flow/orphan.h \
	netproc/flow/intercept.c netproc/flow/intercept.h \
	netproc/flow/lwip_addr.h \
	netproc/flow/pump.c netproc/flow/pump.h \
	netproc/flow/recover.c netproc/flow/recover.h \
	netproc/flow/segment.c netproc/flow/segment.h \
	netproc/flow/tcp.c netproc/flow/tcp.h \
	netproc/flow/turn.c netproc/flow/turn.h
