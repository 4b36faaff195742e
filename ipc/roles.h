#ifndef IPC_ROLES_H
#define IPC_ROLES_H

/*
 * The processes of one sidecar and the descriptors that each of the two
 * children is born with.  The numbers are fixed because the seccomp filters
 * name them: a descriptor below FD_FIRST_DYNAMIC can never be closed, so its
 * number always means the same object.
 */

enum role {
	ROLE_PARENT,
	ROLE_NETPROC,
	ROLE_RELAYPROC,
	ROLE_NROLES
};

#define ROLE_BIT(role) (1u << (role))

#define FD_PARENT	 3 /* channel to the parent */
#define FD_PEER		 4 /* netproc <-> relayproc: flows */
#define FD_DGRAM	 5 /* netproc <-> relayproc: datagrams */
#define FD_EPOLL	 6 /* libevent's epoll descriptor */
#define FD_FIRST_DYNAMIC 7 /* the frame fd, flow sockets, listeners */

/* Returns borrowed: "parent", "netproc", "relayproc". */
const char *role_name(enum role role);

/*
 * The roles of a child, from exec to exit; in their own folders, whose
 * headers do not meet.  strict is as isolate_self() takes it.
 */
_Noreturn void netproc_main(int strict);
_Noreturn void relayproc_main(int strict);

#endif
