#ifndef IPC_KERNEL_H
#define IPC_KERNEL_H

#include <sys/socket.h>
#include <sys/wait.h>

#include <netinet/in.h>
#include <netinet/udp.h>

/*
 * What the kernel has and the C library's headers of Debian 12 may not.  What
 * one file alone needs stands there.
 */

/* waitid(2), Linux 5.4; <linux/wait.h> has it, and clashes with the library. */
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* unix(7), Linux 6.16 */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

/* ip(7), Linux 6.3 */
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

/* udp(7), Linux 4.18 and 5.0 */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#endif
